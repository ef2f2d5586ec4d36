"""Loop of a process that sends deliveries as they become due."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from app.domain.delivery.deliveries import Delivery
from app.domain.delivery.sending import Sender
from app.domain.errors import PortError
from app.domain.models import utcnow
from app.domain.ports.delivery_store import DeliveryStore

log = logging.getLogger(__name__)

#: Requests at the same time, and those to one endpoint: a slow one leaves threads to the others.
THREADS, EACH = 8, 4
_POLL_SECONDS = 0.1
_RETRY_SECONDS = 2.0


class SendingLoop:
    """Asks the store for due deliveries and sends them in a few threads."""

    def __init__(self, store: DeliveryStore, sender: Sender, *, clock: Callable[[], datetime] = utcnow) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._busy: Counter[str] = Counter()
        self._done = threading.Event()
        self._stopping = threading.Event()

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Send until `is_stopping` returns True. Requests under way then are finished by their threads."""
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks")
        while not is_stopping():
            self._done.clear()
            try:
                started = self._start_due(threads)
            except PortError:
                log.exception("due webhook deliveries could not be read; retrying in a few seconds")
                self._done.wait(_RETRY_SECONDS)
                continue
            if not started:
                self._done.wait(_POLL_SECONDS)
        self._stopping.set()
        threads.shutdown(wait=True, cancel_futures=True)

    def _start_due(self, threads: ThreadPoolExecutor) -> int:
        with self._lock:
            free = THREADS - len(self._running)
            full = [endpoint for endpoint, count in self._busy.items() if count >= EACH]
        if not free:
            return 0
        started = 0
        for delivery in self._store.due(self._clock(), EACH, full):
            with self._lock:
                is_full = self._busy[delivery.endpoint_id] >= EACH
                if is_full or delivery.id in self._running or started == free:
                    continue
                self._running.add(delivery.id)
                self._busy[delivery.endpoint_id] += 1
            threads.submit(self._send, delivery)
            started += 1
        return started

    def _send(self, delivery: Delivery) -> None:
        try:
            self._handle(delivery)
        finally:
            with self._lock:
                self._running.discard(delivery.id)
                self._busy[delivery.endpoint_id] -= 1
                if not self._busy[delivery.endpoint_id]:
                    del self._busy[delivery.endpoint_id]
            self._done.set()

    def _handle(self, delivery: Delivery) -> None:
        """Handle a delivery. One that fails here stays due, so its thread waits before it is handled again."""
        try:
            self._sender.handle(delivery.id)
        except PortError:
            log.warning("a webhook delivery could not be handled", exc_info=True, extra={"delivery_id": delivery.id})
            self._stopping.wait(_RETRY_SECONDS)
        except Exception:
            log.exception("a webhook delivery failed unexpectedly", extra={"delivery_id": delivery.id})
            self._stopping.wait(_RETRY_SECONDS)
