"""How other processes find a running server: DATA_DIR/postgres.json, and the private folder of its socket."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from .account import Account
from .cluster import write_private
from .errors import PostgresError
from .process import is_alive

PORT = 5432  # part of the socket's name; nothing listens on the network
SOCKET = f".s.PGSQL.{PORT}"
LONGEST_SOCKET = 100  # the kernels allow 104 to 108 bytes
PREFIX = "backdrop-pg-"


def make_socket_folder(folder: Path, account: Account) -> Path:
    """A new folder with a short name, for the server's user alone. Raises PostgresError when none can be made.

    Its name is written down before it is made, so that the next start clears it away however we end.
    """
    for parent in dict.fromkeys(("/tmp", tempfile.gettempdir())):  # noqa: S108 - a new folder, closed to others
        sockets = Path(parent, PREFIX + secrets.token_hex(5))
        if len(os.fsencode(sockets / SOCKET)) > LONGEST_SOCKET:
            continue
        publish(folder, sockets)
        try:
            sockets.mkdir(mode=0o700)
            account.own(sockets)
        except OSError:
            continue
        if not account.dropped or account.run(["/bin/sh", "-c", 'cd "$1"', "sh", sockets]).returncode == 0:
            return sockets
        sockets.rmdir()
    raise PostgresError("PostgreSQL needs a folder for its socket, and neither /tmp nor TMPDIR can be used for it.")


def publish(folder: Path, sockets: Path, dsn: str = "") -> None:
    """Tell other processes of ours where the server is. Without a DSN it is not ready, and nobody attaches to it."""
    state = {"owner": os.getpid(), "sockets": str(sockets), "dsn": dsn}
    write_private(folder / "postgres.json", json.dumps(state))


def clear_away(folder: Path) -> None:
    """Remove the announcement of a server that has ended, however it did, and the folder of the socket it names."""
    sockets = Path(_read(folder).get("sockets", ""))
    if sockets.name.startswith(PREFIX) and sockets.is_absolute():
        shutil.rmtree(sockets, ignore_errors=True)
    for path in (folder / "postgres.json", *folder.glob("postgres.json.*.new")):
        path.unlink(missing_ok=True)


def announced_dsn(folder: Path) -> str | None:
    """The DSN of the running server, or None while there is none. The announcement of a killed owner does not count."""
    state = _read(folder)
    if not state.get("dsn") or not is_alive(int(state["owner"])) or not Path(state["sockets"], SOCKET).exists():
        return None
    return state["dsn"]


def _read(folder: Path) -> dict[str, str]:
    try:
        state = json.loads((folder / "postgres.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    complete = isinstance(state, dict) and {"owner", "sockets", "dsn"} <= state.keys()
    return {key: str(value) for key, value in state.items()} if complete else {}
