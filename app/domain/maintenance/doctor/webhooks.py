"""Checks of webhooks: dead deliveries, and endpoints that get no events."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from app.domain.delivery.deliveries import DeliveryStatus
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.maintenance.doctor.findings import Problem
from app.domain.models import utcnow
from app.domain.ports.delivery_store import DeliveryStore
from app.domain.ports.endpoint_store import EndpointStore


def check_webhooks(
    deliveries: DeliveryStore, endpoints: EndpointStore, now: datetime | None = None
) -> Iterator[Problem]:
    """Check for deliveries that failed in every attempt, and for endpoints that are paused or answered 410."""
    if dead := (deliveries.count() or {}).get(DeliveryStatus.DEAD, 0):
        yield Problem(
            "webhooks_dead",
            f"{dead:,} webhook deliveries have failed in every attempt",
            "see `darkroom delivery list --status dead`, repair the receiver, then `darkroom delivery redeliver`",
        )
    enabled = [each for each in endpoints.all() if each.enabled]
    health = deliveries.health([each.id for each in enabled])
    for endpoint in enabled:
        state = health.get(endpoint.id)
        status = "active" if state is None else state.status(now or utcnow())
        if status == "paused" and state is not None:
            since = f"{state.failing_since:%Y-%m-%d %H:%M} UTC"
            yield Problem(
                "webhook_paused",
                f"{_name(endpoint)} has failed since {since}, and is tried at most every 15 minutes",
                f"repair the receiver, then `darkroom webhook edit {endpoint.id} --enable`",
            )
        elif status == "disabled":
            yield Problem(
                "webhook_disabled",
                f"{_name(endpoint)} answered 410, so nothing is sent to it",
                f"delete the endpoint, or enable it: `darkroom webhook edit {endpoint.id} --enable`",
            )


def _name(endpoint: WebhookEndpoint) -> str:
    """Return the host and the id; the path of the url may be a secret."""
    return f"the webhook endpoint {endpoint.id} at {urlsplit(endpoint.url).hostname}"
