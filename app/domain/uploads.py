"""Taking a picture in: record first, then bytes, and no acknowledged upload lost."""

import logging
from dataclasses import dataclass
from typing import BinaryIO

from app.domain.errors import AlreadyExists, HashTaken, PortError, Stale, Unavailable
from app.domain.ids import new_id
from app.domain.keys import original_key
from app.domain.models import Image, Status, utcnow
from app.domain.ports import ImageRepository, ObjectStore

log = logging.getLogger(__name__)

_ATTEMPTS = 8


@dataclass(frozen=True)
class Upload:
    """A picture as received: `body` can be rewound, `content_type` was found in its bytes."""

    body: BinaryIO
    size: int
    sha256: str
    content_type: str
    filename: str | None = None
    declared_type: str | None = None
    title: str | None = None
    alt: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accepted:
    """The record of an upload; `duplicate` when the owner already had these bytes."""

    image: Image
    duplicate: bool


class Uploads:
    """Accepts pictures.

    The record is written before the bytes, because the store's event can overtake us. Of requests that race with the
    same bytes one writes the record; each other one answers with that record only after it has made sure that the
    bytes are there, so that no answer depends on another request's luck.
    """

    def __init__(self, store: ObjectStore, images: ImageRepository) -> None:
        self._store = store
        self._images = images

    def accept(self, owner: str, upload: Upload, *, keep_duplicate: bool = False) -> Accepted:
        """Store the picture and its `pending` record, or find the record these bytes have.

        With `keep_duplicate` the bytes are stored again whatever is there. Raises `Unavailable` with nothing left
        behind when a backend refuses.
        """
        replaces: str | None = None
        for _ in range(_ATTEMPTS):
            image = _new_record(owner, upload)
            try:
                self._images.create(image, claim=not keep_duplicate, replaces=replaces)
            except HashTaken as taken:
                existing = self._vouch_for(taken.image_id, owner, upload)
                if existing:
                    return Accepted(existing, duplicate=True)
                replaces = taken.image_id
            else:
                return Accepted(self._store_original(image, upload), duplicate=False)
        raise Unavailable("Too many requests are storing these bytes at once.")

    def _store_original(self, image: Image, upload: Upload) -> Image:
        try:
            self._put(image, upload)
        except PortError:
            survivor = self._withdraw(image)
            if survivor is None:
                raise
            if survivor.version == image.version:  # no racing request has made sure that the bytes are durable
                self._put(survivor, upload)
            return survivor
        return image

    def _withdraw(self, image: Image) -> Image | None:
        """Take back a record whose bytes were refused, unless they are there after all; the record if it stays."""
        try:
            if self._store.stat(original_key(image.id)) is None:
                self._images.remove(image.id, image.version)
                return None
        except Stale:  # a racing duplicate has stored the bytes and vouched for the record
            pass
        except PortError:
            log.exception(
                "record left pending without its original; reconcile removes it", extra={"image_id": image.id}
            )
            return None
        found = self._images.get(image.id)
        return found if isinstance(found, Image) else None

    def _vouch_for(self, image_id: str, owner: str, upload: Upload) -> Image | None:
        """The record with that id if it stands for these bytes for good, or None if it does not count.

        A `pending` record counts once its bytes are known to be there and its version is past 1: from then on the
        request that wrote it can no longer withdraw it.
        """
        for _ in range(_ATTEMPTS):
            found = self._images.get(image_id)
            if not isinstance(found, Image) or found.owner != owner or found.sha256 != upload.sha256:
                return None
            if found.status is Status.READY:
                return found
            if found.status is not Status.PENDING:
                return None
            stored = self._put(found, upload)
            try:
                # Even at a higher version: the write proves that the record was still there after the bytes were.
                return self._images.update(found.id, found.version, {}) if stored or found.version == 1 else found
            except Stale:
                if stored and not isinstance(self._images.get(image_id), Image):
                    self._store.delete(original_key(image_id))
        raise Unavailable("The record of these bytes keeps changing.")

    def _put(self, image: Image, upload: Upload) -> bool:
        """Put the bytes where the record expects them; whether it was this call that did."""
        upload.body.seek(0)
        try:
            self._store.create(original_key(image.id), upload.body, size=upload.size, content_type=upload.content_type)
        except AlreadyExists:  # only a request with the same bytes writes to this id
            return False
        return True


def _new_record(owner: str, upload: Upload) -> Image:
    now = utcnow()
    return Image(
        id=new_id(),
        owner=owner,
        status=Status.PENDING,
        filename=upload.filename,
        content_type=upload.content_type,
        declared_type=upload.declared_type,
        bytes=upload.size,
        sha256=upload.sha256,
        title=upload.title,
        alt=upload.alt,
        tags=list(upload.tags),
        uploaded_at=now,
        updated_at=now,
    )
