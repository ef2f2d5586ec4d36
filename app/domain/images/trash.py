"""Trash: deleted images that can be restored for some days."""

import logging
from contextlib import suppress
from datetime import timedelta

from app.domain.errors import Full, NotFound, PortError, Stale, StorageFull
from app.domain.images.deletion import Deletion
from app.domain.images.editing import Editor
from app.domain.images.service import Images
from app.domain.keys import original_key
from app.domain.models import Changes, Image, is_open_ticket, utcnow
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.work import Task, Work

log = logging.getLogger(__name__)


class Trash:
    """Moves images to the trash and back. For a caller, images of other owners do not exist.

    A trashed image keeps its bytes for `days`; then `reconcile` deletes it. Without days there is no trash: every
    delete is permanent.
    """

    def __init__(
        self, store: ObjectStore, images: ImageRepository, editor: Editor, deletion: Deletion, *, days: int
    ) -> None:
        self._store = store
        self._images = images
        self._owned = Images(images)
        self._editor = editor
        self._deletion = deletion
        self._life = timedelta(days=days)

    def delete(self, owner: str | None, image_id: str, *, permanent: bool = False) -> None:
        """Move the image to the trash; with `permanent`, delete it at once. Idempotent: an unknown, deleted or trashed
        id is no error.

        An upload ticket whose bytes have not arrived is deleted permanently, because there is nothing to restore.
        Raises `Conflict` if the image keeps changing, and `StorageFull` if the disk is too full for its copies.
        """
        if permanent or not self._life:
            self._deletion.delete(owner, image_id)
            return
        with suppress(NotFound):
            try:
                self._move(owner, image_id)
            except Full as error:
                raise _no_space(error) from error

    def _move(self, owner: str | None, image_id: str) -> None:
        image = self._owned.get(owner, image_id)
        if is_open_ticket(image) and self._store.stat(original_key(image_id)) is None:
            with suppress(Stale):  # its bytes may have arrived meanwhile
                self._deletion.delete_version(image)
                return
        self._editor.change(owner, image_id, self._trash_changes)

    def restore(self, owner: str | None, image_id: str) -> Image:
        """Restore the image from the trash and return its record. One that is not there stays as it is.

        A public image is published again. If its bytes were uploaded again meanwhile, it is a further copy of them.
        Raises `NotFound`, and `Conflict` if the image keeps changing.
        """
        restored = self._editor.change(owner, image_id, _restore_changes)
        if restored.sha256 and restored.upload_expires_at is None:  # else the worker claims it
            try:
                self._images.claim(restored)
            except PortError:  # restored, but a later upload of its bytes may not find it
                log.exception("restored image not recorded as a copy", extra={"image_id": image_id})
        return restored

    def _trash_changes(self, image: Image) -> Changes:
        if image.trashed_at is not None:
            return {}
        now = utcnow()
        return {"trashed_at": now, "work": {Task.PURGE: Work.add(now, self._life)}}


def _restore_changes(image: Image) -> Changes:
    return {} if image.trashed_at is None else {"trashed_at": None, "work": {Task.PURGE: None}}


def _no_space(error: Full) -> StorageFull:
    """Build the refusal of a full disk. A permanent delete needs no space."""
    detail = "The disk is too full to move the image to the trash. Delete it permanently: add ?permanent=true."
    return StorageFull("trash_full", detail, free_bytes=error.free_bytes, min_free_bytes=error.min_free_bytes)
