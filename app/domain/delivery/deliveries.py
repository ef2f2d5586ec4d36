"""Deliveries: one event for one endpoint, the schedule of its attempts, and the health of an endpoint."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.delivery.events import Event
from app.domain.ids import id_time
from app.domain.models import Model
from app.domain.times import is_implausible

#: Delays after each failed attempt. After the last one the delivery is dead.
SCHEDULE = tuple(timedelta(seconds=seconds) for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600))
#: Delays grow by up to this part at random, so that deliveries of one failure do not return at once.
JITTER = 0.1
#: Longest delay that a receiver can ask for with `Retry-After`.
MAX_RETRY_AFTER = timedelta(hours=1)
#: Time for which an attempt keeps others away: longer than any request.
LEASE = timedelta(seconds=60)
#: Age at which a delivery that waits for a failing endpoint is given up.
LIFE = timedelta(days=3)
#: Time for which finished deliveries are kept.
KEPT = timedelta(days=30)
#: Attempts that a delivery shows.
SHOWN_ATTEMPTS = 10
#: Failures of an endpoint one after the other after which one delivery at a time is tried.
FAILURES = 5
#: Time of failure after which an endpoint counts as paused.
PAUSED_AFTER = timedelta(hours=1)
#: Longest time between two tries of an endpoint that fails: before and after it is paused.
LONGEST_GAP, PAUSED_GAP = timedelta(minutes=1), timedelta(minutes=15)

_ID = re.compile("evt_[0-9a-f]{32}[.]whe_[0-9a-f]{32}")


class DeliveryStatus(StrEnum):
    """`pending` → `delivered`, `dead` after the last attempt, or `dropped` because the endpoint is disabled or gone."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    DROPPED = "dropped"


class Attempt(Model):
    """One request: its time, the status of the answer or the kind of error, and its milliseconds."""

    at: AwareDatetime
    status: int | None = None
    error: str | None = None
    ms: int = 0


class Delivery(Model):
    """An event for an endpoint. `failures` counts the failed attempts; `attempts` shows the last ones.

    `leased_until` is set while an attempt is made; `pending_since` is the begin of the schedule, which a redelivery
    starts again. `wake_up_at` is the time of the last message about it, where a queue holds the deliveries. `version`
    counts the changes.
    """

    id: str
    event_id: str
    endpoint_id: str
    type: str
    image_id: str | None
    owner: str
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    failures: int = 0
    next_attempt_at: AwareDatetime | None
    leased_until: AwareDatetime | None = None
    wake_up_at: AwareDatetime | None = None
    created_at: AwareDatetime
    pending_since: AwareDatetime
    finished_at: AwareDatetime | None = None
    version: int = 1

    def changed(self, **fields: object) -> "Delivery":
        """Return the delivery with changed fields, at the next version."""
        return self.model_copy(update={**fields, "version": self.version + 1})

    def finish(self, status: DeliveryStatus, now: datetime) -> "Delivery":
        """Return the delivery at its end."""
        return self.changed(status=status, next_attempt_at=None, leased_until=None, finished_at=now)

    def again(self, now: datetime) -> "Delivery":
        """Return the delivery with all of its attempts before it."""
        return self.changed(
            status=DeliveryStatus.PENDING,
            failures=0,
            pending_since=now,
            next_attempt_at=now,
            leased_until=None,
            finished_at=None,
        )

    def wait(self, now: datetime) -> timedelta:
        """Return the time until the next attempt; zero if it is due. Times of a clock that was set back count as
        passed."""
        due, lease = self.next_attempt_at or now, self.leased_until or now
        due = now if is_implausible(due, now, 2 * SCHEDULE[-1]) else due
        lease = now if is_implausible(lease, now, LEASE) else lease
        return max(due - now, lease - now, timedelta(0))


class EndpointHealth(Model):
    """Failures of an endpoint since its last success. `probe_at` is the time from which the next delivery is tried.

    `disabled_at` is set after an answer 410: the receiver wants no more events.
    """

    endpoint_id: str
    failing_since: AwareDatetime | None = None
    failures: int = 0
    probe_at: AwareDatetime | None = None
    disabled_at: AwareDatetime | None = None
    version: int = 0

    def changed(self, **fields: object) -> "EndpointHealth":
        """Return the health with changed fields, at the next version."""
        return self.model_copy(update={**fields, "version": self.version + 1})

    def status(self, now: datetime) -> str:
        """Return `disabled`, `paused` after an hour of failures, or `active`."""
        if self.disabled_at is not None:
            return "disabled"
        return "paused" if self.is_paused(now) else "active"

    def is_paused(self, now: datetime) -> bool:
        """Return True if the endpoint has failed for an hour."""
        return self.failing_since is not None and now - self.failing_since >= PAUSED_AFTER

    def wait(self, now: datetime) -> timedelta:
        """Return the time until the endpoint may be tried; zero if it may be now."""
        if self.probe_at is None or is_implausible(self.probe_at, now, MAX_RETRY_AFTER):
            return timedelta(0)
        return max(self.probe_at - now, timedelta(0))

    @property
    def is_suspect(self) -> bool:
        """True if one delivery at a time is tried."""
        return self.failures >= FAILURES

    def fail(self, now: datetime, retry_after: timedelta | None) -> "EndpointHealth":
        """Return the health after a failure. The gap to the next try doubles with each further one."""
        since = self.failing_since
        if since is None or is_implausible(since, now):
            since = now
        failures = self.failures + 1
        probe_at = None
        if failures >= FAILURES:
            longest = PAUSED_GAP if now - since >= PAUSED_AFTER else LONGEST_GAP
            probe_at = now + min(longest, timedelta(seconds=2 ** min(failures - FAILURES, 20)))
        if retry_after is not None:
            probe_at = max(probe_at or now, now + retry_after)
        return self.changed(failing_since=since, failures=failures, probe_at=probe_at)


def build_delivery(event: Event, endpoint_id: str) -> Delivery:
    """Build the delivery of an event to an endpoint, due at once."""
    return Delivery(
        id=f"{event.id}.{endpoint_id}",
        event_id=event.id,
        endpoint_id=endpoint_id,
        type=event.type,
        image_id=event.image_id,
        owner=event.owner,
        next_attempt_at=event.created_at,
        created_at=event.created_at,
        pending_since=event.created_at,
    )


def dispatch(event: Event, endpoints: Sequence[WebhookEndpoint]) -> list[Delivery]:
    """Return the deliveries of an event to the endpoints that receive it."""
    return [build_delivery(event, each.id) for each in endpoints if each.receives(event.type, event.owner)]


def is_delivery_id(text: str) -> bool:
    """Return True if the text has the form of a delivery's id."""
    return _ID.fullmatch(text) is not None


def delivery_time(delivery_id: str) -> datetime:
    """Return the time of a delivery's event, to the millisecond."""
    return id_time(delivery_id.removeprefix("evt_").partition(".")[0])


def next_delay(failures: int, retry_after: timedelta | None, chance: float) -> timedelta | None:
    """Return the delay after this number of failed attempts; None after the last one. `chance` is 0 to 1."""
    if failures > len(SCHEDULE):
        return None
    delay = SCHEDULE[failures - 1] * (1 + JITTER * chance)
    return max(delay, retry_after) if retry_after is not None else delay
