"""Files: local disk today, behind one interface that S3 and others fit.

Objects live under random keys that the service makes itself, so no name that a user sent is ever a path.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Protocol

import obstore
from obstore.store import LocalStore

from backend.core.errors import NotFound, Unavailable

_CHUNK = 1024 * 1024


class Files(Protocol):
    """What the service asks of a store."""

    async def put(self, content: BinaryIO) -> str:
        """Keep the content and answer its key."""

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """The content, in chunks."""

    async def delete(self, key: str) -> None:
        """Forget it; forgetting twice is one."""


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
        try:
            await obstore.delete_async(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return
