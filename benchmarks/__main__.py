"""`scripts/bench`: seed, start the programs, interleave short rounds, write the tables of docs/performance.md."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import bulk, database, load, logins, servers, table
from benchmarks.seed import Size
from benchmarks.servers import Server
from benchmarks.work import MOST, Row, Work

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ("litestar", "ninja")  # they have the list alone
cli = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)

Slots = Annotated[int, typer.Option(help="How much data; 2000 is a smoke run.")]
Rounds = Annotated[int, typer.Option(help="How often each takes its turn.")]
Seconds = Annotated[int, typer.Option(help="How long a turn is.")]
Data = Annotated[Path, typer.Option(help="Where PostgreSQL and the logs are.")]
Write = Annotated[bool, typer.Option(help="Write the table into docs/performance.md.")]
HERE = ROOT / ".data" / "bench"


def must_answer_alike(programs: dict[str, Server], work: Work) -> None:
    """Floor and product answer the same bytes; the others the same bytes too. Raises AssertionError."""
    for calls in (work.lists(), work.slots(), work.bids()):
        for call in calls[:20]:
            given = {name: servers.answers(each.port, call.path, call.token) for name, each in programs.items()}
            expected = given["product"]
            assert expected[0] == 200, (call.path, expected)
            for name, answer in given.items():
                if name in PEERS and answer[0] == 404:
                    continue
                assert answer == expected, f"{name} answers {call.path} otherwise:\n{answer}\n{expected}"
    for call in work.matches()[:20]:  # the same values: 0.4 is not written 0.40 by every program
        given = {name: servers.answers(each.port, call.path, call.token) for name, each in programs.items()}
        values = {name: json.loads(body) for name, (_, body) in given.items() if name not in PEERS}
        assert len(values["product"]) == 50, (call.path, given["product"])
        assert all(value == values["product"] for value in values.values()), values


def measure(server: Server, row: Row, number: int, seconds: float, *, clients: int | None = None) -> table.Round:
    """One round."""
    calls = row.calls()
    cpu, postgres = server.cpu(), servers.postgres_cpu()
    met = load.run(server.port, calls, clients=clients or row.clients, seconds=seconds)
    used, theirs = server.cpu() - cpu, servers.postgres_cpu() - postgres
    if met.refused or met.broken:
        print(
            f"{server.name}, {row.name}: {met.refused} refused, {met.broken} broken of {met.requests} ({len(calls)} calls)"
        )
    if not met.requests:
        raise RuntimeError(f"{server.name} answers nothing to {row.name}: {met}")
    each = 1000 / met.requests
    return table.Round(
        row.name, server.name, number, met.rate, met.p50, met.p99, met.refused, met.broken, used * each, theirs * each,
        server.memory(),
    )  # fmt: skip


def turns(row: Row, able: list[Server], rounds: int, seconds: int) -> Iterator[table.Round]:
    """Rounds of one row, the programs one after the other, each first in its turn."""
    for each in able:  # not counted: statements are prepared, pages are read
        load.run(each.port, row.calls()[:2000], clients=row.clients, seconds=1)
    for number in range(rounds):
        first_turn = number % len(able)
        for each in able[first_turn:] + able[:first_turn]:
            yield measure(each, row, number, seconds)
            time.sleep(0.1)


@contextmanager
def seeded(data: Path, size: Size) -> Iterator[tuple[str, Work]]:
    """PostgreSQL with fresh data of a size: its DSN, and the work there is on it."""
    data.mkdir(parents=True, exist_ok=True)
    with database.server(data) as server:
        yield database.seeded(server, size), Work(size)


def publish(name: str, text: str, rounds: list[table.Round], *, write: bool, **facts: object) -> None:
    """Print the table, keep its rounds, and write it into the page if that is wanted."""
    print(text, flush=True)
    table.save(RESULTS / f"{name.replace(' ', '-')}-{int(time.time())}.json", rounds, **facts)
    if write:
        table.write_between(PAGE, name, f"{table.heading(**facts)}\n\n{text}")


@cli.command("table")
def compare(
    slots: Slots = 200_000,
    rounds: Rounds = 5,
    seconds: Seconds = 3,
    rows: Annotated[str, typer.Option(help="Only these rows, separated by commas.")] = "",
    programs: Annotated[str, typer.Option(help="Which programs.")] = "floor,product,usual,litestar,ninja",
    data: Data = HERE,
    write: Write = False,
) -> None:
    """The product beside the floor, the usual way and its peers."""
    size = Size(slots)
    made: list[table.Round] = []
    with ExitStack() as stack:
        dsn, work = stack.enter_context(seeded(data, size))
        chosen = [row for row in work.rows() if not rows or row.name in rows.split(",")]
        running = {}
        for name in programs.split(","):
            server = stack.enter_context(servers.running(name, dsn, data / f"{name}.log", work.first()))
            running[name] = server
            print(f"{name}: first answer after {server.seconds_to_first_answer:.2f} s, {server.memory():.0f} MB")
        if "product" in running:
            must_answer_alike(running, work)
        for row in chosen:
            able = [each for each in running.values() if row.name == "list" or each.name not in PEERS]
            made += turns(row, able, rounds, seconds)
            print(table.markdown({row.name: row.title}, table.summary(made)), flush=True)
    text = table.markdown({row.name: row.title for row in chosen}, table.summary(made))
    facts = {"slots": slots, "bids": size.bids, "users": size.users, "turns": rounds, "seconds_a_turn": seconds}
    publish("the table", text, made, write=write, **facts)


@cli.command("bulk")
def import_catalogues(
    rows: Annotated[int, typer.Option(help="How many products the catalogue has.")] = 100_000,
    rounds: Rounds = 3,
    usual: Annotated[bool, typer.Option(help="Measure `add_all` too; it takes minutes at a million rows.")] = True,
    data: Data = HERE,
    write: Write = False,
) -> None:
    """A catalogue by CSV beside raw COPY and `add_all`, and the memory it takes."""
    made: list[bulk.Taken] = []
    with seeded(data, Size(2000)) as (dsn, work), tempfile.TemporaryDirectory(dir=data) as folder:
        more = {"MAX_UPLOAD_MB": "1000"}
        with servers.running("product", dsn, data / "product.log", work.first(), **more) as server:
            for number in range(rounds + 1):  # the first is not counted
                name = f"edition{number}"
                made.append(asyncio.run(bulk.copy(dsn, bulk.copy_file(Path(folder), rows, name))))
                file = bulk.csv_file(Path(folder), rows, name)
                made.append(bulk.send(server, file, bulk.merchant_of(2 * number)))
                if usual:
                    made.append(asyncio.run(bulk.add_all(dsn, file, bulk.merchant_of(2 * number + 1))))
                if number == 0:
                    made.clear()
    text = bulk.markdown(made)
    publish("bulk", text, [], write=write, rows=rows, turns=rounds)


@cli.command("pressure")
def press(
    slots: Slots = 200_000, rounds: Rounds = 5, seconds: Seconds = 4, data: Data = HERE, write: Write = False
) -> None:
    """One slot while others sign in, and with five times more clients than connections."""
    made: list[table.Round] = []
    with seeded(data, Size(slots)) as (dsn, work):
        row = next(each for each in work.rows() if each.name == "slot")
        with servers.running("product", dsn, data / "product.log", work.first()) as server:
            for number in range(rounds):
                made.append(table.named(measure(server, row, number, seconds), "alone"))
                with logins.under_way(server.port, loops=4) as count:
                    made.append(table.named(measure(server, row, number, seconds), "four login loops"))
                print(f"{count()} sign-ins beside")
                made.append(
                    table.named(measure(server, row, number, seconds, clients=50), "50 clients, 10 connections")
                )
    publish("pressure", table.pressure(made), made, write=write, slots=slots, turns=rounds, seconds_a_turn=seconds)


@cli.command("growth")
def grow(
    sizes: Annotated[str, typer.Option(help="How many slots, separated by commas.")] = "2000,200000,2000000",
    rounds: Rounds = 5,
    seconds: Seconds = 3,
    data: Data = HERE,
    write: Write = False,
) -> None:
    """The same work on less and on more data, side by side."""
    made: list[table.Round] = []
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        server = stack.enter_context(database.server(data))
        works: dict[str, Work] = {}
        running: dict[str, Server] = {}
        for slots in sizes.split(","):
            work = works[slots] = Work(Size(int(slots)))
            dsn = database.seeded(server, work.size)
            running[slots] = stack.enter_context(servers.running("product", dsn, data / f"{slots}.log", work.first()))
        first = next(iter(works.values()))
        titles = {row.name: row.title for row in (*first.rows(), *first.more_rows())}
        for name in ("list", "slot", "place", "stats", "search"):
            rows = {slots: next(r for r in (*w.rows(), *w.more_rows()) if r.name == name) for slots, w in works.items()}
            if name == "place":  # a bid can be placed once: on a few slots a round would be refusals
                rows = {slots: row for slots, row in rows.items() if len(row.calls()) == MOST}
            for number in range(-1, rounds):  # the first is not counted
                for slots, row in rows.items():
                    done = table.named(measure(running[slots], row, number, seconds), slots)
                    if number >= 0:
                        made.append(done)
    publish("growth", table.growth(titles, made), made, write=write, turns=rounds, seconds_a_turn=seconds)


@cli.command("processes")
def spread(
    slots: Slots = 200_000,
    counts: Annotated[str, typer.Option(help="How many processes, separated by commas.")] = "1,2,4",
    rounds: Rounds = 5,
    seconds: Seconds = 3,
    data: Data = HERE,
    write: Write = False,
) -> None:
    """The product in one, two and four processes that share a port."""
    made: list[table.Round] = []
    with ExitStack() as stack:
        dsn, work = stack.enter_context(seeded(data, Size(slots)))
        running = {
            count: stack.enter_context(
                servers.running("product", dsn, data / f"workers-{count}.log", work.first(), workers=int(count))
            )
            for count in counts.split(",")
        }
        titles = {row.name: row.title for row in work.rows()}
        for row in work.rows():
            if row.name in {"list", "slot", "place"}:
                for number in range(-1, rounds):  # the first is not counted
                    for count, server in running.items():
                        done = table.named(measure(server, row, number, seconds), count)
                        if number >= 0:
                            made.append(done)
    publish(
        "processes", table.processes(titles, made), made, write=write, slots=slots, turns=rounds, seconds_a_turn=seconds
    )


if __name__ == "__main__":
    cli()
