"""Who is calling, and whether they may: decided before body, path values and look-ups."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.api.http.log_fields import note
from app.api.http.query import QueryRule
from app.domain.access.api_keys import ANONYMOUS_CALLER, Caller, Scope
from app.domain.ids import is_id

F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_MARK = "needed_scope"
_LINK = "is_link"


def needs(scope: Scope) -> Callable[[F], F]:
    """Mark an endpoint as one for callers with this scope."""
    return lambda endpoint: _marked(endpoint, scope)


def open_to_all(endpoint: F) -> F:
    """Mark an endpoint as one that asks nobody who they are."""
    return _marked(endpoint, None)


def link(endpoint: F) -> F:
    """Mark an endpoint that browsers and probes open: others add parameters to its address, which are ignored."""
    setattr(endpoint, _LINK, True)
    return endpoint


def _marked(endpoint: F, scope: Scope | None) -> F:
    setattr(endpoint, _MARK, scope)
    return endpoint


class KeyedRoute(APIRoute):
    """A route whose endpoint says what it needs; one that says nothing cannot be made."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not hasattr(endpoint, _MARK):
            raise TypeError(f"{path}: say what the endpoint needs, or that it is open to all")
        self.scope_needed: Scope | None = getattr(endpoint, _MARK)
        self.is_link: bool = getattr(endpoint, _LINK, False)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        """Check the caller, then the query, then call the endpoint."""
        handler = super().get_route_handler()
        scope = self.scope_needed
        query = None if self.is_link else QueryRule(self.dependant)

        async def checked(request: Request) -> Response:
            self._note(request)
            if scope is not None:
                caller = caller_of(request)
                caller.require(scope)
                request.state.caller = caller
            if query is not None:
                query.check(request)
            return await handler(request)

        return checked

    def _note(self, request: Request) -> None:
        note(request.scope, route=self.path)
        image_id = request.path_params.get("image_id", "")
        if is_id(image_id):  # whatever else a caller writes there is not for the log
            note(request.scope, image_id=image_id)


def caller_of(request: Request) -> Caller:
    """Whoever the request's key belongs to. Raises `Unauthorized`; without authentication it is `ANONYMOUS_CALLER`."""
    keyring = request.app.state.parts.keyring
    if keyring is None:
        return ANONYMOUS_CALLER
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    caller: Caller = keyring.caller(bearer or request.headers.get("x-api-key", "").strip())
    return caller
