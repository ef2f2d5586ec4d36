"""Resolution of the public address from the settings, proxy headers, gateways and `Host`."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.http.forwarded import Network, is_forwarded, is_trusted, read_forwarding
from app.api.http.public_address import ADDRESS, GATEWAY_HOST, PublicAddress
from app.api.middleware.http_middleware import HttpMiddleware
from app.domain.configuration.addresses import normalize_origin
from app.domain.configuration.hosts import AllowedHosts

#: Addresses to remember: clients of one installation use few.
_ADDRESSES = 64


class ResolveAddress(HttpMiddleware):
    """Find the public address of each request, and put its path prefix into `root_path`.

    Sources, in this order: `public_url`, the headers of a trusted proxy, the host and prefix of a gateway, and the
    `Host` header if it names an allowed host and no unknown proxy forwarded the request.

    Proxies may strip the prefix or pass it on. Both paths are accepted, unless the prefix begins with the first segment
    of a route (`first_segments`): then it is assumed to be stripped.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        public_url: str | None,
        allowed: AllowedHosts,
        trusted: Sequence[Network],
        first_segments: Callable[[], frozenset[str]],
    ) -> None:
        super().__init__(app)
        self._allowed = allowed
        self._trusted = trusted
        self._first_segments = cache(first_segments)
        public = urlsplit(public_url or "")
        self._public_url = public_url
        self._origin = f"{public.scheme}://{public.netloc}"
        self._prefix = public.path
        self._build_address = lru_cache(_ADDRESSES)(self._build)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `HttpMiddleware`."""
        scope = dict(scope)
        prefix = self._resolve(scope)
        route = self._get_route(scope, prefix)
        scope |= {"root_path": prefix, "path": prefix + route}
        if not route:  # relative urls would lose the prefix
            await RedirectResponse(f"{prefix}/", 308)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _resolve(self, scope: Scope) -> str:
        """Store the public address, and return its path prefix."""
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        hosts = [("Host", host.strip()) for host in headers.getlist("host")]
        host = hosts[0][1] if len(hosts) == 1 else None
        prefix: str = scope.get("root_path", "").rstrip("/")
        scheme: str | None = None
        peer = scope["client"][0] if scope.get("client") else None
        forwarded = is_forwarded(headers)
        if forwarded and is_trusted(peer, self._trusted):
            outer = read_forwarding(headers, self._trusted)
            hosts += [(outer.header, name) for name in outer.hosts]
            host, scheme, prefix = outer.host or host, outer.scheme, outer.prefix + prefix
            scope["scheme"] = scheme or scope["scheme"]
            scope["client"] = (outer.client, 0) if outer.client else scope["client"]
        elif GATEWAY_HOST in state:
            host, scheme = state[GATEWAY_HOST], "https"
        elif not forwarded:
            scheme = scope["scheme"]
        state[ADDRESS] = self._build_address(tuple(hosts), host, scheme, state.get(GATEWAY_HOST))
        return prefix if self._public_url is None else self._prefix

    def _build(
        self, hosts: Sequence[tuple[str, str]], host: str | None, scheme: str | None, gateway_host: str | None
    ) -> PublicAddress:
        foreign = self._find_foreign(hosts)
        is_known = host is not None and (foreign is None or host == gateway_host)
        origin = _build_origin(scheme, host) if is_known else None
        return PublicAddress(host, origin if self._public_url is None else self._origin, foreign)

    def _find_foreign(self, hosts: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
        named = [host for header, host in hosts if header == "Host"]
        if len(named) != 1:
            return "Host", ", ".join(named)
        return next(((header, host) for header, host in hosts if host not in self._allowed), None)

    def _get_route(self, scope: Scope, prefix: str) -> str:
        """Return the path without the prefix, for routing."""
        path: str = scope["path"]
        root = scope.get("root_path", "").rstrip("/")
        path = _strip_prefix(path, root)
        public = unquote(prefix)
        if public == root or public.partition("/")[2].partition("/")[0] in self._first_segments():
            return path
        return _strip_prefix(path, public)


def _strip_prefix(path: str, prefix: str) -> str:
    return path.removeprefix(prefix) if f"{path}/".startswith(f"{prefix}/") else path


def _build_origin(scheme: str | None, host: str | None) -> str | None:
    try:
        return normalize_origin(f"{scheme}://{host}") if scheme and host else None
    except ValueError:  # such as a trailing dot or a zone id, which urls do not allow
        return None
