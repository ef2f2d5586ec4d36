"""Permanent deletion of images."""

import logging
from datetime import timedelta

from app.domain.errors import Conflict, PortError, Stale
from app.domain.ids import is_id
from app.domain.images.placement import was_public
from app.domain.images.renderings import Renderings
from app.domain.models import Image, Tombstone, utcnow
from app.domain.ports import ImageRepository
from app.domain.work import LONGEST_ATTEMPT, Task, Work

log = logging.getLogger(__name__)

#: Lifetime of a tombstone, counted from the delete.
TOMBSTONE_LIFE = timedelta(days=30)
_ATTEMPTS = 16


class Deletion:
    """Deletes images permanently, also those in the trash. For a caller, images of other owners do not exist."""

    def __init__(self, images: ImageRepository, renderings: Renderings) -> None:
        self._images = images
        self._renderings = renderings

    def delete(self, owner: str | None, image_id: str) -> bool:
        """Delete the image and all of its bytes. Idempotent: an unknown or deleted id is no error. Return True if there
        was an image.

        The delete is final once the tombstone is written. Bytes named by the record are removed immediately. Other
        bytes, such as those of a running attempt or those that the store refuses to remove now, are removed by the task
        `purge`.
        """
        for _ in range(_ATTEMPTS):
            found = self._images.get(image_id) if is_id(image_id) else None
            if not isinstance(found, Image) or owner not in {None, found.owner}:
                return False
            try:
                self.delete_version(found)
            except Stale:
                continue
            return True
        raise Conflict("busy", "The image is changing. Try again.")

    def delete_version(self, image: Image) -> None:
        """Delete the image like `delete` if its record has not changed since it was read. Raises `Stale`."""
        tombstone = self._tombstone(image)
        self._images.delete(image.id, image.version, tombstone)
        try:
            self._remove_bytes(image, tombstone)
        except PortError:
            log.exception("delete not finished; reconcile continues it", extra={"image_id": image.id})

    def _tombstone(self, image: Image) -> Tombstone:
        now = utcnow()
        work = {Task.PURGE: Work.add(now)}
        if self._renderings.has_cdn and was_public(image):
            work[Task.INVALIDATE] = Work.add(now)
        return Tombstone(id=image.id, owner=image.owner, deleted_at=now, expires_at=now + TOMBSTONE_LIFE, work=work)

    def _remove_bytes(self, image: Image, tombstone: Tombstone) -> None:
        self._renderings.remove(image)
        task = tombstone.work[Task.PURGE]
        changes: dict[Task, Work | None] = {Task.PURGE: task.retry(task.since + LONGEST_ATTEMPT)}
        if Task.INVALIDATE in tombstone.work and self._renderings.invalidate([image.id]):
            changes[Task.INVALIDATE] = None
        self._images.update_tombstone(image.id, changes)
