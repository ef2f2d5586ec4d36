"""Responses to requests that the server refuses or that fail: malformed, incomplete, too many at once, unhandled."""

import logging

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api.http.problem_catalog import refusal
from app.api.http.problems import problem_response
from app.api.middleware.http_middleware import HttpMiddleware, TrackedSend
from app.domain.errors import RequestError

log = logging.getLogger(__name__)

#: Key of the server's refusal, a `RequestError`, in the state of a request.
REFUSAL = "refusal"


class ErrorResponses(HttpMiddleware):
    """Answer refused requests at once, and requests whose body ends early when the application gives up on them.

    A client that has closed its side of the connection may still read the response. An unhandled exception becomes a
    generic 500, and its traceback is logged.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `HttpMiddleware`."""
        if (refused := _get_refusal(scope)) is not None:
            await _respond(refused, scope, receive, send)
            return
        tracked = TrackedSend(send)
        try:
            await self._app(scope, receive, tracked)
        except ClientDisconnect:
            if tracked.started:
                raise
            await _respond(_get_refusal(scope) or _incomplete(scope), scope, receive, send)
        except Exception:
            log.exception("unhandled exception", extra={"request_id": scope.get("state", {}).get("request_id")})
            if tracked.started:
                raise  # so that the server closes the connection: a partial response must not look complete
            await problem_response(scope, refusal("internal_error"))(scope, receive, send)


def _get_refusal(scope: Scope) -> RequestError | None:
    found: RequestError | None = scope.get("state", {}).get(REFUSAL)
    return found


def _incomplete(scope: Scope) -> RequestError:
    declared = Headers(scope=scope).get("content-length")
    length = f" of {declared} bytes" if declared else ""
    detail = f"The connection was closed before the body{length} was complete. Send the request again."
    return refusal("incomplete_body", detail)


async def _respond(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_response(scope, error)
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
