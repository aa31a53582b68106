"""The data folder of PostgreSQL (a "cluster"): where it is, how it is made, and whether it fits the programs."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .account import Account, server_account
from .binaries import Binaries, find_binaries, public_folder
from .errors import PostgresError
from .process import guarded_command, guarded_options

SYSTEM = Path("/var/lib/backdrop")
USER = "backdrop"


@dataclass(frozen=True)
class Cluster:
    """A cluster that can be started."""

    home: Path
    account: Account
    binaries: Binaries
    password: str

    @property
    def data(self) -> Path:
        """PostgreSQL's own data folder."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """What the running server writes; the run before is kept as `server.log.1`."""
        return self.home / "server.log"


def open_cluster(folder: Path, pg_bin: Path | None, *, durable: bool) -> Cluster:
    """The cluster of a data folder, made on first use. Call it with the owner's lock held.

    Raises PostgresError when it cannot be made, belongs to someone else, or is of another major version.
    """
    home = _existing_home(folder)
    account = server_account(folder, home / "data" if home else None)
    if home is None:
        home = _new_home(folder, account)
    if home.parent == SYSTEM:
        sys.stderr.write(
            f"backdrop: the user {account.name}, whom root lets run PostgreSQL, cannot use {folder}; "
            f"the database is in {home}\n"
        )
    binaries = find_binaries(pg_bin, account)
    _sweep(home)
    cluster = Cluster(home, account, binaries, _password(home))
    if not (cluster.data / "PG_VERSION").exists():
        _create(cluster, durable=durable)
    _check_version(cluster)
    return cluster


def _existing_home(folder: Path) -> Path | None:
    homes = [folder / "postgres"]
    if os.geteuid() == 0:
        homes.append(_system_home(folder))
    return next((home for home in homes if (home / "data").exists()), None)


def _system_home(folder: Path) -> Path:
    return SYSTEM / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _new_home(folder: Path, account: Account) -> Path:
    """Make the folder around the data. It stays ours, also when the data is given to another user."""
    home = folder / "postgres"
    if account.dropped and not account.can_use(folder):
        home = _system_home(folder)
        public_folder(SYSTEM)
    if not home.exists():
        home.mkdir(mode=0o700)
        home.chmod(0o711 if account.dropped else 0o700)
    return home


def _password(home: Path) -> str:
    """The password of the database, made once. Raises PostgresError when it is gone and the data is not."""
    path = home / "password"
    if not path.exists():
        if (home / "data" / "PG_VERSION").exists():
            raise PostgresError(f"The file {path} is missing; without it the database in {home / 'data'} is closed.")
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, wholly or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _sweep(home: Path) -> None:
    """Remove what a first start that was cut short has left."""
    for draft in home.glob("password.*.new"):
        draft.unlink(missing_ok=True)
    for leftover in home.glob("initdb-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _create(cluster: Cluster, *, durable: bool) -> None:
    """Make the data folder elsewhere and move it into place whole, so that half of one is never taken for a cluster."""
    if cluster.data.exists() and any(cluster.data.iterdir()):
        raise PostgresError(
            f"The folder {cluster.data} holds files but no PostgreSQL database. "
            "Move it away, or set DATA_DIR to another folder."
        )
    draft = Path(tempfile.mkdtemp(prefix="initdb-", dir=cluster.home))
    try:
        if cluster.account.dropped:
            draft.chmod(0o711)
        data, password = draft / "data", draft / "password"
        data.mkdir(mode=0o700)
        write_private(password, cluster.password)
        for path in (data, password):
            cluster.account.own(path)
        _initdb(cluster, data, password, durable=durable)
        data.rename(cluster.data)
        _sync(cluster.home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _initdb(cluster: Cluster, data: Path, password: Path, *, durable: bool) -> None:
    arguments = [f"--pgdata={data}", f"--pwfile={password}", f"--username={USER}"]
    arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"]
    if cluster.binaries.major >= 17:
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    else:  # the system's own, sorted alike: upper and lower case of all letters, order by code point
        arguments.append("--lc-ctype=C.UTF-8")
    if not durable:
        arguments.append("--no-sync")
    command = guarded_command(cluster.account, "SIGTERM", [str(cluster.binaries.initdb), *arguments])
    options = guarded_options()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as child:  # noqa: S603
        try:
            said, _ = child.communicate()
        except BaseException:
            child.terminate()  # initdb then takes away what it made
            raise
    if child.returncode != 0:
        tail = said.decode(errors="replace").strip()[-1500:]
        raise PostgresError(f"PostgreSQL could not make a database in {cluster.home}. It said:\n{tail}")


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _check_version(cluster: Cluster) -> None:
    made_by = (cluster.data / "PG_VERSION").read_text().strip()
    if made_by != str(cluster.binaries.major):
        raise PostgresError(
            f"The database in {cluster.data} was made by PostgreSQL {made_by}, but the programs in "
            f"{cluster.binaries.folder} are version {cluster.binaries.major}. Set PG_BIN to the programs of "
            f"PostgreSQL {made_by}, or move the data over with pg_dump and a new DATA_DIR."
        )
