"""The command line: `python -m backend COMMAND`. Every command also works while the server runs."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
import uvicorn
from pydantic import SecretStr, ValidationError

from backend.core.config import Settings, settings
from backend.core.connections import Connection
from backend.core.errors import Problem
from backend.core.logging import configure_logging
from backend.core.processes import Supervisor
from backend.core.version import NAME
from backend.integrations.database import database_dsn
from backend.integrations.postgres import PostgresError, embedded_postgres, hold_server_lock
from backend.jobs import deadlines
from backend.main import create_app
from backend.services import demo, maintenance

cli = typer.Typer(
    name="python -m backend", help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _fail(message: str) -> NoReturn:
    print(message if message.startswith(NAME) else f"{NAME}: {message}", file=sys.stderr)
    raise SystemExit(1)


def _configured() -> Settings:
    """The settings, or a list of what is wrong with them: names of variables, never their values."""
    try:
        return settings()
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, each['loc'])).upper() or 'configuration'}: {each['msg']}" for each in error.errors()
        ]
        _fail("the configuration is wrong.\n  " + "\n  ".join(lines))


@contextmanager
def _sentences() -> Iterator[None]:
    """Expected failures end in a sentence, not in a traceback."""
    try:
        yield
    except (PostgresError, Problem, ValueError, OSError) as error:
        _fail(str(error) or type(error).__name__)


@cli.command()
def serve(
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="How many processes share the port.")] = None,
    with_demo: Annotated[bool, typer.Option("--demo", help="First fill an empty installation with a demo.")] = False,
) -> None:
    """Migrate and serve. Without DATABASE_URL an embedded PostgreSQL runs as long as the server does."""
    config = _configured()
    if workers is not None:
        config = config.model_copy(update={"workers": workers})
    # uvicorn raises the signal again after a graceful stop: leave through the context managers below all the same.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    with _sentences(), _served(config) as ready:
        maintenance.migrate(_dsn(ready))
        if with_demo:
            _fill_with_demo(_dsn(ready), ready)
        address = f"http://{'127.0.0.1' if config.host in ('0.0.0.0', '::') else config.host}:{config.port}"  # noqa: S104
        print(f"{NAME}: the API is at {address}/api/v1, its documentation at {address}/docs", flush=True)
        _run_server(ready)


def _run_server(config: Settings) -> None:
    """One process serves by itself; several are children of this one, which starts a new one for each that dies."""
    options: dict[str, Any] = {
        "host": config.host,
        "port": config.port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "http": Connection,
        "proxy_headers": False,  # ours count them from TRUSTED_PROXIES only
        "timeout_graceful_shutdown": 10,
        # A worker is asked whether it lives while it still imports: on a busy machine that takes longer than uvicorn's
        # five seconds, and each one would be killed before it could answer.
        "timeout_worker_healthcheck": 20,
    }
    if config.workers == 1:
        uvicorn.run(create_app(config), **options)
        return
    configure_logging(config)
    os.environ |= {"DATABASE_URL": _dsn(config), "WORKERS": str(config.workers), "SUPERVISOR_PID": str(os.getpid())}
    served = uvicorn.Config("backend.main:app", workers=config.workers, **options)
    Supervisor(served, [served.bind_socket()]).run()


def _leave(number: int, _: object) -> None:
    raise SystemExit(0 if number == signal.SIGTERM else 130)


@contextmanager
def _served(config: Settings) -> Iterator[Settings]:
    """The settings with the address of the database, which is this process's own when it is embedded."""
    if config.database_url is not None:
        yield config
        return
    with (
        hold_server_lock(config.data_dir),
        embedded_postgres(config.data_dir, pg_bin=config.pg_bin, attach=False) as dsn,
    ):
        yield config.model_copy(update={"database_url": SecretStr(dsn)})


def _dsn(config: Settings) -> str:
    assert config.database_url is not None
    return config.database_url.get_secret_value()


@cli.command()
def migrate() -> None:
    """Bring the database to the newest version."""
    config = _configured()
    with _sentences(), database_dsn(config) as dsn:
        maintenance.migrate(dsn)
    print(f"{NAME}: the database is at the newest version.")


@cli.command(name="create-operator")
def create_operator(
    email: Annotated[str, typer.Option(help="The address to sign in with.")],
    name: Annotated[str, typer.Option(help="The name that others see.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
    ] = False,
) -> None:
    """Make an operator account. Over HTTP there is no way to become one."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else _ask_password()
    config = _configured()
    with _sentences(), database_dsn(config) as dsn:
        asyncio.run(maintenance.create_operator(dsn, config, email, name, password))
    print(f"{NAME}: {email} is an operator.")


@cli.command(name="end-sessions")
def end_sessions(
    email: Annotated[str | None, typer.Option(help="The account to sign out everywhere.")] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="Every account instead.")] = False,
) -> None:
    """Sign an account out everywhere, or all of them. Nothing else about them changes."""
    if (email is None) != everyone:
        _fail("say --email or --everyone.")
    config = _configured()
    with _sentences(), database_dsn(config) as dsn:
        ended = asyncio.run(maintenance.end_sessions(dsn, config, email))
    print(f"{NAME}: {ended} sessions were ended.")


def _ask_password() -> str:
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        _fail("the two passwords differ.")
    return first


@cli.command()
def check() -> None:
    """Look at configuration, database and migrations, and say what is wrong and what to do."""
    config = _configured()
    print("ok    configuration")
    with _sentences(), database_dsn(config) as dsn:
        findings = asyncio.run(maintenance.check(dsn, config))
    for finding in findings:
        print(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}{'' if finding.ok else ': ' + finding.advice}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


@cli.command(name="demo")
def fill_with_demo() -> None:
    """Fill an empty installation with people, scripts and deals in every state. Twice is harmless."""
    config = _configured()
    with _sentences(), database_dsn(config) as dsn:
        maintenance.migrate(dsn)
        _fill_with_demo(dsn, config)


def _fill_with_demo(dsn: str, config: Settings) -> None:
    filled = asyncio.run(demo.fill(dsn, config))
    print(
        f"{NAME}: the demo {'is here' if filled else 'was here already'}. Its accounts, all with the password "
        f"{demo.PASSWORD}:"
    )
    for person in demo.PEOPLE:
        print(f"  {person.role.value:<11} {person.email:<28} {person.name}")


@cli.command()
def expire() -> None:
    """Write everything that has run out as ended. The server's own timer does the same."""
    config = _configured()
    with _sentences(), database_dsn(config) as dsn:
        written = asyncio.run(deadlines.expire_all(dsn, config))
    print(f"{NAME}: {written} rows were written as ended.")


def main(run: Callable[[], object] = cli) -> None:
    """Run the command line."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    run()


if __name__ == "__main__":
    main()
