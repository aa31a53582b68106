"""Connections of slow clients: uvicorn gives a client all the time it wants, we do not.

A request's head has `HEAD_SECONDS`, from the connection and again from its first byte. After an answer to a
request whose body is not all here yet, the client has `LINGER_SECONDS` to read it and leave. A client that reads
nothing of its answer for `READ_SECONDS` is cut off. The pace of a body is the edge's affair (`backend/core/edge.py`),
since a slow body deserves an answer.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
LINGER_SECONDS = 5.0
READ_SECONDS = 20.0


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with an end to its patience."""

    _patience: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def _close_in(self, seconds: float) -> None:
        self._be_patient()
        self._patience = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is awaited."""
        super().connection_made(transport)
        self._close_in(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more; a request that still waits for its turn may know."""
        self._be_patient()
        self._has_read()
        for cycle in (self.cycle, *(queued for queued, _ in self.pipeline)):
            if cycle is not None:
                cycle.scope["state"]["client_left"] = True
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered."""
        super().pause_writing()
        self._must_read()

    def resume_writing(self) -> None:
        """It has read."""
        self._has_read()
        super().resume_writing()

    def _must_read(self) -> None:
        self._has_read()
        self._reading = self.loop.call_later(READ_SECONDS, self._cut_off)

    def _has_read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _cut_off(self) -> None:
        if self.transport.get_write_buffer_size() > 0:  # a close would wait until all is read
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A head has begun. Who is at the other end is noted here, where nothing else can have written it."""
        super().on_message_begin()
        self.scope["state"]["peer"] = self.client[0] if self.client else None
        self._close_in(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._be_patient()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Answered; whoever still sends a body that nobody reads is let go soon."""
        unread = self.cycle is not None and self.cycle.more_body
        super().on_response_complete()
        if self.transport.get_write_buffer_size() > 0:
            self._must_read()
        if unread and not self.transport.is_closing():
            self._close_in(LINGER_SECONDS)

    def on_message_complete(self) -> None:
        """The whole request is here; when it was answered before, the next one is awaited for a moment."""
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self._close_in(LINGER_SECONDS)
