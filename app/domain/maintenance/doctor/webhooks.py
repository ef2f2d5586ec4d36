"""Checks of webhooks: dead deliveries, endpoints that get no events, and a queue that nobody works on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from urllib.parse import urlsplit

from app.domain.delivery.deliveries import Delivery, DeliveryStatus
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.maintenance.doctor.findings import Problem, error
from app.domain.models import utcnow
from app.domain.ports import EventQueue
from app.domain.ports.delivery_store import DeliveryStore
from app.domain.ports.endpoint_store import EndpointStore
from app.domain.ports.outbox import Outbox

#: Age of an event or an attempt that the hourly runs of reconcile have missed.
_OVERDUE = timedelta(hours=2)
#: Unfinished events that are looked at.
_MOST_COUNTED = 1000


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


def check_wake_ups(queue: EventQueue, outbox: Outbox, now: datetime | None = None) -> Iterator[Problem]:
    """Check for messages that failed in every attempt, and for events and deliveries that wait without one."""
    if dead := queue.dead_letters():
        yield Problem(
            "webhook_dead_letters",
            f"{dead:,} messages of webhooks have failed in every attempt",
            "repair the cause, which is in the log of WebhookFunction, and purge the dead-letter queue: reconcile "
            "sends again what they stood for",
        )
    until = (now or utcnow()) - _OVERDUE
    late = 0
    for event in islice(outbox.unfinished(until), _MOST_COUNTED):
        late += not event.is_dispatched or any(_is_late(each, until) for each in event.deliveries)
    if late:
        more = " or more" if late == _MOST_COUNTED else ""
        yield error(
            "webhooks_late",
            f"{late:,}{more} events wait for two hours or longer, and no message comes for them",
            "check WebhookFunction, the schedule of ReconcileFunction, and their logs",
        )


def _is_late(delivery: Delivery, until: datetime) -> bool:
    """Return True if nothing about a pending delivery was to happen after this time."""
    times = (delivery.next_attempt_at, delivery.leased_until, delivery.wake_up_at)
    return all(each <= until for each in times if each is not None)


def _name(endpoint: WebhookEndpoint) -> str:
    """Return the host and the id; the path of the url may be a secret."""
    return f"the webhook endpoint {endpoint.id} at {urlsplit(endpoint.url).hostname}"
