"""Lambda entry point of webhooks: dispatches events and sends deliveries, in batches from the queue."""

# ruff: noqa: E402 - objects made at the start stay; garbage collection would take 5 % of its time
import gc

gc.disable()

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app import logs
from app.bootstrap import open_backends
from app.bootstrap.sending import build_sender
from app.domain.delivery.sending import Sender
from app.domain.delivery.wake_ups import handle_message
from app.domain.errors import PortError
from app.metrics import Metrics
from app.settings import load_on_lambda

log = logging.getLogger(__name__)

#: Largest batch that the event source may send. Its requests are made at the same time.
BATCH = 10


def _build() -> Sender:
    settings = load_on_lambda()
    logs.configure(settings.log_level, settings.service)
    return build_sender(settings, open_backends(settings), on_dead=Metrics(settings.service).dead_delivery)


_sender = _build()
_threads = ThreadPoolExecutor(BATCH, thread_name_prefix="webhooks")
_invocations = logs.Invocations()
gc.freeze()
gc.enable()


def handler(event: Any, context: Any) -> dict[str, list[dict[str, str]]]:
    """Handle the messages of a batch, and return those to deliver again. Events that are none of SQS are ignored."""
    _invocations.begin(context)
    records = event.get("Records") if isinstance(event, dict) else None
    messages = [record for record in records if _is_message(record)] if isinstance(records, list) else []
    if not messages:
        log.warning("event has no messages of the queue", extra={"form": type(event).__name__})
    handled = _threads.map(_handle, messages)
    failed = [message["messageId"] for message, done in zip(messages, handled, strict=True) if not done]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _handle(message: dict[str, Any]) -> bool:
    """Handle a message. Return False if it must be delivered again."""
    try:
        handle_message(message["body"], _sender)
    except PortError:
        log.warning("message not handled; it returns", exc_info=True, extra={"message_id": message["messageId"]})
        return False
    except Exception:
        log.exception("message failed unexpectedly; it returns", extra={"message_id": message["messageId"]})
        return False
    return True


def _is_message(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and record.get("eventSource") == "aws:sqs"
        and isinstance(record.get("messageId"), str)
        and isinstance(record.get("body"), str)
    )
