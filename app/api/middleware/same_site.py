"""Host check, and same-site check for installations without API keys."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.http.forwarded import is_forwarded
from app.api.http.problems import problem
from app.api.http.public_address import public_address

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Probes ask these under any name. The answers tell nothing about the images.
HEALTH = frozenset({"/healthz", "/readyz"})
_PORTS = {"http": 80, "https": 443}
_SHOWN = 100


class AllowedHostsOnly:
    """Refuse requests under a host that is not allowed.

    A web page can reach this service under a name of its own that it lets point here (DNS rebinding). Its browser then
    takes the answers for the page's own. `Host`, or what a trusted proxy says instead, tells the name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        foreign = public_address(scope).foreign if scope["type"] == "http" else None
        if foreign is None or (scope["method"] in SAFE and _route(scope) in HEALTH):
            await self._app(scope, receive, send)
            return
        header, host = foreign[0], foreign[1][:_SHOWN]
        detail = (
            f"{header} {host!a} is not a host of this service. Use an IP address or localhost, or add the name to "
            "DARKROOM_ALLOWED_HOSTS or set DARKROOM_PUBLIC_URL."
        )
        await problem(scope, 403, "foreign_host", detail, {"header": header, "found": host})(scope, receive, send)


class SameSiteOnly:
    """Refuse writes from pages of other sites. A browser tells in `Origin` where a page comes from.

    Writes of this service's own pages, of pages of the listed origins and of other programs than browsers pass.
    """

    def __init__(self, app: ASGIApp, public_url: str | None, origins: Sequence[str]) -> None:
        self._app = app
        public = urlsplit(public_url or "")
        self._origins = {*origins, f"{public.scheme}://{public.netloc}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        origin = Headers(scope=scope).get("origin", "").lower() if scope["type"] == "http" else ""
        if not origin or scope["method"] in SAFE or origin in self._origins or _is_own(scope, origin):
            await self._app(scope, receive, send)
            return
        shown = origin[:_SHOWN]
        detail = (
            f"Cross-site request refused (Origin {shown!a}). Add the page's origin to DARKROOM_CORS_ORIGINS"
            f"{_PROXY if is_forwarded(Headers(scope=scope)) else ''}."
        )
        await problem(scope, 403, "foreign_origin", detail, {"found": shown})(scope, receive, send)


_PROXY = "; if it is this service's own page behind a proxy, set DARKROOM_PUBLIC_URL or DARKROOM_TRUSTED_PROXIES"


def _route(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _is_own(scope: Scope, origin: str) -> bool:
    """Return True if the origin has the host and port that the request asks."""
    host = (public_address(scope).host or "").lower()
    try:
        found = urlsplit(origin)
    except ValueError:
        return False
    return bool(host) and host in {found.netloc, f"{found.netloc}:{_PORTS.get(found.scheme, '')}"}
