"""Webhook endpoints."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.bodies.json_body import read_json_body, read_optional_object
from app.api.bodies.request_schemas import json_request
from app.api.dependencies import BasePathDep, ServicesDep
from app.api.http.access import ScopedRoute, requires
from app.api.http.json_object import parse_object
from app.api.http.problem_examples import model_response, problem_responses
from app.api.services import Services
from app.api.views.list_query import DEFAULT_LIMIT, MAX_LIMIT
from app.api.views.paging import Paging
from app.api.views.responses import json_answer
from app.api.views.webhook import CreatedWebhook, DeliveryView, WebhookList, WebhookView
from app.domain.access.api_keys import Scope
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.models import utcnow

router = APIRouter(tags=["webhooks"], route_class=ScopedRoute)

_SECRET = {"Cache-Control": "no-store"}
_CACHING = {"Cache-Control": "private, no-cache"}
#: What the cursors of the list are bound to.
_WEBHOOKS = {"list": "webhooks"}
_PATCH_TYPES = ("application/json", "application/merge-patch+json")
_BODY_PROBLEMS = (
    "incomplete_body", "empty_body", "bad_json", "too_deep", "duplicate_field", "request_timeout", "body_too_large",
    "unsupported_body", "unknown_field", "wrong_type", "invalid_request", "scope_missing", "storage_full",
)  # fmt: skip
_FIELD_PROBLEMS = (
    "missing_field", "too_long", "control_character", "bad_owner", "bad_url", "refused_address", "bad_events",
)  # fmt: skip
_EXAMPLE = {"url": "https://hooks.example.com/darkroom", "events": ["image.ready", "image.failed"]}

WebhookId = Annotated[
    str, Path(description="Id of the webhook endpoint.", examples=["whe_01a2121118a97bc8801bcadcca2023b7"])
]


@router.post(
    "/webhooks",
    operation_id="create_webhook",
    summary="Create a webhook endpoint",
    status_code=201,
    response_description="The endpoint with its secret, which is shown only now",
    openapi_extra=json_request("WebhookBody", _EXAMPLE),
    responses={
        201: model_response(CreatedWebhook)
        | {"headers": {"Location": {"description": "Path of the endpoint.", "schema": {"type": "string"}}}},
        **problem_responses(*_BODY_PROBLEMS, *_FIELD_PROBLEMS, "too_many_endpoints"),
    },
)
@requires(Scope.ADMIN)
async def create_webhook(request: Request, services: ServicesDep, base_path: BasePathDep) -> Response:
    """Send events of images to a url, signed by the rules of Standard Webhooks.

    If the response is lost, find the endpoint in the list, and rotate its secret.
    """
    body = await read_json_body(request)

    def create() -> CreatedWebhook:
        return _with_secret(services, *services.webhooks.create(parse_object(body)))

    made = await run_in_threadpool(create)
    return json_answer(made, 201, {**_SECRET, "Location": f"{base_path}/webhooks/{made.id}"})


@router.get(
    "/webhooks",
    operation_id="list_webhooks",
    summary="List webhook endpoints",
    responses={200: model_response(WebhookList), **problem_responses("bad_cursor", "invalid_request")},
)
@requires(Scope.ADMIN)
def list_webhooks(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Endpoints per page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page.")] = None,
) -> Response:
    """List the webhook endpoints, newest first, without their secrets."""
    paging = Paging(services.cursors, _WEBHOOKS, limit, cursor)
    found, following = paging.read(services.webhooks.list, lambda endpoint: endpoint.id)
    health, now = services.webhooks.health(found), utcnow()
    items = [WebhookView.build(each, health.get(each.id), now) for each in found]
    return json_answer(WebhookList(items=items, next_cursor=following), headers=_CACHING)


@router.get(
    "/webhooks/{webhook_id}",
    operation_id="get_webhook",
    summary="Get a webhook endpoint",
    responses={200: model_response(WebhookView), **problem_responses("invalid_request", "webhook_not_found")},
)
@requires(Scope.ADMIN)
def get_webhook(webhook_id: WebhookId, services: ServicesDep) -> Response:
    """Get an endpoint without its secret."""
    return json_answer(_view(services, services.webhooks.get(webhook_id)), headers=_CACHING)


@router.patch(
    "/webhooks/{webhook_id}",
    operation_id="edit_webhook",
    summary="Change a webhook endpoint",
    response_description="The endpoint after the change",
    openapi_extra=json_request("WebhookPatch", {"events": ["*"], "enabled": True}, _PATCH_TYPES),
    responses={
        200: model_response(WebhookView),
        **problem_responses(*_BODY_PROBLEMS, *_FIELD_PROBLEMS, "webhook_not_found"),
    },
)
@requires(Scope.ADMIN)
async def edit_webhook(request: Request, webhook_id: WebhookId, services: ServicesDep) -> Response:
    """Change the fields that the body names; null sets a default. A change takes effect within 30 seconds.

    `"enabled": true` also ends a pause after failures, and enables an endpoint that answered 410.
    """
    body = await read_json_body(request, _PATCH_TYPES, headers={"Accept-Patch": ", ".join(_PATCH_TYPES)})

    def edit() -> WebhookView:
        return _view(services, services.webhooks.edit(webhook_id, parse_object(body)))

    return json_answer(await run_in_threadpool(edit), headers=_CACHING)


@router.post(
    "/webhooks/{webhook_id}/test",
    operation_id="test_webhook",
    summary="Test a webhook endpoint",
    status_code=202,
    response_description="The delivery of the event `webhook.test`",
    responses={
        202: model_response(DeliveryView),
        **problem_responses(
            "invalid_request", "webhook_not_found", "webhook_disabled", "storage_full", *_BODY_PROBLEMS
        ),
    },
)
@requires(Scope.ADMIN)
async def test_webhook(request: Request, webhook_id: WebhookId, services: ServicesDep) -> Response:
    """Send an event `webhook.test` to the endpoint. `GET /deliveries/{delivery_id}` shows what it answered."""
    return await _without_body(
        request,
        lambda: json_answer(
            DeliveryView.build(services.deliveries.test(services.webhooks.get_enabled(webhook_id))), 202, _CACHING
        ),
    )


@router.post(
    "/webhooks/{webhook_id}/rotate",
    operation_id="rotate_webhook",
    summary="Rotate the secret of a webhook endpoint",
    response_description="The endpoint with its new secret, which is shown only now",
    responses={
        200: model_response(CreatedWebhook),
        **problem_responses("webhook_not_found", *_BODY_PROBLEMS),
    },
)
@requires(Scope.ADMIN)
async def rotate_webhook(request: Request, webhook_id: WebhookId, services: ServicesDep) -> Response:
    """Give an endpoint a new secret. For 24 hours requests are signed with both secrets, so that none is lost.

    A second rotation within 24 hours ends the first secret at once.
    """
    return await _without_body(
        request, lambda: json_answer(_with_secret(services, *services.webhooks.rotate(webhook_id)), headers=_SECRET)
    )


@router.delete(
    "/webhooks/{webhook_id}",
    operation_id="delete_webhook",
    summary="Delete a webhook endpoint",
    status_code=204,
    response_description="The endpoint receives nothing any more",
    responses=problem_responses("invalid_request", "webhook_not_found"),
)
@requires(Scope.ADMIN)
def delete_webhook(webhook_id: WebhookId, services: ServicesDep) -> Response:
    """Delete an endpoint. Its pending deliveries are dropped.

    Idempotent: an unknown id is no error, but a text that is no id is one.
    """
    services.webhooks.delete(webhook_id)
    return Response(status_code=204)


async def _without_body(request: Request, answer: Callable[[], Response]) -> Response:
    """Answer a request whose body, if there is one, is an empty object."""
    await read_optional_object(request, ())
    return await run_in_threadpool(answer)


def _view(services: Services, endpoint: WebhookEndpoint) -> WebhookView:
    return WebhookView.build(endpoint, services.webhooks.health([endpoint]).get(endpoint.id), utcnow())


def _with_secret(services: Services, secret: str, endpoint: WebhookEndpoint) -> CreatedWebhook:
    return CreatedWebhook.of(secret, endpoint, services.webhooks.health([endpoint]).get(endpoint.id), utcnow())
