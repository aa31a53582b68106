"""Buyers see the excerpt of a slot's scene and never the script (decision 110).

Every paragraph of a script holds a word of its own. Each GET of openapi.json is asked by every kind of caller for every
thing there is, and whatever comes back is searched for those words. A new call is asked without a line here; a new name
in a path needs its ids in `ids_of`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

import asyncpg
import pytest

from backend.services import excerpts
from tests.architecture.routes import Operation, operations
from tests.factories.people import Person
from tests.factories.scripts import Scripts
from tests.factories.world import World, ok
from tests.security.plants import Plants, said
from tests.security.stage import BASE

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
READS = [each for each in operations() if each.method == "get" and each.path.startswith(f"{BASE}/")]


class Script:
    """A script of four scenes; the second and the third pour from a thermos in their fourth paragraph."""

    def __init__(self) -> None:
        self.plants = Plants()
        self.title = self.plants.word("title page")
        self.scenes = [self._scene(number) for number in range(1, 5)]

    def _scene(self, number: int) -> list[str]:
        def word(what: str) -> str:
            return self.plants.word(f"{number} {what}")

        prop = "a steel THERMOS" if number in (2, 3) else "a shadow"
        before = [f"{word(f'paragraph {index}')} moves through the room." for index in (1, 2, 3)]
        evidence = f"Mara lifts {prop} and {word('evidence')} shines."
        after = f"{word('paragraph 5')} looks away."
        talk = f"{word('name').upper()}\n{word('dialogue')}, and nothing else."
        heading = f"INT. {word('heading').upper()} - NIGHT #{number}#"
        return [heading, *before, evidence, after, talk, f"{word('paragraph 6')} is alone."]

    def content(self, *numbers: int) -> bytes:
        """A draft with these scenes."""
        texts = ["\n\n".join(self.scenes[number - 1]) for number in numbers]
        return "\n\n".join([f"Title: {self.title}", *texts]).encode()

    def window(self, *numbers: int) -> set[str]:
        """What an excerpt of these scenes shows: the heading, the evidence and its neighbours."""
        shown = ("heading", "paragraph 3", "evidence", "paragraph 5")
        return {f"{number} {what}" for number in numbers for what in shown}


@dataclass
class Stage:
    """The script on sale: who reads, what there is, and what each may find."""

    script: Script
    people: dict[str, Person] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    may: dict[str, set[str]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)  # requests that told more than a heading, with their calls

    def paths(self, operation: Operation) -> list[str]:
        """The call on everything there is."""
        names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
        known = [self.ids[name] for name in names]  # a KeyError: which ids has the new name in a path?
        template = operation.path.removeprefix(BASE)
        return [template.format(**dict(zip(names, each, strict=True))) for each in product(*known)]

    async def found(self, reader: str, calls: list[Operation]) -> dict[str, set[str]]:
        """Which planted words come back, by the call that told them."""
        told: dict[str, set[str]] = {}
        for operation in calls:
            for path in self.paths(operation):
                for params in _queries(operation, self.script):
                    response = await self.people[reader].get(path, params=params)
                    assert response.status_code < 500, response.text
                    words = self.script.plants.found_in(said(response))
                    told.setdefault(operation.id, set()).update(words)
                    if any(not each.endswith(" heading") for each in words):
                        self.shown[response.headers["x-request-id"]] = operation.id
        return {call: words for call, words in told.items() if words}


def _queries(operation: Operation, script: Script) -> list[dict[str, Any]]:
    """None, and the words of the script where a call searches: an answer that they find is told as well."""
    return [{}, *([{"q": script.title}] if operation.takes("q") else [])]


@pytest.fixture
async def stage(world: World, scripts: Scripts) -> Stage:
    """Slots of scenes 2 and 3 (from suggestions; the second is private) and 4 (by hand, private); 1 is nobody's."""
    script = Script()
    cleo = await world.creator()
    project = await scripts.project(cleo, script.content(1, 2, 3, 4))
    last = (await scripts.scenes(cleo, project))[3]
    slots = {
        "2": await _suggested(cleo, project, "2", "Public"),
        "3": await _suggested(cleo, project, "3", "Private"),
        "4": await world.slot(cleo, project, sceneId=last["id"], visibility="Private"),
    }
    bidder, invited, partner = await world.advertiser(), await world.advertiser(), await world.merchant()
    await _invite(cleo, slots["3"], invited, partner)
    await _invite(cleo, slots["4"], partner)
    sku = await world.sku(partner, title="Steel thermos", tags=["thermos", "kitchen"])
    bids = [
        await world.bid(bidder, slots["2"]),
        await world.accepted(cleo, partner, slots["3"]),
        await world.accepted(cleo, partner, slots["4"]),
    ]
    ended = await world.advertiser()
    bids.append(await world.bid(ended, slots["2"]))
    ok(await cleo.post(f"/bids/{bids[-1]['id']}/decline", {"reason": "fit"}))
    commitment = ok(await partner.post(f"/bids/{bids[1]['id']}/commit"))
    await scripts.draft(cleo, project, script.content(1, 3, 4))  # the scene that the bidder bid on is omitted
    people = {
        "bidder": bidder,
        "invited": invited,
        "partner": partner,
        "ended": ended,
        "stranger": await world.merchant(),
        "creator": await world.creator(),
        "nobody": world.nobody,
        "owner": cleo,
        "operator": await world.operator(),
    }
    ids = {
        "project_id": [project["id"]],
        "slot_id": [each["id"] for each in slots.values()],
        "sku_id": [sku["id"]],
        "bid_id": [each["id"] for each in bids],
        "commitment_id": [commitment["id"]],
        "user_id": [cleo.id],
        "session_id": [cleo.id],
        "number": ["1", "2"],
        "sha256": ["a" * 64],
        "provider": ["google"],
    }
    public = script.window(2)
    may = {
        "bidder": public,
        "invited": public | script.window(3),
        "partner": public | script.window(3) | {"4 heading"},
        "ended": public,
        "stranger": public,
        "creator": set(),
        "nobody": set(),
    }
    return Stage(script, people, ids, may)


async def _suggested(creator: Person, project: dict[str, Any], scene: str, visibility: str) -> dict[str, Any]:
    """The slot of the thermos in a scene."""
    found = ok(await creator.get(f"/projects/{project['id']}/slot-suggestions"))
    [thermos] = [each for each in found if each["scene"]["number"] == scene]
    body = {"suggestionIds": [thermos["id"]], "visibility": visibility, "pricingFloor": 1000}
    [slot] = ok(await creator.post(f"/projects/{project['id']}/slots/from-suggestions", body))
    return dict(slot)


async def _invite(creator: Person, slot: dict[str, Any], *buyers: Person) -> None:
    ok(await creator.put(f"/slots/{slot['id']}/invitees", {"userIds": [each.id for each in buyers]}))


async def test_buyers_find_the_excerpt_of_what_they_may_see_and_no_other_word(
    stage: Stage, logged: io.StringIO, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reader, may in stage.may.items():
        told = await stage.found(reader, READS)
        for call, words in told.items():
            assert words <= may, f"{call} tells {reader}: {sorted(words - may)}"
        assert set().union(*told.values()) == may, f"the search finds what {reader} may see"
    plants = stage.script.plants
    assert not plants.found_in(logged.getvalue()), "the log tells it"
    rows = await sql.fetch(
        "SELECT row_to_json(e)::text FROM events e UNION ALL SELECT row_to_json(s)::text FROM security_events s"
        " UNION ALL SELECT row_to_json(m)::text FROM mails m"
    )
    assert len(rows) > 40
    assert not [row[0] for row in rows if plants.found_in(row[0])], "the record or a mail tells it"

    # The search is worth something: it finds the whole current draft where that is, and an excerpt that is too long.
    told = await stage.found("owner", READS)
    assert set(told) > {"downloadScript", "listScenes", "listSlotSuggestions", "compareDrafts", "getExcerpt", "getMemo"}
    assert told["downloadScript"] == {each for each in plants.planted.values() if not each.startswith("2 ")}
    monkeypatch.setattr(excerpts, "_AROUND", 2)
    told = await stage.found("bidder", [each for each in READS if "xcerpt" in each.id])
    assert {call: words - stage.may["bidder"] for call, words in told.items()} == {
        "getSlotExcerpt": {"2 paragraph 2", "2 name"},
        "getExcerpt": {"2 paragraph 2", "2 name"},
    }

    # Whatever told more than the headings, which slots repeat, is a view on the record (decision 109).
    seen = await sql.fetch("SELECT request_id FROM events WHERE action LIKE 'project.%_viewed'")
    missing = stage.shown.keys() - {row["request_id"] for row in seen}
    assert not {stage.shown[each] for each in missing}
    assert set(stage.shown.values()) > {"getSlotExcerpt", "getExcerpt", "getMemo", "downloadScript", "listScenes"}


async def test_what_buyers_may_try_to_change_tells_nothing_either(stage: Stage) -> None:
    """Every change, with the body of its example and with one that is out of order."""
    for operation in operations():
        if operation.method == "get" or "/auth/" in operation.path or not operation.path.startswith(f"{BASE}/"):
            continue
        example = next((media["example"] for media in operation.body.values() if "example" in media), None)
        for reader in ("stranger", "bidder"):
            for body in (example, {"unknown": 1}):
                path = stage.paths(operation)[0]
                response = await stage.people[reader].call(operation.method.upper(), path, json=body)
                words = set(stage.script.plants.found_in(said(response)))
                assert words <= stage.may[reader], f"{operation.id} tells {reader}: {words}"
