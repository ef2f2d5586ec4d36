"""Administration of deliveries: list them, send them again, and test an endpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.delivery.deliveries import (
    Delivery,
    DeliveryStatus,
    EndpointHealth,
    build_delivery,
    delivery_time,
    is_delivery_id,
)
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.delivery.events import build_test_event
from app.domain.delivery.sending import WakeUp
from app.domain.errors import Conflict, NotFound, Stale, Unavailable
from app.domain.models import ANONYMOUS, utcnow
from app.domain.ports.delivery_store import DeliveryQuery, DeliveryStore
from app.domain.ports.repository import Page

#: Most deliveries that one call sends again.
MOST = 10_000
_PAGE = 200
_WRITES = 4


@dataclass(frozen=True)
class Redelivered:
    """Number of deliveries that are sent again. `left_until` is the time before which there may be more in the range;
    None if there are no more."""

    count: int
    left_until: datetime | None = None


class Deliveries:
    """Deliveries for administrators. `wake_up` as for `Sender`."""

    def __init__(
        self,
        store: DeliveryStore,
        *,
        wake_up: WakeUp = lambda _id, _delay: None,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._store = store
        self._wake_up = wake_up
        self._clock = clock

    def list(self, query: DeliveryQuery) -> Page[Delivery]:
        """Return one page; see `DeliveryStore.list`."""
        return self._store.list(query)

    def get(self, delivery_id: str) -> Delivery:
        """Return a delivery. Raises `NotFound`."""
        found = self._store.get(delivery_id) if is_delivery_id(delivery_id) else None
        if found is None:
            raise NotFound("no_such_delivery", "No such delivery. Finished ones are kept for 30 days.")
        return found

    def redeliver(self, delivery_id: str) -> Delivery:
        """Send a delivery again, with the same event id and the whole schedule before it. Raises `NotFound`, and
        `Conflict` while an attempt is made."""
        for _ in range(_WRITES):
            found = self.get(delivery_id)
            now = self._clock()
            if found.leased_until is not None and found.wait(now):
                detail = "An attempt of this delivery is being made. Try again in a minute."
                raise Conflict("delivery_in_progress", detail)
            again = found.again(now)
            try:
                self._store.replace(again)
            except Stale:
                continue
            self._wake_up(again.id, timedelta(0))
            return again
        raise Unavailable("The delivery is changing too often.")

    def redeliver_range(
        self,
        endpoint_id: str,
        since: datetime,
        until: datetime,
        status: DeliveryStatus | None = DeliveryStatus.DEAD,
        *,
        is_time_left: Callable[[], bool] = lambda: True,
    ) -> Redelivered:
        """Send deliveries of an endpoint again whose events are of this time. Pending ones are left alone. At most
        `MOST`, newest first; what is left needs another call with another `until`."""
        query = DeliveryQuery(_PAGE, endpoint_id=endpoint_id, status=status, since=since, until=until)
        count, left_until = 0, None
        while True:
            page = self._store.list(query)
            count += sum(found.status is not DeliveryStatus.PENDING and self._again(found) for found in page.items)
            if page.next_after is None:
                return Redelivered(count, left_until)
            query = query._replace(after=page.next_after)
            moment = delivery_time(page.next_after)
            if left_until is None and moment > since and (count >= MOST or not is_time_left()):
                # End with a whole millisecond, so that the next call sends none of them a second time.
                left_until, query = moment, query._replace(since=moment)

    def test(self, endpoint: WebhookEndpoint) -> Delivery:
        """Send a `webhook.test` event to an endpoint of any subscription."""
        event = build_test_event(endpoint.owner or ANONYMOUS, self._clock())
        delivery = build_delivery(event, endpoint.id)
        self._store.add(event, [delivery])
        self._wake_up(delivery.id, timedelta(0))
        return delivery

    def health(self, endpoint_ids: Sequence[str]) -> Mapping[str, EndpointHealth]:
        """Return the health of endpoints that have failed, by id; see `EndpointHealth.status`."""
        return self._store.health(endpoint_ids)

    def clear_health(self, endpoint_id: str) -> None:
        """Forget failures and an answer 410, when an administrator enables the endpoint."""
        self._store.resume(endpoint_id, self._clock())

    def _again(self, found: Delivery) -> bool:
        try:
            self._store.replace(found.again(self._clock()))
        except Stale:  # somebody sends it again
            return False
        self._wake_up(found.id, timedelta(0))
        return True
