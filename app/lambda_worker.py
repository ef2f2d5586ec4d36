"""Lambda entry point of the worker: S3's events, in batches from the queue or direct."""

# ruff: noqa: E402 - objects made at the start stay; garbage collection would take 5 % of its time
import gc

gc.disable()

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from app import linux, logs
from app.bootstrap import open_backends
from app.bootstrap_worker import build_worker, start_sandbox
from app.metrics import Metrics
from app.settings import Settings, load_on_lambda
from app.worker.events import delay_after, get_receive_count, handle_event

log = logging.getLogger(__name__)

#: Seconds to fetch an original and to store its variants, in addition to the time of processing.
MOVING_SECONDS = 15
#: After this many deliveries at most, a failed message is released to return in seconds, because most faults are short.
#: Later ones wait for the visibility time-out, so that all deliveries together span more than half an hour.
RELEASED_DELIVERIES = 2


def _load() -> Settings:
    linux.hide()
    settings = load_on_lambda()
    logs.configure(settings.log_level, settings.service)
    return settings


def _empty_scratch() -> None:
    """Remove files of an invocation that the function's time-out ended: the next one gets the same disk."""
    shutil.rmtree(_scratch, ignore_errors=True)
    _scratch.mkdir(mode=0o700, exist_ok=True)


_settings = _load()
_scratch = Path(tempfile.gettempdir(), "darkroom")
_backends = open_backends(_settings)
_metrics = Metrics(_settings.service)
_worker = build_worker(
    _settings,
    _backends,
    start_sandbox(_settings),
    _scratch,
    reporter=_metrics.image,
    on_ignored=_metrics.ignored,
)
_invocations = logs.Invocations()
gc.freeze()
gc.enable()


def handler(event: Any, context: Any) -> Any:
    """Handle one event. For messages of a queue, return those to deliver again. Their first deliveries are also
    released; otherwise each would be invisible for the visibility time-out of a whole batch.

    The first message of a batch is always started, any other only if there is time for a whole image: an invocation
    that times out fails all of its messages, finished ones included.
    """
    _invocations.begin(context)
    _empty_scratch()
    records = event.get("Records") if isinstance(event, dict) else None
    if not (isinstance(records, list) and records and all(_is_message(record) for record in records)):
        return handle_event(event, _worker)
    # Powertools' batch processor does this too, but loads models of all events and asyncio at each start.
    again: list[dict[str, str]] = []
    for record in records:
        if record is records[0] or _is_time_left(context):
            if not handle_event({"Records": [record]}, _worker)["batchItemFailures"]:
                continue
            receives = get_receive_count(record)
            if receives <= RELEASED_DELIVERIES or receives >= _worker.max_attempts:
                _release(record, delay_after(receives, _worker.max_attempts))
        else:
            log.warning("no time left for a message; it is returned", extra={"message_id": record["messageId"]})
            _release(record, 0)  # the last delivery goes to the dead letters untried; reconcile sends it again
        again.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": again}


def _release(record: dict[str, Any], delay: int) -> None:
    """Have the message delivered again after `delay` seconds, not after the visibility time-out."""
    receipt = record.get("receiptHandle")
    if not isinstance(receipt, str):
        return
    try:
        _backends.queue.release(receipt, delay=delay)
    except Exception:
        log.exception("message not released; it returns late", extra={"message_id": record["messageId"]})


def _is_message(record: Any) -> bool:
    return (
        isinstance(record, dict) and record.get("eventSource") == "aws:sqs" and isinstance(record.get("messageId"), str)
    )


def _is_time_left(context: Any) -> bool:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining is None or remaining() >= (_settings.processing_timeout_seconds + MOVING_SECONDS) * 1000
