"""Outcomes of processing, written to the record. Each removes the task `process`, and no other."""

import contextlib
import logging
from dataclasses import dataclass

from app.domain.errors import ImageError, Missing, Stale, Unavailable
from app.domain.images.renderings import Renderings, join_changes
from app.domain.keys import image_prefixes
from app.domain.models import (
    RETRYABLE,
    Changes,
    Failure,
    FailureCode,
    Image,
    Status,
    Visibility,
    mark_exhausted,
    mark_failed,
    utcnow,
)
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.recipe import Recipe, build_rendering_id
from app.domain.reports import Outcome
from app.domain.work import Task
from app.worker.changes import original_changes, ready_changes
from app.worker.jobs import Processed
from app.worker.originals import Original

log = logging.getLogger(__name__)

_ATTEMPTS = 16
_PROCESSED: Changes = {"work": {Task.PROCESS: None}}


@dataclass(frozen=True)
class Stored:
    """Variants of one attempt: files in the store below the rendering's prefix, at the public place or the private
    one."""

    rendering_id: str
    files: frozenset[str]
    public: bool


class Outcomes:
    """Writes outcomes. Each method reads the record again when it has changed, and gives up when that never ends."""

    def __init__(self, store: ObjectStore, images: ImageRepository, renderings: Renderings, recipe: Recipe) -> None:
        self._store = store
        self._images = images
        self._renderings = renderings
        self._recipe = recipe

    def rendering_id(self, image: Image) -> str:
        """Return the id of the rendering that the record asks for."""
        return build_rendering_id(self._recipe, image.focal_point)

    def finish(self, image: Image, processed: Processed, original: Original, stored: Stored) -> Outcome | None:
        """Make the record `ready` with these variants. Return None if the record asks for another rendering now.

        If the visibility has changed since the variants were stored, they are moved first.
        """
        claim = image.sha256 is None or image.upload_expires_at is not None  # uploaded with a ticket, or adopted
        public = {stored.public}
        current = image
        for _ in range(_ATTEMPTS):
            is_current = self.rendering_id(current) == stored.rendering_id
            now_public = current.visibility is Visibility.PUBLIC
            if is_current and now_public not in public:
                try:
                    self._renderings.copy_files(current.id, stored.rendering_id, stored.files, public=now_public)
                except Missing:  # removed when the image was hidden
                    return None
                public.add(now_public)
            ready = ready_changes(current, processed, original, self._recipe) if is_current else {}
            swept = self._supersede(current, stored.rendering_id, public, is_current=is_current)
            try:
                updated = self._images.update(image.id, current.version, join_changes(ready, swept))
            except Stale:
                found = self._images.get(image.id)
                if not isinstance(found, Image):
                    return self._remove_all(image.id)
                if self._is_shown(found, stored):
                    return Outcome.DUPLICATE
                current = found
                continue
            if True in public and not now_public:
                self._renderings.agree(image.id)
            if not is_current:
                return None
            if claim:
                self._images.claim(updated)
            return Outcome.READY
        raise keeps_changing(image.id)

    def _is_shown(self, found: Image, stored: Stored) -> bool:
        """Return True if another attempt has made the same variants, at the same place, and has finished."""
        is_ready = found.status is Status.READY and Task.PROCESS not in found.work
        same = found.rendering_id == stored.rendering_id and found.placed is _place(stored.public)
        return is_ready and same and found.visibility is found.placed

    def _supersede(self, current: Image, rendering_id: str, public: set[bool], *, is_current: bool) -> Changes:
        """Schedule the removal of every stored rendering that the record does not show after this update."""
        wanted = current.visibility is Visibility.PUBLIC
        shown = (current.rendering_id or "", current.placed is Visibility.PUBLIC)
        after = (rendering_id, wanted) if is_current else shown
        old = [each for each in (shown, *((rendering_id, place) for place in public)) if each != after and each[0]]
        if not wanted:  # `agree` and the task `hide` remove public ones at once
            old = [each for each in old if not each[1]]
        return self._renderings.supersede(current, old, utcnow(), current=after)

    def fail(self, image: Image, error: ImageError, original: Original | None) -> Outcome:
        """Record a fault of the image. A `ready` image keeps its status and its variants; it gets `reprocess_error`."""
        code = FailureCode(error.code)
        for _ in range(_ATTEMPTS):
            found = self._images.get(image.id)
            if not isinstance(found, Image):
                return self._remove_all(image.id)
            if found.status is Status.READY and Task.PROCESS not in found.work:
                return Outcome.FAILED
            changes = self._failed(found, code, error.detail, image, original)
            if code in RETRYABLE:
                # An earlier attempt may have left variants. They are swept later, unless a worker lists them in the
                # record: another one may be about to do so, so they cannot be removed now.
                changes = join_changes(changes, self._abandoned(found))
            try:
                self._images.update(image.id, found.version, changes)
            except Stale:
                continue
            return Outcome.FAILED
        raise keeps_changing(image.id)

    def _failed(self, found: Image, code: FailureCode, detail: str, image: Image, original: Original | None) -> Changes:
        if found.status is Status.READY:
            return {"reprocess_error": Failure(code=code, detail=detail), **_PROCESSED}
        changes = mark_failed(image, code, detail, utcnow())
        return changes | (original_changes(original) if original is not None else {})

    def _abandoned(self, found: Image) -> Changes:
        wanted = (self.rendering_id(found), found.visibility is Visibility.PUBLIC)
        shown = (found.rendering_id or "", found.placed is Visibility.PUBLIC)
        return self._renderings.supersede(found, [wanted], utcnow(), current=shown)

    def close(self, image_id: str) -> bool:
        """Mark a record that still has the task `process` after its last delivery as failed. Return True if it had."""
        try:
            for _ in range(_ATTEMPTS):
                found = self._images.get(image_id)
                if not isinstance(found, Image) or Task.PROCESS not in found.work:
                    return False
                changes = mark_exhausted(found, utcnow())
                with contextlib.suppress(Stale):
                    self._images.update(image_id, found.version, changes)
                    return True
        except Exception:
            log.exception("an image could not be marked as failed", extra={"image_id": image_id})
        return False

    def _remove_all(self, image_id: str) -> Outcome:
        for prefix in image_prefixes(image_id):
            self._store.delete_prefix(prefix)
        return Outcome.DELETED


def _place(public: bool) -> Visibility:
    return Visibility.PUBLIC if public else Visibility.PRIVATE


def keeps_changing(image_id: str) -> Unavailable:
    """Return the error for a record that changes during every attempt to write it."""
    return Unavailable(f"The record of {image_id} is changing too often.")
