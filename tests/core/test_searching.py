"""What `q` asks for."""

from __future__ import annotations

import pytest

from backend.core.searching import words


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("coat", "'coat':*"),
        ("red  Coat", "'red' & 'Coat':*"),
        ("100% wool_en", "'100' & 'wool' & 'en':*"),
        ("a & !b:*'", "'a' & 'b':*"),
        ("%", ""),
        ("", ""),
    ],
)
def test_all_words_are_asked_for_and_the_last_may_be_a_beginning(text: str, query: str) -> None:
    assert words(text) == query
