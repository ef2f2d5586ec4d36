"""Events of webhooks: which ones a change of a record makes, and their bodies."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime

from app.domain.delivery.event_types import TEST_EVENT, EventType
from app.domain.ids import new_id
from app.domain.images.stats import Change
from app.domain.images.urls import is_public
from app.domain.models import Image, Model, Status, is_open_ticket, utcnow

#: Longest body in bytes. The body of a larger record has its id, owner, status and links only.
MAX_BODY = 20_000
#: Fields whose change makes `image.updated`.
EDITED = frozenset(
    {"filename", "title", "alt", "tags", "metadata", "focal_point", "visibility", "trashed_at", "reprocess_error"}
)
#: Fields of a record that its events follow from. A change of others makes none.
WATCHED = EDITED | {"status", "processed_at", "rendering_id", "upload_expires_at", "arrived_at"}

_EVENT_ID = re.compile("evt_[0-9a-f]{32}")
_INTERNAL = {"placed", "superseded", "work", "last_tried_at", "arrived_at", "charged_bytes", "variants"}


class Event(Model):
    """A change of an image, or a test. `body` is the JSON text that each endpoint receives; `id` is the same in all
    attempts."""

    id: str
    type: str
    created_at: AwareDatetime
    owner: str
    image_id: str | None
    body: str


class EventSource:
    """Builds the events of changes. `base` is the public address of the service, if it is known: urls of public images
    begin with it."""

    def __init__(self, base: str | None = None) -> None:
        self._base = (base or "").rstrip("/")

    def of(self, changes: Sequence[Change]) -> list[Event]:
        """Return the events of these changes, in order."""
        now = utcnow()
        found: list[Event] = []
        for before, after in changes:
            image = after or before
            if image is not None:
                for kind, permanent in find_types(before, after):
                    data = self._deleted(image, permanent) if kind is EventType.DELETED else self._record(image)
                    found.append(self._build(kind, now, image, data))
        return found

    def _build(self, kind: EventType, now: datetime, image: Image, data: Mapping[str, Any]) -> Event:
        body = _body(kind, now, data)
        if len(body.encode()) > MAX_BODY:
            fields = ("id", "owner", "status", "links")
            body = _body(kind, now, {name: data[name] for name in fields if name in data})
        return Event(id=new_event_id(), type=kind, created_at=now, owner=image.owner, image_id=image.id, body=body)

    def _record(self, image: Image) -> dict[str, Any]:
        """Return the record as the API returns it, without urls that expire."""
        data = image.model_dump(mode="json", exclude=_INTERNAL)
        here = f"{self._base}/images/{image.id}"
        lasting = bool(self._base) and is_public(image)
        variants = []
        for variant in image.variants:
            url = f"{here}/variants/{variant.name}.{variant.format.extension}"
            variants.append(variant.model_dump(mode="json", exclude={"file"}) | ({"url": url} if lasting else {}))
        links = {"self": here, "original": f"{here}/original"}
        if lasting:
            links["image"] = f"{self._base}/i/{image.id}"
        return data | {"variants": variants, "links": links}

    def _deleted(self, image: Image, permanent: bool) -> dict[str, Any]:
        return {"id": image.id, "owner": image.owner, "filename": image.filename, "permanent": permanent}


def find_types(before: Image | None, after: Image | None) -> Iterator[tuple[EventType, bool]]:
    """Yield the types of the events of one change, in order, and whether a delete is permanent. None stands for no
    record. An open upload ticket makes no events, as if it had no record. A processed image without an earlier record
    was imported, which is no upload."""
    was = None if before is None or is_open_ticket(before) else before
    if after is None or is_open_ticket(after):
        if was is not None:
            yield EventType.DELETED, True
        return
    if was is None:
        if before is None and after.processed_at is not None:
            return
        yield EventType.UPLOADED, False
    processed = (after.status, after.processed_at, after.rendering_id)
    if after.status is not Status.PENDING and (
        was is None or processed != (was.status, was.processed_at, was.rendering_id)
    ):
        yield EventType.READY if after.status is Status.READY else EventType.FAILED, False
    if after.trashed_at is not None and (was is None or was.trashed_at is None):
        yield EventType.DELETED, False
    elif was is not None and any(getattr(was, name) != getattr(after, name) for name in EDITED):
        yield EventType.UPDATED, False


def build_test_event(owner: str, now: datetime) -> Event:
    """Build an event that tests an endpoint."""
    data = {"message": "This is a test of the webhook endpoint."}
    body = _body(TEST_EVENT, now, data)
    return Event(id=new_event_id(), type=TEST_EVENT, created_at=now, owner=owner, image_id=None, body=body)


def new_event_id() -> str:
    """Return a new id, which sorts after older ones."""
    return f"evt_{new_id().replace('-', '')}"


def is_event_id(text: str) -> bool:
    """Return True if the text has the form of an event's id."""
    return _EVENT_ID.fullmatch(text) is not None


def _body(kind: str, now: datetime, data: Mapping[str, Any]) -> str:
    timestamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": timestamp, "data": data}, ensure_ascii=False, separators=(",", ":"))
