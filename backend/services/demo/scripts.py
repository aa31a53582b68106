"""The creator's scripts and what she sells in them: every type of placement in both modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from backend.models.slots import Modality, SlotType, Visibility
from backend.policies.users import Actor
from backend.schemas.examples import demo
from backend.services.demo.stage import Stage

AUCTION, RESERVATION = Modality.AUCTION, Modality.RESERVATION


@dataclass(frozen=True, slots=True)
class Place:
    """A slot as the creator thinks of it."""

    name: str
    scene: str
    type: SlotType
    modality: Modality
    floor: int
    description: str
    private: bool = False
    id: str | None = None
    position: int | None = None  # of the scene that it names, from 1


NIGHT_TRAIN = (
    Place(
        "thermos",
        "Scene 3, compartment 6",
        SlotType.HANDS_ON,
        AUCTION,
        12000,
        "Mara pours; the cup steams.",
        position=3,
    ),
    Place(
        "watch",
        "Scenes 3 and 7, the watch",
        SlotType.PLOT,
        AUCTION,
        30000,
        "It stops whenever they cross a border.",
        position=3,
    ),
    Place(
        "coat", "Scene 1, the platform", SlotType.WARDROBE, RESERVATION, 8000, "One good coat, in the snow.", position=1
    ),
    Place(
        "water",
        "Scene 4, the dining car",
        SlotType.BACKGROUND,
        RESERVATION,
        3000,
        "A bottle on the last table.",
        position=4,
    ),
    Place("garage", "Scene 5, the viaduct", SlotType.SIGNAGE, AUCTION, 6000, "The neon sign, far below.", position=5),
    Place("poster", "Scene 7, the terminus", SlotType.SIGNAGE, RESERVATION, 5000, "A wall of posters.", position=7),
)
HARBOUR_LIGHTS = (
    Place(
        "laptop",
        "Scene 2, the office",
        SlotType.FEATURED,
        AUCTION,
        8000,
        "Piet types with two fingers.",
        id=demo.SLOT,
        position=2,
    ),
    Place(
        "radio",
        "Scene 3, the car",
        SlotType.VERBAL,
        AUCTION,
        6500,
        "Lena turns the sonata up and names the station.",
        id=demo.SLOT_TO_DELETE,
    ),
    Place("boots", "Scene 1, the fish market", SlotType.HANDS_ON, RESERVATION, 2000, "Rubber boots, too new."),
    Place("raincoat", "Scene 5, the lantern room", SlotType.WARDROBE, AUCTION, 10000, "Agnes in yellow.", private=True),
    Place(
        "lighthouse",
        "Scene 4, the beam",
        SlotType.BACKGROUND,
        AUCTION,
        4000,
        "What the beam falls on.",
        id=demo.SLOT_TO_BID_ON,
    ),
    Place(
        "violin",
        "Scenes 1 to 5, the violin",
        SlotType.PLOT,
        RESERVATION,
        25000,
        "Found in the herring.",
        private=True,
        id=demo.PRIVATE_SLOT,
    ),
)
THE_LONG_TABLE = (
    Place("bowl", "Scene 2, the bakery", SlotType.FEATURED, RESERVATION, 3500, "A row of new bowls on the shelf."),
    Place("lemon", "Scene 5, the square", SlotType.VERBAL, RESERVATION, 5500, "“Is that lemon?”", private=True),
    Place("blender", "Scene 4, the town hall", SlotType.HANDS_ON, AUCTION, 3000, "One stove, one blender."),
    Place(
        "bread",
        "Scene 5, the bread",
        SlotType.PLOT,
        AUCTION,
        15000,
        "The whole square waits for a verdict on it.",
        id=demo.SLOT_TO_CHANGE,
    ),
)
PAPER_BOATS = (Place("puddle", "Scene 1, the puddle", SlotType.FEATURED, AUCTION, 1500, "A boat goes round."),)


async def night_train(stage: Stage, creator: Actor) -> dict[str, UUID]:
    """A drama, as Fountain. Answers its slots by their short names."""
    project = await stage.project(
        creator,
        demo.NIGHT_TRAIN,
        "night-train-first-draft.fountain",
        title="Night Train",
        genre="Drama",
        logline="Two strangers share a compartment, a thermos and a very small sea.",
        budgetTarget=250000,
        productionWindow="Q3 2027",
        demographics={"ageStart": 25, "ageEnd": 54},
    )
    return await _tag(stage, creator, project, NIGHT_TRAIN)


async def night_train_again(stage: Stage, creator: Actor, slots: Mapping[str, UUID]) -> None:
    """The second draft. It cuts the viaduct, whose sign is sold already, and changes two scenes that are not."""
    await stage.draft(creator, UUID(demo.NIGHT_TRAIN), "night-train.fountain", demo.SCENES)
    for name, position in (("thermos", 3), ("watch", 3), ("water", 4)):
        await stage.rescene(creator, slots[name], demo.SCENES[position - 1])


async def harbour_lights(stage: Stage, creator: Actor, invited: Sequence[Actor]) -> dict[str, UUID]:
    """A crime series, from Final Draft; two slots are as the script suggests, the private ones are for these buyers."""
    project = await stage.project(
        creator,
        demo.HARBOUR_LIGHTS,
        "harbour-lights.fdx",
        title="Harbour Lights",
        genre="Crime",
        logline="An inspector, a town by the sea, and a violin without strings.",
        budgetTarget=180000,
        productionWindow="Spring 2027",
        demographics={"ageStart": 30, "ageEnd": 65},
    )
    await stage.take(creator, project, "Household Appliances", "Bakery")
    return await _tag(stage, creator, project, HARBOUR_LIGHTS, invited)


async def the_long_table(stage: Stage, creator: Actor, invited: Sequence[Actor]) -> dict[str, UUID]:
    """A comedy, as a PDF."""
    project = await stage.project(
        creator,
        demo.THE_LONG_TABLE,
        "the-long-table.pdf",
        title="The Long Table",
        genre="Comedy",
        logline="A village counts its chairs and gets one more.",
        budgetTarget=90000,
        productionWindow="Summer 2027",
        demographics={"ageStart": 18, "ageEnd": 49},
    )
    return await _tag(stage, creator, project, THE_LONG_TABLE, invited)


async def paper_boats(stage: Stage, creator: Actor) -> None:
    """A short film that nobody has bid on yet: it can still be thrown away."""
    project = await stage.project(
        creator,
        demo.PAPER_BOATS,
        "paper-boats.fountain",
        title="Paper Boats",
        genre="Family",
        logline="A girl, a gutter, and the sea at the end of it.",
        budgetTarget=12000,
        productionWindow="Summer 2027",
    )
    await _tag(stage, creator, project, PAPER_BOATS)


async def _tag(
    stage: Stage, creator: Actor, project: UUID, places: Sequence[Place], invited: Sequence[Actor] = ()
) -> dict[str, UUID]:
    found = {}
    scenes = await stage.scenes(creator, project)
    for place in places:
        fields: dict[str, Any] = {
            "type": place.type.value,
            "modality": place.modality.value,
            "visibility": (Visibility.PRIVATE if place.private else Visibility.PUBLIC).value,
            "pricingFloor": place.floor,
            "description": place.description,
            "constraints": ["No logo in close-up"],
            "excludedCategories": ["Alcohol", "Gambling"],
            "sceneId": scenes[place.position - 1] if place.position is not None else None,
        }
        found[place.name] = await stage.slot(creator, project, place.scene, *filter(None, [place.id]), **fields)
        if place.private:
            await stage.invite(creator, found[place.name], *invited)
    return found
