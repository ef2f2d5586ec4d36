"""Pages of other sites, kept out where no key protects the service."""

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem

#: A name, or an address that may be in brackets, and perhaps a port: nothing that two readers understand differently.
_HOST = re.compile(r"(?P<name>\[[^\[\]/?#@]+\]|[^\[\]/?#@:\s]+)(:\d{0,5})?", re.ASCII)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NAMES = "Without keys, answers are given under an IP address, localhost or the name in DARKROOM_PUBLIC_URL only."
#: What probes ask under whatever name they know. It tells nothing of what is here.
_HEALTH = frozenset({"/healthz", "/readyz"})


class OwnPageOnly:
    """Answers under the service's own names, and takes writes from its own page, listed origins and what is no page.

    A page can reach this service under a name of its own that it lets point here (DNS rebinding), and its browser then
    holds the answers for the page's. `Host` tells the name: it must be an address, `localhost`, or the name in the
    service's public url. Where a page comes from, a browser tells in `Origin`. Settings have brought `public_url` and
    `origins` to the form in which browsers say them.
    """

    def __init__(self, app: ASGIApp, public_url: str | None, origins: tuple[str, ...]) -> None:
        self._app = app
        public = urlsplit(public_url or "")
        self._hosts = {"localhost", public.hostname or "localhost"}
        self._origins = set(origins)
        if public.hostname:
            self._origins.add(f"{public.scheme}://{public.netloc}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await problem(scope, 403, *refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[str, str] | None:
        headers = Headers(scope=scope)
        safe = scope["method"] in _SAFE
        hosts = [host.strip().lower() for host in headers.getlist("host")]
        if not (len(hosts) == 1 and self._is_ours(hosts[0])) and not (safe and _is_health(scope)):
            return "foreign_host", _NAMES
        origin = headers.get("origin", "").lower()
        if not safe and origin and origin not in self._origins and _place(origin) not in hosts:
            return "foreign_origin", "Writes are taken from this service's own pages, or from no page at all."
        return None

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        name = found["name"].strip("[]") if found else ""
        if name in self._hosts or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _is_health(scope: Scope) -> bool:
    prefix: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    return path.removeprefix(prefix) in _HEALTH


def _place(origin: str) -> str | None:
    """Host and port of an origin; None for what is none, which is nobody's."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
