"""Importing the service does nothing: no file, no socket, no process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The libraries are imported first; what is recorded is then ours alone.
PROGRAM = """
import importlib, pkgutil, sys
import backend

def modules():
    for found in pkgutil.walk_packages(backend.__path__, "backend."):
        if found.name != "backend.__main__":
            importlib.import_module(found.name)

modules()
importlib.import_module("backend.__main__")
for name in [each for each in sys.modules if each.split(".")[0] == "backend"]:
    del sys.modules[name]
seen = []
WATCHED = ("open", "socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir", "os.remove", "os.exec", "os.fork")

def watch(event, arguments):
    path = str(arguments[0])
    ours = not path.endswith((".py", ".pyc")) and not path.startswith((sys.prefix, sys.base_prefix))
    if event in WATCHED and (event != "open" or ours):
        seen.append((event, *map(str, arguments)))

sys.addaudithook(watch)
import backend
PLANTED
modules()
importlib.import_module("backend.__main__")
print(seen)
"""


def _import(planted: str = "") -> str:
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("PLANTED", planted)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_touches_neither_disk_nor_network() -> None:
    assert _import() == "[]"


def test_the_watch_would_see_it() -> None:
    assert "socket.connect" in _import("import socket; socket.socket().connect_ex(('127.0.0.1', 9))")
    assert "pyproject.toml" in _import("open('pyproject.toml').close()")
