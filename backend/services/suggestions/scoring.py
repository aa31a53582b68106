"""From a scene's words to suggestions, by rules that can be read and are shown with each answer. No database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID, uuid5

from backend.models.slots import SlotType
from backend.services.suggestions.lexicon import Entry, Hit, find

_NAMESPACE = UUID("6b6f0b52-5d0c-4c5e-9a55-3a1f6d0c7f10")
_HANDLING = re.compile(
    r"\b(?:pours?|drinks?|sips?|eats?|bites?|holds?|grabs?|takes?|picks?|opens?|closes?|lifts?|wears?|puts?|pulls?|hands?"
    r"|throws?|drops?|drives?|rides?|plays?|reads?|writes?|types?|dials?|answers?|checks?|lights?|packs?|unpacks?|carr(?:y|ies)"
    r"|zips?|buttons?|ties?|sets?|raises?|clutch(?:es)?|push(?:es)?|wipes?|counts?|shakes?|stirs?|swings?|kicks?|catch(?:es)?"
    r"|uses?|switch(?:es)?|turns?|snaps?|tosses|slides?|cuts?|feeds?|offers?|steals?|fills?|unscrews?|sprays?|brush(?:es)?)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
# How much a kind of placement is worth against a plain appearance.
WEIGHTS = {
    SlotType.BACKGROUND: Decimal("0.5"),
    SlotType.SIGNAGE: Decimal("0.8"),
    SlotType.WARDROBE: Decimal("1.0"),
    SlotType.FEATURED: Decimal("1.2"),
    SlotType.VERBAL: Decimal("1.5"),
    SlotType.HANDS_ON: Decimal("1.8"),
    SlotType.PLOT: Decimal("2.5"),
}
_SHARE_OF_BUDGET = Decimal("0.001")
_LEAST_BASE = Decimal(100)
_MENTION_BONUS = Decimal("0.25")
_MOST_MENTIONS = 5
EVIDENCE_AROUND = 1  # paragraphs before and after the evidence


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph of a scene: what it is (`heading`, `action`, `dialogue` …) and its words."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class SceneText:
    """A scene as the rules read it."""

    id: UUID
    heading: str
    eighths: int
    characters: Sequence[str]
    passages: Sequence[Passage]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Words that say so: their place in the excerpt, and where they stand in the scene."""

    text: str
    start: int
    end: int
    where: str


@dataclass(frozen=True, slots=True)
class Signals:
    """How prominent the thing would be."""

    mentions: int
    in_dialogue: bool
    touched_by: list[str]
    page_share: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A place where a product of a category would fit."""

    id: UUID
    scene_id: UUID
    category: str
    iab_id: str
    type: SlotType
    excerpt: str
    evidence: list[Evidence]
    signals: Signals
    low: Decimal
    high: Decimal
    formula: str


@dataclass(slots=True)
class _Group:
    """The hits of one category in one scene, by passage."""

    entry: Entry
    hits: list[tuple[int, Hit]] = field(default_factory=list)


def suggest(scene: SceneText, budget: Decimal) -> list[Suggestion]:
    """What fits into a scene, most prominent first; the same scene and budget give the same answer."""
    passages = [Passage("heading", scene.heading), *scene.passages]
    groups: dict[str, _Group] = {}
    for index, passage in enumerate(passages):
        if passage.kind in ("character", "transition"):
            continue
        for hit in find(passage.text):
            groups.setdefault(hit.entry.category, _Group(hit.entry)).hits.append((index, hit))
    found = [_suggestion(scene, passages, group, budget) for group in groups.values()]
    return sorted(found, key=lambda each: (-each.low, each.category))


def _suggestion(scene: SceneText, passages: Sequence[Passage], group: _Group, budget: Decimal) -> Suggestion:
    first = group.hits[0][0]
    shown = range(max(0, first - EVIDENCE_AROUND), min(len(passages), first + EVIDENCE_AROUND + 1))
    excerpt, offsets = _excerpt(passages, shown)
    evidence = [
        Evidence(
            passages[index].text[hit.start : hit.end],
            offsets[index] + hit.start,
            offsets[index] + hit.end,
            passages[index].kind,
        )
        for index, hit in group.hits
        if index in offsets
    ]
    signals = _signals(scene, passages, group)
    kind = _type(group, passages, signals)
    low, high, formula = _band(kind, signals, budget)
    return Suggestion(
        id=uuid5(_NAMESPACE, f"{scene.id}:{group.entry.iab_id}"),
        scene_id=scene.id,
        category=group.entry.category,
        iab_id=group.entry.iab_id,
        type=kind,
        excerpt=excerpt,
        evidence=evidence,
        signals=signals,
        low=low,
        high=high,
        formula=formula,
    )


def _excerpt(passages: Sequence[Passage], shown: Iterable[int]) -> tuple[str, dict[int, int]]:
    """The shown passages as lines, and where each starts."""
    text, offsets = "", {}
    for index in shown:
        text += "\n" if text else ""
        offsets[index] = len(text)
        text += passages[index].text
    return text, offsets


def _signals(scene: SceneText, passages: Sequence[Passage], group: _Group) -> Signals:
    touched: list[str] = []
    for index, hit in group.hits:
        if passages[index].kind == "action":
            touched += [name for name in _hands_on(passages[index].text, hit, scene.characters) if name not in touched]
    lines = sum(1 for passage in passages if passage.kind != "heading") or 1
    share = len({index for index, _ in group.hits if passages[index].kind != "heading"}) / lines
    return Signals(
        mentions=len(group.hits),
        in_dialogue=any(passages[index].kind == "dialogue" for index, _ in group.hits),
        touched_by=touched,
        page_share=round(share * scene.eighths / 8, 3),
    )


def _hands_on(text: str, hit: Hit, characters: Sequence[str]) -> list[str]:
    """Who handles the thing: named in its sentence, which has a verb of handling; `?` for someone unnamed."""
    for match in _SENTENCE.finditer(text):
        if match.start() <= hit.start < match.end():
            if not _HANDLING.search(match.group()):
                return []
            sentence = match.group().casefold()
            named = [name for name in characters if re.search(rf"\b{re.escape(name.casefold())}\b", sentence)]
            return named or ["?"]
    return []


def _type(group: _Group, passages: Sequence[Passage], signals: Signals) -> SlotType:
    """The usual type of such a thing, corrected by what happens to it here."""
    places = {passages[index].kind for index, _ in group.hits}
    usual = group.entry.type
    if places == {"heading"} or (usual is SlotType.SIGNAGE and "heading" in places):
        return SlotType.SIGNAGE
    if places == {"dialogue"}:
        return SlotType.VERBAL
    if usual in (SlotType.WARDROBE, SlotType.SIGNAGE, SlotType.PLOT):
        return usual
    if signals.touched_by:
        return SlotType.HANDS_ON
    return SlotType.FEATURED if signals.mentions > 1 or usual is SlotType.FEATURED else SlotType.BACKGROUND


def _band(kind: SlotType, signals: Signals, budget: Decimal) -> tuple[Decimal, Decimal, str]:
    """The suggested floor: a thousandth of the budget target (100 at least) × the type's weight × mentions."""
    base = max(budget * _SHARE_OF_BUDGET, _LEAST_BASE)
    mentions = 1 + _MENTION_BONUS * (min(signals.mentions, _MOST_MENTIONS) - 1)
    low = _round(base * WEIGHTS[kind] * mentions)
    counted = f"{signals.mentions} mention{'s' if signals.mentions > 1 else ''}"
    formula = (
        f"max(budgetTarget × {_SHARE_OF_BUDGET}, {_LEAST_BASE}) × {WEIGHTS[kind]} ({kind.value})"
        f" × {mentions.normalize()} ({counted}); the upper end is double"
    )
    return low, low * 2, formula


def _round(amount: Decimal) -> Decimal:
    """Two leading digits, in whole units: nobody sells for 1,234.56."""
    whole = amount.to_integral_value()
    digits = max(len(str(whole)) - 2, 0)
    step = Decimal(10) ** digits
    return (whole / step).to_integral_value() * step
