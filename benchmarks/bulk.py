"""A merchant's catalogue by CSV, beside a raw COPY of the same rows and the usual `add_all`."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from uuid import uuid4

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from backend.core.database import normal_dsn
from backend.core.ids import new_id
from backend.models.skus import Sku
from benchmarks.seed import USER, made_id
from benchmarks.servers import Server
from benchmarks.work import token

MERCHANT = 13  # the n of a seeded user who is a merchant
COLUMNS = ("title", "price", "margin", "tags", "description", "image_url", "external_id")
# The table that raw COPY fills has the product's columns, CHECKs and indexes, and no foreign key.
_TWIN = "CREATE TABLE twin (LIKE skus INCLUDING ALL)"


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
                str(made_id(USER, MERCHANT)),
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


def send(server: Server, path: Path) -> Taken:
    """Let the product take the file. Raises HTTPError when it is refused."""
    boundary = uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'.encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/v1/skus/bulk",
        data=head + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode(),
        headers={
            "Authorization": f"Bearer {token(MERCHANT)}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        },
        method="POST",
    )
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the highest begins again
    before = server.memory()
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


async def add_all(dsn: str, rows: int, edition: str) -> Taken:
    """The usual way: an entity for every row, and one flush."""
    engine = create_async_engine(normal_dsn(dsn).replace("postgresql://", "postgresql+asyncpg://", 1))
    started = time.perf_counter()
    async with AsyncSession(engine) as session:
        session.add_all([_entity(number, edition) for number in range(rows)])
        await session.commit()
    seconds = time.perf_counter() - started
    await engine.dispose()
    return Taken("add_all", seconds)


def _entity(number: int, edition: str) -> Sku:
    title, price, margin, tags, description, image, external = row(number, edition)
    return Sku(
        id=new_id(), merchant_id=made_id(USER, MERCHANT), title=title, price=Decimal(price),
        margin=Decimal(margin), tags=tags.split(";"), description=description, image_url=image,
        external_id=external, created_at=datetime.now(UTC), updated_at=datetime.now(UTC),
    )  # fmt: skip


def markdown(made: list[Taken]) -> str:
    """The table: medians, and the ratios within a turn."""
    by: dict[str, list[Taken]] = {}
    for each in made:
        by.setdefault(each.way, []).append(each)
    lines = ["| way | seconds | memory, MB | of raw COPY | times `add_all` |", "|---|--:|--:|--:|--:|"]
    for way, mine in by.items():
        lines.append(
            f"| {way} | {median(each.seconds for each in mine):.2f} "
            f"| {f'+{max(each.grown for each in mine):.1f}' if way == 'product' else ''} "
            f"| {_ratio(by.get('raw COPY'), mine)} | {_ratio(by.get('add_all'), mine)} |"
        )
    return "\n".join(lines)


def _ratio(theirs: list[Taken] | None, mine: list[Taken]) -> str:
    if not theirs or theirs is mine:
        return ""
    return f"**{median(each.seconds / own.seconds for each, own in zip(theirs, mine, strict=True)):.2f}**"
