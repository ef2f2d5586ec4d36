"""Every error as one kind of document: RFC 9457 `application/problem+json`."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.log_fields import note
from app.domain import errors

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[type[errors.RequestError], int] = {
    errors.Malformed: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.NotAcceptable: 406,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.Invalid: 422,
    errors.TooManyRequests: 429,
    errors.Overloaded: 503,
    errors.StorageFull: 507,
}

#: Reason phrases of RFC 9110, RFC 6585 and RFC 4918. `http.HTTPStatus` changed some of them in Python 3.13.
PHRASES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}

# Of pydantic's error contexts: the bounds that a value broke.
_BOUNDS = frozenset({"ge", "gt", "le", "lt", "min_length", "max_length", "expected"})
_FOUND_CHARACTERS = 80


class Problem(BaseModel):
    """What went wrong. Further members hold what was measured beside the limit it broke."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Always `about:blank`: `code` tells problems apart.")
    title: str = Field(description="The phrase of the status.")
    status: int
    detail: str = Field(description="One sentence for people.")
    code: str = Field(description="Stable, for programs.")
    request_id: str = Field(description="Names this request in the service's log.")


def status_of(error: errors.RequestError) -> int:
    """The status of a refusal, by its class."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def document(status: int, code: str, detail: str, request_id: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a problem; the standard ones cannot be overwritten."""
    standard = {"type": "about:blank", "title": PHRASES.get(status, "Error"), "status": status, "detail": detail}
    return {**standard, "code": code, **{k: v for k, v in extra.items() if k not in standard}, "request_id": request_id}


def problem(
    scope: Scope,
    status: int,
    code: str,
    detail: str,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer for a problem of this request."""
    note(scope, code=code)
    content = document(status, code, detail, scope.get("state", {}).get("request_id", ""), extra or {})
    text = json.dumps(content, ensure_ascii=False, default=str).encode(errors="replace")
    return Response(text, status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE)


class Unexpected:
    """Turn an unhandled exception into a generic 500 and log the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            raise
        except Exception:
            request_id = scope.get("state", {}).get("request_id")
            log.exception("unexpected failure", extra={"request_id": request_id})
            if started:
                raise  # the server closes the connection: half an answer must not look whole
            detail = "Something went wrong here; the request id names it in the log."
            await problem(scope, 500, "internal_error", detail)(scope, receive, send)


def install(app: FastAPI) -> None:
    """Answer every named failure, and the framework's own, as a problem."""
    app.add_exception_handler(errors.RequestError, _refused)
    app.add_exception_handler(errors.Unavailable, _unavailable)
    app.add_exception_handler(errors.Full, _full)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RequestError)  # noqa: S101 - what it was installed for
    return problem(request.scope, status_of(error), error.code, error.detail, error.extra, error.headers)


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.Unavailable)  # noqa: S101 - what it was installed for
    request_id = request.scope.get("state", {}).get("request_id")
    log.error("a backend is unavailable", exc_info=error, extra={"request_id": request_id})
    headers = {"Retry-After": str(error.retry_after)}
    detail = "The service cannot do this right now. Try again in a moment."
    return problem(request.scope, 503, "unavailable", detail, headers=headers)


async def _full(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.Full)  # noqa: S101 - what it was installed for
    if request.method == "DELETE":
        return await _unavailable(request, error)
    if error.free_bytes is None:  # the disk itself refused, in spite of the reserve
        log.error("no space is left", exc_info=error, extra={"request_id": request.scope["state"].get("request_id")})
    detail = "The disk is full."
    extra: dict[str, Any] = {}
    if error.free_bytes is not None and error.min_free_bytes is not None:
        extra = {"free_bytes": error.free_bytes, "min_free_bytes": error.min_free_bytes}
        detail = f"The disk has {error.free_bytes:,} bytes free, and {error.min_free_bytes:,} are kept for deletes."
    detail = f"{detail} Delete images, then try again."
    return await _refused(request, errors.StorageFull("storage_full", detail, **extra))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it was installed for
    complaints = [
        {
            "field": ".".join(str(part) for part in complaint["loc"])[:100],
            "message": str(complaint["msg"]).removeprefix("Value error, "),
            **{name: bound for name, bound in (complaint.get("ctx") or {}).items() if name in _BOUNDS},
            **_measured(complaint),
        }
        for complaint in error.errors()[:20]
    ]
    reasons = "; ".join(_reason(complaint) for complaint in complaints[:5])
    return problem(request.scope, 422, "invalid_request", f"Not valid: {reasons}.", {"errors": complaints})


def _reason(complaint: Mapping[str, Any]) -> str:
    found = f" (found: {complaint['found']!a})" if "found" in complaint else ""
    return f"`{complaint['field']}`: {complaint['message'].rstrip('.')}{found}"


def _measured(complaint: Mapping[str, Any]) -> dict[str, Any]:
    """What was found where the bound was broken: a length, or a short value as it came."""
    # A name that nobody knows may have a secret behind it, and so may a header.
    if complaint["type"] == "extra_forbidden" or complaint["loc"][:1] in {("header",), ("cookie",)}:
        return {}
    value = complaint.get("input")
    if complaint["type"].endswith(("too_long", "too_short")):
        return {"measured": len(value)} if isinstance(value, str | list) else {}
    if isinstance(value, str):
        return {"found": value[:_FOUND_CHARACTERS]}
    # Neither NaN nor infinity, which JSON has no words for, nor a number of many digits.
    return {"found": value} if isinstance(value, int | float) and abs(value) < 1e18 else {}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it was installed for
    phrase = PHRASES.get(error.status_code, "Error")
    code, detail = phrase.lower().replace(" ", "_").replace("-", "_"), str(error.detail)
    headers = dict(error.headers or {})
    if error.status_code == 404:
        code, detail = "no_such_path", "There is nothing at this path."
    elif error.status_code == 405:
        headers["Allow"] = allow = ", ".join(_methods_at(request))
        detail = f"This path takes {allow}."
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    return problem(request.scope, error.status_code, code, detail, headers=headers)


def _methods_at(request: Request) -> list[str]:
    if "app_root_path" in request.scope:  # below a mount, and what is mounted are files
        return ["GET", "HEAD", "OPTIONS"]
    candidates = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    scope = dict(request.scope)
    scope["path_params"] = {}

    def taken(method: str) -> bool:
        scope["method"] = "GET" if method == "HEAD" else method
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [*filter(taken, candidates), "OPTIONS"]
