"""Server of an application on a socket, until a signal."""

import asyncio
import logging
import signal
import socket
from typing import Any, cast

import uvicorn

from app import __version__
from app.server.capacity import Bounds, State, bounds_for, raise_descriptor_limit
from app.server.protocol import Protocol
from app.server.reader import Reader

log = logging.getLogger(__name__)

#: Seconds for requests in progress after the server was asked to stop.
STOP_SECONDS = 5
_BACKLOG = 512
_NOT_SENT_BYTES = 64 * 1024


class Server(uvicorn.Server):
    """uvicorn's server with limits on connections and requests."""

    def __init__(self, config: uvicorn.Config, bounds: Bounds) -> None:
        super().__init__(config)
        self.server_state: State = State(bounds)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            log.info("Darkroom %s serves %s (documentation of the API: %s/docs)", __version__, address, address)

    async def on_tick(self, counter: int) -> bool:
        """Check each connection every second. uvicorn calls this ten times a second."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in tuple(self.server_state.connections):
                cast("Protocol", connection).check(now)
        return await super().on_tick(counter)

    def stop(self, *_: object) -> None:
        """Stop serving."""
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Bind a TCP socket. Raises `OSError` or `OverflowError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _limit_send_buffers(listener: socket.socket) -> None:
    """Limit the unsent bytes of responses that the system buffers: by default megabytes for each connection.

    Bytes in flight do not count, so throughput is the same.
    """
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_BYTES)


def serve(app: Any, listener: socket.socket, bounds: Bounds | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Configure logging before."""
    _limit_send_buffers(listener)
    descriptors = raise_descriptor_limit()
    bounds = bounds or bounds_for(descriptors)
    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", Reader),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=bounds.keep_alive_seconds,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = Server(config, bounds)
    # uvicorn raises the signal again after it has stopped. These handlers then let the process exit with 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.stop)
    server.run(sockets=[listener])
    log.info("stopped")
