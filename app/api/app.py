"""The HTTP application."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from app.api import openapi
from app.api.bodies.spool import Spools
from app.api.dependencies import Parts
from app.api.http import problems
from app.api.http.access import KeyedRoute
from app.api.http.public_address import ResolveAddress
from app.api.http.server_refusals import Refused
from app.api.middleware.cors import Cors
from app.api.middleware.headers import HeadAsGet, SafeHeaders
from app.api.middleware.lingering_close import Draining
from app.api.middleware.request_log import RequestIds
from app.api.middleware.same_site import AllowedHostsOnly, SameSiteOnly
from app.api.readiness import Probe
from app.api.routes import docs, files, images, service, tickets, uploads, variants
from app.api.waiters import Waiters
from app.domain.configuration.hosts import AllowedHosts

__all__ = ["Parts", "create_app"]


def create_app(parts: Parts) -> FastAPI:
    """The application over the parts that the door hands in. It needs no lifespan; a door may add one."""
    app = FastAPI(
        title="Darkroom",
        version=parts.version,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        openapi_url=None,  # these are ours to serve
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the redirect would be built from the Host header
    )
    app.state.parts = parts
    app.state.probe = Probe(parts.checks)
    app.state.waiters = Waiters(parts.images.versions, parts.max_waiting)
    app.state.spools = Spools(parts.store, parts.max_spool_bytes)
    routers = [uploads.router, images.router, variants.router, service.router, docs.router]
    routers += [files.router] if parts.files is not None else []
    routers += [tickets.router] if parts.tickets is not None else []
    routers += [tickets.store_router] if parts.local is not None else []
    for router in routers:
        app.include_router(router)
    app.mount("/static", docs.OwnFiles(), name="static")
    problems.install(app)
    checks_hosts = parts.own_page_only or bool(parts.allowed_hosts)
    keys = parts.keyring is not None
    openapi.describe(app, routers, keys=keys, hosts=checks_hosts, same_site=parts.own_page_only)
    # The last one added is the outermost.
    app.add_middleware(problems.Unexpected)
    if parts.own_page_only:
        app.add_middleware(SameSiteOnly, public_url=parts.public_url, origins=parts.cors_origins)
    if checks_hosts:
        app.add_middleware(AllowedHostsOnly)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Refused)
    app.add_middleware(Draining)
    if parts.cors_origins:
        app.add_middleware(Cors, origins=parts.cors_origins)
    app.add_middleware(
        ResolveAddress,
        public_url=parts.public_url,
        allowed=AllowedHosts(parts.allowed_hosts, parts.public_url),
        trusted=parts.trusted_proxies,
        own=_first_segments(routers),
    )
    app.add_middleware(SafeHeaders)
    app.add_middleware(RequestIds, reporter=parts.reporter)
    return app


def _first_segments(routers: Sequence[APIRouter]) -> frozenset[str]:
    paths = [route.path for router in routers for route in router.routes if isinstance(route, KeyedRoute)]
    return frozenset(path.split("/")[1] for path in [*paths, "/static"])
