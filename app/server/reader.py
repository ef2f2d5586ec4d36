"""Reader of connections: limits the bytes that are parsed at once."""

import asyncio
from typing import Any, cast

import uvicorn

from app.server.capacity import State
from app.server.protocol import Protocol


class Reader(asyncio.BufferedProtocol):
    """Reads for a `Protocol`: few bytes at once where parsing is slow, so that no client delays the others."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: State,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._protocol = Protocol(config, server_state, app_state, _loop)
        self._buffer = server_state.buffer

    def get_buffer(self, _sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        return self._buffer[: self._protocol.read_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._protocol.data_received(self._buffer[:nbytes])

    def eof_received(self) -> bool:
        """See `asyncio.BufferedProtocol`."""
        return self._protocol.eof_received()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._protocol.connection_made(cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._protocol.resume_writing()
