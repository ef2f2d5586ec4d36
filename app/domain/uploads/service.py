"""Uploads. The record is written before the bytes, and no acknowledged upload is lost."""

import logging
from contextlib import suppress
from datetime import timedelta
from typing import BinaryIO, NamedTuple

from app.domain.errors import (
    AlreadyExists,
    Conflict,
    HashTaken,
    KeepsChanging,
    PortError,
    Stale,
    Unavailable,
)
from app.domain.keys import original_key
from app.domain.models import Image, Status, Visibility, is_open_ticket, utcnow
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.quota.admission import create_within
from app.domain.quota.usage import NO_QUOTA, Quota
from app.domain.times import has_passed
from app.domain.uploads.late_bytes import bury
from app.domain.uploads.requests import FIRST_ATTEMPT, Attempt, Upload, new_record
from app.domain.uploads.ticket_refusals import ticket_gone, used_ticket

log = logging.getLogger(__name__)

_ATTEMPTS = 8
#: A write that takes longer may outlast its record, which `reconcile` removes after an hour without bytes.
_SLOW = timedelta(minutes=10)


class Accepted(NamedTuple):
    """Record of an upload; `duplicate` is True if the owner already had these bytes."""

    image: Image
    duplicate: bool


class Uploads:
    """Accepts images.

    The record is written before the bytes, because the store's event can arrive before this code continues. If requests
    with the same bytes race, one writes the record. Each other one returns that record only after it has made sure that
    the bytes are stored, so that no response depends on the success of another request.
    """

    def __init__(
        self,
        store: ObjectStore,
        images: ImageRepository,
        *,
        default_visibility: Visibility = Visibility.PRIVATE,
    ) -> None:
        self._store = store
        self._images = images
        self._default_visibility = default_visibility

    def accept(
        self,
        owner: str,
        upload: Upload,
        *,
        keep_duplicate: bool = False,
        attempt: Attempt = FIRST_ATTEMPT,
        quota: Quota = NO_QUOTA,
    ) -> Accepted:
        """Store the image and its `pending` record, or return the record that these bytes have.

        With `keep_duplicate`, bytes that have a record are stored again; a later upload finds the oldest remaining
        record. Raises `Unavailable` if a backend fails and `StorageFull` beyond the quota: nothing is left then.

        A retry continues where an earlier attempt ended, or makes the same steps at the same time: see `_continue`.
        """
        replaces: str | None = None
        is_retry = attempt.is_retry
        for _ in range(_ATTEMPTS):
            image = new_record(owner, upload, self._default_visibility, image_id=attempt.image_id)
            written = self._images.get(image.id) if is_retry else None
            if isinstance(written, Image):
                if continued := self._continue(written, upload, is_copy=keep_duplicate):
                    return Accepted(continued, duplicate=False)
                continue
            try:
                holder = self._create(image, upload, replaces, quota, keep_duplicate=keep_duplicate)
            except AlreadyExists:  # a retry of this attempt was first, because this one is late
                is_retry = True
                continue
            if holder is None and not is_retry:
                return Accepted(self._store_original(image, upload), duplicate=False)
            existing = self._find_stored(holder, owner, upload) if holder and not keep_duplicate else None
            if existing:
                return Accepted(existing, duplicate=True)
            replaces = holder
        raise Unavailable("Too many requests are storing these bytes at once. Try again.")

    def _create(
        self, image: Image, upload: Upload, replaces: str | None, quota: Quota, *, keep_duplicate: bool
    ) -> str | None:
        """Write the record and return None, or return the id of the record that has these bytes."""
        try:
            create_within(self._images, image, quota, claim=True, replaces=replaces)
        except HashTaken as taken:
            if not keep_duplicate or not self._is_current(taken.image_id, image.owner, upload):
                return taken.image_id
            create_within(self._images, image, quota, claim=False)
            self._note_copy(image)  # before the bytes are stored: look-ups find them even if this process ends then
        else:
            if replaces:
                self._note_restored(replaces, image.owner, upload)
        return None

    def _continue(self, image: Image, upload: Upload, *, is_copy: bool) -> Image | None:
        """Store the bytes of a record that another attempt has written. Return the record, None if it has changed.

        Another attempt may still run, and withdraw the record or store the bytes. So the bytes are never removed here,
        and the update proves that the record existed after them: from then on nobody withdraws it.
        """
        if image.sha256 != upload.sha256:  # both attempts fetched them from a url
            raise Conflict("source_changed", "The url has other bytes than before. Send a new Idempotency-Key.")
        if is_copy:
            self._note_copy(image)
        if image.status is Status.PENDING:
            self._put(image, upload)
            try:
                image = self._images.update(image.id, image.version, {})
            except Stale:
                return None
        return image

    def _note_copy(self, image: Image) -> None:
        try:
            self._images.claim(image)
        except PortError:  # stored, but a later upload of its bytes may not find it
            log.exception("copy not recorded", extra={"image_id": image.id})

    def _note_restored(self, image_id: str, owner: str, upload: Upload) -> None:
        """Note the image that another one has replaced as a copy, if it was restored from the trash meanwhile."""
        found = self._find_live(image_id, owner, upload)
        if found is not None:
            self._note_copy(found)

    def _is_current(self, image_id: str, owner: str, upload: Upload) -> bool:
        """Return True if the record is one of these bytes that has not failed and is not in the trash."""
        found = self._find_live(image_id, owner, upload)
        return found is not None and found.status is not Status.FAILED

    def _find_live(self, image_id: str, owner: str, upload: Upload) -> Image | None:
        """Return the record if it is one of these bytes and is not in the trash."""
        found = self._images.get(image_id)
        if not isinstance(found, Image) or found.owner != owner or found.sha256 != upload.sha256:
            return None
        return found if found.trashed_at is None else None

    def _store_original(self, image: Image, upload: Upload) -> Image:
        try:
            self._put(image, upload)
        except PortError:
            survivor = self._withdraw(image)
            if survivor is None:
                raise
            if survivor.version == image.version:  # no racing request has made the bytes durable
                self._put(survivor, upload)
            return survivor
        # Meanwhile the machine may have been suspended, or its clock set.
        return self._confirmed(image) if has_passed(_SLOW, image.uploaded_at, utcnow()) else image

    def _confirmed(self, image: Image) -> Image:
        """Return the record of bytes that were just stored. Raises `Unavailable` if it is gone, after removing them."""
        found = self._kept(image.id)
        if found is None:
            raise Unavailable("The upload took so long that its record was removed. Send the image again.")
        return found

    def _kept(self, image_id: str) -> Image | None:
        """Return the record of bytes that were just stored. If it is gone, remove the bytes and return None.

        The version is incremented, so that `reconcile`, which may have looked for the bytes before they were stored,
        can no longer remove the record.
        """
        for _ in range(_ATTEMPTS):
            found = self._images.get(image_id)
            if found is None and not bury(self._images, image_id):
                continue  # `reconcile` has just written it again
            if not isinstance(found, Image):
                self._store.delete(original_key(image_id))
                return None
            if found.status is not Status.PENDING or found.arrived_at is not None:
                return found
            try:
                return self._images.update(image_id, found.version, {"arrived_at": utcnow()})
            except Stale:
                continue
        raise KeepsChanging(image_id)

    def check_ticket(self, image_id: str) -> None:
        """Check that the ticket with this id is open.

        Raises `PreconditionFailed` if its bytes are stored, and `Gone` if it was deleted or has expired.
        """
        found = self._images.get(image_id)
        if isinstance(found, Image):
            if self._store.find(original_key(image_id)) is not None:
                raise used_ticket(image_id)
            if is_open_ticket(found) and found.status is Status.PENDING and found.trashed_at is None:
                return
        raise ticket_gone()

    def store_ticket(self, image_id: str, body: BinaryIO, *, size: int, content_type: str) -> None:
        """Store the rest of `body` as the image of a ticket. Raises as `check_ticket` does.

        The record may be removed while the bytes are received or stored; nothing is left of them then.
        """
        self.check_ticket(image_id)
        try:
            self._store.create(original_key(image_id), body, size=size, content_type=content_type)
        except AlreadyExists:
            raise used_ticket(image_id) from None
        if self._kept(image_id) is None:
            raise ticket_gone()

    def _withdraw(self, image: Image) -> Image | None:
        """Remove the record of bytes that were not stored. Return the record if it stays because the bytes exist."""
        try:
            for _ in range(_ATTEMPTS):
                found = self._images.get(image.id)
                if not isinstance(found, Image):
                    return None
                if self._store.stat(original_key(image.id)) is not None:  # a racing duplicate has stored them
                    return found
                with suppress(Stale):  # edited, moved to the trash, or updated by a racing duplicate
                    self._images.remove(image.id, found.version)
                    return None
        except PortError:
            log.exception(
                "record left pending without its original; reconcile removes it", extra={"image_id": image.id}
            )
        return None

    def _find_stored(self, image_id: str, owner: str, upload: Upload) -> Image | None:
        """Return the record of these bytes, or else a copy of it, after making sure that they are stored."""
        found = self._ensure_stored(image_id, owner, upload)
        if found is None:
            copies = self._images.find_copies(owner, [upload.sha256]).get(upload.sha256, ())
            found = next(filter(None, (self._ensure_stored(copy, owner, upload) for copy in copies)), None)
        return found

    def _ensure_stored(self, image_id: str, owner: str, upload: Upload) -> Image | None:
        """Make sure that the bytes of this record are stored. Return the record; None if it is not one of these bytes,
        has failed or is in the trash.

        A `pending` record is final once its bytes are stored and its version is above 1: from then on the request
        that wrote it can no longer withdraw it.
        """
        for _ in range(_ATTEMPTS):
            found = self._find_live(image_id, owner, upload)
            if found is None:
                return None
            if found.status is Status.READY:
                return found
            if found.status is not Status.PENDING:
                return None
            stored = self._put(found, upload)
            # The update proves that the record existed after the bytes. At a higher version another request has made
            # one, but `reconcile` may have looked for the bytes of an old record before.
            unproven = stored or found.version == 1 or has_passed(_SLOW, found.updated_at, utcnow())
            try:
                return self._images.update(found.id, found.version, {}) if unproven else found
            except Stale:
                if stored and not isinstance(self._images.get(image_id), Image):
                    self._store.delete(original_key(image_id))
        raise Unavailable("The record of these bytes is changing too often. Try again.")

    def _put(self, image: Image, upload: Upload) -> bool:
        """Store the bytes under the record's key. Return False if they were stored already."""
        upload.body.seek(0)
        try:
            self._store.create(original_key(image.id), upload.body, size=upload.size, content_type=upload.content_type)
        except AlreadyExists:  # written by a request with the same bytes
            return False
        return True
