"""Deliveries of webhooks."""

import time
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from app.api.bodies.json_body import read_json_body, read_optional_object
from app.api.bodies.request_schemas import json_request
from app.api.dependencies import ServicesDep
from app.api.http.access import ScopedRoute, requires
from app.api.http.json_object import JsonObject
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import model_response, problem_responses
from app.api.routes.webhooks.schemas import REPEATABLE
from app.api.views.list_query import DEFAULT_LIMIT, MAX_LIMIT, Timestamp
from app.api.views.responses import json_answer
from app.api.views.webhook import DeliveryList, DeliveryView, Redelivered
from app.domain.access.api_keys import Scope
from app.domain.delivery.deliveries import Delivery, DeliveryStatus
from app.domain.ports.delivery_store import DeliveryQuery
from app.domain.uploads.field_values import missing_field

router = APIRouter(tags=["webhooks"], route_class=ScopedRoute)

_CACHING = {"Cache-Control": "private, no-cache"}
_TIMESTAMP = TypeAdapter[datetime](Timestamp)
_FOUND_CHARACTERS = 80
#: A gateway waits 30 seconds for a response.
_SECONDS = 15
_BODY_PROBLEMS = (
    "incomplete_body", "empty_body", "bad_json", "too_deep", "duplicate_field", "request_timeout", "body_too_large",
    "unsupported_body", "unknown_field", "wrong_type", "invalid_request", "storage_full",
)  # fmt: skip
_RANGE = {
    "endpoint": "whe_01a2121118a97bc8801bcadcca2023b7",
    "since": "2026-11-28T00:00:00Z",
    "until": "2026-11-29T00:00:00Z",
}

DeliveryId = Annotated[
    str,
    Path(
        description="Id of the delivery.",
        examples=["evt_01a2121119a97bc8801bcadcca2023b7.whe_01a2121118a97bc8801bcadcca2023b7"],
    ),
]


@router.get(
    "/deliveries",
    operation_id="list_deliveries",
    summary="List deliveries",
    responses={200: model_response(DeliveryList), **problem_responses("bad_cursor", "invalid_request")},
)
@requires(Scope.ADMIN)
def list_deliveries(
    services: ServicesDep,
    endpoint: Annotated[str | None, Query(max_length=64, description="To this webhook endpoint.")] = None,
    status: Annotated[DeliveryStatus | None, Query(description="With this status.")] = None,
    event: Annotated[str | None, Query(max_length=64, description="Of this event.")] = None,
    image: Annotated[str | None, Query(max_length=64, description="Of events of this image.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Deliveries per page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page.")] = None,
) -> Response:
    """List the deliveries of all owners' events, newest first, with their last attempts.

    A page may have fewer items than `limit`, or none, and not be the last: `next_cursor` tells.
    """
    bound = {"list": "deliveries", "endpoint": endpoint, "status": status, "event": event, "image": image}
    after = None if cursor is None else services.cursors.read(cursor, bound)
    page = services.deliveries.list(
        DeliveryQuery(limit=limit, after=after, endpoint_id=endpoint, status=status, event_id=event, image_id=image)
    )
    following = None if page.next_after is None else services.cursors.write(page.next_after, bound)
    items = [DeliveryView.build(delivery) for delivery in page.items]
    return json_answer(DeliveryList(items=items, next_cursor=following), headers=_CACHING)


@router.get(
    "/deliveries/{delivery_id}",
    operation_id="get_delivery",
    summary="Get a delivery",
    responses={200: model_response(DeliveryView), **problem_responses("invalid_request", "no_such_delivery")},
)
@requires(Scope.ADMIN)
def get_delivery(delivery_id: DeliveryId, services: ServicesDep) -> Response:
    """Get a delivery with its last attempts."""
    return json_answer(DeliveryView.build(services.deliveries.get(delivery_id)), headers=_CACHING)


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    operation_id="redeliver",
    summary="Send a delivery again",
    status_code=202,
    response_description="The delivery, which is due now",
    responses={
        202: model_response(DeliveryView),
        **problem_responses("no_such_delivery", "webhook_not_found", "delivery_in_progress", *_BODY_PROBLEMS),
    },
)
@requires(Scope.ADMIN)
async def redeliver(request: Request, delivery_id: DeliveryId, services: ServicesDep) -> Response:
    """Send an event to its endpoint again, with the same `webhook-id` and body. All attempts are before it again."""
    await read_optional_object(request, ())

    def send() -> Delivery:
        services.webhooks.get(services.deliveries.get(delivery_id).endpoint_id)
        return services.deliveries.redeliver(delivery_id)

    return json_answer(DeliveryView.build(await run_in_threadpool(send)), 202, _CACHING)


@router.post(
    "/deliveries/redeliver",
    operation_id="redeliver_range",
    summary="Send the deliveries of a time range again",
    status_code=202,
    response_description="Number of the deliveries, which are due now",
    openapi_extra=json_request("RedeliveryBody", _RANGE),
    responses={
        202: model_response(Redelivered),
        **problem_responses(*_BODY_PROBLEMS, "missing_field", "bad_range", "webhook_not_found"),
    },
)
@requires(Scope.ADMIN)
async def redeliver_range(request: Request, services: ServicesDep) -> Response:
    """Send those deliveries of an endpoint again whose events are of this time: the dead ones, or those of a `status`.

    A request sends at most 10,000, and works for 15 seconds at most. If the response has `complete: false`, there may
    be more: send the request again with the `until` of the response.
    """
    body = await read_json_body(request)

    def send() -> Redelivered:
        members = JsonObject.parse(body, ("endpoint", "since", "until", "status"))
        endpoint = members.text("endpoint")
        if endpoint is None:
            raise missing_field("endpoint", "the id of a webhook endpoint")
        since, until = _time(members, "since"), _time(members, "until")
        if since >= until:
            raise refusal("bad_range", field="until", found=until.isoformat())
        status = _status(members)
        services.webhooks.get(endpoint)
        end = time.monotonic() + _SECONDS
        sent = services.deliveries.redeliver_range(
            endpoint, since, until, status, is_time_left=lambda: time.monotonic() < end
        )
        return Redelivered(count=sent.count, complete=sent.left_until is None, until=sent.left_until)

    return json_answer(await run_in_threadpool(send), 202, _CACHING)


def _time(members: JsonObject, name: str) -> datetime:
    text = members.text(name)
    if text is None:
        raise missing_field(name, "a date and time with a zone, such as 2026-11-29T00:00:00Z")
    try:
        return _TIMESTAMP.validate_python(text)
    except ValidationError:
        found = text[:_FOUND_CHARACTERS]
        detail = f"`{name}` must be a date and time with a zone, such as 2026-11-29T00:00:00Z (found: {found!a})."
        raise refusal("bad_range", detail, field=name, found=found) from None


def _status(members: JsonObject) -> DeliveryStatus:
    text = members.text("status")
    if text is None:
        return DeliveryStatus.DEAD
    if text not in REPEATABLE:
        found = text[:_FOUND_CHARACTERS]
        detail = f"`status` must be one of {', '.join(REPEATABLE)} (found: {found!a})."
        raise refusal("bad_range", detail, field="status", found=found)
    return DeliveryStatus(text)
