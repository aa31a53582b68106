"""A merchant's catalogue by CSV, beside a raw COPY of the same rows and the usual `add_all`."""

from __future__ import annotations

import csv
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from pydantic import BaseModel, Field, HttpUrl
from pydantic.alias_generators import to_snake
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from backend.core.database import normal_dsn
from backend.core.ids import new_id
from backend.models.skus import Sku
from benchmarks.seed import USER, made_id
from benchmarks.servers import Server
from benchmarks.work import token

COLUMNS = ("title", "price", "margin", "tags", "description", "image_url", "external_id")
# The table that raw COPY fills has the product's columns, CHECKs and indexes, and no foreign key.
_TWIN = "CREATE TABLE twin (LIKE skus INCLUDING ALL)"


def merchant_of(number: int) -> int:
    """The n of a seeded merchant: each catalogue has one of its own, so that none grows from round to round."""
    return 4 * (number + 3) + 1


@dataclass(frozen=True, slots=True)
class Taken:
    """How one way took the catalogue once: seconds, and how many megabytes its process grew at its highest."""

    way: str
    seconds: float
    grown: float = 0.0


def row(number: int, edition: str) -> tuple[str, ...]:
    """One product of an edition of the catalogue."""
    title = f"Product number {number}"
    return (
        title, f"{number % 900 + 1}.99", f"{number % 90}.50", f"tag{number % 7};household",
        f"A plain description of {title}", f"https://shop.example/{number}.png", f"{edition}-{number}",
    )  # fmt: skip


def csv_file(folder: Path, rows: int, edition: str) -> Path:
    """The catalogue as a merchant sends it."""
    path = folder / f"{edition}.csv"
    with path.open("w") as file:
        file.write("title,price,margin,tags,description,imageUrl,externalId\n")
        file.writelines(",".join(row(number, edition)) + "\n" for number in range(rows))
    return path


def copy_file(folder: Path, rows: int, edition: str) -> Path:
    """The same rows ready for COPY, ids and times included: all that raw COPY does not have to do."""
    path = folder / f"{edition}.copy"
    with path.open("w") as file:
        for number in range(rows):
            title, price, margin, tags, description, image, external = row(number, edition)
            marked = "{" + tags.replace(";", ",") + "}"
            values = (
                str(new_id()),
                str(made_id(USER, merchant_of(0))),
                title,
                price,
                margin,
                marked,
                description,
                image,
                external,
            )
            file.write("\t".join((*values, "2026-11-20 12:00:00+00", "2026-11-20 12:00:00+00")) + "\n")
    return path


def highest(server: Server) -> float:
    """The most memory that the server's process ever had, in megabytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def send(server: Server, path: Path, merchant: int) -> Taken:
    """Let the product take the file, from this merchant. Raises HTTPError when it is refused."""
    boundary = uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'.encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/v1/skus/bulk",
        data=head + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode(),
        headers={
            "Authorization": f"Bearer {token(merchant)}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        },
        method="POST",
    )
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the highest begins again
    before = highest(server)
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=600) as response:
        response.read()
    return Taken("product", time.perf_counter() - started, highest(server) - before)


async def copy(dsn: str, path: Path) -> Taken:
    """Raw COPY into a table of the same form."""
    connection = await asyncpg.connect(normal_dsn(dsn))
    try:
        await connection.execute("DROP TABLE IF EXISTS twin")
        await connection.execute(_TWIN)
        columns = ["id", "merchant_id", *COLUMNS, "created_at", "updated_at"]
        started = time.perf_counter()
        await connection.copy_to_table("twin", source=path, columns=columns, format="text")
        return Taken("raw COPY", time.perf_counter() - started)
    finally:
        await connection.execute("DROP TABLE IF EXISTS twin")
        await connection.close()


class Line(BaseModel):
    """One line of the file, validated the usual way."""

    title: str = Field(min_length=1, max_length=200)
    price: Decimal = Field(ge=0, max_digits=12, decimal_places=2)
    margin: Decimal = Field(ge=0, le=100, max_digits=5, decimal_places=2)
    tags: list[str] = Field(max_length=20)
    description: str = Field(max_length=5000)
    image_url: HttpUrl
    external_id: str = Field(min_length=1, max_length=100)


async def add_all(dsn: str, path: Path, n: int) -> Taken:
    """The usual way to the same end, without HTTP: each line validated, what is there read once, an entity for each row."""
    engine = create_async_engine(normal_dsn(dsn).replace("postgresql://", "postgresql+asyncpg://", 1))
    merchant, started = made_id(USER, n), time.perf_counter()
    with path.open(newline="") as file:
        lines = [
            Line(
                **{to_snake(name): value for name, value in line.items() if name != "tags"},
                tags=line["tags"].split(";"),
            )
            for line in csv.DictReader(file)
        ]
    async with AsyncSession(engine) as session:
        there = await session.scalars(select(Sku).where(Sku.merchant_id == merchant, Sku.external_id.is_not(None)))
        known = {each.external_id: each for each in there}
        for line in lines:
            if (sku := known.get(line.external_id)) is not None:
                for name, value in _values(line).items():
                    setattr(sku, name, value)
        session.add_all([_entity(line, merchant) for line in lines if line.external_id not in known])
        await session.commit()
    seconds = time.perf_counter() - started
    await engine.dispose()
    return Taken("add_all", seconds)


def _values(line: Line) -> dict[str, Any]:
    return line.model_dump() | {"image_url": str(line.image_url)}


def _entity(line: Line, merchant: UUID) -> Sku:
    now = datetime.now(UTC)
    return Sku(id=new_id(), merchant_id=merchant, **_values(line), created_at=now, updated_at=now)


def markdown(made: list[Taken]) -> str:
    """The table: medians, and the ratios within a turn."""
    by: dict[str, list[Taken]] = {}
    for each in made:
        by.setdefault(each.way, []).append(each)
    lines = ["| way | seconds | memory, MB | of raw COPY | times `add_all` |", "|---|--:|--:|--:|--:|"]
    for way, mine in by.items():
        lines.append(
            f"| {way} | {median(each.seconds for each in mine):.2f} "
            f"| {f'{max(each.grown for each in mine):+.1f}' if way == 'product' else ''} "
            f"| {_ratio(by.get('raw COPY'), mine)} | {_ratio(by.get('add_all'), mine)} |"
        )
    return "\n".join(lines)


def _ratio(theirs: list[Taken] | None, mine: list[Taken]) -> str:
    if not theirs or theirs is mine:
        return ""
    return f"**{median(each.seconds / own.seconds for each, own in zip(theirs, mine, strict=True)):.2f}**"
