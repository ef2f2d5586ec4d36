"""The API's description."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api.http.access import KeyedRoute
from app.api.http.problem_examples import problems
from app.api.http.problems import MEDIA_TYPE, Problem
from app.api.middleware.same_site import HEALTH, SAFE
from app.api.routes.service import Health
from app.api.routes.tickets import TICKET_BODY
from app.api.routes.uploads import ONE_BODY
from app.api.views.image import ImageList, ImageView
from app.domain.access.api_keys import Scope
from app.domain.limits import Limits
from app.domain.uploads.tickets import Ticket

TAGS = [
    {"name": "uploads", "description": "Upload images."},
    {"name": "images", "description": "Records, variants and originals."},
    {"name": "service", "description": "Limits and health."},
    {
        "name": ONE_BODY,
        "description": "`POST /upload` again, for generators of clients that know one body type for each operation.",
    },
]

DESCRIPTION = """
Send a picture, get back a record with web-ready variants. To try it here, open `POST /upload`, choose a file, set
`wait` to 20 and execute: the answer's `variants` hold urls of the sizes, and `embed.html` a `<picture>` for a page.
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

#: Either does.
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


def describe(app: FastAPI, routers: Iterable[APIRouter], *, keys: bool, hosts: bool, same_site: bool) -> None:
    """Give the application a description that fits this installation and knows the problem document.

    `keys` are asked for, foreign `hosts` are refused, writes have to be `same_site`.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                servers=[{"url": "/"}],
                contact={"name": "The operator of this service"},
                license_info={"name": "MIT", "identifier": "MIT"},
            )
            components = schema.setdefault("components", {})
            _, described = models_json_schema(MODELS, ref_template="#/components/schemas/{model}")
            components.setdefault("schemas", {}).update(described["$defs"])
            components["schemas"]["TicketBody"] = TICKET_BODY
            if keys:
                components["securitySchemes"] = _SCHEMES
            for route in (route for router in routers for route in router.routes):
                if isinstance(route, KeyedRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        operation = schema["paths"][route.path_format][method.lower()]
                        _secure(operation, route.scope_needed if keys else None)
                        given = {
                            "invalid_request": not route.is_link,
                            "foreign_host": hosts and route.path_format not in HEALTH,
                            "foreign_origin": same_site and method not in SAFE,
                        }
                        _refuse(operation, *(code for code, is_given in given.items() if is_given))
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the description


def _secure(operation: dict[str, Any], scope: Scope | None) -> None:
    """Say which key the operation needs: none, or one with the scope."""
    operation["security"] = [] if scope is None else [{"bearer": []}, {"header": []}]
    if scope is not None:
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()
        _refuse(operation, "key_missing", "key_unknown", "scope_missing")


def _refuse(operation: dict[str, Any], *codes: str) -> None:
    """Add problems to the answers of the operation."""
    for status, response in problems(*codes).items() if codes else ():
        own = operation["responses"].setdefault(str(status), response)
        own["content"][MEDIA_TYPE]["examples"] |= response["content"][MEDIA_TYPE]["examples"]
