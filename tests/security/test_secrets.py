"""What one party writes, another never reads (S2): planted values are searched in every answer, log line and event."""

from __future__ import annotations

import io
import json
from typing import Any

from fastapi import FastAPI

from backend.core.database import Database
from backend.jobs import security
from tests.architecture.routes import operations
from tests.factories.people import Person
from tests.factories.world import World, ok
from tests.security.plants import Plants, said
from tests.security.stage import BASE

MISSING = "0199a3c0-0000-7000-8000-00000000dead"


async def ask_everything(person: Person, ids: dict[str, str], *, reads: bool = False) -> list[tuple[str, str]]:
    """Every call that this person can make on these ids (or every read), with bodies in and out of order."""
    answers = []
    for operation in operations():
        if operation.id == "deleteMe" or not operation.path.startswith(BASE + "/") or "/auth/" in operation.path:
            continue
        if reads and operation.method != "get":
            continue
        path = operation.path.removeprefix(BASE).format(**ids)
        example = next((media["example"] for media in operation.body.values() if "example" in media), None)
        bodies: list[dict[str, Any]] = [{"json": example} if "application/json" in operation.body else {}]
        bodies.append({"json": {"unknown": 1}})
        if operation.method == "get":
            bodies = [{}, {"params": {"limit": 1}}, {"params": {"q": "quokka"}}, {"params": {"sort": "updatedAt"}}]
            bodies += [
                {"params": {name: ids[key]}} for name, key in (("slotId", "slot_id"), ("projectId", "project_id"))
            ]
        for sent in bodies:
            response = await person.call(operation.method.upper(), path, **sent)
            assert response.status_code < 500, response.text
            answers.append((f"{operation.id} {sent}", said(response)))
    return answers


async def test_no_rival_reads_what_another_buyer_wrote(world: World, logged: io.StringIO) -> None:
    plants = Plants()
    cleo = await world.creator()
    project = await world.project(cleo)
    slot = await world.slot(cleo, project)
    merchant = await world.sign_up("Merchant", name=plants.word("name"), email=f"{plants.word('address')}@example.com")
    plants.known(merchant.id, "the buyer's id")
    ok(
        await merchant.patch(
            "/auth/me",
            {"merchantProfile": {"minIntegrationFee": plants.amount("fee"), "eligibilityRules": [plants.word("rule")]}},
        )
    )
    sku = await world.sku(
        merchant,
        title=plants.word("SKU title"),
        price=plants.amount("SKU price"),
        tags=[plants.word("tag")],
        description=plants.word("SKU text"),
        externalId=plants.word("SKU external id"),
        imageUrl=f"https://example.com/{plants.word('image')}",
    )
    plants.known(sku["id"], "SKU id")
    bid = await world.bid(
        merchant,
        slot,
        amount=plants.amount("amount"),
        amountTerms=plants.word("terms"),
        objective=plants.word("objective"),
        message=plants.word("message"),
        skuIds=[sku["id"]],
    )
    plants.known(bid["id"], "bid id")
    for _ in range(3):
        ok(await merchant.post(f"/bids/{bid['id']}/comments", {"text": plants.word("comment")}))
        ok(await cleo.post(f"/bids/{bid['id']}/comments", {"text": plants.word("answer")}))
    terms = {"baseVersion": 1, "amount": plants.amount("new amount"), "amountTerms": plants.word("new terms")}
    ok(await merchant.post(f"/bids/{bid['id']}/terms", terms))
    terms = {"baseVersion": 2, "amount": plants.amount("counter-offer"), "objective": plants.word("counter-objective")}
    ok(await cleo.post(f"/bids/{bid['id']}/terms", terms))
    rival, stranger, other = await world.advertiser(), await world.merchant(), await world.creator()
    await world.bid(rival, slot)
    await world.approve(cleo, bid)
    await world.approve(merchant, bid)
    commitment = ok(await merchant.post(f"/bids/{bid['id']}/commit"))
    plants.known(commitment["id"], "commitment id")
    note = {"note": plants.word("delivery note"), "evidenceUrl": f"https://example.com/{plants.word('evidence')}"}
    ok(await cleo.post(f"/commitments/{commitment['id']}/deliver", note))
    ok(await merchant.post(f"/commitments/{commitment['id']}/reject", {"reason": plants.word("rejection")}))
    assert len(plants.planted) >= 28

    ids = {
        "project_id": project["id"], "slot_id": slot["id"], "sku_id": sku["id"], "bid_id": bid["id"],
        "commitment_id": commitment["id"], "user_id": merchant.id, "number": "1", "sha256": "a" * 64,
    }  # fmt: skip
    for reader in (rival, stranger, other, world.nobody):
        for call, text in await ask_everything(reader, ids):
            leaked = [what for what in plants.found_in(text) if not _public(what, reader, other)]
            assert not leaked, f"{call} tells {leaked}: {text[:800]}"
    seen = {what for _, text in await ask_everything(merchant, ids, reads=True) for what in plants.found_in(text)}
    assert len(seen) >= 24, f"the search finds what is there: {sorted(seen)}"
    assert "getBid" in logged.getvalue()
    plain = {value: what for value, what in plants.planted.items() if not what.endswith(" id")}
    lines = logged.getvalue().replace(",", "")
    assert not [what for value, what in plain.items() if value in lines], "the log tells it"


def _public(what: str, reader: Person, creator: Person) -> bool:
    """Creators have a directory of buyers: names and ids, nothing else."""
    return reader is creator and what in ("name", "the buyer's id")


async def test_a_creators_papers_are_read_by_no_buyer(world: World, logged: io.StringIO) -> None:
    plants = Plants()
    sentences = [plants.word("script sentence") for _ in range(5)]
    script = f"Title: {plants.word('script title')}\n\nINT. ROOM\n\n{' '.join(sentences)}\n".encode()
    cleo = await world.sign_up("Creator", email=f"{plants.word('address')}@example.com")
    project = await world.project(
        cleo, script, f"{plants.word('file name')}.fountain", budgetTarget=plants.amount("budget")
    )
    slot = await world.slot(cleo, project)
    hidden = await world.slot(
        cleo,
        project,
        visibility="Private",
        sceneRef=plants.word("private scene"),
        description=plants.word("private description"),
        pricingFloor=plants.amount("private floor"),
        constraints=[plants.word("private constraint")],
        excludedCategories=[plants.word("private exclusion")],
    )
    plants.known(hidden["id"], "private slot id")
    ada, mia = await world.advertiser(), await world.merchant()
    bid = await world.bid(ada, slot)
    other = await world.creator()
    visible = {"budget"}  # api.md: buyers see the target, not what is committed
    for reader in (ada, mia, other, world.nobody):
        for slot_id in (slot["id"], hidden["id"]):
            ids = {
                "project_id": project["id"], "slot_id": slot_id, "sku_id": MISSING, "bid_id": bid["id"],
                "commitment_id": MISSING, "user_id": cleo.id, "number": "1", "sha256": "a" * 64,
            }  # fmt: skip
            for call, text in await ask_everything(reader, ids):
                leaked = [what for what in plants.found_in(text) if what not in visible or reader is other]
                assert not leaked, f"{call} tells {leaked}: {text[:800]}"
    assert not plants.found_in(logged.getvalue()), "the log tells it"
    ids = {**ids, "slot_id": hidden["id"]}
    seen = {what for _, text in await ask_everything(cleo, ids, reads=True) for what in plants.found_in(text)}
    assert len(seen) >= 8, f"the search finds what is there: {sorted(seen)}"


async def test_events_and_the_log_hold_no_text_of_anyone(
    world: World, logged: io.StringIO, sql: Any, app: FastAPI, database: Database
) -> None:
    plants = Plants()
    password = plants.word("password") + " and more"
    address = f"{plants.word('address')}@example.com"
    cleo = await world.creator(name=plants.word("creator's name"))
    ada = await world.sign_up("Advertiser", name=plants.word("name"), email=address, password=password)
    project = await world.project(cleo, title=plants.word("title"), logline=plants.word("logline"))
    slot = await world.slot(cleo, project, sceneRef=plants.word("scene"), description=plants.word("description"))
    bid = await world.bid(ada, slot, objective=plants.word("objective"), message=plants.word("message"))
    ok(await cleo.post(f"/bids/{bid['id']}/decline", {"reason": "other", "note": plants.word("note")}))
    for token in (cleo.token, ada.token, cleo.refresh_token, ada.refresh_token):
        assert token
        plants.known(token, "a token")
    await world.nobody.post("/auth/login", {"email": address, "password": plants.word("wrong password")})
    await world.nobody.post("/auth/forgot-password", {"email": address})
    await world.nobody.post("/auth/reset-password", {"token": plants.word("reset token"), "newPassword": password})
    await world.nobody.post("/auth/refresh", {"refreshToken": plants.word("refresh token")})
    await ada.get("/slots", params={"q": plants.word("search")})
    await world.client.get(project["docLink"] + plants.word("signature"))
    await world.nobody.get(f"/{plants.word('path')}", headers={"X-Odd": plants.word("header")})
    await ada.post("/slots", content=plants.word("broken JSON").encode(), headers={"content-type": "application/json"})
    await ada.patch("/auth/me", {"name": 7, plants.word("field"): plants.word("value")})
    operator = await world.operator()
    await security.write_down(database, app.state.tally)
    rows = await sql.fetch("SELECT row_to_json(e)::text FROM events e")
    rows += await sql.fetch("SELECT row_to_json(e)::text FROM security_events e")
    events = ok(await operator.get("/operator/events"))
    assert len(rows) > 8
    for text in (*(row[0] for row in rows), json.dumps(events), logged.getvalue()):
        assert not plants.found_in(text), text[:2000]


async def test_a_refusal_never_repeats_what_was_sent(world: World) -> None:
    plants = Plants()
    cleo = await world.creator()
    slot = await world.slot(cleo)
    ada = await world.advertiser()
    tries = [
        await ada.post(f"/slots/{slot['id']}/bids", {"amount": plants.word("amount"), "objective": 5}),
        await ada.post(f"/slots/{slot['id']}/bids", {"amount": 1, "objective": plants.word("x") * 900}),
        await ada.get("/slots", params={"status": plants.word("status")}),
        await ada.get("/slots", params={"cursor": plants.word("cursor")}),
        await ada.get(f"/slots/{plants.word('id')}"),
        await ada.get(f"/{plants.word('path')}"),
        await ada.patch("/auth/me", {"name": [plants.word("list")]}),
        await world.nobody.post("/auth/signup", {"email": plants.word("e"), "password": plants.word("p"), "role": "x"}),
        await cleo.post("/projects", data={"title": plants.word("t")}, files={"file": (plants.word("f"), b"x")}),
        await world.nobody.get("/auth/me", headers={"Authorization": f"Bearer {plants.word('token')}"}),
    ]
    for response in tries:
        assert 400 <= response.status_code < 500
        assert not plants.found_in(said(response)), response.text
