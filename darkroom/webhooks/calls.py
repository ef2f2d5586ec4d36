"""Calls about webhook endpoints and deliveries. They need a key with the scope `admin`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack

from darkroom.base import BaseClient
from darkroom.connection import item_path
from darkroom.errors import InvalidArgument
from darkroom.webhooks.records import Delivery, DeliveryStatus, Redelivered, Webhook


class WebhookChanges(TypedDict, total=False):
    """Fields of an endpoint. None sets the default: every event, every owner, no description."""

    url: str
    events: Sequence[str] | None
    owner: str | None
    description: str | None
    enabled: bool


class DeliveryFilters(TypedDict, total=False):
    """Filters of a list of deliveries. A delivery in the list matches all of them."""

    #: Id of the endpoint.
    endpoint: str
    status: DeliveryStatus
    #: Id of the event, which is `webhook-id` of the requests.
    event: str
    #: Id of the image.
    image: str


class WebhookCalls(BaseClient):
    """Calls about webhooks."""

    def webhooks(self, *, page_size: int = 100) -> Iterator[Webhook]:
        """Yield all webhook endpoints, newest first.

        >>> [each.url for each in admin.webhooks()]
        []
        """
        return self._pages(Webhook, "/webhooks", {"limit": page_size})

    def webhook(self, webhook_id: str) -> Webhook:
        """Return a webhook endpoint.

        >>> made = admin.create_webhook("https://hooks.example.com/darkroom")
        >>> admin.webhook(made.id).status
        'active'
        >>> admin.delete_webhook(made.id)
        """
        return self._connection.decode(Webhook, self._connection.call("GET", item_path("webhooks", webhook_id)))

    def create_webhook(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        owner: str | None = None,
        description: str | None = None,
    ) -> Webhook:
        """Send events to a url, and return the endpoint with its `secret`, which cannot be read again.

        Without `events` it receives every type, and without `owner` those of every owner's images. The request is not
        repeated after a lost connection, because it would create another endpoint.

        >>> made = admin.create_webhook("https://hooks.example.com/darkroom", events=["image.ready"])
        >>> made.secret[:6], made.events
        ('whsec_', ('image.ready',))
        >>> admin.delete_webhook(made.id)
        """
        body = {"url": url, "events": _list(events), "owner": owner, "description": description}
        given = {name: value for name, value in body.items() if value is not None}
        answer = self._connection.call("POST", "/webhooks", json=given, expected={201}, repeatable=False)
        return self._connection.decode(Webhook, answer)

    def edit_webhook(self, webhook_id: str, **changes: Unpack[WebhookChanges]) -> Webhook:
        """Change the given fields of an endpoint. `enabled=True` also ends a pause after failures.

        >>> made = admin.create_webhook("https://hooks.example.com/darkroom")
        >>> admin.edit_webhook(made.id, enabled=False).status
        'disabled'
        >>> admin.delete_webhook(made.id)
        """
        body: dict[str, Any] = {**changes}
        if "events" in body:
            body["events"] = _list(body["events"])
        answer = self._connection.call("PATCH", item_path("webhooks", webhook_id), json=body)
        return self._connection.decode(Webhook, answer)

    def test_webhook(self, webhook_id: str) -> Delivery:
        """Send an event `webhook.test` to an endpoint. `delivery` shows later what it answered.

        >>> made = admin.create_webhook("https://hooks.example.com/darkroom")
        >>> admin.test_webhook(made.id).type
        'webhook.test'
        >>> admin.delete_webhook(made.id)
        """
        answer = self._connection.call(
            "POST", item_path("webhooks", webhook_id, "/test"), expected={202}, repeatable=False
        )
        return self._connection.decode(Delivery, answer)

    def rotate_webhook(self, webhook_id: str) -> Webhook:
        """Give an endpoint a new `secret`. For 24 hours requests are signed with both secrets.

        The request is not repeated after a lost connection, because a second rotation ends the first secret.

        >>> made = admin.create_webhook("https://hooks.example.com/darkroom")
        >>> admin.rotate_webhook(made.id).secret != made.secret
        True
        >>> admin.delete_webhook(made.id)
        """
        answer = self._connection.call("POST", item_path("webhooks", webhook_id, "/rotate"), repeatable=False)
        return self._connection.decode(Webhook, answer)

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete an endpoint. Unknown ids are not an error.

        >>> admin.delete_webhook("whe_01a2121118a97bc8801bcadcca2023b7")
        """
        self._connection.call("DELETE", item_path("webhooks", webhook_id), expected={204})

    def deliveries(self, *, page_size: int = 100, **filters: Unpack[DeliveryFilters]) -> Iterator[Delivery]:
        """Yield all deliveries that match the filters, newest first.

        >>> [each.type for each in admin.deliveries(status="dead")]
        []
        """
        params = {name: value for name, value in filters.items() if value is not None}
        return self._pages(Delivery, "/deliveries", {**params, "limit": page_size})

    def delivery(self, delivery_id: str) -> Delivery:
        """Return a delivery.

        >>> made = admin.create_webhook("https://hooks.example.com/darkroom")
        >>> sent = admin.test_webhook(made.id)
        >>> admin.delivery(sent.id).event_id == sent.event_id
        True
        >>> admin.delete_webhook(made.id)
        """
        return self._connection.decode(Delivery, self._connection.call("GET", item_path("deliveries", delivery_id)))

    def redeliver(self, delivery_id: str) -> Delivery:
        """Send a delivery again, with the same id of the event. Raises `Conflict` while an attempt of it is made.

        >>> for each in admin.deliveries(status="dead"):
        ...     again = admin.redeliver(each.id)
        """
        answer = self._connection.call("POST", item_path("deliveries", delivery_id, "/redeliver"), expected={202})
        return self._connection.decode(Delivery, answer)

    def redeliver_range(
        self, endpoint: str, since: datetime, until: datetime, *, status: DeliveryStatus | None = None
    ) -> Redelivered:
        """Send deliveries of an endpoint again whose events are of this time: the dead ones, or those of a `status`.

        >>> from datetime import UTC, datetime
        >>> made = admin.create_webhook("https://hooks.example.com/darkroom")
        >>> admin.redeliver_range(made.id, datetime(2026, 11, 28, tzinfo=UTC), datetime.now(UTC)).count
        0
        >>> admin.delete_webhook(made.id)
        """
        if since.tzinfo is None or until.tzinfo is None:
            raise InvalidArgument("since and until need a time zone. Use datetime.now(UTC), for example.")
        body = {"endpoint": endpoint, "since": since.isoformat(), "until": until.isoformat()}
        given: Mapping[str, Any] = body if status is None else {**body, "status": status}
        answer = self._connection.call("POST", "/deliveries/redeliver", json=given, expected={202})
        return self._connection.decode(Redelivered, answer)


def _list(events: Sequence[str] | None) -> list[str] | None:
    return None if events is None else [events] if isinstance(events, str) else list(events)
