"""Errors as problem documents: RFC 9457 `application/problem+json`."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from app.api.http.log_fields import add_log_fields
from app.api.http.problem_catalog import CATALOG, refusal
from app.api.http.statuses import PHRASES, STATUS
from app.domain import errors
from app.domain.text import plain_message

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# Of pydantic's error contexts: the limits that a value broke.
_LIMITS = frozenset({"ge", "gt", "le", "lt", "min_length", "max_length", "expected"})
_FOUND_CHARACTERS = 80
#: Of the first complaint: members that the document has too, by the names that other problems have for them.
_FIRST = {"field": "field", "found": "found", "measured": "measured", "ge": "minimum", "le": "maximum"}


class Problem(BaseModel, defer_build=True):
    """An error of the API (RFC 9457). Further members hold the value found and the limit."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Always `about:blank`; see `code`.")
    title: str = Field(description="Reason phrase of the status code.")
    status: int = Field(description="Status code of the response.")
    detail: str = Field(description="A sentence for people: the cause, the value found, the limit and the remedy.")
    code: str = Field(description="Stable, machine-readable name of the problem.")
    request_id: str = Field(description="Id of this request, as in the response header `X-Request-Id` and the log.")


def get_status(error: errors.RequestError) -> int:
    """Return the status code of an error: that of its code, or else of its class."""
    if error.code in CATALOG:
        return CATALOG[error.code].status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem_document(
    status: int, code: str, detail: str, request_id: str, members: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the members of a problem document; `members` cannot replace the standard ones."""
    standard = {"type": "about:blank", "title": PHRASES.get(status, "Error"), "status": status, "detail": detail}
    own = {name: value for name, value in members.items() if name not in standard}
    return {**standard, "code": code, **own, "request_id": request_id}


def problem_response(scope: Scope, error: errors.RequestError) -> Response:
    """Build the response for an error of this request."""
    add_log_fields(scope, code=error.code)
    request_id = scope.get("state", {}).get("request_id", "")
    status = get_status(error)
    document = problem_document(status, error.code, error.detail, request_id, error.extra)
    text = json.dumps(document, ensure_ascii=False, default=str).encode(errors="replace")
    return Response(text, status, {"Cache-Control": "no-store", **error.headers}, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer the service's own errors, and those of FastAPI and Starlette, with problem documents."""
    app.add_exception_handler(errors.RequestError, _refused)
    app.add_exception_handler(errors.Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RequestError)  # noqa: S101 - the class that it is installed for
    return problem_response(request.scope, error)


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.Unavailable)  # noqa: S101 - the class that it is installed for
    return problem_response(request.scope, get_refusal(error, request.scope))


def get_refusal(error: errors.Unavailable, scope: Scope) -> errors.RequestError:
    """Return the refusal of a request for which a backend is unavailable or full, and log the cause."""
    known = {"request_id": scope.get("state", {}).get("request_id")}
    if not isinstance(error, errors.Full) or scope["method"] == "DELETE":
        log.error("a backend is unavailable", exc_info=error, extra=known)
        return refusal("unavailable", headers={"Retry-After": str(error.retry_after)})
    if error.free_bytes is None or error.min_free_bytes is None:  # the disk is full in spite of the reserve
        log.error("no space is left", exc_info=error, extra=known)
        return refusal("storage_full", "The disk is full. Delete images permanently, then try again.")
    return refusal("storage_full", free_bytes=error.free_bytes, min_free_bytes=error.min_free_bytes)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the class that it is installed for
    complaints = [
        {
            "field": ".".join(str(part) for part in complaint["loc"])[:100],
            "message": plain_message(str(complaint["msg"])),
            **{name: limit for name, limit in (complaint.get("ctx") or {}).items() if name in _LIMITS},
            **_found(complaint),
        }
        for complaint in error.errors()[:20]
    ]
    reasons = "; ".join(_reason(complaint) for complaint in complaints[:5])
    first = {name: complaints[0][each] for each, name in _FIRST.items() if each in complaints[0]}
    return problem_response(
        request.scope, refusal("invalid_request", f"Invalid request: {reasons}.", **first, errors=complaints)
    )


def _reason(complaint: Mapping[str, Any]) -> str:
    found = f" (found: {complaint['found']!a})" if "found" in complaint else ""
    message = complaint["message"].rstrip(".")
    return f"`{complaint['field']}`{'' if message.startswith('must ') else ':'} {message}{found}"


def _found(complaint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value that broke a limit: its length, or the value itself if it is short."""
    # The value of an unknown parameter or of a header may be a secret.
    if complaint["type"] == "extra_forbidden" or complaint["loc"][:1] in {("header",), ("cookie",)}:
        return {}
    value = complaint.get("input")
    if complaint["type"].endswith(("too_long", "too_short")):
        return {"measured": len(value)} if isinstance(value, str | list) else {}
    if isinstance(value, str):
        return {"found": value[:_FOUND_CHARACTERS]}
    # No NaN or infinity, which JSON cannot express, and no number of many digits.
    return {"found": value} if isinstance(value, int | float) and abs(value) < 1e18 else {}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the class that it is installed for
    if error.status_code == 404:
        return problem_response(request.scope, refusal("no_such_path"))
    if error.status_code != 405:  # Starlette raises no other one here
        raise error
    headers = {**(error.headers or {}), "Allow": ", ".join(_methods_at(request))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    refused = refusal("method_not_allowed", found=request.method[:20], allowed=headers["Allow"], headers=headers)
    return problem_response(request.scope, refused)


def _methods_at(request: Request) -> list[str]:
    """Return the methods that the path of a request allows."""
    if "app_root_path" in request.scope:  # below the mount of the static files
        return ["GET", "HEAD", "OPTIONS"]
    candidates = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    scope = dict(request.scope)
    scope["path_params"] = {}

    def allowed(method: str) -> bool:
        scope["method"] = "GET" if method == "HEAD" else method
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [*filter(allowed, candidates), "OPTIONS"]
