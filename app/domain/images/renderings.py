"""Stored renderings of an image: their place, moves between places, and removal."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from app.domain.errors import KeepsChanging, Missing, PortError, Stale
from app.domain.images.placement import (
    guard_changes,
    list_files,
    placement,
    rendering_life,
    shown_rendering,
    supersede_changes,
    sweep_changes,
    was_public,
)
from app.domain.keys import (
    ON_DEMAND,
    is_public_name,
    original_key,
    processed_prefix,
    rendering_name,
    rendering_prefix,
    size_prefix,
    variant_key,
)
from app.domain.models import Changes, Image, Status, Tombstone, Visibility, utcnow
from app.domain.ports import Cdn, ImageRepository, ObjectStore
from app.domain.times import is_implausible
from app.domain.work import LONGEST_ATTEMPT, RENDERING_LIFE, Task, Work

log = logging.getLogger(__name__)

_ATTEMPTS = 16


class Renderings:
    """Variants and sizes on demand in the store, below private and public prefixes.

    Only the public prefixes are served to everybody. They hold variants of public images, and for a moment those of an
    image that was hidden or deleted while another request or a worker stored them. `public_life` is the lifetime of
    superseded public renderings, whose urls are in pages of other sites; private ones live `RENDERING_LIFE`.

    The store has no transactions with the records. So a request or a worker that removes objects reads the record
    again afterwards, as does one that makes objects current which others may be removing: see `synchronize`.
    """

    def __init__(
        self,
        store: ObjectStore,
        images: ImageRepository,
        *,
        cdn: Cdn | None = None,
        public_life: timedelta = RENDERING_LIFE,
    ) -> None:
        self._store = store
        self._images = images
        self._cdn = cdn
        self._public_life = public_life

    @property
    def has_cdn(self) -> bool:
        """True if removed public variants must be invalidated."""
        return self._cdn is not None

    @property
    def has_cached_sizes(self) -> bool:
        """True if removed sizes on demand of public images must be invalidated."""
        return self._cdn is not None and self._cdn.shows_sizes

    def ensure(self, image_id: str, rendering_id: str, files: Iterable[str], *, public: bool) -> bool:
        """Copy those files of a rendering that are missing at this place from the other one. Return False if some are
        at neither place."""
        prefix = processed_prefix(image_id, rendering_id, public=public)
        there = {info.key.removeprefix(prefix) for info in self._store.list(prefix)}
        complete = True
        for file in sorted({*files} - there):
            try:
                self._store.copy(variant_key(image_id, rendering_id, file, public=not public), prefix + file)
            except Missing:
                complete = False
        return complete

    def ensure_current(self, image: Image, *, public: bool) -> bool:
        """Do what `ensure` does, for the variants of a `ready` image."""
        return self.ensure(image.id, image.rendering_id or "", list_files(image), public=public)

    def supersede(self, image: Image, old: Iterable[str], now: datetime, *, current: str) -> Changes:
        """Return the changes that schedule the removal of `old` renderings, and keep `current`. Both are names as in
        `keys.rendering_name`."""
        return supersede_changes(image, old, now, current=current, public_life=self._public_life)

    def moved(self, image: Image, place: Visibility, now: datetime) -> Changes:
        """Return the changes of a record whose variants have been copied to this place. The old copies are swept;
        public ones are removed at once, when the store is made to agree with the record."""
        public = place is Visibility.PUBLIC
        old, current = (rendering_name(image.rendering_id or "", public=each) for each in (not public, public))
        if public:
            return {"placed": place, **self.supersede(image, [old], now, current=current)}
        kept = {name: due for name, due in image.superseded.items() if name != current and not is_public_name(name)}
        return {"placed": place, **sweep_changes(image, kept, now)}

    def sweep(self, image: Image, now: datetime) -> int:
        """Remove the superseded renderings that are due. Return their number.

        A rendering that becomes current again meanwhile loses its variants: `synchronize` stores them again. A time
        further ahead than the lifetime was stored before the clock was set back: the lifetime then starts now.
        """
        shown, removed, rest = shown_rendering(image), 0, {}
        for name, moment in image.superseded.items():
            if name == shown:
                continue  # a worker of 0.1.0 has rendered it again
            if moment <= now:
                self._store.delete_prefix(rendering_prefix(image.id, name))
                removed += 1
            else:
                life = rendering_life(name, self._public_life)
                rest[name] = now + life if is_implausible(moment, now, life) else moment
        try:
            changes = sweep_changes(image, rest, now) or {"work": {Task.SWEEP: None}}
            self._images.update(image.id, image.version, changes)
        except Stale:
            self.synchronize(image.id)
        return removed

    def hide(self, image: Image) -> Image:
        """Remove the public variants of an image that was just hidden, from the store and the CDN. Return the record
        afterwards. Its tasks `hide` and `invalidate` make `reconcile` repeat what fails here."""
        try:
            return self.finish_hide(image, utcnow(), invalidate=True)
        except PortError:
            log.exception("public variants not removed; reconcile removes them", extra={"image_id": image.id})
            return image

    def finish_hide(self, image: Image, now: datetime, *, invalidate: bool = False) -> Image:
        """Run the task `hide` of the record and return the record afterwards.

        The task stays until no attempt that read the record before can still store an object. Public objects that are
        found then are invalidated too.
        """
        _, removed = self._synchronize(image.id)
        changes: dict[Task, Work | None] = {Task.HIDE: _until_no_attempt_is_left(image.work[Task.HIDE], now)}
        if Task.INVALIDATE in image.work:
            if invalidate and self.invalidate([image.id]):
                changes[Task.INVALIDATE] = None
        elif removed and self.has_cdn:
            changes[Task.INVALIDATE] = Work.add(now)
        return self.change_tasks(image, changes)

    def finish_invalidate(self, image: Image) -> Image:
        """Run the task `invalidate` of the record and return the record afterwards. `reconcile` repeats what fails."""
        try:
            return self.change_tasks(image, {Task.INVALIDATE: None}) if self.invalidate([image.id]) else image
        except PortError:
            log.exception("the task `invalidate` was not removed; reconcile repeats it", extra={"image_id": image.id})
            return image

    def change_tasks(self, image: Image, changes: Mapping[Task, Work | None]) -> Image:
        """Change those tasks that nobody has changed since the record was read. Return the record afterwards."""
        for _ in range(_ATTEMPTS):
            found = self._images.get(image.id)
            if not isinstance(found, Image):
                return image
            same = {name: task for name, task in changes.items() if found.work.get(name) == image.work.get(name)}
            if not same:
                return found
            try:
                return self._images.update(found.id, found.version, {"work": same})
            except Stale:
                continue
        raise KeepsChanging(image.id)

    def invalidate(self, image_ids: list[str]) -> bool:
        """Remove the cached variants of these images from the CDN. Return False if it must be repeated later."""
        if self._cdn is None:
            return True
        try:
            return self._cdn.invalidate(image_ids)
        except PortError:
            log.exception("cached variants not invalidated; reconcile tries again", extra={"count": len(image_ids)})
            return False

    def synchronize(self, image_id: str) -> Image | Tombstone | None:
        """Make the store agree with the record, and return the record afterwards.

        The public prefix is emptied unless the image is public. Current variants that are missing are copied from the
        other place; if that is impossible, the record gets the task `process`. Renderings that the record does not
        name are superseded: interrupted attempts have left them.

        Call it after an attempt during which the visibility may have changed. The record is read again afterwards,
        because another request may have changed it meanwhile.
        """
        found, removed = self._synchronize(image_id)
        if removed and isinstance(found, Image) and Task.INVALIDATE not in found.work:
            return self.change_tasks(found, {Task.INVALIDATE: Work.add(utcnow())})
        return found

    def _synchronize(self, image_id: str) -> tuple[Image | Tombstone | None, int]:
        """Return the record afterwards, and the number of public objects that were removed."""
        removed = 0
        before = self._images.get(image_id)
        for _ in range(_ATTEMPTS):
            try:
                if isinstance(before, Image) and before.status is Status.READY:
                    before = self._complete(before)
                if not isinstance(before, Image) or before.effective_visibility is not Visibility.PUBLIC:
                    removed += self._store.delete_prefix(processed_prefix(image_id, public=True))
                    removed += self._store.delete_prefix(size_prefix(image_id, public=True))
                if isinstance(before, Image):
                    self._supersede_strays(before)
            except Stale:
                before = self._images.get(image_id)
                continue
            after = self._images.get(image_id)
            if placement(after) == placement(before):
                return after, removed
            before = after
        raise KeepsChanging(image_id)

    def _complete(self, image: Image) -> Image:
        """Complete the current variants at the place of the visibility. Raises `Stale`.

        A worker of 0.1.0 leaves those of a public image at the private place.
        """
        now, public = utcnow(), image.effective_visibility is Visibility.PUBLIC
        if public and image.placed is Visibility.PRIVATE and Task.HIDE not in image.work:
            image = self._images.update(image.id, image.version, guard_changes(now))
        if not self.ensure_current(image, public=public):
            log.warning("a variant is missing; rendering again", extra={"image_id": image.id})
            if Task.PROCESS in image.work:
                return image
            again: Changes = {"work": {Task.PROCESS: Work.add(now)}, "last_tried_at": None}
            return self._images.update(image.id, image.version, again)
        if image.placed is image.effective_visibility:
            return image
        return self._images.update(image.id, image.version, self.moved(image, image.effective_visibility, now))

    def _supersede_strays(self, image: Image) -> None:
        """Schedule the removal of stored renderings that the record does not name. Raises `Stale`.

        They get the lifetime of private ones, because no record has ever shown them. An attempt that is still storing
        one names it in the record when it has finished.
        """
        now, known = utcnow(), {shown_rendering(image), *image.superseded}
        strays = {name: now + RENDERING_LIFE for name in self._stored(image.id) if name not in known}
        if strays:
            self._images.update(image.id, image.version, sweep_changes(image, {**image.superseded, **strays}, now))

    def _stored(self, image_id: str) -> set[str]:
        """Return the names of all stored renderings of an image."""
        names = set()
        for public in (False, True):
            prefix = processed_prefix(image_id, public=public)
            for info in self._store.list(prefix):
                names.add(rendering_name(info.key.removeprefix(prefix).partition("/")[0], public=public))
        return names - {ON_DEMAND.rstrip("/")}

    def remove_sizes(self, image_id: str) -> None:
        """Remove the sizes on demand of an image at both places. They are rendered again when they are asked for."""
        for public in (False, True):
            self._store.delete_prefix(size_prefix(image_id, public=public))

    def remove(self, image: Image) -> None:
        """Remove the bytes of a deleted image: its sizes, the variants that its record names, then the original."""
        self.remove_sizes(image.id)
        if was_public(image):
            self._store.delete_prefix(processed_prefix(image.id, public=True))
        if image.placed is Visibility.PRIVATE:
            for file in list_files(image):
                self._store.delete(variant_key(image.id, image.rendering_id or "", file))
        for name in image.superseded:
            if not is_public_name(name):
                self._store.delete_prefix(rendering_prefix(image.id, name))
        self._store.delete(original_key(image.id))

    def purge(self, tombstone: Tombstone, now: datetime) -> bool:
        """Remove all bytes of a deleted image. Return True if the task is finished: no attempt can store any more."""
        removed = self._store.delete_prefix(processed_prefix(tombstone.id, public=True))
        removed += self._store.delete_prefix(size_prefix(tombstone.id, public=True))
        self._store.delete_prefix(processed_prefix(tombstone.id))
        self._store.delete(original_key(tombstone.id))
        task = tombstone.work.get(Task.PURGE)
        if task is None:
            return True
        changes = {Task.PURGE: _until_no_attempt_is_left(task, now)}
        if removed and self.has_cdn:
            changes[Task.INVALIDATE] = Work.add(now)
        self._images.update_tombstone(tombstone.id, changes)
        return changes[Task.PURGE] is None


def _until_no_attempt_is_left(task: Work, now: datetime) -> Work | None:
    """Return the task after a run, or None once no attempt that read the record before it was added can still store an
    object. A time of addition in the future was written before the clock was set back: the task starts again."""
    if is_implausible(task.since, now):
        return Work.add(now, LONGEST_ATTEMPT)
    last = task.since + LONGEST_ATTEMPT
    return None if last <= now else task.retry(last)
