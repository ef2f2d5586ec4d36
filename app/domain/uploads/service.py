"""Uploads: the record is written before the bytes, and no acknowledged upload is lost."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from app.domain.errors import (
    AlreadyExists,
    Gone,
    HashTaken,
    PortError,
    PreconditionFailed,
    RequestError,
    Stale,
    Unavailable,
)
from app.domain.ids import new_id
from app.domain.keys import original_key
from app.domain.models import Image, Status, is_open_ticket, utcnow
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.times import has_passed

log = logging.getLogger(__name__)

_ATTEMPTS = 8
#: A write that takes longer may have outlasted its record, which `reconcile` removes after an hour without bytes.
_SLOW = timedelta(minutes=10)


@dataclass(frozen=True)
class Upload:
    """A picture as received: `body` can be rewound, `content_type` was found in its bytes."""

    body: BinaryIO
    size: int
    sha256: str
    content_type: str
    filename: str | None = None
    declared_content_type: str | None = None
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
        """Store the image and its `pending` record, or return the record that these bytes have.

        With `keep_duplicate` the bytes are stored again if they have a record; a later upload finds the first of the
        records that are left. Raises `Unavailable` with nothing left behind when a backend refuses.
        """
        replaces: str | None = None
        for _ in range(_ATTEMPTS):
            image = _new_record(owner, upload)
            try:
                self._images.create(image, claim=True, replaces=replaces)
            except HashTaken as taken:
                if keep_duplicate and self._stands_for(taken.image_id, owner, upload):
                    return Accepted(self._store_copy(image, upload), duplicate=False)
                existing = None if keep_duplicate else self._vouch_for(taken.image_id, owner, upload)
                if existing:
                    return Accepted(existing, duplicate=True)
                replaces = taken.image_id
            else:
                return Accepted(self._store_original(image, upload), duplicate=False)
        raise Unavailable("Too many requests are storing these bytes at once.")

    def _store_copy(self, image: Image, upload: Upload) -> Image:
        self._images.create(image, claim=False)
        stored = self._store_original(image, upload)
        try:
            self._images.claim(stored)
        except PortError:  # the image is stored; a later upload of its bytes may not find it
            log.exception("could not be noted as a copy", extra={"image_id": image.id})
        return stored

    def _stands_for(self, image_id: str, owner: str, upload: Upload) -> bool:
        """Return True if the record counts for these bytes. A failed one does not."""
        found = self._images.get(image_id)
        same = isinstance(found, Image) and found.owner == owner and found.sha256 == upload.sha256
        return isinstance(found, Image) and same and found.status is not Status.FAILED

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
        # The machine may have been suspended meanwhile, or its clock set.
        return self._confirmed(image) if has_passed(_SLOW, image.uploaded_at, utcnow()) else image

    def _confirmed(self, image: Image) -> Image:
        """Return the record of bytes that have just been stored. Without one they are removed again: raises
        `Unavailable`."""
        found = self._kept(image.id)
        if found is None:
            raise Unavailable("The upload took so long that its record was removed. Send the image again.")
        return found

    def _kept(self, image_id: str) -> Image | None:
        """Return the record of bytes that have just been stored; if there is none, remove the bytes and return None.

        The version is moved on, so that `reconcile`, which may have looked for the bytes before they were there, can no
        longer remove the record.
        """
        for _ in range(_ATTEMPTS):
            found = self._images.get(image_id)
            if not isinstance(found, Image):
                self._store.delete(original_key(image_id))
                return None
            if found.status is not Status.PENDING or found.arrived_at is not None:
                return found
            try:
                return self._images.update(image_id, found.version, {"arrived_at": utcnow()})
            except Stale:
                continue
        raise Unavailable(f"The record of {image_id} keeps changing.")

    def check_ticket(self, image_id: str) -> None:
        """Check that the ticket with this id still waits for its bytes.

        Raises `PreconditionFailed` if they have come, and `Gone` if the image was deleted or the ticket has expired.
        """
        found = self._images.get(image_id)
        if isinstance(found, Image):
            if self._store.find(original_key(image_id)) is not None:
                raise _used()
            if is_open_ticket(found) and found.status is Status.PENDING:
                return
        raise _gone()

    def store_ticket(self, image_id: str, body: BinaryIO, *, size: int, content_type: str) -> None:
        """Store the rest of `body` as the image of a ticket. Raises as `check_ticket` does: the record may have gone
        while the bytes came, or while they were stored. Nothing is left of them then."""
        self.check_ticket(image_id)
        try:
            self._store.create(original_key(image_id), body, size=size, content_type=content_type)
        except AlreadyExists:
            raise _used() from None
        if self._kept(image_id) is None:
            raise _gone()

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
            # The write proves that the record was there after the bytes were. Another request has done it at a higher
            # version, but of an old record `reconcile` may have looked for the bytes before.
            unproven = stored or found.version == 1 or has_passed(_SLOW, found.updated_at, utcnow())
            try:
                return self._images.update(found.id, found.version, {}) if unproven else found
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


def _used() -> RequestError:
    return PreconditionFailed("already_there", "The upload ticket has been used: its image is stored.")


def _gone() -> RequestError:
    return Gone(
        "ticket_gone",
        "The upload ticket no longer waits for an image: the image was deleted, or the ticket has expired. Nothing was "
        "stored. Request a new ticket: POST /upload/direct.",
    )


def _new_record(owner: str, upload: Upload) -> Image:
    now = utcnow()
    return Image(
        id=new_id(),
        owner=owner,
        status=Status.PENDING,
        filename=upload.filename,
        content_type=upload.content_type,
        declared_content_type=upload.declared_content_type,
        bytes=upload.size,
        sha256=upload.sha256,
        title=upload.title,
        alt=upload.alt,
        tags=list(upload.tags),
        uploaded_at=now,
        updated_at=now,
    )
