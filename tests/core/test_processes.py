"""What a process owes: here, that the garbage collector leaves alone what is there to stay."""

from __future__ import annotations

import gc

from backend.core.processes import settled


class _Loop:
    """Something that only the collector can take away."""

    def __init__(self) -> None:
        self.itself = self


def _alive() -> int:
    return sum(isinstance(each, _Loop) for each in gc.get_objects())


def test_what_stood_at_the_beginning_is_left_alone_and_later_garbage_is_not() -> None:
    stays = _Loop()
    with settled():
        assert gc.get_freeze_count() > 1000, "modules, classes, functions"
        assert _alive() == 0, "what stood is not looked at"
        _Loop()
        assert _alive() == 1
        gc.collect()
        assert _alive() == 0
    assert gc.get_freeze_count() == 0
    assert _alive() == 1
    assert stays.itself is stays
