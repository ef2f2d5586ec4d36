"""Answers that come before the request's body has: sent at once, and readable by a client that is still sending.

A server that closes with bytes unread resets the connection, and the reset can overtake the answer. So the answer
goes out whole but unfinished, the rest of the body is thrown away for a moment, and only then is the exchange ended
and the connection closed (the "lingering close" of RFC 9112 section 9.6).
"""

import time

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = 2.0

_SMALL = 64 * 1024
_MOMENT = 0.1


class Draining:
    """Receives for at most `SECONDS` what the application did not, once it has answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        await self._app(scope, exchange.receive, exchange.send)


class _Exchange:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self._send = send
        self._unread = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        length = headers.get("content-length", "")
        self._small = length.isascii() and length.isdigit() and int(length[:20]) <= _SMALL
        # Such a client sends nothing before it is asked to, and asking is what the first `receive` does.
        self._silent = headers.get("expect", "").lower() == "100-continue"
        self._draining = False
        self._cut_off = False  # no further request can follow on the connection

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
            # A small body is here already, or about to be, and then the connection can be kept.
            await (self._drain(_MOMENT) if self._small else self._drain_once(0))
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
