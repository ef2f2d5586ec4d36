"""The HTTP application."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount

from app.api.http import problems
from app.api.http.access import ScopedRoute
from app.api.middleware.cors import Cors
from app.api.middleware.headers import HeadAsGet
from app.api.middleware.lingering_close import LingeringClose
from app.api.middleware.request_log import RequestLog
from app.api.middleware.resolve_address import ResolveAddress
from app.api.middleware.same_site import AllowedHostsOnly, SameSiteOnly
from app.api.middleware.server_refusals import ErrorResponses
from app.api.routes import images, service, variants
from app.api.routing import IndexedRouter
from app.api.services import Services
from app.domain.configuration.hosts import AllowedHosts

__all__ = ["Services", "create_app"]

#: Routers that most requests need. The others are loaded by the first request that needs one.
_COMMON = (images.router, variants.router, service.router)


def create_app(services: Services) -> FastAPI:
    """Create the application. It needs no lifespan; an entry point may add one."""
    app = FastAPI(
        title="Darkroom",
        version=services.version,
        openapi_url=None,  # served by routes/pages.py
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # FastAPI's redirects use the Host header
        # It would report signed urls and texts of errors.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services

    def load_all() -> list[BaseRoute]:
        from app.api.all_routes import all_routes  # noqa: PLC0415 - see `_COMMON`

        return all_routes(services)

    common = [route for router in _COMMON for route in router.routes]
    app.router = IndexedRouter(
        common, {"upload": _load_uploads}, load_all, redirect_slashes=False, dependency_overrides_provider=app
    )
    problems.install(app)
    checks_hosts = services.same_site_only or bool(services.allowed_hosts)

    def describe() -> dict[str, Any]:
        from app.api.openapi import build_schema  # noqa: PLC0415 - it imports the modules of all routes

        if app.openapi_schema is None:
            keys = services.keyring is not None
            app.openapi_schema = build_schema(app, keys=keys, hosts=checks_hosts, same_site=services.same_site_only)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way to extend the description
    # From the innermost to the outermost.
    if services.same_site_only:
        app.add_middleware(SameSiteOnly, public_url=services.public_url, origins=services.cors_origins)
    if checks_hosts:
        app.add_middleware(AllowedHostsOnly)
    app.add_middleware(ErrorResponses)
    app.add_middleware(HeadAsGet)
    app.add_middleware(LingeringClose)
    if services.cors_origins:
        app.add_middleware(Cors, origins=services.cors_origins)
    app.add_middleware(
        ResolveAddress,
        public_url=services.public_url,
        allowed=AllowedHosts(services.allowed_hosts, services.public_url),
        trusted=services.trusted_proxies,
        first_segments=lambda: _first_segments(app.routes),
    )
    app.add_middleware(RequestLog, reporter=services.reporter)
    return app


def _load_uploads() -> list[BaseRoute]:
    from app.api.routes import tickets, uploads  # noqa: PLC0415 - see `_COMMON`

    return [*uploads.router.routes, *tickets.router.routes]


def _first_segments(routes: Iterable[BaseRoute]) -> frozenset[str]:
    return frozenset(route.path.split("/")[1] for route in routes if isinstance(route, ScopedRoute | Mount))
