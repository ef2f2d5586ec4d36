"""The API's description."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api.access import KeyedRoute
from app.api.documented import problems
from app.api.problems import MEDIA_TYPE, Problem
from app.api.routes.direct import TICKET_BODY
from app.api.routes.service import Health
from app.api.views import ImageList, ImageView
from app.domain.access import Scope
from app.domain.limits import Limits
from app.domain.tickets import Ticket

TAGS = [
    {"name": "uploads", "description": "Pictures in."},
    {"name": "images", "description": "Records and bytes out."},
    {"name": "service", "description": "What is taken, and how the service is."},
]

DESCRIPTION = """
Send a picture, get back a record with web-ready variants. To try it here, open `POST /upload`, choose a file, set
`wait` to 20 and execute: the answer's `variants` hold urls of the sizes, and `links.html` a `<picture>` for a page.
Where keys are asked for, *Authorize* takes one; elsewhere leave it alone.

Every error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem document: `code` tells problems apart,
`request_id` names the request in the service's log, and further members hold what was measured beside the limit it
broke. Send `X-Request-Id` to choose the id yourself.
"""


#: The models that answers and bodies are described by, and whether as they come in or as they go out.
MODELS: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    *((model, "serialization") for model in (ImageView, ImageList, Ticket, Limits, Health)),
    (Problem, "validation"),
]

#: Either does. Without authentication nobody is asked, and a key that is sent is not looked at.
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


def _secure(operation: dict[str, Any], scope: Scope) -> None:
    operation["security"] = [{"bearer": []}, {"header": []}]
    operation["description"] = f"{operation.get('description', '')}\n\nWith authentication: scope `{scope}`.".strip()
    responses = problems("key_missing", "key_unknown", "scope_missing", "foreign_host")
    for status in (401, 403):
        own = operation["responses"].setdefault(str(status), responses[status])
        own["content"][MEDIA_TYPE]["examples"] |= responses[status]["content"][MEDIA_TYPE]["examples"]


def describe(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Give the application a description that knows the problem document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                servers=app.servers,
            )
            components = schema.setdefault("components", {})
            _, described = models_json_schema(MODELS, ref_template="#/components/schemas/{model}")
            components.setdefault("schemas", {}).update(described["$defs"])
            components["schemas"]["TicketBody"] = TICKET_BODY
            components["securitySchemes"] = _SCHEMES
            for route in (route for router in routers for route in router.routes):
                if isinstance(route, KeyedRoute) and route.include_in_schema and route.scope_needed is not None:
                    for method in route.methods or ():
                        _secure(schema["paths"][route.path_format][method.lower()], route.scope_needed)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the description
