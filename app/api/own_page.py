"""Writes from pages of other sites, refused where no key protects the service."""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class OwnPageOnly:
    """Takes writes from the service's own page, from listed origins, and from whatever is no page.

    A browser tells where a page comes from in `Origin`. A page can also reach this service under a name of its own
    that it lets point here (DNS rebinding), which `Host` tells: it must be an address, `localhost`, or the name in the
    service's public url.
    """

    def __init__(self, app: ASGIApp, public_url: str | None, origins: tuple[str, ...]) -> None:
        self._app = app
        public = urlsplit(public_url or "")
        self._hosts = {"localhost", public.hostname or "localhost"}
        self._origins = {origin.lower() for origin in origins}
        if public.hostname:
            self._origins.add(f"{public.scheme}://{public.netloc}".lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        refusal = None
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            refusal = self._refusal(Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await problem(scope, 403, *refusal)(scope, receive, send)

    def _refusal(self, headers: Headers) -> tuple[str, str] | None:
        host = headers.get("host", "").lower()
        if not self._is_ours(host):
            return "foreign_host", "Writes are taken under an address, localhost or DARKROOM_PUBLIC_URL's name only."
        origin = headers.get("origin", "").lower()
        if origin and origin not in self._origins and _place(origin) != host:
            return "foreign_origin", "Writes are taken from this service's own pages, or from no page at all."
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._hosts or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _place(origin: str) -> str | None:
    """Host and port of an origin; None for what is none, which is nobody's."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
