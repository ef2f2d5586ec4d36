"""Host check, and same-site check for installations without API keys."""

from collections.abc import Awaitable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.http.forwarded import is_forwarded
from app.api.http.problem_catalog import CATALOG, refusal
from app.api.http.problems import problem_response
from app.api.http.public_address import get_public_address
from app.api.middleware.http_middleware import HttpMiddleware

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Health checks may use any host name. The responses contain nothing about images.
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
_PORTS = {"http": 80, "https": 443}
_FOUND_CHARACTERS = 100


class AllowedHostsOnly(HttpMiddleware):
    """Refuse requests under a host name that is not allowed.

    A web page can let its own host name resolve to this service (DNS rebinding); its browser then treats the service as
    part of the page's origin. The host name is that of `Host`, or the one that a trusted proxy reports.
    """

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """See `HttpMiddleware`."""
        foreign = get_public_address(scope).foreign
        if foreign is None or (scope["method"] in SAFE_METHODS and _route(scope) in HEALTH_PATHS):
            return self._app(scope, receive, send)
        refused = refusal("foreign_host", header=foreign[0], found=foreign[1][:_FOUND_CHARACTERS])
        return problem_response(scope, refused)(scope, receive, send)


class SameSiteOnly(HttpMiddleware):
    """Refuse writes from pages of other sites, by the `Origin` header that browsers send.

    The service's own pages, pages of the listed origins, and clients that are not browsers are allowed.
    """

    def __init__(self, app: ASGIApp, public_url: str | None, origins: Sequence[str]) -> None:
        super().__init__(app)
        public = urlsplit(public_url or "")
        self._origins = {*origins, f"{public.scheme}://{public.netloc}"}

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """See `HttpMiddleware`."""
        if scope["method"] in SAFE_METHODS:
            return self._app(scope, receive, send)
        origin = Headers(scope=scope).get("origin", "").lower()
        if not origin or origin in self._origins or _is_own(scope, origin):
            return self._app(scope, receive, send)
        found = origin[:_FOUND_CHARACTERS]
        detail = CATALOG["foreign_origin"].detail.format(found=found)
        if is_forwarded(Headers(scope=scope)):
            detail += _BEHIND_PROXY
        return problem_response(scope, refusal("foreign_origin", detail, found=found))(scope, receive, send)


_BEHIND_PROXY = " For the service's own page behind a proxy, set DARKROOM_PUBLIC_URL or DARKROOM_TRUSTED_PROXIES."


def _route(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _is_own(scope: Scope, origin: str) -> bool:
    """Return True if the origin has the host and port of the request."""
    host = (get_public_address(scope).host or "").lower()
    try:
        found = urlsplit(origin)
    except ValueError:
        return False
    return bool(host) and host in {found.netloc, f"{found.netloc}:{_PORTS.get(found.scheme, '')}"}
