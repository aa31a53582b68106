"""Slots by words: the same answer by whichever way it is found (decision 124)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from backend.services.slots import listing
from tests.factories.people import Person
from tests.factories.world import World, ok

# Scene, description, price and whether it is private; every third is of the other project.
SLOTS = [
    ("A coat", "on a hook", 100, False),
    ("A cup", "of coffee", 200, True),
    ("The car", "at dawn", 200, False),
    ("Coats", None, 300, False),
    ("A cup", "near a coat", 100, True),
    ("The coat", "of a clerk", 400, False),
    ("Dawn", "over a coat", 200, False),
]
TITLES = ("Night Train", "The Coat of Mr Dawn")
# (few, walked): as in earnest; all looked at one by one; never, with a walk that reaches far, or hardly a page.
WAYS = {"in earnest": (1000, 20), "one by one": (1000, 0), "walked": (0, 20), "a short walk": (0, 1)}


@dataclass(frozen=True, slots=True)
class Known:
    """A slot as the test knows it, in the order of its making."""

    id: str
    texts: tuple[str, str]
    price: int
    private: bool

    def says(self, query: str) -> bool:
        """All words in one of its texts, the last as a beginning."""
        *whole, last = query.lower().split()
        texts = [text.lower().split() for text in self.texts]
        return any(all(w in text for w in whole) and any(w.startswith(last) for w in text) for text in texts)


async def found(person: Person, **asked: Any) -> list[str]:
    """The ids of every page, two to a page."""
    response = await person.get("/slots", params={"limit": "2", **asked})
    ids = [each["id"] for each in ok(response)]
    while "next" in response.links:
        response = await person.get(response.links["next"]["url"].removeprefix("/api/v1"))
        ids += [each["id"] for each in ok(response)]
    return ids


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many are few, and how far an order is walked."""
    few, walked = request.param
    monkeypatch.setattr(listing, "_FEW", few)
    monkeypatch.setattr(listing, "_WALKED", walked)


@pytest.mark.usefixtures("way")
async def test_every_way_finds_the_same_in_the_same_order(world: World) -> None:
    cleo, ada, opal = await world.creator(), await world.advertiser(), await world.operator()
    projects = [await world.project(cleo, title=title) for title in TITLES]
    known = []
    for number, (scene, description, price, private) in enumerate(SLOTS):
        fields = {"sceneRef": scene, "description": description, "pricingFloor": price}
        project = projects[number % 3 == 0]
        slot = await world.slot(cleo, project, visibility="Private" if private else "Public", **fields)
        known.append(Known(slot["id"], (f"{scene} {description or ''}", project["title"]), price, private))
    ok(await cleo.put(f"/slots/{known[4].id}/invitees", {"userIds": [ada.id]}))
    # Somebody else's, which a creator never meets.
    other = await world.creator()
    foreign = Known((await world.slot(other, sceneRef="A coat"))["id"], ("A coat", "Night Train"), 1000, False)
    everything = [*known, foreign]
    prices = {each.id: each.price for each in everything}
    invited = [each for each in everything if not each.private or each is known[4]]
    seen = ((cleo, known), (opal, everything), (ada, invited))
    for query in ("coat", "coat of", "co", "cup coat", "dawn", "the coat", "coffee dawn", "night train", "zebra", "%"):
        for person, slots in seen:
            saying = [each for each in slots if query != "%" and each.says(query)]
            newest = [each.id for each in reversed(saying)]
            dearest = sorted(newest, key=lambda slot_id: -prices[slot_id])
            assert await found(person, q=query) == newest, (query, person)
            assert await found(person, q=query, sort="-pricingFloor") == dearest, (query, person)
            public = [each.id for each in reversed(saying) if not each.private]
            assert await found(person, q=query, visibility="Public", maxPrice="1000") == public, (query, person)


async def test_words_that_many_say_are_asked_for_in_few_statements(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk that reached the end has seen all: nothing is asked again."""
    monkeypatch.setattr(listing, "_FEW", 0)
    cleo = await world.creator()
    slot = await world.slot(cleo, sceneRef="A coat")

    def never(form: Any) -> Any:
        raise AssertionError(form)

    monkeypatch.setattr(listing, "_among_all", never)
    assert await found(cleo, q="coat") == [slot["id"]]
