"""An id for every request, and one line in the log."""

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("app.access")

#: The name under which the state of a request holds what else its log line is to say, as a mapping.
INVOCATION = "invocation"

_GOOD = re.compile(r"[A-Za-z0-9._:=-]{1,128}")  # an HTTP API's ids end in "="
_CLIENT_GONE = 499  # nginx's word for it; never sent


def is_request_id(text: str) -> bool:
    """Whether the text is taken as the id of a request."""
    return _GOOD.fullmatch(text) is not None


class RequestIds:
    """Takes a well-formed `X-Request-Id` or makes one, answers with it, and logs what became of the request.

    The log line has no query, header or body: they may hold secrets.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if is_request_id(given) else uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status, received, sent = _CLIENT_GONE, 0, 0
        started = time.monotonic()

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        finally:
            method, path = scope["method"], _printable(scope)
            milliseconds = round((time.monotonic() - started) * 1000, 1)
            extra = {
                "request_id": request_id,
                "method": method,
                "path": path,
                "status": status,
                "ms": milliseconds,
                "bytes_in": received,
                "bytes_out": sent,
                "client": (scope.get("client") or (None,))[0],
                **state.get(INVOCATION, {}),
            }
            log.info("%s %s %d %.1f ms", method, path, status, milliseconds, extra=extra)


def _printable(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return ascii(raw.partition(b"?")[0].decode("latin-1"))[1:-1][:300]
