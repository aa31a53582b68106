"""`scripts/bench`: seed, start the programs, interleave short rounds, write the table."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import database, load, servers, table
from benchmarks.seed import Size
from benchmarks.servers import Server
from benchmarks.work import Row, Work

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ("litestar", "ninja")  # they have the list alone
cli = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)


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


def measure(server: Server, row: Row, number: int, seconds: float) -> table.Round:
    """One round."""
    calls = row.calls()
    cpu, postgres = server.cpu(), servers.postgres_cpu()
    met = load.run(server.port, calls, clients=row.clients, seconds=seconds)
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


@cli.command()
def main(
    slots: Annotated[int, typer.Option(help="How much data; 2000 is a smoke run.")] = 200_000,
    rounds: Annotated[int, typer.Option(help="How often each program takes its turn at each row.")] = 5,
    seconds: Annotated[int, typer.Option(help="How long a turn is.")] = 3,
    rows: Annotated[str, typer.Option(help="Only these rows, separated by commas.")] = "",
    programs: Annotated[str, typer.Option(help="Which programs.")] = "floor,product,usual,litestar,ninja",
    data: Annotated[Path, typer.Option(help="Where PostgreSQL and the logs are.")] = ROOT / ".data" / "bench",
    write: Annotated[bool, typer.Option(help="Write the table into docs/performance.md.")] = False,
) -> None:
    """Measure, and print the table."""
    size = Size(slots)
    work = Work(size)
    chosen = [row for row in work.rows() if not rows or row.name in rows.split(",")]
    data.mkdir(parents=True, exist_ok=True)
    made: list[table.Round] = []
    with ExitStack() as stack:
        server = stack.enter_context(database.server(data))
        dsn = database.seeded(server, size)
        call = work.lists()[0]
        first = (call.path, call.token)
        running = {}
        for name in programs.split(","):
            running[name] = stack.enter_context(servers.running(name, dsn, data / f"{name}.log", first))
            first_answer, memory = running[name].seconds_to_first_answer, running[name].memory()
            print(f"{name}: first answer after {first_answer:.2f} s, {memory:.0f} MB")
        if "product" in running:
            must_answer_alike(running, work)
        for row in chosen:
            able = [each for each in running.values() if row.name == "list" or each.name not in PEERS]
            for each in able:  # not counted: statements are prepared, pages are read
                load.run(each.port, row.calls()[:2000], clients=row.clients, seconds=1)
            for number in range(rounds):
                first_turn = number % len(able)
                for each in able[first_turn:] + able[:first_turn]:
                    made.append(measure(each, row, number, seconds))
                    time.sleep(0.1)
            found = table.summary([each for each in made if each.row == row.name])
            print(table.markdown({row.name: row.title}, found), flush=True)
    titles = {row.name: row.title for row in chosen}
    text = table.markdown(titles, table.summary(made))
    print(text)
    facts = {"slots": slots, "bids": size.bids, "users": size.users, "turns": rounds, "seconds_a_turn": seconds}
    table.save(RESULTS / f"{slots}-{int(time.time())}.json", made, **facts)
    if write:
        table.write_between(PAGE, "the table", f"{table.heading(**facts)}\n\n{text}")


if __name__ == "__main__":
    cli()
