"""uvicorn's HTTP/1.1 protocol with time-outs, refusals as problem documents, and responses to half-closed clients.

Checked against uvicorn 0.54. It relies on the attributes of `H11Protocol` and `RequestResponseCycle`.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

import h11
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol, RequestResponseCycle

from app.api.http.statuses import PHRASES
from app.api.middleware.server_refusals import REFUSAL
from app.domain.errors import RequestError
from app.server.capacity import MOST_READ, State
from app.server.framing import Connection, KnownBody
from app.server.refusals import INCOMPLETE_HEAD, OVERLOADED, late_head

# uvicorn uses the interpreter's phrases, which changed in Python 3.13.
STATUS_PHRASES.update({status: phrase.encode() for status, phrase in PHRASES.items()})

#: Bytes that the application may write before it has to wait, in addition to the system's buffer.
_UNSENT_BYTES = 16 * 1024
#: Bytes of a body that may wait for the application, by the number of requests in progress.
_MOST_WAITING = 1024 * 1024
_MOST_WAITING_OF_MANY = 64 * 1024
_FEW_REQUESTS = 32
_RESET = struct.pack("ii", 1, 0)


class Protocol(H11Protocol):
    """One connection."""

    server_state: State
    conn: Connection  # type: ignore[assignment]

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: State,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = Connection()
        self.app = self._run
        self._half_closed = False
        self._refused = False
        self._served = False
        self._stopping = False
        self._idle_since = self.loop.time()
        self._resumed = 0
        self._unsent = (0.0, 0, 0)

    @property
    def in_progress(self) -> bool:
        """True from a request's head to the end of its response."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def read_bytes(self) -> int:
        """Bytes to read at once: few where parsing them can be slow."""
        if self._refused:
            return MOST_READ
        if self.conn.body is not None and self.conn.body.left:
            return min(self.conn.body.left, MOST_READ)
        return 32 * 1024 if self.conn.chunk_bytes >= 1024 else 4 * 1024

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection; close the longest idle one if there are too many."""
        transport.set_write_buffer_limits(_UNSENT_BYTES)
        super().connection_made(transport)
        waiting = self.server_state.waiting
        waiting[self] = None
        if len(self.connections) > self.server_state.most_connections:
            oldest = next(iter(waiting))
            del waiting[oldest]
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self.server_state.waiting.pop(self, None)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes | memoryview) -> None:
        """Parse received bytes, which are copied; discard them after a refusal."""
        if self._refused:
            return
        if self._served and not self.in_progress and self.conn.their_state is h11.IDLE and not self.conn.head_begun:
            self._idle_since = self.loop.time()
        super().data_received(cast("bytes", data))

    def handle_events(self) -> None:
        """Start the next request, or refuse it."""
        super().handle_events()
        if (body := self.conn.body) is not None and body.waiting:
            self._deliver(body)
        if self.conn.refusal is not None and not self._refused:
            self._refuse(self.conn.refusal)
        if self.in_progress:
            self.server_state.waiting.pop(self, None)

    def _deliver(self, body: KnownBody) -> None:
        if not self.in_progress:
            body.discard()
            return
        few = self.server_state.in_progress <= _FEW_REQUESTS
        if body.waiting >= (_MOST_WAITING if few else _MOST_WAITING_OF_MANY):
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Finish the request in progress: a client that has closed its side of the connection can still read."""
        self._half_closed = True
        if self.in_progress:
            self.cycle.message_event.set()
        elif self.conn.head_begun and not self._refused:
            self._refuse(INCOMPLETE_HEAD)
        return self.in_progress

    def on_response_complete(self) -> None:
        """Wait for the next request, or close the connection if none can follow."""
        self._served = True
        if self._refused:
            return
        super().on_response_complete()
        if self.in_progress or self.transport.is_closing():
            return
        if self._half_closed:
            self.transport.close()
            return
        self._idle_since = self.loop.time()
        self.server_state.waiting[self] = None

    def resume_writing(self) -> None:
        """Record that the client has read."""
        self._resumed += 1
        super().resume_writing()

    def shutdown(self) -> None:
        """Close the connection, after the response to the request in progress."""
        super().shutdown()
        self._stopping = True
        if self.in_progress and not self.cycle.more_body:
            self.cycle.message_event.set()

    def check(self, now: float) -> None:
        """Disconnect a client that is too slow. The server calls this every second."""
        bounds = self.server_state.bounds
        if not (self.in_progress or self._refused or self.transport.is_closing()):
            # uvicorn's own `timeout_keep_alive` ends with the first byte after a response, even of an empty line.
            keeps_alive = self._served and not self.conn.head_begun
            seconds = bounds.keep_alive_seconds if keeps_alive else bounds.head_seconds
            if now - self._idle_since > seconds:
                if self.conn.head_begun:
                    self._refuse(late_head(seconds))
                else:
                    self.transport.close()
        unsent = self.transport.get_write_buffer_size()
        since, before, resumed = self._unsent
        if not unsent or not before or before - unsent >= bounds.stall_bytes or resumed != self._resumed:
            self._unsent = (now, unsent, self._resumed)
        elif now - since > bounds.stall_seconds:
            # Reset the connection: otherwise the system keeps the unsent bytes.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()

    def _should_upgrade(self) -> bool:
        return False  # no other protocol is offered: ignore `Upgrade` (RFC 9110 section 7.8)

    def _refuse(self, refusal: RequestError) -> None:
        """Answer with a problem document and close. A request in progress ends with it if it needs more input."""
        self._refused = True
        self._unset_keepalive_if_required()
        self.server_state.waiting.pop(self, None)
        self.flow.resume_reading()
        if self.in_progress:
            self.cycle.scope["state"][REFUSAL] = refusal
        elif self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()
            return
        else:
            self.cycle = self._refusing_cycle(refusal)
            task = self.loop.create_task(self.cycle.run_asgi(self.app))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)
        self.cycle.keep_alive = False
        self.cycle.transport = _Lingering(self.transport, self._linger)
        self.cycle.message_event.set()

    def _refusing_cycle(self, refusal: RequestError) -> RequestResponseCycle:
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": "http",
            "method": "GET",
            "root_path": self.root_path,
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [],
            "state": {**self.app_state, REFUSAL: refusal},
        }
        cycle = RequestResponseCycle(
            scope=self.scope,
            conn=cast("h11.Connection", self.conn),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        return cycle

    def _linger(self) -> None:
        self.server_state.waiting[self] = None
        if self._half_closed or self.transport.is_closing():
            self.transport.close()
        else:
            self.transport.write_eof()
            self.loop.call_later(self.server_state.bounds.linger_seconds, self.transport.close)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application. It receives a disconnect if no further input can come, and can still respond."""
        cycle = self.cycle
        if self.server_state.overloaded:
            scope["state"].setdefault(REFUSAL, OVERLOADED)
        body = self.conn.body
        complete = False

        async def receiving() -> Message:
            nonlocal complete
            if complete:
                # The first message may be due to pieces that were taken without waiting.
                while not (self._half_closed or self._refused or self._stopping):
                    if (await receive())["type"] == "http.disconnect":
                        break
                return {"type": "http.disconnect"}
            piece = body.take() if body and not cycle.waiting_for_100_continue else b""
            if not piece:
                if self._cut_off(cycle) and not (body.waiting if body else cycle.body):
                    return {"type": "http.disconnect"}
                message = await receive()
                if message["type"] != "http.request":
                    return message
                piece = body.take() if body else message["body"]
                if self._cut_off(cycle) and not piece:
                    return {"type": "http.disconnect"}
            complete = not (cycle.more_body or (body and body.waiting))
            return {"type": "http.request", "body": piece, "more_body": not complete}

        await self.config.loaded_app(scope, receiving, send)

    def _cut_off(self, cycle: RequestResponseCycle) -> bool:
        return cycle.more_body and (self._half_closed or self._refused)


class _Lingering(asyncio.Transport):
    """Transport of a refused request: `close` starts a lingering close."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._close = close

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.WriteTransport`."""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Start the lingering close."""
        self._close()
