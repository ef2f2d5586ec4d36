"""Answers to requests that the server refuses: malformed, incomplete, too large, too slow, or too many at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.problems import problem

#: The name under which the state of a request holds the server's refusal.
REFUSAL = "refusal"


@dataclass(frozen=True)
class Refusal:
    """The problem document of a request that the server could not read, or has no room for."""

    status: int
    code: str
    detail: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused:
    """Answers a refused request at once, and one whose body ends too early when the application gives it up.

    A client that has closed its side of the connection may still read the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (refusal := _refusal(scope)) is not None:
            await _answer(refusal, scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            if started:
                raise
            await _answer(_refusal(scope) or _incomplete(scope), scope, receive, send)


def _refusal(scope: Scope) -> Refusal | None:
    found: Refusal | None = scope.get("state", {}).get(REFUSAL)
    return found


def _incomplete(scope: Scope) -> Refusal:
    declared = Headers(scope=scope).get("content-length")
    length = f" of {declared} bytes" if declared else ""
    detail = f"The connection was closed before the body{length} was complete. Send the request again."
    return Refusal(400, "incomplete_body", detail)


async def _answer(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {**refusal.headers, "Connection": "close"}
    answer = problem(scope, refusal.status, refusal.code, refusal.detail, refusal.extra, headers)
    await answer(scope, receive, send)
