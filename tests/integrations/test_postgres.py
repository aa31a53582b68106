"""The embedded PostgreSQL as its callers and their operators meet it: real servers, real signals, no network."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from backend.integrations.postgres import AlreadyRunning, PostgresError, embedded_postgres, hold_server_lock
from backend.integrations.postgres import binaries as binaries_module
from backend.integrations.postgres import cluster as cluster_module
from backend.integrations.postgres.account import Account
from backend.integrations.postgres.binaries import find_binaries

ROOT = Path(__file__).parents[2]
AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can lend PostgreSQL another user")

OWNER = """
import os, sys
from pathlib import Path
from backend.integrations.postgres import embedded_postgres
folder, durable, warm, uid, gid, python, pg_bin = sys.argv[1:8]
if warm:  # load every module while root can still read it, then become an ordinary user for good
    with embedded_postgres(Path(warm), durable=False):
        pass
    os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
    sys.executable = python
with embedded_postgres(Path(folder), pg_bin=Path(pg_bin) if pg_bin else None, durable=bool(durable)) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A parent for data folders that every user can reach (pytest's own, under root, is closed to others)."""
    if not AS_ROOT:
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(prefix="backdrop-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def owner(
    data_dir: Path, *extra: str, durable: bool = False
) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """Another process that runs the server until its input is closed or it is killed; with a function that waits."""
    arguments = [str(data_dir), "yes" if durable else "", *(extra or ("", "", "", "", ""))]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline
        finally:
            process.stdin.close()
            process.wait(20)


def run(dsn: str, sql: str) -> Any:
    """The single value a statement answers with."""

    async def ask() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def home(data_dir: Path) -> Path:
    return data_dir / "postgres"


def postmaster(data_dir: Path) -> int:
    return int((home(data_dir) / "data" / "postmaster.pid").read_text().split()[0])


def family(pid: int) -> list[int]:
    """A process and its children."""
    pids = [pid]
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{pid}\n" in status.read_text():
                pids.append(int(status.parent.name))
    assert len(pids) > 3, "a running server has several processes"
    return pids


def is_running(pid: int) -> bool:
    """Alive, and not merely waiting for init to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def wait_until_gone(pids: list[int], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_makes_a_durable_private_database(folder: Path) -> None:
    data_dir = folder / "new" / ".data"
    with embedded_postgres(data_dir) as dsn:
        assert dsn.startswith("postgresql://")
        names = ["fsync", "synchronous_commit", "full_page_writes", "data_checksums"]
        assert [run(dsn, f"SHOW {name}") for name in names] == ["on"] * 4
        assert run(dsn, "SHOW listen_addresses") == ""
        assert run(dsn, "SHOW timezone") == "UTC"
        assert run(dsn, "SHOW server_encoding") == "UTF8"
        assert run(dsn, "SHOW max_connections") == "100"
        assert run(dsn, "SELECT current_database()") == "backdrop"
        assert run(dsn, "SELECT upper('é')") == "É"
        sockets = Path(run(dsn, "SHOW unix_socket_directories"))
        assert mode(sockets) == 0o700
        with pytest.raises(asyncpg.InvalidPasswordError):
            run(dsn.replace("backdrop:", "backdrop:x"), "SELECT 1")
        pids = family(postmaster(data_dir))
        assert os.getsid(pids[0]) == pids[0], "a Ctrl-C of the terminal must not reach PostgreSQL"
    wait_until_gone(pids, 0)
    assert not sockets.exists()
    assert mode(home(data_dir) / "password") == 0o600
    assert mode(home(data_dir) / "data") == 0o700
    assert (home(data_dir) / "data" / "PG_VERSION").exists()


def test_libpq_tools_take_the_dsn_too(folder: Path) -> None:
    with embedded_postgres(folder, durable=False) as dsn:
        binaries = find_binaries(None, Account(os.geteuid(), os.getegid(), "me", dropped=False))
        if not (binaries.folder / "psql").exists():
            pytest.skip("these programs have no psql")
        said = subprocess.check_output([binaries.folder / "psql", "-XAt", dsn, "-c", "SELECT 6 * 7"])
        assert said == b"42\n"


def test_the_second_start_finds_the_same_data_and_is_quick(folder: Path) -> None:
    with embedded_postgres(folder, durable=False) as dsn:
        run(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    password = (home(folder) / "password").read_text()
    before = time.monotonic()
    with embedded_postgres(folder, durable=False) as dsn:
        assert time.monotonic() - before < 2
        assert run(dsn, "SELECT n FROM kept") == 7
    assert (home(folder) / "password").read_text() == password


def test_a_dropped_database_is_made_again(folder: Path) -> None:
    with embedded_postgres(folder, durable=False) as dsn:
        run(dsn.replace("/backdrop?", "/postgres?"), "DROP DATABASE backdrop")
    with embedded_postgres(folder, durable=False) as dsn:
        assert run(dsn, "SELECT current_database()") == "backdrop"


def test_it_starts_inside_a_running_event_loop(folder: Path) -> None:
    async def lifespan() -> str:
        with embedded_postgres(folder, durable=False) as dsn:
            connection = await asyncpg.connect(dsn)
            await connection.close()
            return dsn

    assert "backdrop" in asyncio.run(lifespan())


def test_a_second_process_uses_the_running_server_and_leaves_it_running(folder: Path) -> None:
    with owner(folder) as (_, ready):  # not waited for: attaching waits by itself, through the first start
        while not (folder / "postgres.lock").exists():
            time.sleep(0.01)
        with embedded_postgres(folder) as dsn:
            pid = postmaster(folder)
            assert run(dsn, "SELECT 1") == 1
        assert ready().strip() == dsn
        assert postmaster(folder) == pid
        assert run(dsn, "SELECT 1") == 1
    assert not (folder / "postgres.json").exists()


def test_a_server_that_may_not_attach_is_told_who_runs(folder: Path) -> None:
    with owner(folder) as (process, ready):
        ready()
        with (
            pytest.raises(AlreadyRunning, match=rf"{folder} is already in use by process {process.pid}\. Stop"),
            embedded_postgres(folder, attach=False, wait=0.1),
        ):
            pytest.fail("two servers on one folder")


def test_a_server_waits_for_a_predecessor_that_is_still_stopping(folder: Path) -> None:
    with owner(folder) as (process, ready):
        ready()
        first = postmaster(folder)
        assert process.stdin is not None
        process.stdin.close()
        with embedded_postgres(folder, attach=False, durable=False) as dsn:
            assert run(dsn, "SELECT 1") == 1
            assert postmaster(folder) != first


def test_the_server_lock_names_its_holder_and_is_free_again(tmp_path: Path) -> None:
    with hold_server_lock(tmp_path):
        before = time.monotonic()
        with (
            pytest.raises(AlreadyRunning, match=rf"already running.*{tmp_path} \(process {os.getpid()}\)"),
            hold_server_lock(tmp_path, wait=0.2),
        ):
            pytest.fail("two holders")
        assert 0.2 <= time.monotonic() - before < 2
    with hold_server_lock(tmp_path, wait=0):
        pass


def test_a_path_with_spaces_and_of_great_length(folder: Path) -> None:
    data_dir = folder / "my sister's façade" / ("long " * 30).strip()
    with embedded_postgres(data_dir, durable=False) as dsn:
        assert run(dsn, "SELECT 1") == 1
        assert home(data_dir).exists()


def test_kill_9_of_the_owner_leaves_nothing_and_the_next_start_has_the_data(folder: Path) -> None:
    with owner(folder) as (process, ready):
        dsn = ready().strip()
        run(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        pids = family(postmaster(folder))
        sockets = Path(run(dsn, "SHOW unix_socket_directories"))
        process.kill()
        process.wait()
    with embedded_postgres(folder, durable=False) as dsn:  # at once: the orphan may still be writing its checkpoint
        wait_until_gone(pids, 0)
        assert run(dsn, "SELECT n FROM kept") == 7
        assert not sockets.exists()
    log = (home(folder) / "server.log.1").read_text()
    assert "fast shutdown request" in log
    assert "database system is shut down" in log


def test_kill_9_of_everything_is_recovered_from(folder: Path) -> None:
    with owner(folder, durable=True) as (process, ready):
        run(ready().strip(), "CREATE TABLE kept AS SELECT 7 AS n")
        pids = family(postmaster(folder))
        os.kill(pids[0], signal.SIGSTOP)  # so that the death of its parent cannot stop it politely
        process.kill()
        process.wait()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert (home(folder) / "data" / "postmaster.pid").exists()
    with embedded_postgres(folder, durable=False) as dsn:
        assert run(dsn, "SELECT n FROM kept") == 7


def test_a_stale_pid_file_does_not_cost_an_unrelated_process_its_life(folder: Path) -> None:
    with embedded_postgres(folder, durable=False):
        text = (home(folder) / "data" / "postmaster.pid").read_text()
    uid = (home(folder) / "data").stat().st_uid
    # Of the same user as PostgreSQL and in its data folder: only its name tells that it is not one of ours.
    with subprocess.Popen(["sleep", "60"], user=uid if AS_ROOT else None, cwd=home(folder) / "data") as stranger:
        pid_file = home(folder) / "data" / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n" + text.split("\n", 1)[1])
        if AS_ROOT:
            os.chown(pid_file, uid, -1)
        try:
            with embedded_postgres(folder, durable=False) as dsn:
                assert run(dsn, "SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_an_empty_pid_file_does_not_stop_the_start(folder: Path) -> None:
    with embedded_postgres(folder, durable=False):
        pass
    (home(folder) / "data" / "postmaster.pid").touch()
    with embedded_postgres(folder, durable=False) as dsn:
        assert run(dsn, "SELECT 1") == 1


def test_an_interrupted_first_start_does_not_poison_the_next(folder: Path) -> None:
    with owner(folder) as (process, _):
        deadline = time.monotonic() + 10
        while not list(home(folder).glob("initdb-*/data/global")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert not (home(folder) / "data").exists()
    with embedded_postgres(folder, durable=False) as dsn:
        assert run(dsn, "SELECT 1") == 1
    assert not list(home(folder).glob("initdb-*"))


def test_files_that_are_no_database_are_left_alone(folder: Path) -> None:
    (home(folder) / "data").mkdir(parents=True)
    (home(folder) / "data" / "letter.txt").write_text("dear")
    with pytest.raises(PostgresError, match="holds files but no PostgreSQL database"), embedded_postgres(folder):
        pytest.fail("started")
    assert (home(folder) / "data" / "letter.txt").read_text() == "dear"


def test_data_of_another_major_version_is_refused_in_a_sentence(folder: Path) -> None:
    with embedded_postgres(folder, durable=False):
        pass
    (home(folder) / "data" / "PG_VERSION").write_text("14\n")
    with (
        pytest.raises(PostgresError, match=r"was made by PostgreSQL 14, but .* are version \d+\. Set PG_BIN"),
        embedded_postgres(folder, durable=False),
    ):
        pytest.fail("started")


def test_a_failed_start_shows_the_end_of_the_log_and_frees_the_folder(folder: Path) -> None:
    with embedded_postgres(folder, durable=False):
        pass
    settings = home(folder) / "data" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "\nno_such_setting = 1\n")
    with pytest.raises(PostgresError, match=r"(?s)did not start from .*no_such_setting"), embedded_postgres(folder):
        pytest.fail("started")
    settings.write_text(good)
    with embedded_postgres(folder, durable=False) as dsn:
        assert run(dsn, "SELECT 1") == 1


OTHERS = sorted(Path("/usr/lib/postgresql").glob("1[5-8]/bin/initdb"))


@pytest.mark.parametrize("initdb", OTHERS, ids=lambda path: path.parts[-3])
def test_pg_bin_brings_another_postgresql(folder: Path, initdb: Path) -> None:
    with embedded_postgres(folder, pg_bin=initdb.parent, durable=False) as dsn:
        assert run(dsn, "SHOW server_version").startswith(initdb.parts[-3])
        assert run(dsn, "SHOW data_checksums") == "on"
        assert run(dsn, "SELECT upper('é')") == "É"


def test_pg_bin_without_programs_is_a_sentence(folder: Path) -> None:
    with (
        pytest.raises(PostgresError, match=r"PG_BIN names the folder .* which has no program postgres and initdb"),
        embedded_postgres(folder, pg_bin=folder),
    ):
        pytest.fail("started")


@needs_root
@pytest.mark.parametrize("name", ["nobody", "daemon"])
def test_root_lends_an_unprivileged_user(folder: Path, name: str) -> None:
    entry = pwd.getpwnam(name)
    data_dir = folder / "owned"
    data_dir.mkdir()
    if name != "nobody":
        os.chown(data_dir, entry.pw_uid, entry.pw_gid)
    with embedded_postgres(data_dir, durable=False):
        status = Path(f"/proc/{postmaster(data_dir)}/status").read_text()
        assert f"\nUid:\t{entry.pw_uid}\t{entry.pw_uid}\t{entry.pw_uid}\t{entry.pw_uid}\n" in status
        assert f"\nGid:\t{entry.pw_gid}\t" in status
        assert "\nGroups:\t \n" in status
        assert "\nCapPrm:\t0000000000000000\n" in status


@needs_root
def test_root_moves_the_database_when_the_lent_user_cannot_reach_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster_module, "SYSTEM", folder / "var lib")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    old_umask = os.umask(0o077)
    try:
        for _ in range(2):
            with embedded_postgres(closed / "data", durable=False) as dsn:
                assert run(dsn, "SELECT 1") == 1
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            assert str(folder / "var lib") in said
    finally:
        os.umask(old_umask)
    assert mode(closed) == 0o700
    assert mode(tmp_path) == 0o700
    assert not (closed / "data" / "postgres").exists()
    assert len(list((folder / "var lib").iterdir())) == 1


@needs_root
def test_root_copies_programs_that_the_lent_user_cannot_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries_module, "CACHE", folder / "var cache")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    original = find_binaries(None, Account(0, 0, "root", dropped=False)).folder.parent
    package, copy = original.parent, closed / original.parent.name / original.name
    (copy / "bin").mkdir(parents=True, mode=0o700)
    for name in ("postgres", "initdb"):
        shutil.copy(original / "bin" / name, copy / "bin" / name)
        (copy / "bin" / name).chmod(0o700)
    for name in ("lib", "share"):
        shutil.copytree(original / name, copy / name, symlinks=True)
    libraries = f"{package.name}.libs"
    if package.with_name(libraries).exists():  # where a wheel keeps what its programs are linked to
        shutil.copytree(package.with_name(libraries), closed / libraries)
    for _ in range(2):
        with embedded_postgres(folder / "data", pg_bin=copy / "bin", durable=False):
            command = Path(f"/proc/{postmaster(folder / 'data')}/cmdline").read_text()
    assert command.startswith(str(folder / "var cache"))
    assert mode(closed) == 0o700
    assert mode(copy / "bin") == 0o700
    assert len(list((folder / "var cache").iterdir())) == 1


@needs_root
def test_an_ordinary_user_has_all_of_it(folder: Path) -> None:
    """The same program after it gave up root: first start, kill -9, and a start with the data still there."""
    entry = pwd.getpwnam("daemon")
    user = Account(entry.pw_uid, entry.pw_gid, "daemon", dropped=True)
    python = next((path for path in (sys.executable, "/usr/bin/python3") if _runs(user, path)), None)
    if python is None:
        pytest.skip("no Python here that an ordinary user can run")
    data_dir = folder / "data"
    data_dir.mkdir()
    os.chown(data_dir, user.uid, user.gid)
    extra = (str(folder / "warm"), str(user.uid), str(user.gid), python, str(find_binaries(None, user).folder))
    with owner(data_dir, *extra) as (process, ready):
        run(ready().strip(), "CREATE TABLE kept AS SELECT 7 AS n")
        assert Path(f"/proc/{process.pid}").stat().st_uid == user.uid
        assert {path.stat().st_uid for path in home(data_dir).iterdir()} == {user.uid}
        assert mode(home(data_dir)) == 0o700
        pids = family(postmaster(data_dir))
        process.kill()
        process.wait()
    with owner(data_dir, *extra) as (_, ready):
        assert run(ready().strip(), "SELECT n FROM kept") == 7
        wait_until_gone(pids, 0)


def _runs(user: Account, python: str) -> bool:
    try:
        return user.run([python, "-c", "import ctypes"]).returncode == 0
    except OSError:
        return False
