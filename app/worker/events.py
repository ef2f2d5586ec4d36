"""Events in every form they come in → ids of originals → the worker, and the answer that a queue understands."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from app.domain.keys import ORIGINALS, PROCESSED, original_id
from app.worker.process import Worker

log = logging.getLogger(__name__)

Event = Mapping[str, Any]

_DELAYS = (2, 10, 50, 250, 300)


def handle_event(event: Any, worker: Worker) -> dict[str, list[dict[str, str]]]:
    """Work off one event: S3's notification as it is, in SQS messages, in SNS inside those, or EventBridge's.

    Answers which SQS messages are to be delivered again: `{"batchItemFailures": [{"itemIdentifier": <id>}]}`. Of an
    event that is not from a queue, the first error is raised after all its records were tried. Events of no concern
    and texts that make no sense are ignored with a warning: they would be no better the next time.
    """
    if not isinstance(event, Mapping):
        _ignore(worker, "an event of no known form", form=type(event).__name__)
        return {"batchItemFailures": []}
    messages = _queue_messages(event)
    if messages is None:
        errors = _work_off(event, worker)
        if errors:
            raise errors[0]
        return {"batchItemFailures": []}
    failed = [str(message.get("messageId", "")) for message in messages if not _handle_message(message, worker)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def delay_after(receives: int, max_attempts: int) -> int:
    """Seconds until a message whose attempt failed is due again: soon at first, for most faults pass at once, and later
    each time, so that five attempts outlast minutes."""
    if receives >= max_attempts:
        return 0  # on to the dead letters
    return _DELAYS[min(max(receives, 1), len(_DELAYS)) - 1]


def receives_of(message: Event) -> int:
    """Which delivery of an SQS message this is."""
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


def _handle_message(message: Event, worker: Worker) -> bool:
    """Whether the message is done with."""
    body = _json(message.get("body"))
    if body is None:
        _ignore(worker, "a message that is no JSON object", message_id=message.get("messageId"))
        return True
    return not _work_off(body, worker, receives_of(message))


def _work_off(event: Event, worker: Worker, receives: int | None = None) -> list[Exception]:
    """Have the worker handle each original that the event names, once; what was raised."""
    errors = []
    for image_id in dict.fromkeys(_originals(event, worker)):
        try:
            worker.handle(image_id, receives=receives)
        except Exception as error:  # whatever it is, the other pictures of the batch are not to pay for it
            log.exception("an attempt failed", extra={"image_id": image_id})
            errors.append(error)
    return errors


def _ignore(worker: Worker, sentence: str, **fields: Any) -> None:
    log.warning(sentence, extra=fields)
    worker.on_ignored()


def _originals(event: Event, worker: Worker) -> Iterator[str]:
    for key in _keys(event, worker):
        image_id = original_id(key)
        if image_id is None:
            _ignore(worker, "an event for an object that is no original", folder=_folder(key))
        else:
            yield image_id


def _folder(key: str) -> str:
    """Where it lies, as far as that may be logged: whose folder it is, and what it is called, others have chosen."""
    return next((name for name in (ORIGINALS, PROCESSED) if key.startswith(name)), "another")


def _keys(event: Event, worker: Worker) -> Iterator[str]:
    """The keys of created objects, decoded."""
    detail, records = event.get("detail"), event.get("Records")
    if event.get("Type") == "Notification" and isinstance(event.get("Message"), str):  # SNS
        inner = _json(event["Message"])
        if inner is not None and inner.get("Type") != "Notification":
            yield from _keys(inner, worker)
    elif isinstance(detail, Mapping):  # EventBridge, which leaves the key as it is
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
        _ignore(worker, "an event of no known form", form=type(event).__name__, size=len(event))


def _created_key(record: Any) -> str | None:
    """The key of one record of an S3 notification, in which it is encoded as in a form."""
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
