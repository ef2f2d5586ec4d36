"""Records to store, and lists read to their end."""

import hashlib
from datetime import timedelta
from typing import Any

from app.domain.ids import new_id
from app.domain.models import (
    Failure,
    FailureCode,
    FocalPoint,
    Format,
    Image,
    PrivacyReport,
    Rights,
    Status,
    Tombstone,
    Variant,
    Visibility,
    utcnow,
)
from app.domain.ports import ImageRepository, ListQuery
from app.domain.work import Task, Work

OWNER = "ada"
#: Changes of a record that is processed.
PROCESSED: dict[str, Any] = {"status": Status.READY, "work": {Task.PROCESS: None}}

#: A value other than its default for every field that can be updated.
FULL: dict[str, Any] = {
    "status": Status.FAILED,
    "error": Failure(code=FailureCode.TIMEOUT, detail="It took too long."),
    "filename": "Zürich – \u202e\U0001f4f7 \"'%.jpg",
    "content_type": "image/avif",
    "declared_content_type": "image/jpeg",
    "source_url": "https://img.example.org/a.jpg",
    "bytes": 5_000_000_000,
    "sha256": hashlib.sha256(b"full").hexdigest(),
    "width": 6000,
    "height": 4000,
    "frames": 3,
    "has_alpha": True,
    "hdr": "hlg",
    "processed_at": utcnow(),
    "taken_at": utcnow().replace(tzinfo=None),
    "camera": "Kamera, Modell «7»",
    "exif": {"ISOSpeedRatings": 100, "FNumber": 2.8, "ExposureTime": 0.0012345678901234567, "Artist": "Ada"},
    "rights": Rights(artist="Ada", copyright="© Ada"),
    "privacy_report": PrivacyReport(gps=True, serial=True),
    "thumbhash": "1QcSHQRnh493V4dIh4eXh1h4kJUI",
    "dominant_color": "#a0b1c2",
    "palette": ["#000000", "#ffffff"],
    "phash": "ff00ff00ff00ff00",
    "title": "A title\nof two lines",
    "alt": "",
    "tags": ["sea", "été", "a#b", "100%"],
    "focal_point": FocalPoint(x=0.1, y=1),
    "metadata": {"": "empty", "order": "7", "note": "\u0000\t"},
    "rendering_id": "ab12cd34",
    "recipe_id": "ef56ab78",
    "variants": [
        Variant(name="w320", format=Format.WEBP, width=320, height=213, bytes=9, quality=82, file="w320.webp")
    ],
    "visibility": Visibility.PUBLIC,
    "trashed_at": utcnow(),
    "placed": Visibility.PUBLIC,
    "reprocess_error": Failure(code=FailureCode.CRASHED, detail="It crashed."),
    "superseded": {"00aa11bb": utcnow(), "public/00aa11bb": utcnow() + timedelta(days=365)},
    "work": {Task.SWEEP: Work(since=utcnow(), due=utcnow() + timedelta(hours=24), tries=2)},
    "last_tried_at": utcnow(),
    "arrived_at": utcnow(),
    "upload_expires_at": utcnow() + timedelta(days=1),
}


def an_image(**fields: Any) -> Image:
    """Return a record as an upload writes it, with `fields` changed."""
    now = utcnow()
    image_id = fields.get("id") or new_id()
    usual = {
        "id": image_id,
        "owner": OWNER,
        "content_type": "image/jpeg",
        "bytes": 1234,
        "sha256": hashlib.sha256(image_id.encode()).hexdigest(),
        "uploaded_at": now,
        "updated_at": now,
    }
    return Image.model_validate(usual | fields)


def stored(images: ImageRepository, *, claim: bool = True, **fields: Any) -> Image:
    """`an_image`, created."""
    image = an_image(**fields)
    images.create(image, claim=claim)
    return image


def tombstone_of(image: Image, *, seconds: float = 3600) -> Tombstone:
    """Make a tombstone that expires after that many seconds."""
    now = utcnow()
    return Tombstone(id=image.id, owner=image.owner, deleted_at=now, expires_at=now + timedelta(seconds=seconds))


def a_query(limit: int = 100, owner: str = OWNER, **fields: Any) -> ListQuery:
    """A query for the usual owner."""
    return ListQuery(owner=owner, limit=limit, **fields)


def walk(images: ImageRepository, query: ListQuery) -> list[Image]:
    """Every image of the list, page by page; fails if a page but the last one is not full, or leads nowhere."""
    items: list[Image] = []
    while True:
        page = images.list(query)
        items += page.items
        if page.next_after is None:
            assert len(page.items) <= query.limit
            return items
        assert len(page.items) == query.limit
        assert page.next_after == page.items[-1].id
        query = query._replace(after=page.next_after)


def ids(images: ImageRepository, **fields: Any) -> list[str]:
    """The ids of a whole list."""
    return [image.id for image in walk(images, a_query(**fields))]


def unfinished(images: ImageRepository) -> set[str]:
    """The ids of everything that has a task, due or not."""
    return set(images.due(utcnow() + timedelta(days=1000)))
