"""OpenAPI document of the API."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api.http.access import ScopedRoute
from app.api.http.problem_examples import problem_responses
from app.api.http.problems import MEDIA_TYPE, Problem
from app.api.http.rate_limit.fields import RATE_LIMIT, RATE_LIMIT_POLICY
from app.api.middleware.same_site import HEALTH_PATHS, SAFE_METHODS
from app.api.routes.access.schemas import KEY_BODY, KEY_PATCH, ROTATION_BODY
from app.api.routes.bulk import BulkResults
from app.api.routes.edits import BULK_EDIT, IMAGE_PATCH
from app.api.routes.images import DeletedImages
from app.api.routes.lookup import LOOKUP_BODY, KnownImages
from app.api.routes.service import Health
from app.api.routes.share import SHARE_BODY, ShareLink
from app.api.routes.similar import SimilarImageList
from app.api.routes.stats import StatsList
from app.api.routes.tickets import TICKET_BODY
from app.api.routes.trash import BULK_DELETE, BULK_RESTORE
from app.api.routes.uploads import ONE_BODY
from app.api.routes.webhooks.schemas import REDELIVERY_BODY, WEBHOOK_BODY, WEBHOOK_PATCH
from app.api.views.api_key import ApiKeyList, ApiKeyView, CreatedApiKey
from app.api.views.image import ImageList, ImageView
from app.api.views.limits import LimitsView
from app.api.views.stats import Stats
from app.api.views.webhook import CreatedWebhook, DeliveryList, DeliveryView, Redelivered, WebhookList, WebhookView
from app.domain.access.api_keys import Scope
from app.domain.uploads.tickets import Ticket

TAGS = [
    {"name": "uploads", "description": "Upload images: one request, or an upload ticket."},
    {"name": "images", "description": "Images: records, variants and originals."},
    {"name": "keys", "description": "API keys in the store, for callers with the scope `admin`."},
    {
        "name": "webhooks",
        "description": "Webhook endpoints and deliveries, for callers with the scope `admin`.",
    },
    {"name": "service", "description": "Limits and health of the service."},
    {
        "name": ONE_BODY,
        "description": "Copies of `POST /upload` for client generators that support one body type per operation.",
    },
]

DESCRIPTION = """
Upload an image, get a record with web-ready variants. To try it on this page, open `POST /upload`, choose a file, set
`wait` to 20 and execute: `variants` in the response lists the urls of all sizes, and `embed.html` is a `<picture>`
element for a web page. If the service requires API keys, enter one under *Authorize*.

Every error is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)): `code` is a stable name of the
problem, `detail` describes it, further members hold the value found and the limit, and `request_id` identifies the
request in the log of the service. Send the header `X-Request-Id` to choose the id.

If the service has a rate limit, responses say in `RateLimit` how many requests are left. Above it a request is refused
with 429, and `Retry-After` says when to try again.
"""


#: Models of the component schemas, and the mode of their schemas.
MODELS: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    *(
        (model, "serialization")
        for model in (
            ImageView,
            ImageList,
            SimilarImageList,
            DeletedImages,
            BulkResults,
            KnownImages,
            Stats,
            StatsList,
            Ticket,
            ShareLink,
            ApiKeyView,
            ApiKeyList,
            CreatedApiKey,
            WebhookView,
            WebhookList,
            CreatedWebhook,
            DeliveryView,
            DeliveryList,
            Redelivered,
            LimitsView,
            Health,
        )
    ),
    (Problem, "validation"),
]

#: Component schemas of request bodies.
BODIES: dict[str, Any] = {
    "TicketBody": TICKET_BODY,
    "ImagePatch": IMAGE_PATCH,
    "BulkEdit": BULK_EDIT,
    "BulkDelete": BULK_DELETE,
    "BulkRestore": BULK_RESTORE,
    "LookupBody": LOOKUP_BODY,
    "ShareBody": SHARE_BODY,
    "KeyBody": KEY_BODY,
    "KeyPatch": KEY_PATCH,
    "KeyRotation": ROTATION_BODY,
    "WebhookBody": WEBHOOK_BODY,
    "WebhookPatch": WEBHOOK_PATCH,
    "RedeliveryBody": REDELIVERY_BODY,
}

#: A request needs one of them.
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


#: Fields of every response to a request that counts for a rate limit; described where clients need them.
_RATE_FIELDS = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    RATE_LIMIT_POLICY: {
        "description": "The rate limit: `q` requests in `w` seconds, of the `key` or the `address`.",
        "schema": {"type": "string"},
        "example": '"key";q=100;w=10',
    },
    RATE_LIMIT: {
        "description": "`r` requests are left, and more in `t` seconds.",
        "schema": {"type": "string"},
        "example": '"key";r=99;t=1',
    },
}


def build_schema(app: FastAPI, *, keys: bool, hosts: bool, same_site: bool) -> dict[str, Any]:
    """Build the OpenAPI document of an installation, with the problems of each operation.

    `keys`: API keys are required. `hosts`: unknown host names are refused. `same_site`: cross-site writes are refused.
    """
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        servers=[{"url": "/"}],
        contact={"name": "Operator of this service"},
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    components = schema.setdefault("components", {})
    _, described = models_json_schema(MODELS, ref_template="#/components/schemas/{model}")
    components.setdefault("schemas", {}).update(described["$defs"])
    components["schemas"] |= BODIES
    if keys:
        components["securitySchemes"] = _SCHEMES
    for route in app.routes:
        if isinstance(route, ScopedRoute) and route.include_in_schema:
            for method in route.methods or ():
                operation = schema["paths"][route.path_format][method.lower()]
                _remove_null(operation.get("parameters", ()))
                _add_security(operation, route.required_scope if keys else None, route.open_to_public_images)
                possible = {
                    "invalid_request": not route.allows_extra_query,
                    "foreign_host": hosts and route.path_format not in HEALTH_PATHS,
                    "foreign_origin": same_site and method not in SAFE_METHODS,
                    "scope_missing": route.required_scope is Scope.ADMIN,  # callers without a key lack it
                    "rate_limited": route.is_rate_limited or (keys and route.required_scope is not None),  # wrong keys
                }
                _add_problems(operation, *(code for code, is_possible in possible.items() if is_possible))
                if possible["rate_limited"]:
                    operation["responses"]["429"].setdefault("headers", {}).update(_RATE_FIELDS)
    return schema


def _remove_null(parameters: Iterable[dict[str, Any]]) -> None:
    """Remove null from the schemas of parameters: FastAPI adds it to optional ones, but no url or header can say it."""
    for parameter in parameters:
        schema = parameter["schema"]
        alternatives = [each for each in schema.pop("anyOf", ()) if each != {"type": "null"}]
        if len(alternatives) == 1:
            parameter["schema"] = {**alternatives[0], **schema}
        elif alternatives:
            schema["anyOf"] = alternatives


def _add_security(operation: dict[str, Any], scope: Scope | None, open_to_public_images: bool) -> None:
    """Describe the API key that the operation needs: none, or one with the scope, for public images none."""
    operation["security"] = [] if scope is None else [{"bearer": []}, {"header": []}]
    if scope is not None:
        sentence = f"Needs the scope `{scope}`."
        if open_to_public_images:
            operation["security"].append({})
            sentence = f"A public image needs no API key. {sentence}"
        operation["description"] = f"{operation.get('description', '')}\n\n{sentence}".strip()
        _add_problems(operation, "key_missing", "key_unknown", "key_expired", "scope_missing")


def _add_problems(operation: dict[str, Any], *codes: str) -> None:
    """Add problems to the responses of the operation."""
    for status, response in problem_responses(*codes).items() if codes else ():
        own = operation["responses"].setdefault(str(status), response)
        own["content"][MEDIA_TYPE]["examples"] |= response["content"][MEDIA_TYPE]["examples"]
