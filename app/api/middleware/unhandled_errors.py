"""Unhandled exceptions as generic problem documents."""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.problem_catalog import refusal
from app.api.http.problems import problem_response

log = logging.getLogger(__name__)


class UnhandledErrors:
    """Turn an unhandled exception into a generic 500 and log the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
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
            log.exception("unhandled exception", extra={"request_id": scope.get("state", {}).get("request_id")})
            if started:
                raise  # so that the server closes the connection: a partial response must not look complete
            await problem_response(scope, refusal("internal_error"))(scope, receive, send)
