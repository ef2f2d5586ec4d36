"""The door for S3's events: from the queue in batches, or direct."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from app import logs
from app.bootstrap import limits_of, open_backends
from app.domain.errors import ConfigurationError
from app.metrics import Metrics
from app.settings import Settings, load
from app.worker.events import handle_event
from app.worker.process import Worker
from app.worker.sandbox import Sandbox

log = logging.getLogger(__name__)

#: Seconds beside its development that a picture may need for its way in and its variants' way out.
MOVING_SECONDS = 15


class _DeliverAgain(Exception):
    """The message is to come back: our fault, or no time."""


def _load() -> Settings:
    settings = load()
    logs.configure(settings.log_level, settings.service)
    if settings.embedded:
        raise ConfigurationError("DARKROOM_STORAGE_URL: a function needs `s3://<bucket>`; it has no disk of its own")
    return settings


def _empty_scratch() -> None:
    """A run that was ended by the function's time-out leaves files behind, and the next one gets the same disk."""
    shutil.rmtree(_scratch, ignore_errors=True)
    _scratch.mkdir(mode=0o700, exist_ok=True)


def _build(settings: Settings) -> Worker:
    backends = open_backends(settings)
    sandbox = Sandbox(settings.develop_seconds, settings.develop_memory_mb)
    sandbox.start()
    return Worker(
        backends.store,
        backends.images,
        sandbox,
        recipe=settings.recipe,
        limits=limits_of(settings),
        adopt=settings.auth == "none",
        scratch=_scratch,
        max_receives=settings.max_receives,
        tell=Metrics(settings.service).picture,
    )


_settings = _load()
_scratch = Path(tempfile.gettempdir(), "darkroom")
_worker = _build(_settings)
_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
_invocations = logs.Invocations()


def handler(event: Any, context: Any) -> Any:
    """Work off one event. Of messages from a queue the answer names those to be delivered again.

    Of a batch the first message is always begun, any other only when there is time for a whole picture: what is begun
    and cut off counts as failed together with all that was done before it.
    """
    _invocations.begin(context)
    _empty_scratch()
    records = event.get("Records") if isinstance(event, dict) else None
    if not (isinstance(records, list) and records and all(_is_message(record) for record in records)):
        return handle_event(event, _worker)
    first = records[0]["messageId"]

    def handle_message(record: SQSRecord) -> None:  # Powertools passes it by this name
        if record.message_id != first and not _is_time_left(context):
            log.warning("no time is left for a message; it goes back", extra={"message_id": record.message_id})
            raise _DeliverAgain(record.message_id)
        answer = handle_event({"Records": [record.raw_event]}, _worker)
        if answer["batchItemFailures"]:
            raise _DeliverAgain(record.message_id)

    return process_partial_response(event, handle_message, _processor, context)


def _is_message(record: Any) -> bool:
    return (
        isinstance(record, dict) and record.get("eventSource") == "aws:sqs" and isinstance(record.get("messageId"), str)
    )


def _is_time_left(context: Any) -> bool:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining is None or remaining() >= (_settings.develop_seconds + MOVING_SECONDS) * 1000
