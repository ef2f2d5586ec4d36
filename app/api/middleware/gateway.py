"""What a gateway in front of a function adds to a request, and takes away from it."""

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.content_type import is_raw
from app.api.http.log_fields import note
from app.api.http.problems import MEDIA_TYPE, problem
from app.api.http.public_address import set_gateway_host
from app.api.middleware.deadline import DEADLINE, InTime
from app.api.middleware.request_log import is_request_id

#: What the media types of answers that are text begin with, or have in them; all others go out in base64.
TEXT_TYPES = ("text/", "application/json", MEDIA_TYPE)
#: Milliseconds before the function's own end at which a request is answered, done or not.
MARGIN_MS = 1500
#: The most seconds that a request may take: HTTP APIs wait for 30, REST APIs for 29, and nobody longer.
MOST_SECONDS = 25.0

_DAMAGE = "\ufffd"
_PREFIX = re.compile(r"(?:/[\w.~-]+)+", re.ASCII)


class Gateway:
    """The application as a function serves it.

    Reads `aws.event` and `aws.context`, where the adapter in front has put them, for an HTTP or REST API, a
    function's url or a load balancer.

    The prefix that the gateway has put before our paths becomes the `root_path`, so that links begin with it too. The
    gateway's request id becomes ours unless the caller has chosen one, and stands in the log in any case.
    """

    def __init__(self, app: FastAPI) -> None:
        # Innermost, so that what they answer has our ids, headers and line in the log as any answer has.
        app.user_middleware += [Middleware(InTime), Middleware(_AsSent)]
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        event: Mapping[str, Any] = scope["aws.event"]
        context = scope["aws.context"]
        request = event["requestContext"]
        state = scope.setdefault("state", {})
        _place(scope, event)
        if request.get("domainName"):
            set_gateway_host(scope, str(request["domainName"]))
        gateway_id = str(request.get("requestId") or "")
        if not is_request_id(Headers(scope=scope).get("x-request-id", "")) and is_request_id(gateway_id):
            others = [(name, value) for name, value in scope["headers"] if name != b"x-request-id"]
            scope["headers"] = [*others, (b"x-request-id", gateway_id.encode())]
        if is_request_id(gateway_id):
            note(scope, gateway_id=gateway_id)
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        if remaining is not None:
            state[DEADLINE] = time.monotonic() + min((remaining() - MARGIN_MS) / 1000, MOST_SECONDS)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)["connection"]  # the connection is the gateway's
            await send(message)

        await self._app(scope, receive, sending)


def _place(scope: Scope, event: Mapping[str, Any]) -> None:
    full = _full_path(event)
    prefix = _prefix(event, full)
    if prefix:
        scope["root_path"] = prefix
        scope["path"] = unquote(full)
    scope["raw_path"] = full.encode(errors="replace")


def _full_path(event: Mapping[str, Any]) -> str:
    """The path as the caller sent it. A REST API tells it without the stage elsewhere in the event."""
    request = event["requestContext"]
    sent = (request.get("http") or request).get("path") or event.get("path")
    return str(sent or "/")


def _prefix(event: Mapping[str, Any], full: str) -> str:
    """What of the path is the gateway's: the mapping of a custom domain, or the stage."""
    request = event["requestContext"]
    inner = (event.get("pathParameters") or {}).get("proxy")
    domain, stage = request.get("domainName"), request.get("stage")
    prefix = ""
    if inner and full.endswith(f"/{inner}"):
        prefix = full.removesuffix(f"/{inner}")
    elif f"{full}/".startswith(f"/{stage}/") and (domain is None or ".execute-api." in domain):
        prefix = f"/{stage}"
    return prefix if _PREFIX.fullmatch(prefix) else ""


class _AsSent:
    """Refuse a form whose file was made text on the way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        event = scope["aws.event"]
        if not event.get("isBase64Encoded") and _has_damaged_file(scope, event.get("body")):
            detail = (
                "The gateway has made text of a binary body. Set its binary media types to */* (BinaryMediaTypes), "
                "or use an HTTP API, which needs no such setting."
            )
            extra = {"setting": "BinaryMediaTypes", "value": ["*/*"]}
            await problem(scope, 415, "damaged_by_gateway", detail, extra)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _has_damaged_file(scope: Scope, body: Any) -> bool:
    """Return True if an image has characters that stand for bytes which were none. In text fields they may be meant."""
    if not isinstance(body, str) or _DAMAGE not in body:
        return False
    content_type = Headers(scope=scope).get("content-type", "")[:1024]
    if is_raw(content_type):
        return True
    form, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"").decode("latin-1")
    if form != b"multipart/form-data" or not boundary:
        return False
    for part in body.split(f"--{boundary}"):
        head, _, content = part.partition("\r\n\r\n")
        if _DAMAGE in content and "filename" in head[:8192].lower():
            return True
    return False
