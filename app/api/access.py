"""Who is calling, and whether they may: decided before body, path values and look-ups."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.domain.access import NOBODY, Caller, Scope

F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_MARK = "needed_scope"


def needs(scope: Scope) -> Callable[[F], F]:
    """Mark an endpoint as one for callers with this scope."""
    return lambda endpoint: _marked(endpoint, scope)


def open_to_all(endpoint: F) -> F:
    """Mark an endpoint as one that asks nobody who they are."""
    return _marked(endpoint, None)


def _marked(endpoint: F, scope: Scope | None) -> F:
    setattr(endpoint, _MARK, scope)
    return endpoint


class KeyedRoute(APIRoute):
    """A route whose endpoint says what it needs; one that says nothing cannot be made."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not hasattr(endpoint, _MARK):
            raise TypeError(f"{path}: say what the endpoint needs, or that it is open to all")
        self.scope_needed: Scope | None = getattr(endpoint, _MARK)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        """The endpoint behind the check."""
        handler = super().get_route_handler()
        scope = self.scope_needed
        if scope is None:
            return handler

        async def checked(request: Request) -> Response:
            caller = caller_of(request)
            caller.require(scope)
            request.state.caller = caller
            return await handler(request)

        return checked


def caller_of(request: Request) -> Caller:
    """Whoever the request's key belongs to. Raises `Unauthorized`; without authentication it is `NOBODY`."""
    keyring = request.app.state.parts.keyring
    if keyring is None:
        return NOBODY
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    caller: Caller = keyring.caller(bearer or request.headers.get("x-api-key"))
    return caller
