"""Messages of the queue that holds the work of webhooks: the id of an event to dispatch, or of a delivery to handle.

A message is a wake-up only; what is to be done is in the store. So a repeated message does no harm, and one that is
lost is sent again by reconcile.
"""

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from app.domain.delivery.deliveries import Delivery, is_delivery_id
from app.domain.delivery.events import is_event_id
from app.domain.delivery.sending import Sender
from app.domain.errors import PortError, Stale
from app.domain.models import utcnow
from app.domain.ports import EventQueue
from app.domain.ports.delivery_store import DeliveryStore
from app.domain.times import has_passed, is_implausible

log = logging.getLogger(__name__)

#: Longest delay of a message. A longer one takes several, one after the other.
LONGEST_HOP = timedelta(minutes=15)
#: Time after which a message that has not come counts as lost.
LOST_AFTER = timedelta(minutes=10)
#: Difference up to which two messages about a delivery count as the same one. Clocks of functions differ less.
_SLACK = timedelta(seconds=10)


def announce(queue: EventQueue, event_ids: Sequence[str]) -> None:
    """Have events dispatched whose records were written. If the queue fails, reconcile does."""
    for event_id in event_ids:
        try:
            queue.send(event_id)
        except PortError:
            log.warning("a webhook event was not announced; reconcile repeats it", extra={"event_id": event_id})


class DeliveryMessages:
    """Has deliveries handled after a time: see `WakeUp`."""

    def __init__(self, queue: EventQueue, store: DeliveryStore, *, clock: Callable[[], datetime] = utcnow) -> None:
        self._queue = queue
        self._store = store
        self._clock = clock

    def wake_up(self, delivery_id: str, delay: timedelta) -> None:
        """Send the message of a delivery, unless another one comes at about that time or earlier. So of two messages
        about one delivery, which a queue may deliver twice, one remains."""
        if not delay:
            self._send(delivery_id, timedelta(0))
            return
        found = self._store.get(delivery_id)
        if found is None:
            return
        now = self._clock()
        at = now + min(delay, LONGEST_HOP)
        if found.wake_up_at is not None and now + _SLACK < found.wake_up_at <= at + _SLACK:
            return
        self._send(delivery_id, at - now)
        if found.leased_until is None:  # else the attempt under way would find the delivery changed
            with suppress(Stale):
                self._store.replace(found.changed(wake_up_at=at))

    def _send(self, delivery_id: str, delay: timedelta) -> None:
        # Endpoints take turns as owners do elsewhere.
        endpoint_id = delivery_id.rpartition(".")[2]
        self._queue.send(delivery_id, delay=math.ceil(delay.total_seconds()), owner=endpoint_id)


def handle_message(body: str, sender: Sender) -> None:
    """Do what a message asks for. An unknown one is dropped. Raises `PortError`: the message must come again then."""
    if is_delivery_id(body):
        sender.handle(body)
    elif is_event_id(body):
        sender.dispatch(body)
    else:
        log.warning("a message is neither an event nor a delivery", extra={"characters": len(body)})


def is_overdue(delivery: Delivery, now: datetime) -> bool:
    """Return True if the message of a pending delivery should have come, and its attempt should have been made."""
    if delivery.wait(now):
        return False
    times = [each for each in (delivery.next_attempt_at, delivery.leased_until) if each is not None]
    comes = delivery.wake_up_at or now - LOST_AFTER
    is_late = comes <= now - LOST_AFTER or is_implausible(comes, now, LONGEST_HOP)
    return is_late and all(has_passed(LOST_AFTER, each, now) for each in times)
