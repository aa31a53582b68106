"""A merchant's catalogue as one CSV file: checked row by row, then taken as a whole or not at all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, BinaryIO

from anyio import to_thread
from pydantic import ValidationError
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import Uuid

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Invalid
from backend.core.ids import new_id_text
from backend.core.shapes import Reply, encode
from backend.core.statements import Statement, ddl
from backend.core.tabular import MOST_FINDINGS, Findings, Table
from backend.models.base import Timestamp
from backend.models.events import SubjectType
from backend.models.skus import STAGED, Sku
from backend.models.users import Role, User
from backend.policies.users import Actor, must_be
from backend.schemas.skus import SkuIn
from backend.services import events

REQUIRED = ("title", "price", "margin")
_SECONDS = 600  # for one statement over a million rows, with room to spare
OPTIONAL = ("tags", "description", "imageUrl", "externalId")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?")


@dataclass(slots=True)
class Catalogue:
    """A checked file: its rows on disk as COPY takes them, its columns, and what is wrong with it."""

    staged: BinaryIO
    columns: frozenset[str] = frozenset()
    count: int = 0
    findings: Findings = field(default_factory=Findings)


@asynccontextmanager
async def checked(content: BinaryIO) -> AsyncIterator[Catalogue]:
    """The catalogue in an uploaded file. It is read and checked in a thread, a row at a time."""
    with tempfile.TemporaryFile() as staged:
        catalogue = Catalogue(staged)
        await to_thread.run_sync(_check, content, catalogue)
        yield catalogue


def _check(content: BinaryIO, catalogue: Catalogue) -> None:
    findings = catalogue.findings
    table = Table(content, REQUIRED, OPTIONAL, findings)
    for number, cells in table.rows():
        try:
            sku = SkuIn.model_validate(_values(cells))
        except ValidationError as error:
            for each in error.errors(include_input=False, include_url=False, include_context=False):
                findings.add(number, str(each["loc"][0]), _message(each))
            # Its externalId still counts: a double is found in a bad row too.
            catalogue.staged.write(_line(number, cells.get("externalId")))
        else:
            catalogue.count += 1
            catalogue.staged.write(_line(number, sku.external_id, sku))
    catalogue.columns = frozenset(table.header)
    if not (catalogue.count or findings.count):
        findings.add(1, "row", "there are no rows below the header")


def _values(cells: dict[str, str]) -> dict[str, Any]:
    """Cells have no types; give them theirs. What is no number stays text, which the schema refuses."""
    values: dict[str, Any] = dict(cells)
    for name in ("price", "margin"):
        if name in cells and _NUMBER.fullmatch(cells[name]):
            values[name] = Decimal(cells[name])
    if "tags" in cells:
        values["tags"] = [tag for tag in map(str.strip, cells["tags"].split(";")) if tag]
    return values


def _message(error: Mapping[str, Any]) -> str:
    return "is required" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")


# Cells are joined by NUL, which no text holds, and escaped all at once. No cell is ever empty: empty is NULL.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\t"})
_ESCAPED = re.compile(r"[\\\t\n\r]")


def _line(number: int, external_id: str | None, sku: SkuIn | None = None) -> bytes:
    """One row in the text format of COPY, in the order of the staging table's columns."""
    values = [str(number), new_id_text(), external_id or ""]
    if sku is not None:
        values += [sku.title, str(sku.price), str(sku.margin), ";".join(sku.tags)]
        values += [sku.description or "", sku.image_url or ""]
    else:
        values += [""] * 6
    joined = "\0".join(values)
    # Most rows have nothing to escape, and to translate is slow.
    line = joined.translate(_ESCAPES) if _ESCAPED.search(joined) else joined.replace("\0", "\t")
    return line.encode() + b"\n"


_STAGE = ddl(STAGED)
_ROW = STAGED.c
# Imports of one merchant follow each other; the lock lets bids and single SKUs through.
_LOCK_MERCHANT = Statement(select(User.id).where(User.id == bindparam("p_actor")).with_for_update(key_share=True))
_WITH_FIRST = (
    select(_ROW.row, func.min(_ROW.row).over(partition_by=_ROW.external_id).label("first"))
    .where(_ROW.external_id.is_not(None))
    .subquery()
)
_DOUBLES = Statement(
    select(_WITH_FIRST.c.row, _WITH_FIRST.c.first, func.count().over().label("all"))
    .where(_WITH_FIRST.c.row != _WITH_FIRST.c.first)
    .order_by(_WITH_FIRST.c.row)
    .limit(MOST_FINDINGS)
)
_MERCHANT: Any = bindparam("p_actor", type_=Uuid())
_NOW: Any = bindparam("p_now", type_=Timestamp)
_KNOWN = Statement(
    select(func.count().label("count"), (func.count() - func.count(Sku.id)).label("created"))
    .select_from(STAGED)
    .outerjoin(Sku, (Sku.merchant_id == _MERCHANT) & (Sku.external_id == _ROW.external_id) & Sku.removed_at.is_(None))
)
_NAMES = {"imageUrl": "image_url", "externalId": "external_id"}


@lru_cache
def _take(columns: frozenset[str]) -> Statement:
    """The upsert. A known SKU keeps what has no column in the file."""
    values = {
        "id": _ROW.id,
        "merchant_id": _MERCHANT,
        "title": _ROW.title,
        "price": _ROW.price,
        "margin": _ROW.margin,
        "tags": func.coalesce(func.string_to_array(_ROW.tags, ";"), func.string_to_array("", ";")),
        "description": _ROW.description,
        "image_url": _ROW.image_url,
        "external_id": _ROW.external_id,
        "created_at": _NOW,
        "updated_at": _NOW,
    }
    take = upsert(Sku).from_select(list(values), select(*values.values()).order_by(_ROW.row))
    changed = {_NAMES.get(name, name) for name in columns} - {"external_id"} | {"updated_at"}
    done = (
        take.on_conflict_do_update(
            index_elements=[Sku.merchant_id, Sku.external_id],
            index_where=Sku.removed_at.is_(None),
            set_={name: take.excluded[name] for name in sorted(changed)},
        )
        .returning(Sku.id)
        .cte("done")
    )
    # A created SKU has the id that was staged for it, an updated one kept its own.
    counts = select(func.count().label("count"), func.count(_ROW.id).label("created"))
    return Statement(counts.select_from(done.outerjoin(STAGED, _ROW.id == done.c.id)))


async def load(tx: Tx, actor: Actor, catalogue: Catalogue, *, dry_run: bool) -> Reply:
    """Take the whole catalogue, or with `dry_run` say what that would do. Raises Forbidden, Invalid."""
    must_be(actor, Role.MERCHANT)
    await _LOCK_MERCHANT.one(tx, p_actor=actor.id)
    await tx.fetch(_STAGE)
    catalogue.staged.seek(0)
    async with tx.patiently(_SECONDS):
        await tx.copy(STAGED.name, STAGED.columns.keys(), catalogue.staged)
        await _must_be_sound(tx, catalogue.findings)
        if dry_run:
            row = await _KNOWN.one(tx, p_actor=actor.id)
        else:
            row = await _take(catalogue.columns).one(tx, p_actor=actor.id, p_now=clock.now())
    assert row is not None
    counts = {"count": row["count"], "created": row["created"], "updated": row["count"] - row["created"]}
    if not dry_run:
        await events.record(tx, events.line(actor, "skus.imported", (SubjectType.USER, actor.id), **counts))
    return Reply(encode(counts))


async def _must_be_sound(tx: Tx, findings: Findings) -> None:
    doubles = await _DOUBLES.rows(tx)
    count = findings.count + (doubles[0]["all"] if doubles else 0)
    if count == 0:
        return
    found = [
        {"row": each["row"], "field": "externalId", "message": f"is the same as in row {each['first']}"}
        for each in doubles
    ]
    first = sorted([*findings.first, *found], key=lambda each: each["row"])[:MOST_FINDINGS]
    where = f"row {first[0]['row']}, {first[0]['field']}: {first[0]['message']}"
    raise Invalid(
        f"Nothing was taken: {count} finding{'s' if count > 1 else ''}, the first in {where}.",
        first,
        code="invalid_catalogue",
        errorCount=count,
    )
