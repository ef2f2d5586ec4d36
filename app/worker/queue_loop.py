"""Loop that receives events from a queue and has the worker handle them."""

import logging
import time
from collections.abc import Callable

from app.domain.errors import Full
from app.domain.ports import EventQueue, Message
from app.worker.events import delay_after, handle_event
from app.worker.process import Worker
from app.worker.share import Share

log = logging.getLogger(__name__)

#: Longest wait for an event, in seconds; `stop` is checked after each wait.
_WAIT = 0.1
#: Longest part of a pause, in seconds; `stop` is checked after each part.
_PAUSE_PART = 1.0
_LONGEST_PAUSE = 30.0


def run(
    queue: EventQueue,
    worker: Worker,
    stop: Callable[[], bool],
    *,
    check_space: Callable[[], None] = lambda: None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Handle one event after the other until `stop()` is true, as SQS drives the function on AWS.

    After a failed attempt an event is delivered again with a growing delay. The loop pauses when the queue itself
    fails, and while `check_space` raises `Full`: an attempt that must fail would count against its image.
    """
    failures = 0
    while not stop():
        try:
            check_space()
            for message in queue.receive(1, wait=_WAIT):
                _deliver(queue, worker, message)
            failures = 0
        except Full:
            log.warning("the worker waits for disk space")
            failures += 1
            _pause(min(0.1 * 2**failures, _LONGEST_PAUSE), stop, pause)
        except Exception:
            log.exception("the queue failed; the worker pauses and goes on")
            failures += 1
            _pause(min(0.1 * 2**failures, _LONGEST_PAUSE), stop, pause)


def _deliver(queue: EventQueue, worker: Worker, message: Message) -> None:
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
    share = Share()
    if not handle_event(event, worker, share)["batchItemFailures"]:
        queue.delete(message.receipt, timed_out=share.timed_out)
    else:
        queue.release(message.receipt, delay=delay_after(message.receive_count, worker.max_attempts))


def _pause(seconds: float, stop: Callable[[], bool], pause: Callable[[float], None]) -> None:
    while seconds > 0 and not stop():
        pause(min(seconds, _PAUSE_PART))
        seconds -= _PAUSE_PART
