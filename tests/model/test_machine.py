"""R10: a Hypothesis machine drives the API with all roles; API, model and database never differ."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretStr

from backend.core import clock
from backend.core.config import Settings
from backend.main import create_app
from tests.conftest import SERVER, run_sql
from tests.databases import TEMPLATE, on_database
from tests.factories.people import Person
from tests.factories.world import World
from tests.faults import invariants
from tests.faults.arena import connected
from tests.model.deal import Answer, Market, Slot
from tests.model.replay import replayed

EXAMPLES, STEPS = int(os.environ.get("MODEL_EXAMPLES", "6")), int(os.environ.get("MODEL_STEPS", "20"))
pytestmark = pytest.mark.timeout(120 + EXAMPLES * STEPS)
AMOUNTS = st.sampled_from([90, 100, 150, 200, 250])
NUMBERS = st.integers(0, 99)
SIDES = st.sampled_from(["creator", "buyer"])


def on_behalf_of(side: str) -> dict[str, Any]:
    """What an operator's body says."""
    return {"onBehalfOf": {"side": side, "reason": "Asked by telephone."}}


class Service:
    """The API on a loop of its own, with its clock in our hands."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.loop = asyncio.new_event_loop()
        self.shift = timedelta()
        self.stack = AsyncExitStack()
        self.stack.enter_context(clock.replaced(lambda: datetime.now(UTC) + self.shift))
        config = Settings(
            _env_file=None,
            app_env="test",
            database_url=SecretStr(dsn),
            data_dir=folder,
            jwt_secret=SecretStr("a secret of thirty-two bytes or more"),
            jwt_expires_in=3650 * 86400,
        )
        self.app = create_app(config)
        self.run(self.stack.enter_async_context(self.app.router.lifespan_context(self.app)))
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url="http://backdrop.test")
        self.client = self.run(self.stack.enter_async_context(client))

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        try:
            self.run(self.stack.aclose())
        finally:
            self.loop.close()


class Deals(RuleBasedStateMachine):
    """A slot of each kind, one creator, three buyers, and an operator."""

    service: Service

    @initialize()
    def begin(self) -> None:
        self.market = Market()
        self.bids: list[str] = []
        self.commitments: dict[int, str] = {}
        world = World(self.service.client, self.service.app.state.database)
        world._numbers = itertools.count(int.from_bytes(os.urandom(6), "big"))  # examples share the database
        run = self.service.run
        self.creator: Person = run(world.creator())
        self.operator: Person = run(world.operator())
        self.buyers: list[Person] = [run(world.advertiser()), run(world.merchant()), run(world.advertiser())]
        project = run(world.project(self.creator))
        self.slots: list[str] = []
        for modality in ("Private Auction", "PG/Reservation"):
            self.slots.append(run(world.slot(self.creator, project, modality=modality, pricingFloor=100))["id"])
            self.market.slots.append(Slot(modality))

    def must_agree(self, response: httpx2.Response, expected: Answer) -> Any:
        found = response.json() if response.content else {}
        code = found.get("code") if response.status_code >= 400 else None
        assert (response.status_code, code) == expected, f"{response.request.url.path}: {found}"
        return found

    def post(self, person: Person, path: str, body: Any = None) -> httpx2.Response:
        found: httpx2.Response = self.service.run(person.post(path, body))
        return found

    def bid(self, number: int) -> tuple[int, str, Person]:
        chosen = number % len(self.bids)
        return chosen, f"/bids/{self.bids[chosen]}", self.buyers[self.market.bids[chosen].buyer]

    @rule(slot=st.integers(0, 1), buyer=st.integers(0, 2), amount=AMOUNTS)
    def place(self, slot: int, buyer: int, amount: int) -> None:
        body = {"amount": amount, "objective": "Awareness"}
        response = self.post(self.buyers[buyer], f"/slots/{self.slots[slot]}/bids", body)
        found = self.must_agree(response, self.market.place(slot, buyer, amount))
        if response.status_code == 201:
            self.bids.append(found["id"])

    @precondition(lambda self: self.bids)
    @rule(number=NUMBERS, side=SIDES, stale=st.booleans(), amount=AMOUNTS)
    def terms(self, number: int, side: str, stale: bool, amount: int) -> None:
        chosen, path, buyer = self.bid(number)
        base = max(self.market.bids[chosen].version - stale, 1)
        person = self.creator if side == "creator" else buyer
        response = self.post(person, f"{path}/terms", {"baseVersion": base, "amount": amount})
        self.must_agree(response, self.market.terms(chosen, base, amount))

    @precondition(lambda self: self.bids)
    @rule(number=NUMBERS, sides=st.sampled_from([("creator",), ("buyer",), ("creator", "buyer")]), stale=st.booleans())
    def approve(self, number: int, sides: tuple[str, ...], stale: bool) -> None:
        chosen, path, buyer = self.bid(number)
        for side in sides:
            version = max(self.market.bids[chosen].version - stale, 1)
            person = self.creator if side == "creator" else buyer
            response = self.post(person, f"{path}/approve", {"termsVersion": version})
            self.must_agree(response, self.market.approve(chosen, side, version))

    @precondition(lambda self: self.bids)
    @rule(number=NUMBERS, side=SIDES)
    def end(self, number: int, side: str) -> None:
        chosen, path, buyer = self.bid(number)
        if side == "creator":
            response, reason = self.post(self.creator, f"{path}/decline", {"reason": "price"}), "price"
        else:
            response, reason = self.post(buyer, f"{path}/withdraw"), "withdrawn"
        self.must_agree(response, self.market.end(chosen, reason))

    @precondition(lambda self: self.bids)
    @rule(number=NUMBERS)
    def commit(self, number: int) -> None:
        accepted = [at for at, bid in enumerate(self.market.bids) if bid.status == "Accepted"]
        chosen, path, buyer = self.bid(accepted[0] if accepted else number)
        response = self.post(buyer, f"{path}/commit")
        found = self.must_agree(response, self.market.commit(chosen))
        if response.status_code == 201:
            assert self.commitments.setdefault(chosen, found["id"]) == found["id"]

    @precondition(lambda self: self.commitments)
    @rule(number=NUMBERS, action=st.sampled_from(["deliver", "confirm", "reject"]))
    def fulfil(self, number: int, action: str) -> None:
        chosen, commitment = list(self.commitments.items())[number % len(self.commitments)]
        person = self.creator if action == "deliver" else self.bid(chosen)[2]
        body = {"deliver": {"note": "It is there."}, "confirm": None, "reject": {"reason": "It is not."}}[action]
        response = self.post(person, f"/commitments/{commitment}/{action}", body)
        self.must_agree(response, self.market.fulfil(chosen, action))

    @precondition(lambda self: self.commitments)
    @rule(number=NUMBERS, side=SIDES)
    def cancel(self, number: int, side: str) -> None:
        chosen, commitment = list(self.commitments.items())[number % len(self.commitments)]
        person = self.creator if side == "creator" else self.bid(chosen)[2]
        response = self.post(person, f"/commitments/{commitment}/cancel", {"reason": "The scene is cut."})
        self.must_agree(response, self.market.cancel(chosen, side))

    @precondition(lambda self: self.bids)
    @rule(number=NUMBERS, action=st.sampled_from(["decline", "withdraw"]))
    def operator_ends(self, number: int, action: str) -> None:
        chosen, path, _ = self.bid(number)
        side, reason = ("creator", "price") if action == "decline" else ("buyer", "withdrawn")
        body = on_behalf_of(side) | ({"reason": "price"} if action == "decline" else {})
        self.must_agree(self.post(self.operator, f"{path}/{action}", body), self.market.end(chosen, reason))

    @precondition(lambda self: self.commitments)
    @rule(number=NUMBERS, action=st.sampled_from(["deliver", "confirm", "reject", "cancel"]))
    def operator_fulfils(self, number: int, action: str) -> None:
        chosen, commitment = list(self.commitments.items())[number % len(self.commitments)]
        body = on_behalf_of("creator" if action == "deliver" else "buyer")
        body |= {"deliver": {"note": "It is there."}, "confirm": {}}.get(action, {"reason": "It is not."})
        response = self.post(self.operator, f"/commitments/{commitment}/{action}", body)
        expected = self.market.cancel(chosen, "operator") if action == "cancel" else self.market.fulfil(chosen, action)
        self.must_agree(response, expected)

    @precondition(lambda self: self.bids)
    @rule(number=NUMBERS, action=st.sampled_from(["terms", "approve", "commit", "place"]), amount=AMOUNTS)
    def nobodys_consent_is_made_for_them(self, number: int, action: str, amount: int) -> None:
        chosen, path, _ = self.bid(number)
        slot = self.market.bids[chosen].slot
        body: dict[str, Any] = {}
        expected: Answer = (403, "wrong_party")
        if action == "place":
            path, body = f"/slots/{self.slots[slot]}/bids", {"amount": amount, "objective": "Awareness"}
            expected = (404, "not_found") if self.market.slots[slot].removed else (403, "wrong_role")
        else:
            path = f"{path}/{action}"
        if action == "terms":
            body = {"baseVersion": self.market.bids[chosen].version, "amount": amount}
        self.must_agree(self.post(self.operator, path, body), expected)

    @rule(slot=st.integers(0, 1), floor=st.sampled_from([90, 100, 160]))
    def set_floor(self, slot: int, floor: int) -> None:
        response = self.service.run(self.creator.patch(f"/slots/{self.slots[slot]}", {"pricingFloor": floor}))
        self.must_agree(response, self.market.set_floor(slot, floor))

    @precondition(lambda self: len(self.bids) > 3)
    @rule(slot=st.integers(0, 1))
    def remove(self, slot: int) -> None:
        response = self.service.run(self.creator.delete(f"/slots/{self.slots[slot]}"))
        self.must_agree(response, self.market.remove(slot))

    @rule(days=st.sampled_from([0.6, 2.5, 3.5, 7.5, 15.0, 91.0]))
    def time_passes(self, days: float) -> None:
        self.service.shift += timedelta(days=days)
        self.market.advance(days)

    @invariant()
    def everyone_reads_the_models_state(self) -> None:
        bids: list[str] = getattr(self, "bids", [])
        if not bids:
            return
        run = self.service.run
        listed = {each["id"]: each for each in run(self.creator.get("/bids")).json()}
        assert listed.keys() == set(bids)
        for number, bid_id in enumerate(bids):
            self.must_read(listed[bid_id], number)
        last = len(bids) - 1
        for person in (self.operator, self.bid(last)[2]):
            self.must_read(run(person.get(f"/bids/{bids[last]}")).json(), last)
        if self.commitments:
            found = {each["id"]: each["status"] for each in run(self.creator.get("/commitments")).json()}
            placements = {self.commitments[number]: self.market.bids[number].placement for number in self.commitments}
            assert found == placements

    def must_read(self, found: Any, number: int) -> None:
        model = self.market.bids[number]
        slot = self.market.slots[model.slot]
        assert {
            "status": found["status"],
            "version": found["termsVersion"],
            "amount": found["amount"],
            "reason": found["declineReason"],
            "holds": found["holdsSlot"],
            "slot": found["slot"]["status"],
        } == {
            "status": model.status,
            "version": model.version,
            "amount": model.amount,
            "reason": model.reason,
            "holds": slot.holder == number and slot.status == "Locked",
            "slot": slot.status,
        }, number
        if model.status != "Declined":
            assert {side for side, yes in found["approvals"].items() if yes} == model.approvals

    def teardown(self) -> None:
        if getattr(self, "bids", None):
            self.service.run(self._look_behind())

    async def _look_behind(self) -> None:
        async with connected(self.service.dsn) as connection:
            assert await invariants.violations(connection) == {}
            assert await replayed(connection, self.bids, self.slots) == []


@pytest.fixture
def own_dsn(worker_id: str) -> Iterator[str]:
    """A database for all examples together."""
    server, name = os.environ[SERVER], f"backdrop_model_{worker_id}"
    run_sql(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield on_database(server, name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def test_api_model_and_database_never_differ(own_dsn: str, tmp_path: Path) -> None:
    service = Service(own_dsn, tmp_path)
    machine = type("Machine", (Deals,), {"service": service})
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    chosen = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=checks, database=None
    )
    try:
        run_state_machine_as_test(machine, settings=chosen)
    finally:
        service.close()
