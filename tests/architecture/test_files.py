"""The house stays tidy: sizes, names, and what a room may hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "backend"
FILE_LIMIT, TEST_FILE_LIMIT, FUNCTION_LIMIT, ROUTER_STATEMENTS = 300, 500, 40, 10

# What is longer than the rule, and why.
LONG_FILES: dict[str, str] = {}
LONG_TESTS = {"tests/api/test_bids.py": "every verb of a bid, each from every side"}
LONG_FUNCTIONS = {
    "backend/main.py:create_app": "the one list of everything the application is made of",
    "backend/core/edge.py:__call__": "one request from its id to its log line, in the order it happens",
    "backend/services/bidding/placing.py:_place": "the columns of a new bid",
    "backend/services/bidding/terms.py:new_terms": "the columns of new terms",
}
FORBIDDEN = {"utils", "util", "helpers", "helper", "filters", "crud", "manager", "managers", "misc", "common", "tools"}

# Files that are named by something else than a table's noun, and why.
NO_NOUN = {
    "base": "what every table or schema shares",
    "problems": "errors are answers too",
    "examples": "the values that the documentation shows",
    "service": "what the service says of itself",
    "health": "what the service says of itself",
    "maintenance": "the operator's command line",
    "bidding": "the verbs of bids: the file of bids reads, this one changes",
    "deals": "lock, decide, save: what bids and commitments share",
    "stats": "sums over commitments",
    "operators": "what operators see and do",
    "invariants": "I1–I8 as questions to the database",
    "sessions": "sign-ins, a table of models/users.py",
    "own_sessions": "one's own sign-ins: sessions makes and ends them",
    "passwords": "what users change and reset",
    "verifications": "proofs of addresses, a table of models/users.py",
    "fulfilment": "the verbs of commitments after the spend",
    "suggestions": "placements that a scene's words suggest",
    "excerpts": "what buyers see of a scene",
    "views": "lines of the record: who read a script",
    "drafts": "versions of a script, a table of models/projects.py",
    "demo": "a world to show the product in",
    "catalogues": "skus by the file: one by one they are in skus",
    "files": "what storage keeps for drafts, and what nobody names",
    "leaving": "the end of an account",
    "notifications": "what people are told, queued as mails",
}


def python_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", python_files(BACKEND), ids=name_of)
def test_a_file_and_its_functions_fit_on_a_page(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= FILE_LIMIT or name_of(path) in LONG_FILES, f"{lines} lines: cut it by noun or by verb"
    for function in functions(path):
        length = (function.end_lineno or 0) - function.lineno + 1
        known = f"{name_of(path)}:{function.name}" in LONG_FUNCTIONS
        assert length <= FUNCTION_LIMIT or known, f"{function.name} has {length} lines"


@pytest.mark.parametrize("path", python_files(ROOT / "tests"), ids=name_of)
def test_a_test_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= TEST_FILE_LIMIT or name_of(path) in LONG_TESTS


def test_the_known_exceptions_are_still_exceptions() -> None:
    for name in LONG_FILES:
        assert len((ROOT / name).read_text().splitlines()) > FILE_LIMIT, f"{name} has become short: strike it"


@pytest.mark.parametrize("path", python_files(BACKEND / "routers"), ids=name_of)
def test_a_router_function_is_one_call_of_a_service(path: Path) -> None:
    for function in functions(path):
        count = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
        assert count <= ROUTER_STATEMENTS, f"{function.name} has {count} statements: the rest belongs in a service"


@pytest.mark.parametrize("path", python_files(BACKEND / "routers"), ids=name_of)
def test_a_router_holds_no_sql(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            for module in modules:
                assert module.split(".")[0] not in ("sqlalchemy", "asyncpg"), module
                assert module not in ("backend.core.statements", "backend.core.database"), module
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith(("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ")), node.value


def test_files_are_named_by_noun_and_never_by_kind() -> None:
    for path in python_files(BACKEND):
        parts = {part.removesuffix(".py").strip("_") for part in path.relative_to(BACKEND).parts}
        assert not parts & FORBIDDEN, f"{name_of(path)}: which noun is it about?"


def _nouns(room: str) -> set[str]:
    found = {path.stem for path in (BACKEND / room).glob("*.py")} | {
        path.name for path in (BACKEND / room).iterdir() if path.is_dir() and (path / "__init__.py").exists()
    }
    return found - {"__init__"}


@pytest.mark.parametrize("room", ["routers", "services", "policies", "schemas"])
def test_the_same_noun_has_the_same_file_name_in_every_room(room: str) -> None:
    """So that `ls backend/*/bids.py` is the whole of bids."""
    unknown = _nouns(room) - _nouns("models") - set(NO_NOUN)
    assert not unknown, f"{sorted(unknown)}: no table has this name; is it a noun of the product?"


def test_every_router_has_its_service_and_schemas_under_the_same_name() -> None:
    for noun in _nouns("routers") - {"health"}:
        assert noun in _nouns("services"), noun
        assert noun in _nouns("schemas") or noun in NO_NOUN, noun
