"""Views of webhook endpoints and deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self, cast

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.delivery.deliveries import Delivery, DeliveryStatus, EndpointHealth
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.models import Model

EndpointStatus = Literal["active", "paused", "disabled"]

_ENDPOINT: JsonDict = {
    "id": "whe_01a2121118a97bc8801bcadcca2023b7",
    "url": "https://hooks.example.com/darkroom",
    "events": ["image.ready", "image.failed"],
    "owner": None,
    "description": "web shop",
    "enabled": True,
    "status": "active",
    "failing_since": None,
    "previous_secret_until": None,
    "created_at": "2026-11-29T09:38:07Z",
    "updated_at": "2026-11-29T09:38:07Z",
}
_DELIVERY: JsonDict = {
    "id": "evt_01a2121119a97bc8801bcadcca2023b7.whe_01a2121118a97bc8801bcadcca2023b7",
    "event_id": "evt_01a2121119a97bc8801bcadcca2023b7",
    "endpoint_id": "whe_01a2121118a97bc8801bcadcca2023b7",
    "type": "image.ready",
    "image_id": "01a21211-8a9b-7bc8-801b-cadcca2023b7",
    "owner": "ann",
    "status": "pending",
    "attempts": [{"at": "2026-11-29T09:38:09Z", "status": 503, "error": None, "ms": 87}],
    "next_attempt_at": "2026-11-29T09:38:14Z",
    "created_at": "2026-11-29T09:38:08Z",
    "finished_at": None,
}


class WebhookView(Model):
    """A webhook endpoint without its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENDPOINT]})

    id: str
    url: str
    events: Sequence[str] = Field(description="Types of events that it receives; `*`: every type.")
    owner: str | None = Field(description="Events of this owner's images; null: of every owner.")
    description: str | None
    enabled: bool = Field(description="False: nothing is sent.")
    status: EndpointStatus = Field(
        description="`paused`: it has failed for an hour, so it is tried at most every 15 minutes. `disabled`: by "
        "`enabled`, or because it answered 410."
    )
    failing_since: datetime | None = Field(description="Time of the first failure after the last success.")
    previous_secret_until: datetime | None = Field(
        description="Until this time the secret before the last rotation signs too."
    )
    created_at: datetime
    updated_at: datetime

    @classmethod
    def build(cls, endpoint: WebhookEndpoint, health: EndpointHealth | None, now: datetime) -> Self:
        """Build the view of an endpoint."""
        return cls.model_validate(_fields(endpoint, health, now))


class CreatedWebhook(WebhookView):
    """A webhook endpoint with its secret."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_ENDPOINT, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}]}
    )

    secret: str = Field(
        description="Verifies the signatures of requests. It is shown only now; a rotation makes another one."
    )

    @classmethod
    def of(cls, secret: str, endpoint: WebhookEndpoint, health: EndpointHealth | None, now: datetime) -> Self:
        """Build the view of a new endpoint, or of one with a new secret."""
        return cls.model_validate({"secret": secret, **_fields(endpoint, health, now)})


class WebhookList(Model):
    """A page of webhook endpoints."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ENDPOINT], "next_cursor": None}]})

    items: Sequence[WebhookView] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


class AttemptView(Model):
    """One request to an endpoint."""

    at: datetime
    status: int | None = Field(description="Status of the response; null if there was none.")
    error: str | None = Field(description="Why there was no response; null if there was one.")
    ms: int = Field(description="Milliseconds until the response or the error.")


class DeliveryView(Model):
    """An event for one endpoint, and the attempts to send it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    id: str
    event_id: str = Field(description="`webhook-id` of the requests, the same in all attempts.")
    endpoint_id: str
    type: str
    image_id: str | None
    owner: str
    status: DeliveryStatus = Field(
        description="`pending`: an attempt follows. `delivered`: the endpoint answered 2xx. `dead`: all attempts "
        "failed. `dropped`: the endpoint is disabled or deleted."
    )
    attempts: Sequence[AttemptView] = Field(description="The last 10, oldest first.")
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def build(cls, delivery: Delivery) -> Self:
        """Build the view of a delivery."""
        return cls.model_validate(delivery.model_dump())


class DeliveryList(Model):
    """A page of deliveries."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_DELIVERY], "next_cursor": None}]})

    items: Sequence[DeliveryView] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


class Redelivered(Model):
    """Deliveries of a time range that are sent again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"count": 12, "complete": True, "until": None}]})

    count: int
    complete: bool = Field(description="False: there may be more. Send the request again with this `until`.")
    until: datetime | None = Field(description="Time before which there may be more; null if it is `complete`.")


def _fields(endpoint: WebhookEndpoint, health: EndpointHealth | None, now: datetime) -> dict[str, object]:
    status = health.status(now) if health is not None else "active"
    return {
        **endpoint.model_dump(exclude={"generation", "previous_until", "version"}),
        "status": cast("EndpointStatus", status if endpoint.enabled else "disabled"),
        "failing_since": None if health is None else health.failing_since,
        "previous_secret_until": endpoint.previous_until if endpoint.signs_with_previous(now) else None,
    }
