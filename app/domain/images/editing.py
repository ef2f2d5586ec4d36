"""Changes of existing images: description, visibility, trash, and rendering again."""

import logging
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from app.domain.errors import Conflict, PortError, PreconditionFailed, Stale
from app.domain.images.notifications import object_created
from app.domain.images.placement import guard_changes, is_swept_soon, join_changes, sweep_changes, was_public
from app.domain.images.renderings import Renderings
from app.domain.images.service import Images, check_not_trashed
from app.domain.keys import original_key, rendering_name
from app.domain.models import Changes, Image, Status, Visibility, is_open_ticket, utcnow
from app.domain.ports import EventQueue, ImageRepository
from app.domain.work import PROCESS_DELAY, RENDERING_LIFE, Task, Work

log = logging.getLogger(__name__)

_ATTEMPTS = 60
_LONGEST_PAUSE = 0.1  # seconds
#: Fields whose changes remove the sizes on demand of an image.
_CHANGES_SIZES = frozenset({"focal_point", "visibility", "trashed_at"})


class Patch(Protocol):
    """A change that a caller asks for."""

    def apply(self, image: Image) -> Changes:
        """Return the fields of the record that change, with their new values. Raises `Invalid`."""


class Editor:
    """Edits images of an owner. For a caller, images of other owners do not exist."""

    def __init__(self, images: ImageRepository, queue: EventQueue, renderings: Renderings) -> None:
        self._images = images
        self._owned = Images(images)
        self._queue = queue
        self._renderings = renderings

    def edit(self, owner: str | None, image_id: str, patch: Patch, expected_version: int | None = None) -> Image:
        """Apply the patch and return the record. With `expected_version`, only to that version of the record.

        A new focal point renders the image again; a new visibility moves its variants first. Raises `NotFound`,
        `PreconditionFailed` for another version, and `Conflict` if the image is in the trash or keeps changing.
        """

        def derive(image: Image) -> Changes:
            check_not_trashed(image)
            return patch.apply(image)

        return self.change(owner, image_id, derive, expected_version)

    def change(
        self,
        owner: str | None,
        image_id: str,
        derive: Callable[[Image], Changes],
        expected_version: int | None = None,
    ) -> Image:
        """Make the changes that `derive` returns for the record, with the moves of variants that follow from them, like
        `edit`. `derive` is called again if the record has changed meanwhile."""
        published: list[str] = []
        try:
            for attempt in range(_ATTEMPTS):
                _pause(attempt)
                image = self._owned.get(owner, image_id)
                if expected_version not in {None, image.version}:
                    raise _mismatch(image)
                changes = derive(image)
                if not changes:
                    return image
                try:
                    edited = self._write(image, changes, published)
                except Stale:
                    continue
                published.clear()
                if _CHANGES_SIZES & changes.keys():
                    self._remove_sizes(image_id)
                return self._finish_move(image, edited)
            raise _busy()
        finally:
            if published:  # variants are at the public place, but the record does not allow it
                self._synchronize(image_id)

    def reprocess(self, owner: str | None, image_id: str, *, bulk: bool = False) -> Image:
        """Have the image rendered again, from its original. A `ready` image keeps its variants until then. With `bulk`
        it waits behind uploads.

        Raises `NotFound`, and `Conflict` for an upload ticket whose bytes have not arrived and for a trashed image.
        """
        for attempt in range(_ATTEMPTS):
            _pause(attempt)
            image = self._owned.get(owner, image_id)
            check_not_trashed(image)
            if is_open_ticket(image):
                raise Conflict("not_ready", "Its bytes have not arrived yet.", status_of_image=image.status)
            changes = self._process(utcnow())
            if image.status is Status.FAILED:
                changes |= {"status": Status.PENDING, "error": None}
            try:
                image = self._images.update(image.id, image.version, changes)
            except Stale:
                continue
            self._send(image, bulk=bulk)
            return image
        raise _busy()

    def _write(self, image: Image, changes: Changes, published: list[str]) -> Image:
        """Write the changes, and those that follow from them, if the record has not changed. Raises `Stale`.

        `published` receives the id before variants are stored at the public place.
        """
        now, again = utcnow(), "focal_point" in changes and image.status is Status.READY
        wanted = image.model_copy(update=changes).effective_visibility
        is_switched = wanted is not image.effective_visibility
        moved: Changes = {}
        if is_switched and image.status is Status.READY and image.placed is not wanted:
            image = self._prepare(image, wanted, now)
            if wanted is Visibility.PUBLIC:
                published.append(image.id)
            if self._renderings.ensure_current(image, public=wanted is Visibility.PUBLIC):
                moved = self._renderings.moved(image, wanted, now)
            else:
                again = True
                if wanted is Visibility.PRIVATE:
                    moved = {"placed": wanted}
        hidden = self._hide(now) if is_switched and wanted is Visibility.PRIVATE else {}
        outdated = self._outdate(image, now) if "focal_point" in changes and not is_switched else {}
        changes = join_changes(changes, moved, hidden, outdated, self._process(now) if again else {})
        edited = self._images.update(image.id, image.version, changes)
        if again:
            self._send(edited)
        return edited

    def _prepare(self, image: Image, wanted: Visibility, now: datetime) -> Image:
        """Name the copies in the record before they are stored, so that `reconcile` removes them if this process ends
        before the move is written."""
        if wanted is Visibility.PUBLIC:
            return self._images.update(image.id, image.version, guard_changes(now))
        copies = rendering_name(image.rendering_id or "", public=False)
        if copies in image.superseded and not is_swept_soon(image, copies, now):
            return image
        superseded = {**image.superseded, copies: now + RENDERING_LIFE}
        return self._images.update(image.id, image.version, sweep_changes(image, superseded, now))

    def _hide(self, now: datetime) -> Changes:
        work = {Task.HIDE: Work.add(now)}
        return {"work": work | ({Task.INVALIDATE: Work.add(now)} if self._renderings.has_cdn else {})}

    def _outdate(self, image: Image, now: datetime) -> Changes:
        """Return the changes of a record whose sizes on demand are outdated: a CDN may have cached public ones."""
        is_cached = self._renderings.has_cached_sizes and was_public(image)
        return {"work": {Task.INVALIDATE: Work.add(now)}} if is_cached else {}

    def _finish_move(self, before: Image, edited: Image) -> Image:
        """Remove public variants of a hidden image, and outdated ones from the CDN. Check those of a published image if
        an earlier move may still be running, which would remove them. Return the record afterwards."""
        after, wanted = edited, edited.effective_visibility
        is_switched = wanted is not before.effective_visibility
        if is_switched and wanted is Visibility.PRIVATE:
            after = self._renderings.hide(edited)
        elif is_switched and Task.HIDE in before.work:
            after = self._synchronize(edited.id) or edited
        elif Task.INVALIDATE in edited.work and edited.work.get(Task.INVALIDATE) != before.work.get(Task.INVALIDATE):
            after = self._renderings.finish_invalidate(edited)
        if Task.PROCESS in after.work and after.work[Task.PROCESS] != edited.work.get(Task.PROCESS):
            self._send(after)  # variants were missing
        return after

    def _remove_sizes(self, image_id: str) -> None:
        """Remove sizes on demand that the record does not allow any more. If that fails, those of a hidden image are
        removed by `hide`, and those with an old focal point when the new rendering is stored."""
        try:
            self._renderings.remove_sizes(image_id)
        except PortError:
            log.exception("sizes on demand not removed", extra={"image_id": image_id})

    def _synchronize(self, image_id: str) -> Image | None:
        """Make the store agree with the record. If that fails, `reconcile` does: the record has the task `hide`."""
        try:
            found = self._renderings.synchronize(image_id)
        except PortError:
            log.exception("variants not checked; reconcile checks them", extra={"image_id": image_id})
            return None
        return found if isinstance(found, Image) else None

    def _process(self, now: datetime) -> Changes:
        task = Work.add(now, PROCESS_DELAY)
        return {"work": {Task.PROCESS: task}, "reprocess_error": None, "last_tried_at": None}

    def _send(self, image: Image, *, bulk: bool = False) -> None:
        """Send the event that starts the worker. If the queue refuses, `reconcile` sends it when the task is due."""
        try:
            self._queue.send(object_created(original_key(image.id), image.bytes), owner=image.owner, bulk=bulk)
        except PortError:
            log.exception("event not sent; reconcile sends it", extra={"image_id": image.id})


def _pause(attempt: int) -> None:
    """Wait for a random time before a further attempt, so that many requests for one image all succeed."""
    if attempt:
        time.sleep(random.uniform(0, min(0.002 * 2**attempt, _LONGEST_PAUSE)))  # noqa: S311 - not a secret


def _mismatch(image: Image) -> PreconditionFailed:
    return PreconditionFailed(
        "version_mismatch",
        f"The image has changed: its version is {image.version}. Get the record again and repeat the change.",
        version=image.version,
    )


def _busy() -> Conflict:
    return Conflict("busy", "The image is changing. Try again.")
