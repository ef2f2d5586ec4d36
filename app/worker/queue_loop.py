"""Loop that receives events from a queue and has the worker handle them, several at a time."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from app.domain.errors import Full
from app.domain.ports import EventQueue, Message
from app.worker.events import delay_after, handle_event
from app.worker.machine import usable_cpus
from app.worker.memory_budget import MemoryBudget
from app.worker.process import Worker
from app.worker.share import Share

log = logging.getLogger(__name__)

#: Longest wait for an event, in seconds; `stop` is checked after each wait.
_WAIT = 0.1
#: Longest part of a pause, in seconds; `stop` is checked after each part.
_PAUSE_PART = 1.0
_LONGEST_PAUSE = 30.0
#: Most messages that a queue delivers at once.
_MOST_MESSAGES = 10
#: Seconds for which a message in progress stays invisible, and between two extensions of that.
_INVISIBLE, _EXTEND_EVERY = 120, 30.0


def run(
    queue: EventQueue,
    worker: Worker,
    stop: Callable[[], bool],
    *,
    slots: int = 1,
    memory: MemoryBudget | None = None,
    check_space: Callable[[], None] = lambda: None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Handle events until `stop()` is true, at most `slots` at a time, as SQS drives the function on AWS.

    After a failed attempt an event is delivered again with a growing delay. The loop pauses when the queue itself
    fails, and while `check_space` raises `Full`: an attempt that must fail would count against its image. At the end it
    waits for the images in progress.
    """
    failures = 0
    with ThreadPoolExecutor(slots, thread_name_prefix="image") as pool:
        deliveries = _Deliveries(queue, worker, pool, slots, memory, stop)
        try:
            while not stop():
                try:
                    check_space()
                    deliveries.go_on()
                    failures = 0
                except Full:
                    log.warning("the worker waits for disk space")
                    failures += 1
                    _pause(min(0.1 * 2**failures, _LONGEST_PAUSE), stop, pause)
                except Exception:
                    log.exception("the queue failed; the worker pauses and goes on")
                    failures += 1
                    _pause(min(0.1 * 2**failures, _LONGEST_PAUSE), stop, pause)
        finally:
            deliveries.finish()


class _Deliveries:
    """Messages in progress, each with its thread. A message is received only when a slot is free.

    One that was delivered before is handled alone, and before new ones: if an image ends the whole worker, no other
    image uses up its attempts. Until a message is started, its delivery does not count.
    """

    def __init__(
        self,
        queue: EventQueue,
        worker: Worker,
        pool: ThreadPoolExecutor,
        slots: int,
        memory: MemoryBudget | None,
        stop: Callable[[], bool],
    ) -> None:
        self._queue = queue
        self._worker = worker
        self._pool = pool
        self._slots = slots
        self._memory = memory
        self._stop = stop
        self._cpus = usable_cpus()
        self._running: dict[Future[None], _Delivery] = {}
        self._repeated: list[Message] = []
        self._fresh: list[Message] = []
        self._held: set[str] = set()
        self._is_alone = False
        self._extended_at = time.monotonic()

    def go_on(self) -> None:
        """Start what can be started, or wait for a free slot. Raises what the queue or a delivery has raised."""
        self._extend()
        self._is_alone &= bool(self._running)
        if not (self._is_alone or self._repeated or self._fresh) and len(self._running) < self._slots:
            self._receive()
        if self._repeated:
            if not self._running:
                self._is_alone = True
                self._start(self._repeated.pop(0), self._cpus)
        elif not self._is_alone:
            threads = self._share_out(len(self._running) + len(self._fresh)) if self._fresh else 1
            while self._fresh:
                self._start(self._fresh.pop(0), threads)
        if self._is_alone or self._repeated or len(self._running) >= self._slots:
            self._wait()
        self._reap()

    def _receive(self) -> None:
        room = self._slots - len(self._running)
        messages = self._queue.receive(min(room, _MOST_MESSAGES), wait=_WAIT)
        self._repeated = [each for each in messages if self._slots > 1 and each.receive_count > 1]
        self._fresh = [each for each in messages if each not in self._repeated]
        if self._repeated:
            for message in messages:
                self._queue.extend(message.receipt, _INVISIBLE, started=False)
                self._held.add(message.receipt)

    def finish(self) -> None:
        """Give back messages that were not started, and wait for the others. Their errors are logged."""
        for message in self._repeated + self._fresh:
            try:
                self._queue.release(message.receipt)
            except Exception:
                log.exception("a message was not given back; it returns after its time-out")
        while self._running:
            try:
                self._extend()
                self._wait()
                self._reap()
            except Exception:
                log.exception("the queue failed while the worker was ending")

    def _share_out(self, busy: int) -> int:
        """Return the number of threads for each of `busy` images.

        While others wait, it is an equal part of the processors. When none waits, it is twice that, because no image
        takes the part of the first that ends.
        """
        parts = 2 if self._queue.oldest_due() is None else 1
        return max(1, min(self._cpus, parts * self._cpus // busy))

    def _start(self, message: Message, threads: int) -> None:
        """Start a delivery."""
        delivery = _Delivery(self._queue, self._worker, message)
        if message.receipt in self._held:
            delivery.note_start()
            self._held.remove(message.receipt)
        share = Share(
            threads=threads,
            memory=self._memory,
            on_wait=delivery.note_wait,
            on_start=delivery.note_start,
            give_up=self._stop,
        )
        self._running[self._pool.submit(delivery.run, share)] = delivery

    def _wait(self) -> None:
        wait(self._running, timeout=_EXTEND_EVERY, return_when=FIRST_COMPLETED)

    def _reap(self) -> None:
        """Remove finished deliveries. Raises the error of one; another call goes on with the others."""
        for future in [each for each in self._running if each.done()]:
            del self._running[future]
            future.result()

    def _extend(self) -> None:
        """Keep the messages in progress invisible."""
        now = time.monotonic()
        if now - self._extended_at < _EXTEND_EVERY:
            return
        self._extended_at = now
        for delivery in self._running.values():
            delivery.extend()
        for message in self._repeated + self._fresh:
            self._queue.extend(message.receipt, _INVISIBLE, started=False)


class _Delivery:
    """One message in progress, in a thread of its own."""

    def __init__(self, queue: EventQueue, worker: Worker, message: Message) -> None:
        self._queue = queue
        self._worker = worker
        self._message = message
        self._is_started = True
        self._is_over = False
        self._lock = threading.Lock()

    def run(self, share: Share) -> None:
        """Have the worker handle the message; delete it, or have it delivered again."""
        message = self._message
        event = {
            "Records": [
                {
                    "eventSource": "aws:sqs",
                    "messageId": message.id,
                    "receiptHandle": message.receipt,
                    "body": message.body,
                    "attributes": {"ApproximateReceiveCount": str(message.receive_count)},
                }
            ]
        }
        again = handle_event(event, self._worker, share)["batchItemFailures"]
        with self._lock:  # from now on nothing extends it
            self._is_over = True
        if not again:
            self._queue.delete(message.receipt, timed_out=share.timed_out)
        elif self._is_started:
            self._queue.release(message.receipt, delay=delay_after(message.receive_count, self._worker.max_attempts))
        else:
            self._queue.release(message.receipt)

    def note_wait(self) -> None:
        """Note that the image waits for memory. Meanwhile the delivery does not count."""
        self._note(is_started=False)

    def note_start(self) -> None:
        """Note that the image is processed from now on."""
        self._note(is_started=True)

    def _note(self, *, is_started: bool) -> None:
        with self._lock:
            self._queue.extend(self._message.receipt, _INVISIBLE, started=is_started)
            self._is_started = is_started

    def extend(self) -> None:
        """Keep the message invisible."""
        with self._lock:
            if not self._is_over:
                self._queue.extend(self._message.receipt, _INVISIBLE, started=self._is_started)


def _pause(seconds: float, stop: Callable[[], bool], pause: Callable[[float], None]) -> None:
    while seconds > 0 and not stop():
        pause(min(seconds, _PAUSE_PART))
        seconds -= _PAUSE_PART
