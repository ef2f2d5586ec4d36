"""Find, adopt or remove objects without a record."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.errors import AlreadyExists
from app.domain.ids import id_time
from app.domain.images.notifications import object_created
from app.domain.keys import (
    ON_DEMAND,
    ORIGINALS,
    PROCESSED,
    is_public_name,
    original_id,
    processed_id,
    processed_prefix,
    rendering_name,
    size_id,
)
from app.domain.maintenance.report import Report
from app.domain.media import UNKNOWN_TYPE
from app.domain.models import Image, Tombstone, utcnow
from app.domain.ports import EventQueue, ImageRepository, ObjectInfo, ObjectStore
from app.domain.work import PROCESS_DELAY, RENDERING_LIFE, Task, Work

#: Minimum age of an orphan. A younger object may belong to a running request or to an event that is not handled yet.
GRACE = timedelta(hours=1)


@dataclass(frozen=True)
class Orphan:
    """An object that belongs to no image.

    `image_id` is None if the key contains no id. `deleted` is True if the image was deleted and must not return.
    """

    object: ObjectInfo
    image_id: str | None
    deleted: bool = False

    @property
    def can_be_adopted(self) -> bool:
        """Return True if the object is an original whose image was not deleted."""
        return original_id(self.object.key) is not None and not self.deleted


class Orphans:
    """Finds objects that belong to no image.

    Only records decide: an object whose image has a record is no orphan at any time of its id, its file or the clock.
    Times are compared only for objects without a record.
    """

    def __init__(self, store: ObjectStore, images: ImageRepository, queue: EventQueue) -> None:
        self._store = store
        self._images = images
        self._queue = queue
        #: Number of objects whose image has a record, counted by `find`.
        self.known = 0

    def find(
        self,
        report: Report,
        *,
        grace: timedelta = GRACE,
        now: datetime | None = None,
        is_time_left: Callable[[], bool] = lambda: True,
    ) -> Iterator[Orphan]:
        """Walk all objects and yield the orphans that are at least `grace` old. A time equally far in the future comes
        from a clock that was set back, and counts as old."""
        now = now or utcnow()
        self.known = 0
        last: tuple[str | None, Image | Tombstone | None] = (None, None)
        for prefix, id_of in ((ORIGINALS, original_id), (PROCESSED, processed_id), (ON_DEMAND, size_id)):
            for info in self._store.list(prefix):
                if not is_time_left():
                    report.search_left = 1
                    return
                image_id = id_of(info.key)
                if image_id is not None and last[0] != image_id:
                    last = (image_id, self._images.get(image_id))
                found = last[1] if image_id is not None else None
                if isinstance(found, Image) or (isinstance(found, Tombstone) and not found.is_finished):
                    self.known += 1  # `reconcile` finishes its delete
                    continue
                if abs(now - info.modified_at) < grace:
                    report.orphans_young += 1
                    continue
                report.orphans += 1
                yield Orphan(info, image_id, deleted=found is not None)

    def remove(self, orphan: Orphan, report: Report) -> bool:
        """Remove the object, unless its image has a record by now. Return True if it was removed."""
        if orphan.image_id is not None and isinstance(self._images.get(orphan.image_id), Image):
            return False
        self._store.delete(orphan.object.key)
        report.orphans_removed += 1
        return True

    def adopt(self, orphan: Orphan, owner: str, report: Report) -> bool:
        """Write a record for an orphaned original, and send an event so that the worker processes it. Existing
        variants are used again or swept. Return True if a record was created."""
        if not orphan.can_be_adopted or orphan.image_id is None:
            return False
        image = adopted_record(orphan.image_id, owner, orphan.object.size, renderings=self._renderings(orphan.image_id))
        try:
            self._images.create(image, claim=False)
        except AlreadyExists:
            return False
        event = object_created(orphan.object.key, orphan.object.size, made=orphan.object.modified_at)
        self._queue.send(event, owner=owner)
        report.orphans_adopted += 1
        return True

    def _renderings(self, image_id: str) -> list[str]:
        names: dict[str, None] = {}
        for public in (False, True):
            prefix = processed_prefix(image_id, public=public)
            for info in self._store.list(prefix):
                rendering_id, slash, _ = info.key.removeprefix(prefix).partition("/")
                if slash:
                    names[rendering_name(rendering_id, public=public)] = None
        return list(names)


def adopted_record(image_id: str, owner: str, size: int, *, renderings: list[str]) -> Image:
    """Build a private record for an original without one. The worker finds its type and hash. Existing `renderings`
    are removed after a day unless it makes them again; public ones are removed by the task `hide`."""
    now = utcnow()
    private = [name for name in renderings if not is_public_name(name)]
    work = {Task.PROCESS: Work.add(now, PROCESS_DELAY)}
    if private:
        work[Task.SWEEP] = Work.add(now, RENDERING_LIFE)
    if len(private) < len(renderings):
        work[Task.HIDE] = Work.add(now)
    return Image(
        id=image_id,
        owner=owner,
        content_type=UNKNOWN_TYPE,
        bytes=size,
        uploaded_at=min(id_time(image_id), now),
        updated_at=now,
        superseded=dict.fromkeys(private, now + RENDERING_LIFE),
        work=work,
    )
