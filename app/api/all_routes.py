"""All routes, in the order of the API's description."""

from starlette.routing import BaseRoute, Mount

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
from app.api.routes.access import keys
from app.api.routes.webhooks import deliveries, endpoints
from app.api.services import Services


def all_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of an installation."""
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
        keys.router,
        service.router,
        pages.router,
    ]
    routers += [endpoints.router, deliveries.router] if services.webhook_adapters is not None else []
    routers += [files.router] if services.files is not None and services.local is not None else []
    routers += [service.metrics_router] if services.metrics is not None else []
    routers += [tickets.store_router] if services.local is not None else []
    # Not by `include_router`, whose routes are matched one by one.
    static = Mount("/static", pages.StaticAssets(), name="static")
    return [*(route for router in routers for route in router.routes), static]
