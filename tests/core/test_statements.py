"""The statement tool: Core said once, binds by name, constants in the text."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, select

from backend.core.database import Database
from backend.core.statements import Statement, binds, prefixed
from backend.models.slots import Slot, SlotStatus

OPEN = Statement(
    select(Slot.id).where(Slot.status == SlotStatus.AVAILABLE.value, Slot.scene_ref == bindparam("p_scene"))
)


def test_what_a_caller_sends_is_a_bind_and_what_we_say_is_text() -> None:
    assert "'Available'" in OPEN.sql
    assert OPEN.sql.count("$") == 1
    hostile = "'; DROP TABLE slots; --"
    assert OPEN.arguments({"p_scene": hostile}) == [hostile]
    assert "DROP" not in OPEN.sql


def test_a_bind_that_is_missing_is_never_silently_null() -> None:
    with pytest.raises(KeyError):
        OPEN.arguments({})


def test_columns_become_binds_of_their_own_names() -> None:
    assert [each.key for each in binds("title", "genre").values()] == ["p_title", "p_genre"]
    assert prefixed({"title": "x"}) == {"p_title": "x"}


async def test_rows_one_and_value(database: Database) -> None:
    statement = Statement(select(bindparam("p_a", type_=Slot.scene_ref.type).label("a")))
    async with database.reading() as db:
        assert [row["a"] for row in await statement.rows(db, p_a="x")] == ["x"]
        assert await statement.value(db, p_a="y") == "y"
        nothing: Any = await OPEN.one(db, p_scene="nowhere")
        assert nothing is None
        assert await OPEN.value(db, p_scene="nowhere") is None
        assert db.statements == 4
