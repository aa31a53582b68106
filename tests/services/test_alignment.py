"""Two drafts side by side: what was kept, moved, changed, added and cut."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.schemas.drafts import SceneChange as Change
from backend.services.drafts import alignment
from backend.services.drafts.alignment import Pairing, Part, align

TEXTS = {
    "a": ("INT. TRAIN - NIGHT", "Mara pours coffee from a dented thermos and looks at the rain on the glass."),
    "b": ("EXT. PLATFORM - DAWN", "A conductor counts tickets while the clock above him refuses to move at all."),
    "c": ("INT. CUSTOMS SHED - DAY", "Papers everywhere. A stamp comes down like a verdict on the wrong page."),
    "d": ("EXT. FIELD - LATER", "She runs. Behind her the train gets smaller, then is a sound, then is not."),
    "e": ("INT. DINER - NIGHT", "Two cups, one cold. Somebody has written a number on the napkin in lipstick."),
}


def part(name: str, number: str | None = None, text: str | None = None, heading: str | None = None) -> Part:
    title, words = TEXTS[name]
    return Part(
        uuid5(NAMESPACE_OID, f"{name}{number}{text}"), number, heading or title, words if text is None else text
    )


def told(lines: list[Pairing]) -> list[tuple[str, str | None, str | None]]:
    return [
        (line.change.value, line.before.heading if line.before else None, line.after.heading if line.after else None)
        for line in lines
    ]


def test_the_same_draft_is_all_kept() -> None:
    draft = [part(name) for name in "abcde"]
    assert {line.change for line in align(draft, draft)} == {Change.KEPT}


def test_a_cut_scene_is_omitted_and_stands_where_it_stood() -> None:
    lines = align([part(name) for name in "abc"], [part("a"), part("c")])
    assert [line.change.value for line in lines] == ["kept", "omitted", "kept"]


def test_a_scene_that_changed_places_is_moved_and_the_others_are_kept() -> None:
    lines = align([part(name) for name in "abcd"], [part(name) for name in "bcda"])
    assert [line.change.value for line in lines] == ["kept", "kept", "kept", "moved"]


@pytest.mark.parametrize(
    "after",
    [
        part("a", text="Mara pours cocoa from a dented thermos and looks at the snow on the glass."),
        part("a", heading="INT. NIGHT TRAIN - NIGHT"),
        part(
            "a", number="1", text="Entirely other words stand here now, about a bicycle.", heading="INT. TRAIN - NIGHT"
        ),
    ],
    ids=["other words", "other heading", "same heading and number"],
)
def test_a_rewritten_scene_is_changed_and_not_a_new_one(after: Part) -> None:
    lines = align([part("a", number="1"), part("b")], [after, part("b")])
    assert [line.change.value for line in lines] == ["changed", "kept"]


def test_renumbering_alone_changes_nothing() -> None:
    before = [part("a", "1"), part("b", "2"), part("c", "3")]
    after = [part("e", "1"), part("a", "2"), part("b", "3"), part("c", "4")]
    assert [line.change.value for line in align(before, after)] == ["new", "kept", "kept", "kept"]


@given(st.permutations(list("abcde")), st.sets(st.sampled_from("abcde")), st.sets(st.sampled_from("abcde")))
def test_every_scene_of_both_drafts_stands_there_once(order: list[str], first: set[str], second: set[str]) -> None:
    before = [part(name) for name in sorted(first)]
    after = [part(name) for name in order if name in second]
    lines = align(before, after)
    assert sorted(line.before.heading for line in lines if line.before) == sorted(each.heading for each in before)
    assert [line.after.heading for line in lines if line.after] == [each.heading for each in after]
    assert {line.before.heading for line in lines if line.change is Change.OMITTED and line.before} == {
        TEXTS[name][0] for name in first - second
    }


def test_scenes_of_the_same_words_keep_their_order_when_one_is_put_before_them() -> None:
    twins = [part("a"), part("b"), part("a"), part("c")]
    lines = align(twins, [part("d"), *twins])
    assert [line.change for line in lines] == [Change.NEW, *[Change.KEPT] * 4]


def test_a_hostile_draft_is_compared_no_more_than_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the bound, two drafts of 3,000 scenes of one heading were 9,000,000 comparisons."""
    count = 0

    def counted(one: Part, other: Part) -> float:
        nonlocal count
        count += 1
        return similarity(one, other)

    similarity = alignment._similarity
    monkeypatch.setattr(alignment, "_similarity", counted)
    drafts = [[part("a", text=f"{word} {number}") for number in range(3000)] for word in ("one", "other")]
    lines = align(*drafts)
    assert 1_000 < count < 51_000
    assert len([line for line in lines if line.after]) == len([line for line in lines if line.before]) == 3000
