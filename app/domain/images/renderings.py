"""Stored renderings of an image: their place, moves between places, and removal."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from app.domain.errors import Missing, PortError, Stale, Unavailable
from app.domain.keys import (
    image_prefixes,
    original_key,
    processed_prefix,
    rendering_name,
    rendering_prefix,
    variant_key,
)
from app.domain.models import Changes, Image, Status, Tombstone, Visibility, utcnow
from app.domain.ports import Cdn, ImageRepository, ObjectStore
from app.domain.times import is_implausible
from app.domain.work import LONGEST_ATTEMPT, RENDERING_LIFE, Task, Work

log = logging.getLogger(__name__)

_ATTEMPTS = 8


class Renderings:
    """Variants in the store, below a private and a public prefix.

    Only the public prefix is served to everybody. It holds variants of public images, and for a moment those of an
    image that was hidden or deleted while another request or a worker stored them. `public_life` is the lifetime of
    superseded public renderings, whose urls are in pages of other sites; private ones live `RENDERING_LIFE`.
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

    def copy(self, image: Image, *, public: bool) -> None:
        """Copy the variants of a `ready` image to the place. Raises `Missing` if a variant does not exist."""
        self.copy_files(image.id, image.rendering_id or "", {variant.file for variant in image.variants}, public=public)

    def copy_files(self, image_id: str, rendering_id: str, files: Iterable[str], *, public: bool) -> None:
        """Copy the files of a rendering from the other place to this one. Raises `Missing`."""
        for file in files:
            source = variant_key(image_id, rendering_id, file, public=not public)
            self._store.copy(source, variant_key(image_id, rendering_id, file, public=public))

    def supersede(
        self, image: Image, old: Iterable[tuple[str, bool]], now: datetime, *, current: tuple[str, bool]
    ) -> Changes:
        """Return the changes that schedule the removal of `old` renderings, and keep `current`.

        Each is a rendering id, and True for the public place.
        """
        superseded: dict[str, datetime] = dict(image.superseded)
        for rendering_id, public in old:
            name = rendering_name(rendering_id, public=public)
            superseded.setdefault(name, now + self.life(name))
        superseded.pop(rendering_name(current[0], public=current[1]), None)
        return sweep_changes(image, superseded, now)

    def life(self, name: str) -> timedelta:
        """Return the lifetime of a superseded rendering with this name."""
        return self._public_life if name.startswith("public/") else RENDERING_LIFE

    def sweep(self, image: Image, now: datetime) -> int:
        """Remove the superseded renderings that are due. Return their number. Raises `Stale` if the record has changed.

        A rendering that became current again meanwhile has lost its variants: it is rendered again. A time further
        ahead than the lifetime was stored before the clock was set back: the lifetime then starts now.
        """
        due, rest = set(), {}
        for name, moment in image.superseded.items():
            if moment <= now:
                due.add(name)
                self._store.delete_prefix(rendering_prefix(image.id, name))
            else:
                life = self.life(name)
                rest[name] = now + life if is_implausible(moment, now, life) else moment
        try:
            changes = sweep_changes(image, rest, now) or {"work": {Task.SWEEP: None}}
            self._images.update(image.id, image.version, changes)
        except Stale:
            found = self._images.get(image.id)
            if isinstance(found, Image) and found.rendering_id:
                shown = rendering_name(found.rendering_id, public=found.placed is Visibility.PUBLIC)
                if shown in due:
                    self.render_again(found)
            raise
        return len(due)

    def hide(self, image: Image) -> None:
        """Remove the public variants of an image that was just hidden. Its record has the tasks `hide` and, with a CDN,
        `invalidate`: `reconcile` repeats what fails here."""
        try:
            self.agree(image.id)
            self._images.update(image.id, image.version, {"work": self._hidden(image)})
        except Stale:
            return  # changed meanwhile; the tasks are still there
        except PortError:
            log.exception("public variants not removed; reconcile removes them", extra={"image_id": image.id})

    def _hidden(self, image: Image) -> Mapping[Task, Work | None]:
        task = image.work.get(Task.HIDE)
        later = task and {Task.HIDE: task.retry(task.since + LONGEST_ATTEMPT)}
        return {**(later or {}), **({Task.INVALIDATE: None} if self.invalidate([image.id]) else {})}

    def invalidate(self, image_ids: list[str]) -> bool:
        """Remove the cached variants of these images from the CDN. Return False if it must be repeated later."""
        if self._cdn is None:
            return True
        try:
            return self._cdn.invalidate(image_ids)
        except PortError:
            log.exception("cached variants not invalidated; reconcile tries again", extra={"count": len(image_ids)})
            return False

    def agree(self, image_id: str) -> None:
        """Make the public prefix agree with the record: empty unless the image is public, complete if it is.

        The record is read again afterwards, because another request may have changed it meanwhile.
        """
        before = self._images.get(image_id)
        for _ in range(_ATTEMPTS):
            if not isinstance(before, Image) or before.visibility is not Visibility.PUBLIC:
                self._store.delete_prefix(processed_prefix(image_id, public=True))
            elif before.placed is Visibility.PUBLIC:
                self._complete(before)
            after = self._images.get(image_id)
            if _placement(after) == _placement(before):
                return
            before = after
        raise Unavailable(f"The visibility of {image_id} is changing too often.")

    def _complete(self, image: Image) -> None:
        """Copy public variants that another request has removed. The private ones live on for `RENDERING_LIFE`."""
        for file in {variant.file for variant in image.variants}:
            key = variant_key(image.id, image.rendering_id or "", file, public=True)
            if self._store.find(key) is None:
                try:
                    self.copy_files(image.id, image.rendering_id or "", [file], public=True)
                except Missing:
                    log.warning("a public variant is missing; rendering again", extra={"image_id": image.id})
                    self.render_again(image)
                    return

    def render_again(self, image: Image) -> None:
        """Add the task `process`: `reconcile` sends the event. Does nothing if the record has changed."""
        try:
            self._images.update(image.id, image.version, {"work": {Task.PROCESS: Work.add(utcnow())}})
        except Stale:
            log.info("the record has changed meanwhile", extra={"image_id": image.id})

    def remove(self, image: Image) -> None:
        """Remove the bytes that the record of a deleted image names: variants, then the original."""
        public = image.placed is Visibility.PUBLIC
        if public or any(name.startswith("public/") for name in image.superseded):
            self._store.delete_prefix(processed_prefix(image.id, public=True))
        if not public:
            for file in {variant.file for variant in image.variants}:
                self._store.delete(variant_key(image.id, image.rendering_id or "", file))
        for name in image.superseded:
            if not name.startswith("public/"):
                self._store.delete_prefix(rendering_prefix(image.id, name))
        self._store.delete(original_key(image.id))

    def purge(self, tombstone: Tombstone, now: datetime) -> bool:
        """Remove all bytes of a deleted image. Return True if the task is finished: no attempt can store any more."""
        for prefix in image_prefixes(tombstone.id):
            self._store.delete_prefix(prefix)
        self._store.delete(original_key(tombstone.id))
        task = tombstone.work.get(Task.PURGE)
        last = task.since + LONGEST_ATTEMPT if task else now
        if task:
            self._images.update_tombstone(tombstone.id, {Task.PURGE: None if last <= now else task.retry(last)})
        return last <= now


def sweep_changes(image: Image, superseded: Mapping[str, datetime], now: datetime) -> Changes:
    """Return the changes of the superseded renderings and of the task `sweep`, which is due with the first of them."""
    if superseded == image.superseded and (Task.SWEEP in image.work) == bool(superseded):
        return {}
    task = Work(since=now, due=min(superseded.values())) if superseded else None
    return {"superseded": dict(superseded), "work": {Task.SWEEP: task}}


def join_changes(*changes: Changes) -> Changes:
    """Merge changes of different fields, and their changes of `work` by task."""
    merged: Changes = {}
    work: dict[Task, Work | None] = {}
    for each in changes:
        merged |= each
        work |= each.get("work", {})
    return merged | ({"work": work} if work else {})


def _placement(found: Image | Tombstone | None) -> object:
    if not isinstance(found, Image):
        return None
    return found.visibility, found.placed, found.rendering_id, found.status is Status.READY
