"""Changes of existing images: description, visibility, and rendering again."""

import logging
import random
import time
from datetime import datetime
from typing import Protocol

from app.domain.errors import Conflict, Missing, NotFound, PortError, PreconditionFailed, Stale, Unavailable
from app.domain.ids import is_id
from app.domain.images.notifications import object_created
from app.domain.images.renderings import Renderings, join_changes
from app.domain.keys import original_key
from app.domain.models import Changes, Image, Status, Visibility, is_open_ticket, utcnow
from app.domain.ports import EventQueue, ImageRepository
from app.domain.work import LONGEST_ATTEMPT, PROCESS_DELAY, Task, Work

log = logging.getLogger(__name__)

_ATTEMPTS = 60
_LONGEST_PAUSE = 0.1  # seconds


class Patch(Protocol):
    """A change that a caller asks for."""

    def apply(self, image: Image) -> Changes:
        """Return the fields of the record that change, with their new values. Raises `Invalid`."""


class Editor:
    """Edits images of an owner. For a caller, images of other owners do not exist."""

    def __init__(self, images: ImageRepository, queue: EventQueue, renderings: Renderings) -> None:
        self._images = images
        self._queue = queue
        self._renderings = renderings

    def edit(self, owner: str | None, image_id: str, patch: Patch, expected_version: int | None = None) -> Image:
        """Apply the patch and return the record. With `expected_version`, only to that version of the record.

        A new focal point renders the image again; a new visibility moves its variants first. Raises `NotFound`,
        `PreconditionFailed` for another version, and `Conflict` if the image keeps changing.
        """
        copied: set[str] = set()
        try:
            for attempt in range(_ATTEMPTS):
                _pause(attempt)
                image = self._get(owner, image_id)
                if expected_version not in {None, image.version}:
                    raise _mismatch(image)
                changes = patch.apply(image)
                if not changes:
                    return image
                try:
                    edited = self._write(image, changes, copied)
                except Stale:
                    continue
                copied.clear()
                return edited
            raise _busy()
        finally:
            if copied:  # variants were published, but the record was not
                self._renderings.agree(image_id)

    def reprocess(self, owner: str | None, image_id: str) -> Image:
        """Have the image rendered again, from its original. A `ready` image keeps its variants until then.

        Raises `NotFound`, and `Conflict` for an upload ticket whose bytes have not arrived.
        """
        for attempt in range(_ATTEMPTS):
            _pause(attempt)
            image = self._get(owner, image_id)
            if is_open_ticket(image):
                raise Conflict("not_ready", "Its bytes have not arrived yet.", status_of_image=image.status)
            changes = self._process(utcnow())
            if image.status is Status.FAILED:
                changes |= {"status": Status.PENDING, "error": None}
            try:
                image = self._images.update(image.id, image.version, changes)
            except Stale:
                continue
            self._send(image)
            return image
        raise _busy()

    def _get(self, owner: str | None, image_id: str) -> Image:
        found = self._images.get(image_id) if is_id(image_id) else None
        if not isinstance(found, Image) or owner not in {None, found.owner}:
            raise NotFound("image_not_found", "There is no image with this id.")
        return found

    def _write(self, image: Image, changes: Changes, copied: set[str]) -> Image:
        now = utcnow()
        renders = "focal_point" in changes and image.status is Status.READY
        if renders:
            changes = join_changes(changes, self._process(now))
        if changes.get("visibility") is Visibility.PUBLIC and image.status is Status.READY:
            image = self._prepare_publish(image, now)
            changes = join_changes(changes, self._publish(image, now, copied))
        hides = changes.get("visibility") is Visibility.PRIVATE
        if hides:
            changes = join_changes(changes, self._hide(image, now))
        edited = self._images.update(image.id, image.version, changes)
        if renders:
            self._send(edited)
        if hides:
            self._renderings.hide(edited)
        return edited

    def _prepare_publish(self, image: Image, now: datetime) -> Image:
        """Add the task `hide` before anything is public: if this process ends before the record is changed, `reconcile`
        removes the copies."""
        return self._images.update(image.id, image.version, {"work": {Task.HIDE: Work.add(now, LONGEST_ATTEMPT)}})

    def _publish(self, image: Image, now: datetime, copied: set[str]) -> Changes:
        """Copy the variants to the public prefix and return the changes of the record. The private copies are swept."""
        rendering = image.rendering_id
        if rendering is None or image.placed is Visibility.PUBLIC:
            return {}
        copied.add(rendering)
        self._copy(image, public=True)
        strays = [(stray, True) for stray in copied - {rendering}]
        swept = self._renderings.supersede(image, [(rendering, False), *strays], now, current=(rendering, True))
        return join_changes({"placed": Visibility.PUBLIC}, swept)

    def _hide(self, image: Image, now: datetime) -> Changes:
        """Copy the variants back and return the changes of the record. `Renderings.hide` removes the public ones."""
        work: dict[Task, Work | None] = {Task.HIDE: Work.add(now)}
        if self._renderings.has_cdn:
            work[Task.INVALIDATE] = Work.add(now)
        changes: Changes = {"work": work}
        rendering = image.rendering_id
        if image.placed is Visibility.PUBLIC and rendering is not None:
            self._copy(image, public=False)
            kept = {name: due for name, due in image.superseded.items() if not name.startswith("public/")}
            private = image.model_copy(update={"superseded": kept})
            swept = self._renderings.supersede(private, [], now, current=(rendering, False))
            changes = join_changes(changes, {"placed": Visibility.PRIVATE, "superseded": kept}, swept)
        return changes

    def _copy(self, image: Image, *, public: bool) -> None:
        try:
            self._renderings.copy(image, public=public)
        except Missing:
            found = self._images.get(image.id)
            if not isinstance(found, Image) or found.version != image.version:
                raise Stale(image.id) from None
            raise Unavailable(f"A variant of {image.id} is missing. Render the image again.") from None

    def _process(self, now: datetime) -> Changes:
        task = Work.add(now, PROCESS_DELAY)
        return {"work": {Task.PROCESS: task}, "reprocess_error": None, "last_tried_at": None}

    def _send(self, image: Image) -> None:
        """Send the event that starts the worker. If the queue refuses, `reconcile` sends it when the task is due."""
        try:
            self._queue.send(object_created(original_key(image.id), image.bytes))
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
