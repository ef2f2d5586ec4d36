"""Port of the events and deliveries of webhooks."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from app.domain.delivery.deliveries import Delivery, DeliveryStatus, EndpointHealth
from app.domain.delivery.events import Event
from app.domain.ports.repository import Page


class DeliveryQuery(NamedTuple):
    """Filter and position of a list of deliveries. `after` is the last id seen; `since` (inclusive) and `until`
    (exclusive) are times of the events."""

    limit: int
    after: str | None = None
    endpoint_id: str | None = None
    status: DeliveryStatus | None = None
    event_id: str | None = None
    image_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class DeliveryStore(Protocol):
    """Events, one delivery for each endpoint that receives one, and the health of endpoints.

    The events of a record are written by the repository, in the transaction that changes the record. Finished
    deliveries and their events are gone after 30 days. Reads by id are strongly consistent.
    """

    def add(self, event: Event, deliveries: Sequence[Delivery]) -> None:
        """Store an event and deliveries of it, except those that exist already. The event is dispatched then: it is
        not dispatched again when all of its deliveries are finished."""

    def get(self, delivery_id: str) -> Delivery | None:
        """Return a delivery, or None."""

    def get_event(self, event_id: str) -> Event | None:
        """Return an event, or None."""

    def replace(self, delivery: Delivery) -> None:
        """Store a changed delivery, whose `version` is one more than the stored one. Raises `Stale` if it is not."""

    def list(self, query: DeliveryQuery) -> Page[Delivery]:
        """Return one page, newest first. A page may be short, or empty, and not the last: `next_after` tells. Lists
        may lag behind writes, but every delivery in one is as it is stored."""

    def due(self, now: datetime, each: int, without: Collection[str] = ()) -> Sequence[Delivery]:
        """Return pending deliveries whose attempt is due and that no attempt is made of: at most `each` of an endpoint,
        those that are due first. None of the endpoints `without`, and none of an endpoint whose `probe_at` has not
        come."""

    def health(self, endpoint_ids: Collection[str]) -> Mapping[str, EndpointHealth]:
        """Return the health of those endpoints that have one, by id. Strongly consistent."""

    def replace_health(self, health: EndpointHealth) -> None:
        """Store the health of an endpoint, whose `version` is one more than the stored one, 0 for none. Raises
        `Stale` if it is not."""

    def resume(self, endpoint_id: str, now: datetime) -> None:
        """Forget the failures of an endpoint; its pending deliveries are due. This is a hint: where a queue holds the
        deliveries, they come at their own time."""

    def count(self) -> Mapping[DeliveryStatus, int] | None:
        """Return the number of deliveries by status; None if the store does not count them."""

    def oldest_pending(self) -> datetime | None:
        """Return the time since which the oldest pending delivery waits; None if there is none, or if the store does
        not tell."""

    def remove_old(self, now: datetime) -> int:
        """Remove finished deliveries that are older than `KEPT`, and their events. Return the number of deliveries. A
        store whose database removes them by itself returns 0."""
