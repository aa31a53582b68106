"""The user that PostgreSQL runs as. It refuses to run as root, so root lends it an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import PostgresError

UNPRIVILEGED = ("nobody", "postgres", "daemon")


@dataclass(frozen=True)
class Account:
    """A user and group; `dropped` when we are root and PostgreSQL must become them."""

    uid: int
    gid: int
    name: str
    dropped: bool

    def own(self, path: Path) -> None:
        """Give a file or folder that we made to this user."""
        if self.dropped:
            os.chown(path, self.uid, self.gid)

    def run(self, args: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a short program as this user and answer what it said. Raises OSError when it may not be started."""
        return subprocess.run(  # noqa: S603 - programs and paths of ours, never a shell line
            [str(part) for part in args],
            user=self.uid if self.dropped else None,
            group=self.gid if self.dropped else None,
            extra_groups=[] if self.dropped else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=clean_environment(),
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )

    def can_use(self, folder: Path) -> bool:
        """Whether this user can work in a folder of its own inside `folder`. Tried, not computed from modes."""
        probe = Path(tempfile.mkdtemp(prefix=".probe-", dir=folder))
        try:
            self.own(probe)
            return self.run(["/bin/sh", "-c", 'cd "$1" && : >file', "sh", probe]).returncode == 0
        except OSError:
            return False
        finally:
            shutil.rmtree(probe, ignore_errors=True)


def clean_environment() -> dict[str, str]:
    """An environment without our secrets and without the PG… variables that would change what the programs do."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def server_account(folder: Path, data: Path | None) -> Account:
    """The user for the server of `folder`: ourselves; for root whoever owns the data, else the folder, else nobody.

    `data` is an existing PostgreSQL data folder. Raises PostgresError when its owner is a stranger.
    """
    uid = os.geteuid()
    if uid != 0:
        if data is not None and data.stat().st_uid != uid:
            owner = _name(data.stat().st_uid)
            raise PostgresError(
                f"The database in {data} belongs to the user {owner}, because another user started it first. "
                "Start as that user (or as root, if root did), or set DATA_DIR to another folder."
            )
        return Account(uid, os.getegid(), _name(uid), dropped=False)
    if data is not None and data.stat().st_uid != 0:
        owned = data.stat()
        return Account(owned.st_uid, owned.st_gid, _name(owned.st_uid), dropped=True)
    return _unprivileged(folder.stat().st_uid)


def _unprivileged(preferred: int) -> Account:
    """An account that `initdb` accepts: it must be in the user list, and must not be root."""
    candidates = [_by_uid(preferred)] if preferred != 0 else []
    candidates += [_by_name(name) for name in UNPRIVILEGED]
    for entry in candidates:
        if entry is not None and entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, dropped=True)
    raise PostgresError(
        "PostgreSQL does not run as root, and this system has no user named nobody to run it as. "
        "Start BackDrop as an ordinary user, or set DATABASE_URL to a PostgreSQL that runs elsewhere."
    )


def _by_uid(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _by_name(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _name(uid: int) -> str:
    entry = _by_uid(uid)
    return entry.pw_name if entry else str(uid)
