"""Outcomes of processing, written to the record. Each removes the task `process`, and no other."""

import contextlib
import logging
from datetime import datetime
from typing import NamedTuple

from app.domain.errors import ImageError, KeepsChanging, Stale
from app.domain.images.failing import mark_exhausted, mark_failed
from app.domain.images.placement import guard_changes, is_swept_soon, join_changes, shown_rendering
from app.domain.images.renderings import Renderings
from app.domain.keys import image_prefixes, rendering_name
from app.domain.models import RETRYABLE, Changes, Failure, FailureCode, Image, Status, Visibility, utcnow
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


class Stored(NamedTuple):
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
        """Make the record `ready` with these variants. Return None if it must be processed again: it asks for another
        rendering now, or its variants were removed.

        If the visibility has changed since the variants were stored, they are moved first.
        """
        claim = _may_lack_claim(image)
        places, current, is_changed = {stored.public}, image, False
        for _ in range(_ATTEMPTS):
            is_current = self.rendering_id(current) == stored.rendering_id
            if is_current and is_changed:
                places.add(current.effective_visibility is Visibility.PUBLIC)
                if not self._ensure(current, stored):
                    self._renderings.synchronize(image.id)
                    return None
            if is_current and current.rendering_id not in {None, stored.rendering_id}:
                self._renderings.remove_sizes(image.id)
            changes = self._changes(current, processed, original, stored, places)
            # Bytes that a ticket names are claimed before it ends: at any time one of both leads to the image.
            is_named = current.sha256 == original.sha256
            if is_current and claim and is_named:
                self._images.claim(current)
            try:
                updated = self._images.update(image.id, current.version, changes)
            except Stale:
                found = self._images.get(image.id)
                if not isinstance(found, Image):
                    return self._remove_all(image.id)
                if self._is_shown(found, stored):
                    return Outcome.DUPLICATE if len(places) == 1 or self.synchronize(image.id) else None
                current, is_changed = found, True
                continue
            if is_current and claim and not is_named:
                self._images.claim(updated)
            in_doubt = is_changed or Task.HIDE in updated.work
            is_complete = not in_doubt or self.synchronize(image.id)
            return Outcome.READY if is_current and is_complete else None
        raise KeepsChanging(image.id)

    def _ensure(self, current: Image, stored: Stored) -> bool:
        public = current.effective_visibility is Visibility.PUBLIC
        return self._renderings.ensure(current.id, stored.rendering_id, stored.files, public=public)

    def synchronize(self, image_id: str) -> bool:
        """Make the store agree with the record. Return False if it must be processed again."""
        found = self._renderings.synchronize(image_id)
        return not isinstance(found, Image) or Task.PROCESS not in found.work

    def _changes(
        self, current: Image, processed: Processed, original: Original, stored: Stored, places: set[bool]
    ) -> Changes:
        """Return the changes of the record, with those that schedule the removal of each stored rendering that the
        record does not show then."""
        now, wanted = utcnow(), current.effective_visibility is Visibility.PUBLIC
        shown = shown_rendering(current) or ""
        # Nothing public outlives the visibility: `synchronize` removes it at once.
        names = {rendering_name(stored.rendering_id, public=public) for public in places if wanted or not public}
        if self.rendering_id(current) != stored.rendering_id:
            return self._renderings.supersede(current, names - {shown}, now, current=shown)
        after = rendering_name(stored.rendering_id, public=wanted)
        old = ({shown} if shown else set()) | names
        # A sweep that runs now may remove the variants after this update, and end before it sees the update.
        guard = guard_changes(now) if is_swept_soon(current, after, now) else {}
        ready = ready_changes(current, processed, original, self._recipe)
        return join_changes(ready, self._renderings.supersede(current, old - {after}, now, current=after), guard)

    def _is_shown(self, found: Image, stored: Stored) -> bool:
        """Return True if another attempt has made the same variants, at the same place, and has finished."""
        is_ready = found.status is Status.READY and Task.PROCESS not in found.work
        same = found.rendering_id == stored.rendering_id and found.placed is _place(stored.public)
        return is_ready and same and found.effective_visibility is found.placed

    def fail(self, image: Image, error: ImageError, original: Original | None) -> Outcome | None:
        """Record a fault of the image. A `ready` image keeps its status and its variants; it gets `reprocess_error`.
        Return None if the record asks for another rendering by now: then this outcome is not that of its task."""
        code = FailureCode(error.code)
        for _ in range(_ATTEMPTS):
            found = self._images.get(image.id)
            if not isinstance(found, Image):
                return self._remove_all(image.id)
            if found.status is Status.READY and Task.PROCESS not in found.work:
                return Outcome.FAILED
            if self._request(found) != self._request(image):
                return None
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
        raise KeepsChanging(image.id)

    def _request(self, image: Image) -> object:
        """Return a value that changes when the image must be rendered again, or differently."""
        task = image.work.get(Task.PROCESS)
        return self.rendering_id(image), task and task.since

    def _failed(self, found: Image, code: FailureCode, detail: str, image: Image, original: Original | None) -> Changes:
        if found.status is Status.READY:
            return {"reprocess_error": Failure(code=code, detail=detail), **_PROCESSED}
        changes = mark_failed(image, code, detail, utcnow())
        if original is None:
            return changes
        # The hash of the bytes that were sent stays. So other bytes fail again, and look-ups never lead to them.
        return changes | original_changes(original) | {"sha256": found.sha256 or original.sha256}

    def _abandoned(self, found: Image) -> Changes:
        wanted = rendering_name(self.rendering_id(found), public=found.effective_visibility is Visibility.PUBLIC)
        shown = shown_rendering(found) or ""
        return self._renderings.supersede(found, {wanted} - {shown}, utcnow(), current=shown)

    def close(self, image_id: str, started: datetime) -> bool:
        """Mark a record that still has the task `process` after its last delivery as failed. Return True if it had.

        A task that was added since the delivery `started` has an event of its own, and stays.
        """
        try:
            for _ in range(_ATTEMPTS):
                found = self._images.get(image_id)
                if not isinstance(found, Image) or Task.PROCESS not in found.work:
                    return False
                if found.work[Task.PROCESS].since > started:
                    return False
                changes = mark_exhausted(found, utcnow())
                with contextlib.suppress(Stale):
                    self._images.update(image_id, found.version, changes)
                    self._renderings.synchronize(image_id)
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


def _may_lack_claim(image: Image) -> bool:
    """Return True if look-ups by hash may not find the image yet: it was uploaded with a ticket or adopted, or it had
    failed, which ends its ticket and lets another upload of the same bytes take its place."""
    had_failed = image.status is not Status.READY and image.processed_at is not None
    return image.sha256 is None or image.upload_expires_at is not None or had_failed
