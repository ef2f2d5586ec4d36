"""Lingering close (RFC 9112 section 9.6): responses that are sent before the request body was read to its end.

If a server closes a connection with unread bytes, it is reset, and the client may lose the response. So the whole
response is sent but not ended, more of the body is read and discarded, and then the connection is closed.
"""

import time
from collections.abc import Awaitable

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.http_middleware import HttpMiddleware

#: Most seconds for which the rest of a body is discarded.
SECONDS = 2.0

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_SMALL_BYTES = 64 * 1024
_SMALL_SECONDS = 0.1


class LingeringClose(HttpMiddleware):
    """After a response, discard the unread rest of the request body for at most `SECONDS`."""

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """See `HttpMiddleware`."""
        if not any(name in _FRAMING for name, _ in scope["headers"]):  # no body
            return self._app(scope, receive, send)
        exchange = _Exchange(scope, receive, send)
        return self._app(scope, exchange.receive, exchange.send)


class _Exchange:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self._send = send
        self._unread = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        length = headers.get("content-length", "")
        self._small = length.isascii() and length.isdigit() and int(length[:20]) <= _SMALL_BYTES
        # Such a client sends no body before `100 Continue`, which the first `receive` causes.
        self._silent = headers.get("expect", "").lower() == "100-continue"
        self._draining = False
        self._cut_off = False  # the connection cannot be reused

    async def receive(self) -> Message:
        self._silent = False
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._cut_off = self._cut_off or self._unread
            self._unread = False
        elif not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] == "http.response.body" and self._draining and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain(SECONDS)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        if self._unread and not self._silent:
            # A small body has usually been received by now; then the connection can be reused.
            await (self._drain(_SMALL_SECONDS) if self._small else self._drain_once(0))
        if self._unread or self._cut_off:
            MutableHeaders(scope=message)["Connection"] = "close"
            self._draining = not self._silent
        await self._send(message)

    async def _drain(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._unread and (left := end - time.monotonic()) > 0:
            await self._drain_once(left)

    async def _drain_once(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self.receive()
