"""Requests through a gateway in front of a Lambda function: path prefix, host, request id, deadline."""

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
from app.api.http.log_fields import add_log_fields
from app.api.http.problem_catalog import refusal
from app.api.http.problems import MEDIA_TYPE, problem_response
from app.api.http.public_address import set_gateway_host
from app.api.middleware.deadline import DEADLINE, Deadline
from app.api.middleware.request_log import is_request_id

#: Prefixes of the media types of text responses. All other responses are sent in base64.
TEXT_TYPES = ("text/", "application/json", MEDIA_TYPE)
#: Milliseconds before the function's time-out at which a request must be answered.
MARGIN_MS = 1500
#: Most seconds that a request may take. HTTP APIs wait for 30 seconds, REST APIs for 29.
MAX_SECONDS = 25.0

_REPLACEMENT = "\ufffd"
_PREFIX = re.compile(r"(?:/[\w.~-]+)+", re.ASCII)


class Gateway:
    """The application in a Lambda function behind an HTTP or REST API, a function url or a load balancer.

    Reads `aws.event` and `aws.context`, which Mangum puts into the scope. The path prefix of the gateway becomes the
    `root_path`, so that links include it. The gateway's request id is used unless the client sent one, and is always
    logged.
    """

    def __init__(self, app: FastAPI) -> None:
        # Innermost, so that their responses get the same headers, request id and log line as any other.
        app.user_middleware += [Middleware(Deadline), Middleware(_BinaryBodyCheck)]
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        event: Mapping[str, Any] = scope["aws.event"]
        context = scope["aws.context"]
        request = event["requestContext"]
        state = scope.setdefault("state", {})
        _set_path(scope, event)
        if request.get("domainName"):
            set_gateway_host(scope, str(request["domainName"]))
        gateway_id = str(request.get("requestId") or "")
        if not is_request_id(Headers(scope=scope).get("x-request-id", "")) and is_request_id(gateway_id):
            others = [(name, value) for name, value in scope["headers"] if name != b"x-request-id"]
            scope["headers"] = [*others, (b"x-request-id", gateway_id.encode())]
        if is_request_id(gateway_id):
            add_log_fields(scope, gateway_id=gateway_id)
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        if remaining is not None:
            state[DEADLINE] = time.monotonic() + min((remaining() - MARGIN_MS) / 1000, MAX_SECONDS)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)["connection"]  # the client's connection ends at the gateway
            await send(message)

        await self._app(scope, receive, sending)


def _set_path(scope: Scope, event: Mapping[str, Any]) -> None:
    full = _full_path(event)
    prefix = _prefix(event, full)
    if prefix:
        scope["root_path"] = prefix
        scope["path"] = unquote(full)
    scope["raw_path"] = full.encode(errors="replace")


def _full_path(event: Mapping[str, Any]) -> str:
    """Return the path as the client sent it. In events of REST APIs, `path` itself lacks the stage."""
    request = event["requestContext"]
    sent = (request.get("http") or request).get("path") or event.get("path")
    return str(sent or "/")


def _prefix(event: Mapping[str, Any], full: str) -> str:
    """Return the part of the path that the gateway adds: the mapping of a custom domain, or the stage."""
    request = event["requestContext"]
    inner = (event.get("pathParameters") or {}).get("proxy")
    domain, stage = request.get("domainName"), request.get("stage")
    prefix = ""
    if inner and full.endswith(f"/{inner}"):
        prefix = full.removesuffix(f"/{inner}")
    elif f"{full}/".startswith(f"/{stage}/") and (domain is None or ".execute-api." in domain):
        prefix = f"/{stage}"
    return prefix if _PREFIX.fullmatch(prefix) else ""


class _BinaryBodyCheck:
    """Refuse binary bodies that the gateway has converted to text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        event = scope["aws.event"]
        if not event.get("isBase64Encoded") and _has_damaged_file(scope, event.get("body")):
            refused = refusal("damaged_by_gateway", setting="BinaryMediaTypes", value=["*/*"])
            await problem_response(scope, refused)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _has_damaged_file(scope: Scope, body: Any) -> bool:
    """Return True if a file contains U+FFFD, which replaces invalid UTF-8. In text fields it may be intended."""
    if not isinstance(body, str) or _REPLACEMENT not in body:
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
        if _REPLACEMENT in content and "filename" in head[:8192].lower():
            return True
    return False
