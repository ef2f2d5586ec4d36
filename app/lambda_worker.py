"""The door for S3's events: from the queue in batches, or direct."""

# ruff: noqa: E402 - what a start makes stays: to look for garbage in it meanwhile takes a twentieth of its time
import gc

gc.disable()

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from app import linux, logs
from app.bootstrap import Backends, limits_of, open_backends
from app.domain.errors import ConfigurationError
from app.metrics import Metrics
from app.settings import Settings, load
from app.worker.events import delay_after, get_receive_count, handle_event
from app.worker.process import Worker
from app.worker.sandbox.parent import Sandbox

log = logging.getLogger(__name__)

#: Seconds beside its development that a picture may need for its way in and its variants' way out.
MOVING_SECONDS = 15
#: Deliveries after which a message is released to come again in seconds, for most faults pass at once. Later ones wait
#: as long as the queue keeps messages out of sight, so that all of them together outlast half an hour.
SOON_AGAIN = 2


def _load() -> Settings:
    linux.hide()
    settings = load()
    logs.configure(settings.log_level, settings.service)
    if settings.embedded:
        raise ConfigurationError("DARKROOM_STORAGE_URL: a function needs `s3://<bucket>`; it has no disk of its own")
    return settings


def _empty_scratch() -> None:
    """A run that was ended by the function's time-out leaves files behind, and the next one gets the same disk."""
    shutil.rmtree(_scratch, ignore_errors=True)
    _scratch.mkdir(mode=0o700, exist_ok=True)


def _build(settings: Settings, backends: Backends) -> Worker:
    sandbox = Sandbox(settings.processing_timeout_seconds, settings.processing_memory_mb)
    sandbox.start()
    metrics = Metrics(settings.service)
    return Worker(
        backends.store,
        backends.images,
        sandbox,
        recipe=settings.recipe,
        limits=limits_of(settings),
        adopt=settings.auth == "none",
        scratch=_scratch,
        max_attempts=settings.max_attempts,
        reporter=metrics.image,
        on_ignored=metrics.ignored,
    )


_settings = _load()
_scratch = Path(tempfile.gettempdir(), "darkroom")
_backends = open_backends(_settings)
_worker = _build(_settings, _backends)
_invocations = logs.Invocations()
gc.freeze()
gc.enable()


def handler(event: Any, context: Any) -> Any:
    """Work off one event. Of messages from a queue the answer names those to be delivered again, of which the
    first deliveries are also released: left alone, each would be out of sight for as long as its queue allows a batch.

    Of a batch the first message is always begun, any other only when there is time for a whole picture: what is begun
    and cut off counts as failed together with all that was done before it.
    """
    _invocations.begin(context)
    _empty_scratch()
    records = event.get("Records") if isinstance(event, dict) else None
    if not (isinstance(records, list) and records and all(_is_message(record) for record in records)):
        return handle_event(event, _worker)
    # Powertools' batch processor would do this too, and load the forms of all events and asyncio for it at each start.
    again: list[dict[str, str]] = []
    for record in records:
        if record is records[0] or _is_time_left(context):
            if not handle_event({"Records": [record]}, _worker)["batchItemFailures"]:
                continue
            receives = get_receive_count(record)
            if receives <= SOON_AGAIN or receives >= _worker.max_attempts:
                _release(record, delay_after(receives, _worker.max_attempts))
        else:
            log.warning("no time is left for a message; it goes back", extra={"message_id": record["messageId"]})
            _release(record, 0)  # in its last delivery to the dead letters, untried: reconcile sends it again
        again.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": again}


def _release(record: dict[str, Any], delay: int) -> None:
    """Have the message delivered again after so many seconds. Without that it comes too, only later."""
    receipt = record.get("receiptHandle")
    if not isinstance(receipt, str):
        return
    try:
        _backends.queue.release(receipt, delay=delay)
    except Exception:
        log.exception("a message was not released; it comes again late", extra={"message_id": record["messageId"]})


def _is_message(record: Any) -> bool:
    return (
        isinstance(record, dict) and record.get("eventSource") == "aws:sqs" and isinstance(record.get("messageId"), str)
    )


def _is_time_left(context: Any) -> bool:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining is None or remaining() >= (_settings.processing_timeout_seconds + MOVING_SECONDS) * 1000
