"""Events in all supported forms: ids of originals for the worker, and the answer for the queue."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from app.domain.keys import ORIGINALS, PROCESSED, original_id
from app.worker.memory_budget import NotStarted
from app.worker.process import Worker
from app.worker.share import Share

log = logging.getLogger(__name__)

Event = Mapping[str, Any]

_DELAYS = (2, 10, 50, 250, 300)


def handle_event(event: Any, worker: Worker, share: Share | None = None) -> dict[str, list[dict[str, str]]]:
    """Handle one event: an S3 notification, direct or in SQS messages, also wrapped by SNS, or one of EventBridge.

    Returns the SQS messages to deliver again: `{"batchItemFailures": [{"itemIdentifier": <id>}]}`. For an event that is
    not from a queue, the first error is raised after all its records were tried. Events that are not about an original
    and malformed ones are ignored with a warning: another delivery would not help. `share` is that of each image.
    """
    share = share or Share()
    if not isinstance(event, Mapping):
        _ignore(worker, "event ignored: unknown form", form=type(event).__name__)
        return {"batchItemFailures": []}
    messages = _queue_messages(event)
    if messages is None:
        errors = _handle_originals(event, worker, share)
        if errors:
            raise errors[0]
        return {"batchItemFailures": []}
    failed = [str(message.get("messageId", "")) for message in messages if not _handle_message(message, worker, share)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def delay_after(receive_count: int, max_attempts: int) -> int:
    """Return the seconds until a message is due again after a failed attempt.

    The first retry is soon, because most faults are short; later ones wait longer, so that five attempts span minutes.
    """
    if receive_count >= max_attempts:
        return 0  # moved to the dead letters
    return _DELAYS[min(max(receive_count, 1), len(_DELAYS)) - 1]


def get_receive_count(message: Event) -> int:
    """Return the number of this delivery of an SQS message, from 1."""
    attributes = message.get("attributes")
    count = attributes.get("ApproximateReceiveCount") if isinstance(attributes, Mapping) else None
    try:
        return int(str(count))
    except ValueError:
        return 1


def _queue_messages(event: Event) -> list[Event] | None:
    records = event.get("Records")
    if not isinstance(records, list):
        return None
    messages = [record for record in records if isinstance(record, Mapping)]
    return messages if any(record.get("eventSource") == "aws:sqs" for record in messages) else None


def _handle_message(message: Event, worker: Worker, share: Share) -> bool:
    """Return True if the message need not be delivered again."""
    body = _json(message.get("body"))
    if body is None:
        _ignore(worker, "message ignored: not a JSON object", message_id=message.get("messageId"))
        return True
    return not _handle_originals(body, worker, share, get_receive_count(message))


def _handle_originals(event: Event, worker: Worker, share: Share, receive_count: int | None = None) -> list[Exception]:
    """Have the worker handle each original of the event once. Returns the exceptions."""
    errors: list[Exception] = []
    for image_id in dict.fromkeys(_originals(event, worker)):
        try:
            worker.handle(image_id, receive_count=receive_count, share=share)
        except NotStarted as error:
            log.info("processing an image was not started; its event is delivered again", extra={"image_id": image_id})
            errors.append(error)
        except Exception as error:  # the other images of the batch go on
            log.exception("processing an image failed; its event is delivered again", extra={"image_id": image_id})
            errors.append(error)
    return errors


def _ignore(worker: Worker, message: str, **fields: Any) -> None:
    log.warning(message, extra=fields)
    worker.on_ignored()


def _originals(event: Event, worker: Worker) -> Iterator[str]:
    for key in _keys(event, worker):
        image_id = original_id(key)
        if image_id is None:
            _ignore(worker, "event ignored: not about an original", folder=_folder(key))
        else:
            yield image_id


def _folder(key: str) -> str:
    """Return the folder of an object for the log. Names that others have chosen are not logged."""
    return next((name for name in (ORIGINALS, PROCESSED) if key.startswith(name)), "another")


def _keys(event: Event, worker: Worker) -> Iterator[str]:
    """Yield the keys of created objects, decoded."""
    detail, records = event.get("detail"), event.get("Records")
    if event.get("Type") == "Notification" and isinstance(event.get("Message"), str):  # SNS
        inner = _json(event["Message"])
        if inner is not None and inner.get("Type") != "Notification":
            yield from _keys(inner, worker)
    elif isinstance(detail, Mapping):  # EventBridge does not encode the key
        if event.get("detail-type") == "Object Created":
            key = _key(detail.get("object"))
            if key is not None:
                yield key
    elif isinstance(records, list):
        for record in records:
            key = _created_key(record)
            if key is not None:
                yield key
    elif event.get("Event") != "s3:TestEvent":
        _ignore(worker, "event ignored: unknown form", form=type(event).__name__, size=len(event))


def _created_key(record: Any) -> str | None:
    """Return the key in one record of an S3 notification, which encodes it like a form field."""
    if not isinstance(record, Mapping):
        return None
    name, s3 = record.get("eventName"), record.get("s3")
    if not isinstance(name, str) or not name.removeprefix("s3:").startswith("ObjectCreated:"):
        return None
    key = _key(s3.get("object") if isinstance(s3, Mapping) else None)
    return None if key is None else unquote_plus(key)


def _key(found: Any) -> str | None:
    key = found.get("key") if isinstance(found, Mapping) else None
    return key if isinstance(key, str) else None


def _json(text: Any) -> Event | None:
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, Mapping) else None
