"""The HTTP application."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from app.api import openapi
from app.api.dependencies import Services
from app.api.http import problems
from app.api.http.access import ScopedRoute
from app.api.middleware.cors import Cors
from app.api.middleware.headers import HeadAsGet
from app.api.middleware.lingering_close import LingeringClose
from app.api.middleware.request_log import RequestLog
from app.api.middleware.resolve_address import ResolveAddress
from app.api.middleware.same_site import AllowedHostsOnly, SameSiteOnly
from app.api.middleware.server_refusals import ErrorResponses
from app.api.routes import (
    edits,
    files,
    images,
    lookup,
    pages,
    service,
    share,
    similar,
    sizes,
    stats,
    tickets,
    trash,
    uploads,
    variants,
)
from app.api.routing import IndexedRouter
from app.domain.configuration.hosts import AllowedHosts

__all__ = ["Services", "create_app"]


def create_app(services: Services) -> FastAPI:
    """Create the application. It needs no lifespan; an entry point may add one."""
    app = FastAPI(
        title="Darkroom",
        version=services.version,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        openapi_url=None,  # served by routes/pages.py
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # FastAPI's redirects use the Host header
    )
    app.state.services = services
    routers = [
        uploads.router,
        tickets.router,
        images.router,
        edits.router,
        trash.router,
        lookup.router,
        variants.router,
        sizes.router,
        share.router,
        similar.router,
        stats.router,
        service.router,
        pages.router,
    ]
    routers += [files.router] if services.files is not None and services.local is not None else []
    routers += [tickets.store_router] if services.local is not None else []
    app.router = IndexedRouter(redirect_slashes=False, dependency_overrides_provider=app)
    for router in routers:
        app.router.routes += router.routes  # not by `include_router`, whose routes are matched one by one
    app.mount("/static", pages.StaticAssets(), name="static")
    problems.install(app)
    checks_hosts = services.same_site_only or bool(services.allowed_hosts)
    keys = services.keyring is not None
    openapi.describe(app, routers, keys=keys, hosts=checks_hosts, same_site=services.same_site_only)
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
        first_segments=_first_segments(routers),
    )
    app.add_middleware(RequestLog, reporter=services.reporter)
    return app


def _first_segments(routers: Sequence[APIRouter]) -> frozenset[str]:
    paths = [route.path for router in routers for route in router.routes if isinstance(route, ScopedRoute)]
    return frozenset(path.split("/")[1] for path in [*paths, "/static"])
