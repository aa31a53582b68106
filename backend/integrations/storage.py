"""Files: local disk today, behind one interface that S3 and others fit.

Objects live under random keys that the service makes itself, so no name that a user sent is ever a path.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

import obstore
from obstore.store import LocalStore

from backend.core.errors import NotFound, Unavailable

_CHUNK = 1024 * 1024
_OURS = re.compile(r"[0-9a-f]{32}(#\d+)?")  # a key; obstore adds a number while a file is being written


class Files(Protocol):
    """What the service asks of a store."""

    async def put(self, content: BinaryIO) -> str:
        """Keep the content and answer its key."""

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """The content, in chunks."""

    async def delete(self, key: str) -> None:
        """Forget it; forgetting twice is one."""

    async def stored(self, before: datetime) -> list[str]:
        """The keys of what was stored before a moment, parts of broken-off uploads among them."""

    async def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of the keys under which nothing is stored."""


class Storage(Files):
    """A folder. It is made at the first write, and never served as a static folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._opened: LocalStore | None = None

    @property
    def _store(self) -> LocalStore:
        if self._opened is None:
            self._opened = LocalStore(self._folder, mkdir=True)
        return self._opened

    async def put(self, content: BinaryIO) -> str:
        """Stream the content to disk under a new key. Raises Unavailable when the disk will not take it."""
        key = secrets.token_hex(16)
        try:
            await obstore.put_async(self._store, key, content, chunk_size=_CHUNK)
        except (OSError, obstore.exceptions.BaseError) as error:
            raise Unavailable(
                "The file cannot be stored right now; try again shortly.", code="storage_unavailable"
            ) from error
        return key

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """The content in chunks. Raises NotFound when it is gone."""
        try:
            found = await obstore.get_async(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            raise NotFound("The file of this script is missing.", code="file_missing") from None
        except (OSError, obstore.exceptions.BaseError) as error:
            raise Unavailable(
                "The file cannot be read right now; try again shortly.", code="storage_unavailable"
            ) from error

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in found.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

        return chunks()

    async def delete(self, key: str) -> None:
        """Forget the content."""
        await asyncio.to_thread((self._folder / key).unlink, missing_ok=True)

    async def stored(self, before: datetime) -> list[str]:
        """The names of our files in the folder that were last written before a moment; others are not looked at."""
        return await asyncio.to_thread(self._stored, before.timestamp())

    def _stored(self, before: float) -> list[str]:
        if not self._folder.exists():
            return []
        with os.scandir(self._folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if _OURS.fullmatch(entry.name)
                and entry.is_file(follow_symlinks=False)
                and entry.stat(follow_symlinks=False).st_mtime < before
            )

    async def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of the keys under which there is no file."""
        return await asyncio.to_thread(lambda: [key for key in keys if not (self._folder / key).is_file()])
