"""What is true of the scripts that reading is measured by: ours, of several kinds and layouts, told scene by scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.screenplays.typesetting import Element, Style, long_script, typeset

SCRIPTS = Path(__file__).parent / "scripts"
DEMO = Path(__file__).parents[2] / "backend" / "services" / "demo" / "files"


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene as a person reads it. A part that is not told (`...`) is not judged: a file of text has no pages."""

    number: str | None
    heading: str
    setting: object
    location: object
    time_of_day: object
    characters: list[str]
    page: object = ...


# file: number, heading, setting, location, time of day, characters, and the page where the file says one
TOLD: dict[str, list[Scene]] = {
    "night-train.fountain": [
        Scene("1", "EXT. CENTRAL STATION - PLATFORM 9 - NIGHT", "EXT", "CENTRAL STATION - PLATFORM 9", "NIGHT", [], 1),
        Scene(
            "2",
            "INT. NIGHT TRAIN - DINING CAR - CONTINUOUS",
            "INT",
            "NIGHT TRAIN - DINING CAR",
            "CONTINUOUS",
            ["STEWARD", "MARA"],
            1,
        ),
        Scene(
            "2A",
            "I/E. NIGHT TRAIN / COUNTRYSIDE - MOVING - LATER",
            "INT/EXT",
            "NIGHT TRAIN / COUNTRYSIDE - MOVING",
            "LATER",
            [],
            1,
        ),
        Scene("3", "MARA'S DREAM", None, "MARA'S DREAM", None, [], 1),
        Scene("4", "EXT. BORDER CROSSING - DAWN", "EXT", "BORDER CROSSING", "DAWN", ["McAllister", "MARA"], 2),
        Scene("5", "INT./EXT. CUSTOMS SHED - SAME", "INT/EXT", "CUSTOMS SHED", "SAME", ["MARA"], 2),
    ],
    "quiet-kitchen.fountain": [
        Scene(None, "int. kitchen - morning", "INT", "kitchen", "morning", ["NORA", "TOM"]),
        Scene(None, "ext. garden – day", "EXT", "garden", "day", ["TOM"]),
        Scene(None, "Int. kitchen", "INT", "kitchen", None, []),
        Scene(None, "EXT. ROAD (1985) - DUSK - RAIN", "EXT", "ROAD (1985) - DUSK - RAIN", None, []),
        Scene(None, "EST. THE CITY - NIGHT", "EXT", "THE CITY", "NIGHT", []),
        Scene(None, "EXT/INT. BUS - MOVING", "INT/EXT", "BUS - MOVING", None, ["NORA"]),
    ],
    "crlf-bom.fountain": [
        Scene(None, "INT. OFFICE - DAY", "INT", "OFFICE", "DAY", ["ANA"]),
        Scene(None, "EXT. STRASSE - NACHT", "EXT", "STRASSE - NACHT", None, ["ЕЛЕНА"]),
        Scene(None, "INT. 茶室 - NIGHT", "INT", "茶室", "NIGHT", []),
    ],
    "late-shift.fountain": [
        Scene("10", "INT HOSPITAL - WARD 3 - NIGHT", "INT", "HOSPITAL - WARD 3", "NIGHT", ["NURSE ADA", "deMarco"], 1),
        Scene(
            "10A",
            "INT./EXT. AMBULANCE - MOVING - CONTINUOUS",
            "INT/EXT",
            "AMBULANCE - MOVING",
            "CONTINUOUS",
            ["DRIVER", "NURSE ADA"],
            1,
        ),
        Scene("11", "THE ROOF", None, "THE ROOF", None, [], 2),
        Scene(None, "ext. parking lot - dawn", "EXT", "parking lot", "dawn", [], 2),
        Scene(None, "EXT. PARKING LOT - DAWN", "EXT", "PARKING LOT", "DAWN", [], 2),
    ],
    "heist.fdx": [
        Scene("1", "INT. BANK VAULT - NIGHT", "INT", "BANK VAULT", "NIGHT", ["RIVER"], 1),
        Scene("2", "EXT. ALLEY - CONTINUOUS", "EXT", "ALLEY", "CONTINUOUS", ["RIVER", "SAM"], 2),
        Scene("2A", "I/E. VAN - MOVING - LATER", "INT/EXT", "VAN - MOVING", "LATER", [], 3),
        Scene(None, "FLASHBACK: THE PLAN", None, "FLASHBACK: THE PLAN", None, []),
    ],
    "bare.fdx": [
        Scene(None, "EXT. LIGHTHOUSE - DAWN", "EXT", "LIGHTHOUSE", "DAWN", ["KEEPER"]),
        Scene(None, "INT. LIGHTHOUSE - LAMP ROOM", "INT", "LIGHTHOUSE - LAMP ROOM", None, []),
    ],
    "ferry.fdx": [
        Scene("7", "EXT. FERRY - CAR DECK - MORNING", "EXT", "FERRY - CAR DECK", "MORNING", ["Mate"], 4),
        Scene(
            "7A", "INT./EXT. FERRY - BRIDGE - SAME", "INT/EXT", "FERRY - BRIDGE", "SAME", ["CAPTAIN ØRSTED", "MATE"], 5
        ),
        Scene(None, "int. galley – later", "INT", "galley", "later", [], 6),
    ],
}
# The demo's own: the PDF is set by another program than the ones below, with tighter lines.
OF_THE_DEMO: dict[str, list[Scene]] = {
    "paper-boats.fountain": [
        Scene(None, "EXT. COURTYARD - AFTER THE RAIN", "EXT", "COURTYARD - AFTER THE RAIN", None, ["NINA"]),
        Scene(None, "EXT. STREET - CONTINUOUS", "EXT", "STREET", "CONTINUOUS", []),
        Scene(None, "EXT. HARBOUR WALL - EVENING", "EXT", "HARBOUR WALL", "EVENING", []),
    ],
    "harbour-lights.fdx": [
        Scene(None, "EXT. FISH MARKET - BEFORE DAWN", "EXT", "FISH MARKET", "BEFORE DAWN", ["FISHMONGER", "LENA"]),
        Scene(None, "INT. HARBOUR POLICE - OFFICE - DAY", "INT", "HARBOUR POLICE - OFFICE", "DAY", ["PIET"]),
        Scene(None, "INT. CAR - QUAY - RAIN", "INT", "CAR - QUAY - RAIN", None, ["LENA"]),
        Scene(None, "EXT. LIGHTHOUSE - NIGHT", "EXT", "LIGHTHOUSE", "NIGHT", []),
        Scene(None, "INT. LIGHTHOUSE - LANTERN ROOM - NIGHT", "INT", "LIGHTHOUSE - LANTERN ROOM", "NIGHT", ["AGNES"]),
    ],
    "the-long-table.pdf": [
        Scene(None, "EXT. HILL VILLAGE - SQUARE - MORNING", "EXT", "HILL VILLAGE - SQUARE", "MORNING", ["PIA"], 2),
        Scene(None, "INT. BAKERY - DAY", "INT", "BAKERY", "DAY", ["BEA", "TOMASO"], 2),
        Scene(None, "EXT. ROAD BELOW THE VILLAGE - NOON", "EXT", "ROAD BELOW THE VILLAGE", "NOON", [], 2),
        Scene(None, "INT. TOWN HALL - KITCHEN - AFTERNOON", "INT", "TOWN HALL - KITCHEN", "AFTERNOON", ["PIA"], 2),
        Scene(
            None,
            "EXT. HILL VILLAGE - SQUARE - EVENING",
            "EXT",
            "HILL VILLAGE - SQUARE",
            "EVENING",
            ["PIA", "DR. OKORO"],
            2,
        ),
    ],
}
STYLES = {
    "Letter, plain": Style(),
    "A4, title page": Style(width=595, height=842, title_page=True),
    "numbered in both margins": Style(numbers=True, title_page=True),
    "continued marks, word by word": Style(continued=True, by_word=True, numbers=True),
    "no page numbers, wide margin": Style(page_numbers=False, margin=126, lines=50),
}


def island() -> list[Element]:
    """Another script of our own: headings that wrap, accents, a speech in capitals, names with dots and digits."""
    elements: list[Element] = []
    for day in range(1, 9):
        elements += [
            (
                "heading",
                f"INT./EXT. LA MAISON D'ÉTÉ - TERRASSE DU PHARE ABANDONNÉ AU NORD DE L'ÎLE - DAY {day} - DUSK",
            ),
            ("action", "A LETTER on the table. INT. IS WRITTEN ON IT, and nothing else. Waves."),
            ("character", "GUARD #2"),
            ("dialogue", "EXT. THEY SAID. ALWAYS EXT."),
            ("character", "MME. LEFÈVRE (O.S.) (CONT'D)"),
            ("parenthetical", "(not looking)"),
            ("dialogue", "Then read it to me."),
            ("heading", f"EXT. CLIFF {day} – MOMENTS LATER"),
            ("action", "Gulls. " * 60),
        ]
    return elements


def files() -> dict[str, tuple[bytes, str, list[Scene]]]:
    """Every script with its extension and its truth, by a name for people."""
    found = {name: ((SCRIPTS / name).read_bytes(), Path(name).suffix, told) for name, told in TOLD.items()}
    for name, told in OF_THE_DEMO.items():
        found[f"{name} (the demo's)"] = ((DEMO / name).read_bytes(), Path(name).suffix, told)
    for title, elements in (("a train, 24 scenes", long_script()), ("an island, 16 scenes", island())):
        for name, style in STYLES.items():
            content, truths = typeset(elements, style)
            told = [Scene(each.number, each.heading, ..., ..., ..., [*each.characters], each.page) for each in truths]
            found[f"PDF, {title}: {name}"] = (content, ".pdf", told)
    return found
