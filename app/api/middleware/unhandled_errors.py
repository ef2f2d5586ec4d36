"""Unhandled exceptions as generic problem documents."""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api.http.problem_catalog import refusal
from app.api.http.problems import problem_response
from app.api.middleware.http_middleware import HttpMiddleware, TrackedSend

log = logging.getLogger(__name__)


class UnhandledErrors(HttpMiddleware):
    """Turn an unhandled exception into a generic 500 and log the traceback."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `HttpMiddleware`."""
        tracked = TrackedSend(send)
        try:
            await self._app(scope, receive, tracked)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("unhandled exception", extra={"request_id": scope.get("state", {}).get("request_id")})
            if tracked.started:
                raise  # so that the server closes the connection: a partial response must not look complete
            await problem_response(scope, refusal("internal_error"))(scope, receive, send)
