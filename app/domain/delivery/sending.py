"""One attempt of a delivery: its conditions, the signed request, and its outcome."""

import base64
import hashlib
import hmac
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from app.domain.delivery.deliveries import (
    LEASE,
    LIFE,
    MAX_RETRY_AFTER,
    SHOWN_ATTEMPTS,
    Attempt,
    Delivery,
    DeliveryStatus,
    EndpointHealth,
    dispatch,
    next_delay,
)
from app.domain.delivery.endpoints import EndpointSecrets, WebhookEndpoint
from app.domain.delivery.events import Event
from app.domain.errors import Stale, Unavailable
from app.domain.models import utcnow
from app.domain.ports.delivery_store import DeliveryStore
from app.domain.ports.endpoint_store import EndpointStore
from app.domain.ports.outbound import NoAnswer, OutboundHttp, Refused

log = logging.getLogger(__name__)

#: Seconds for which endpoints are remembered.
_CACHE_SECONDS = 20
#: Statuses whose `Retry-After` holds for the whole endpoint.
_THROTTLED = frozenset({429, 503})
_GONE = 410
_WRITES = 8

#: Has a delivery handled again after a time, where nothing else does.
WakeUp = Callable[[str, timedelta], None]


class _AllEndpoints:
    """All endpoints, remembered for 20 seconds."""

    def __init__(self, store: EndpointStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._read_at = -math.inf
        self._all: Sequence[WebhookEndpoint] = ()

    def read(self) -> Sequence[WebhookEndpoint]:
        """Return every endpoint."""
        with self._lock:
            if time.monotonic() - self._read_at > _CACHE_SECONDS:
                self._all = self._store.all()
                self._read_at = time.monotonic()
            return self._all


class Sender:
    """Makes attempts of deliveries. Safe in several threads and processes: a delivery has one attempt at a time.

    Each attempt reads its endpoint, so that a new address, a new secret and a switch count at once.
    """

    def __init__(  # noqa: PLR0913 - two of them are hooks
        self,
        store: DeliveryStore,
        endpoints: EndpointStore,
        secrets: EndpointSecrets,
        http: OutboundHttp,
        *,
        wake_up: WakeUp = lambda _id, _delay: None,
        on_attempt: Callable[[Attempt], None] = lambda _: None,
        on_dead: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = utcnow,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._all_endpoints = _AllEndpoints(endpoints)
        self._secrets = secrets
        self._http = http
        self._wake_up = wake_up
        self._on_attempt = on_attempt
        self._on_dead = on_dead
        self._clock = clock
        self._chance = chance

    def dispatch(self, event_id: str) -> Sequence[Delivery]:
        """Store the deliveries of an event, and have each handled. Repeatable."""
        event = self._store.get_event(event_id)
        if event is None:
            return []
        deliveries = dispatch(event, self._all_endpoints.read())
        self._store.add(event, deliveries)
        for delivery in deliveries:
            self._wake_up(delivery.id, timedelta(0))
        return deliveries

    def handle(self, delivery_id: str) -> None:
        """Make the next attempt of a delivery, if it is due and its endpoint may be tried."""
        delivery = self._store.get(delivery_id)
        if delivery is None or delivery.status is not DeliveryStatus.PENDING:
            return
        now = self._clock()
        if wait := delivery.wait(now):
            self._wake_up(delivery.id, wait)
            return
        try:
            self._attempt(delivery, now)
        except Stale:  # another attempt has it
            log.debug("a delivery has changed", extra={"delivery_id": delivery.id})

    def _attempt(self, delivery: Delivery, now: datetime) -> None:
        endpoint = self._endpoints.get(delivery.endpoint_id)
        health = self._health(delivery.endpoint_id)
        event = self._store.get_event(delivery.event_id)
        if endpoint is None or not endpoint.enabled or health.disabled_at is not None or event is None:
            self._store.replace(delivery.finish(DeliveryStatus.DROPPED, now))
            return
        if now - delivery.pending_since > LIFE:
            self._store.replace(delivery.finish(DeliveryStatus.DEAD, now))
            self._on_dead()
            log.warning("a webhook delivery was given up", extra={"delivery_id": delivery.id})
            return
        if wait := health.wait(now):
            self._wake_up(delivery.id, wait * (1 + self._chance()))
            return
        leased = delivery.changed(leased_until=now + LEASE)
        self._store.replace(leased)
        if health.is_suspect:
            probing = health.changed(probe_at=now + LEASE)
            try:
                self._store.replace_health(probing)
            except Stale:  # another delivery tries it
                self._store.replace(leased.changed(leased_until=None))
                self._wake_up(delivery.id, timedelta(seconds=1 + self._chance()))
                return
        attempt, retry_after = self._post(endpoint, event, now)
        self._note(leased, endpoint, attempt, retry_after)

    def _post(self, endpoint: WebhookEndpoint, event: Event, now: datetime) -> tuple[Attempt, timedelta | None]:
        body = event.body.encode()
        headers = {
            "Content-Type": "application/json",
            **sign(event.id, now, body, self._secrets.signing_keys(endpoint, now)),
        }
        started = time.monotonic()
        try:
            answer = self._http.post(endpoint.url, headers, body)
        except NoAnswer as error:
            return Attempt(at=now, error=error.reason, ms=_milliseconds(started)), None
        except Refused:
            return Attempt(at=now, error="refused", ms=_milliseconds(started)), None
        retry_after = None
        if answer.status in _THROTTLED and answer.retry_after is not None:
            retry_after = min(timedelta(seconds=max(0, min(answer.retry_after, 86400))), MAX_RETRY_AFTER)
        return Attempt(at=now, status=answer.status, ms=answer.milliseconds), retry_after

    def _note(
        self, delivery: Delivery, endpoint: WebhookEndpoint, attempt: Attempt, retry_after: timedelta | None
    ) -> None:
        self._on_attempt(attempt)
        now = self._clock()
        delivery = delivery.model_copy(update={"attempts": (*delivery.attempts, attempt)[-SHOWN_ATTEMPTS:]})
        succeeded = attempt.status is not None and 200 <= attempt.status < 300
        self._note_health(endpoint.id, attempt, now, retry_after, succeeded=succeeded)
        if succeeded:
            changed = delivery.finish(DeliveryStatus.DELIVERED, now)
        elif attempt.status == _GONE:
            changed = delivery.finish(DeliveryStatus.DROPPED, now)
        else:
            failures = delivery.failures + 1
            delay = next_delay(failures, retry_after, self._chance())
            if delay is None:
                changed = delivery.finish(DeliveryStatus.DEAD, now).model_copy(update={"failures": failures})
            else:
                changed = delivery.changed(failures=failures, leased_until=None, next_attempt_at=now + delay)
                self._store.replace(changed)
                self._wake_up(delivery.id, delay)
                changed = None
        if changed is not None:
            self._store.replace(changed)
            if changed.status is DeliveryStatus.DEAD:
                self._on_dead()
        if not succeeded:
            log.warning(
                "a webhook was not delivered",
                extra={"delivery_id": delivery.id, "status": attempt.status, "error": attempt.error, "ms": attempt.ms},
            )

    def _note_health(
        self, endpoint_id: str, attempt: Attempt, now: datetime, retry_after: timedelta | None, *, succeeded: bool
    ) -> None:
        """Store the failure of an endpoint; after a success, forget its failures."""
        for _ in range(_WRITES):
            health = self._health(endpoint_id)
            if succeeded:
                if health.failures:
                    self._store.resume(endpoint_id, now)
                return
            changed = health.fail(now, retry_after)
            if attempt.status == _GONE:
                changed = changed.model_copy(update={"disabled_at": now})
                log.warning("a webhook endpoint answered 410 and is disabled", extra={"endpoint_id": endpoint_id})
            try:
                self._store.replace_health(changed)
            except Stale:
                continue
            return
        raise Unavailable("The health of the endpoint is changing too often.")

    def _health(self, endpoint_id: str) -> EndpointHealth:
        return self._store.health([endpoint_id]).get(endpoint_id) or EndpointHealth(endpoint_id=endpoint_id)


def sign(event_id: str, now: datetime, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with a signature for each key. `now` is the time of the attempt."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    codes = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{code}" for code in codes),
    }


def _milliseconds(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
