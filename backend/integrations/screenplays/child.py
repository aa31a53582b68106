"""Reading a script in a process of its own, with limits on time and memory: a hostile file ends only itself.

Run as a program it reads a file from standard input and writes its scenes, or why there are none, to standard output.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .elements import UnreadableError

SECONDS = 10
MEMORY = 256 * 1024 * 1024
MOST_OUTPUT = 64 * 1024 * 1024
_ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from {__name__} import main; main(sys.argv[1])"


async def read_in_child(content: AsyncIterator[bytes], extension: str) -> list[dict[str, Any]]:
    """The scenes of a file as plain values (the fields of `Scene`). Raises UnreadableError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-c",
        _PROGRAM,
        extension,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=MOST_OUTPUT,
    )
    try:
        async with asyncio.timeout(SECONDS + 5):
            output, _ = await asyncio.gather(_collect(process), _feed(process, content))
            await process.wait()
    except (TimeoutError, ValueError):
        raise UnreadableError("Reading this file takes too long.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise UnreadableError("Reading this file takes more time or memory than a script may.")
    answer = json.loads(output)
    if "reason" in answer:
        raise UnreadableError(answer["reason"])
    scenes: list[dict[str, Any]] = answer["scenes"]
    return scenes


async def _collect(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    while chunk := await process.stdout.read(1 << 16):
        output += chunk
        if len(output) > MOST_OUTPUT:
            raise ValueError("more output than a script makes")
    return bytes(output)


async def _feed(process: asyncio.subprocess.Process, content: AsyncIterator[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        async for chunk in content:
            process.stdin.write(chunk)
            await process.stdin.drain()
        process.stdin.close()


def main(extension: str) -> None:
    """The child: limits first, then the file."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from . import read_scenes  # noqa: PLC0415 under the limits

    try:
        scenes = read_scenes(sys.stdin.buffer, extension)
        answer: dict[str, Any] = {"scenes": [scene.values() for scene in scenes]}
    except UnreadableError as error:
        answer = {"reason": str(error)}
    except (MemoryError, RecursionError):
        answer = {"reason": "Reading this file takes more memory than a script may."}
    sys.stdout.buffer.write(json.dumps(_storable(answer)).encode())


def _storable(value: Any) -> Any:
    """The value with text that PostgreSQL keeps: no NUL, no half of a surrogate pair."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _storable(each) for key, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list | tuple) else value
