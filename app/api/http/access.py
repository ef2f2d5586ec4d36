"""Authentication, rate limits and scopes, checked before the body, path parameters and look-ups."""

from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from threading import RLock
from typing import Any, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from app.api.http.log_fields import add_log_fields
from app.api.http.query import QueryRule
from app.api.http.rate_limit.fields import note_standing
from app.domain.access.api_keys import ANONYMOUS_CALLER, Caller, Scope
from app.domain.access.keyring import Keyring
from app.domain.access.request_limits import RequestLimits
from app.domain.errors import Unauthorized
from app.domain.ids import is_id

F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_analyzing = RLock()
_SCOPE, _EXTRA_QUERY, _OPEN, _DIRECT = "required_scope", "allows_extra_query", "open_to_public_images", "direct"
_LIMITED, _KEY_OPTIONAL = "is_rate_limited", "is_key_optional"


def requires(scope: Scope, *, is_rate_limited: bool = True) -> Callable[[F], F]:
    """Mark an endpoint that needs a caller with this scope. Its requests count for the caller's rate limit."""

    def marked(endpoint: F) -> F:
        setattr(endpoint, _LIMITED, is_rate_limited)
        return _marked(endpoint, scope)

    return marked


def requires_unless_public(scope: Scope) -> Callable[[F], F]:
    """Mark an endpoint that needs a caller with this scope unless the image is public. The endpoint calls `admit`.

    It serves images, so it has no rate limit.
    """

    def marked(endpoint: F) -> F:
        setattr(endpoint, _OPEN, True)
        return _marked(endpoint, scope)

    return marked


def no_key_required(endpoint: F) -> F:
    """Mark an endpoint that needs no API key. It has no rate limit."""
    return _marked(endpoint, None)


def key_optional(endpoint: F) -> F:
    """Mark an endpoint that needs no API key, and calls `get_optional_caller`. It counts for the rate limit."""
    setattr(endpoint, _LIMITED, True)
    setattr(endpoint, _KEY_OPTIONAL, True)
    return _marked(endpoint, None)


def allow_extra_query(endpoint: F) -> F:
    """Mark an endpoint that ignores unknown query parameters, because other software adds some to links and probes."""
    setattr(endpoint, _EXTRA_QUERY, True)
    return endpoint


def answered_directly(direct: Callable[[Request], Coroutine[Any, Any, Response | None]]) -> Callable[[F], F]:
    """Mark an endpoint whose common requests `direct` answers, without FastAPI's parameters, which take longer.

    It is called after the checks of caller and query, and returns None for requests that the endpoint should answer,
    such as those with invalid parameters.
    """

    def marked(endpoint: F) -> F:
        setattr(endpoint, _DIRECT, direct)
        return endpoint

    return marked


def _marked(endpoint: F, scope: Scope | None) -> F:
    setattr(endpoint, _SCOPE, scope)
    return endpoint


class ScopedRoute(APIRoute):
    """Route whose endpoint must be marked with `requires`, `requires_unless_public`, `key_optional` or
    `no_key_required`.

    FastAPI analyzes the endpoint when the route is first used. For all routes this takes 18 ms on one core, which a
    function would spend at each start.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], *, methods: Iterable[str], **options: Any) -> None:
        if not hasattr(endpoint, _SCOPE):
            raise TypeError(f"{path}: mark the endpoint with `requires` or `no_key_required`")
        self.required_scope: Scope | None = getattr(endpoint, _SCOPE)
        self.open_to_public_images: bool = getattr(endpoint, _OPEN, False)
        self.allows_extra_query: bool = getattr(endpoint, _EXTRA_QUERY, False)
        self.is_rate_limited: bool = getattr(endpoint, _LIMITED, False)
        self.is_key_optional: bool = getattr(endpoint, _KEY_OPTIONAL, False)
        self.path, self.methods = path, set(methods)
        self._analyze = lambda: super(ScopedRoute, self).__init__(path, endpoint, methods=[*methods], **options)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that FastAPI's analysis sets."""
        with _analyzing:
            if analyze := self.__dict__.pop("_analyze", None):
                analyze()
        return self.__getattribute__(name)

    async def handle(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Handle a request: directly if the endpoint has such a function, which answers it, else by FastAPI."""
        response = None
        if (direct := getattr(self.endpoint, _DIRECT, None)) is not None and scope["method"] in (self.methods or ()):
            request = Request(scope, receive, send)
            await self._check(request)
            request.state.checked = True
            response = await direct(request)
        await (super().handle if response is None else response)(scope, receive, send)

    def get_route_handler(self) -> Handler:
        """Check the caller, then the query, then call the endpoint."""
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if not getattr(request.state, "checked", False):
                await self._check(request)
            return await handler(request)

        return checked

    async def _check(self, request: Request) -> None:
        self._log(request)
        scope = None if self.open_to_public_images else self.required_scope
        if scope is not None or self.is_key_optional:
            await self._admit(request, scope)
        if not self.allows_extra_query:
            self._query_rule.check(request)

    @cached_property
    def _query_rule(self) -> QueryRule:
        return QueryRule(self.dependant)

    async def _admit(self, request: Request, scope: Scope | None) -> None:
        """Find the caller, take a token of the rate limit, then check the scope."""
        try:
            caller = await find_caller(request, counts_missing=self.is_rate_limited)
        except Unauthorized:
            if not self.is_key_optional:
                raise
            request.state.caller = None
            return
        if self.is_rate_limited:
            standing = _get_limits(request).take(caller, _get_address(request))
            note_standing(request.scope, standing, has_key=caller.has_key)
        if scope is not None:
            caller.require(scope)
        request.state.caller = caller

    def _log(self, request: Request) -> None:
        add_log_fields(request.scope, route=self.path)
        image_id = request.path_params.get("image_id", "")
        if is_id(image_id):  # other text is not logged
            add_log_fields(request.scope, image_id=image_id)


def admit(request: Request, scope: Scope) -> Caller:
    """Return the caller of a request. Raises `Unauthorized`, and `Forbidden` without the scope.

    Call it in a thread: it may read the store.
    """
    caller, keyring = ANONYMOUS_CALLER, _get_keyring(request)
    if keyring is not None:
        key = _read_key(request)
        with _checking(request, key):
            caller = keyring.caller(key)
    caller.require(scope)
    request.state.caller = caller
    return caller


async def find_caller(request: Request, *, counts_missing: bool = False) -> Caller:
    """Return the caller that the request's API key belongs to; `ANONYMOUS_CALLER` without authentication.

    Raises `Unauthorized`, `TooManyRequests` if too many wrong keys came from the caller's address, and `Unavailable` if
    the key may be in the store, which cannot be read. With `counts_missing` a missing key counts as a wrong one.
    """
    keyring = _get_keyring(request)
    if keyring is None:
        return ANONYMOUS_CALLER
    key = _read_key(request)
    with _checking(request, key, counts_missing=counts_missing):
        return await run_in_threadpool(keyring.caller, key) if keyring.reads_store(key) else keyring.caller(key)


def get_optional_caller(request: Request) -> Caller | None:
    """Return the caller of a request to a `key_optional` endpoint; None without a valid key."""
    caller: Caller | None = request.state.caller
    return caller


def _checking(request: Request, key: str, *, counts_missing: bool = False) -> AbstractContextManager[None]:
    if not key and not counts_missing:
        return nullcontext()
    return _get_limits(request).checking(key, _get_address(request), partial(note_standing, request.scope))


def _get_limits(request: Request) -> RequestLimits:
    limits: RequestLimits = request.app.state.services.request_limits
    return limits


def _get_address(request: Request) -> str | None:
    return None if request.client is None else request.client.host


def _get_keyring(request: Request) -> Keyring | None:
    keyring: Keyring | None = request.app.state.services.keyring
    return keyring


def _read_key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return bearer or request.headers.get("x-api-key", "").strip()
