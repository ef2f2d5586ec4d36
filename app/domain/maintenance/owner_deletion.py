"""Deletion of everything that belongs to an owner."""

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from app.domain.errors import Conflict, PortError
from app.domain.images.deletion import Deletion
from app.domain.maintenance.parallel import in_parallel
from app.domain.ports import ImageRepository

log = logging.getLogger(__name__)

#: Walks over the images of an owner in one call. One that finds an image to delete is followed by another.
_WALKS = 10


class OwnerDeleted(NamedTuple):
    """Number of deleted images, and True if a last look found no further one."""

    deleted: int
    complete: bool


class OwnerDeletion:
    """Deletes the images of an owner: ready, failed and pending ones, and upload tickets.

    An upload that runs at the same time can end after the last look: its image stays.
    """

    def __init__(self, images: ImageRepository, deletion: Deletion) -> None:
        self._images = images
        self._deletion = deletion

    def delete_all(
        self,
        owner: str,
        *,
        is_time_left: Callable[[], bool] = lambda: True,
        progress: Callable[[int], None] = lambda _: None,
    ) -> OwnerDeleted:
        """Delete images until none is left, or no time. Calls that have begun are finished.

        `progress` receives the number of images deleted so far. Raises the error of a backend if nothing was deleted.
        """
        deleted = 0
        for _ in range(_WALKS):
            walk = self._walk(owner, is_time_left)
            found, error = 0, None
            for done in walk:
                if isinstance(done, Exception):
                    error = error or done
                elif done:
                    found += 1
                    progress(deleted + found)
            deleted += found
            if error is not None and not deleted:
                raise error
            if error is not None or not is_time_left():
                return OwnerDeleted(deleted, complete=False)
            if not found:
                return OwnerDeleted(deleted, complete=True)
        return OwnerDeleted(deleted, complete=False)

    def _walk(self, owner: str, is_time_left: Callable[[], bool]) -> Iterator[bool | Exception]:
        """Delete each image of one walk. Yield True for each that was there, and the errors."""

        def ids() -> Iterator[str]:
            for image_id in self._images.owned(owner):
                if not is_time_left():
                    return
                yield image_id

        def delete(image_id: str) -> bool | Exception:
            try:
                return self._deletion.delete(owner, image_id)
            except (PortError, Conflict) as error:
                log.exception("an image of an owner was not deleted", extra={"image_id": image_id})
                return error

        return (done for _, done in in_parallel(ids(), delete))
