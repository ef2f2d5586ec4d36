"""Request ids, and a report of every request."""

import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.log_fields import log_fields, phase_timer
from app.api.http.rate_limit.fields import get_rate_fields
from app.api.middleware.headers import add_response_headers
from app.api.middleware.http_middleware import HttpMiddleware
from app.api.middleware.server_refusals import REFUSAL
from app.domain.reports import RequestReport, RequestReporter

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:=-]{1,128}")  # an HTTP API's ids end in "="
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_CLOSED = 499  # nginx's status of a closed connection; only logged


def is_request_id(text: str) -> bool:
    """Return True if the text is accepted as a request id."""
    return _REQUEST_ID.fullmatch(text) is not None


class RequestLog(HttpMiddleware):
    """Assign the request id (a valid `X-Request-Id`, or a new one), return it with the default headers, and report the
    request."""

    def __init__(self, app: ASGIApp, reporter: RequestReporter) -> None:
        super().__init__(app)
        self._reporter = reporter

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `HttpMiddleware`."""
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        request_id = given if is_request_id(given) else f"{random.getrandbits(128):032x}"
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status, received, sent = _CLIENT_CLOSED, 0, 0
        whole, cut_off = False, False
        started = time.monotonic()

        async def receiving() -> Message:
            nonlocal received, whole, cut_off
            message = await receive()
            if message["type"] == "http.disconnect":
                cut_off = not whole and REFUSAL not in state
            else:
                received += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = _CLIENT_CLOSED if cut_off else message["status"]
                add_response_headers(message, request_id, get_rate_fields(scope))
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        finally:
            self._reporter(
                RequestReport(
                    request_id=request_id,
                    method=scope["method"] if scope["method"] in _METHODS else "other",
                    status=status,
                    ms=round((time.monotonic() - started) * 1000, 1),
                    bytes_in=received,
                    bytes_out=sent,
                    phases=phase_timer(scope).timings,
                    **log_fields(scope),
                )
            )
