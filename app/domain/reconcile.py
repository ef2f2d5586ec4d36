"""Bringing to rest what a crash or a lost event left half-done."""

import logging
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice

from app.domain.errors import PortError, Stale
from app.domain.ids import first_id_at, id_time
from app.domain.images import finish_delete
from app.domain.keys import ORIGINALS, PROCESSED, original_id, original_key, processed_id, processed_prefix
from app.domain.models import EXHAUSTED, FailureCode, Image, Status, Tombstone, failed, utcnow
from app.domain.notifications import object_created
from app.domain.ports import EventQueue, ImageRepository, ObjectInfo, ObjectStore
from app.domain.tickets import RECORD_LIFE

log = logging.getLogger(__name__)

#: An upload whose bytes have not come by then never will.
NEVER_CAME = timedelta(hours=1)
#: A last delivery that began so long ago, and left its record `pending`, was cut off.
CUT_OFF = timedelta(hours=1)
#: So many are sent again in a run whatever waits: a queue that is never empty would hold up what was lost for ever,
#: and no backlog grows by these.
SENT_ANYWAY = 100
#: How long variants of an old rendering are kept for pages that still name them.
RENDERING_LIFE = timedelta(hours=24)

#: Of what there was no time for.
_MOST_COUNTED = 100_000


@dataclass
class Report:
    """What one run found and did.

    `waiting` are old `pending` images of which the queue may still hold the events; `left` is how many of the unsettled
    there was no time for, counted to a bound; `search_left` is 1 when the search for orphans had no time to end.
    """

    queued_again: int = 0
    waiting: int = 0
    left: int = 0
    never_came: int = 0
    given_up: int = 0
    deletes_finished: int = 0
    renderings_swept: int = 0
    orphans: int = 0
    orphans_removed: int = 0
    search_left: int = 0
    errors: int = 0

    def __str__(self) -> str:
        counts = (f"{field.name} {getattr(self, field.name)}" for field in fields(self))
        return ", ".join(counts)


class Reconciler:
    """Walks what is unsettled. Safe beside running uploads, workers and deletes, and to run twice at once.

    Time alone closes no record: as long as no worker has begun its last delivery, its event is sent again.
    """

    def __init__(self, store: ObjectStore, images: ImageRepository, queue: EventQueue) -> None:
        self._store = store
        self._images = images
        self._queue = queue
        self._in_queue: int | None = 0

    def run(
        self,
        *,
        requeue_after: timedelta = timedelta(minutes=15),
        now: datetime | None = None,
        is_time_left: Callable[[], bool] | None = None,
    ) -> Report:
        """Settle what can be settled, for as long as `is_time_left`. A run that may be too short for all begins
        anywhere, so that the next one meets what this one did not.

        `pending` images older than `requeue_after` get their event again: the first hundred met, and those that are
        more than the messages which wait in the queue, for each of these may be the event of one of them. With zero, as
        at a start, all get it, whatever waits, but those whose last delivery was cut off: one of them may be what ends
        every worker, and is closed by a later run unless an event of an earlier start ends it otherwise.
        """
        now = now or utcnow()
        report = Report()
        self._in_queue = None if requeue_after else 0
        unsettled = self._images.unsettled(_anywhere(now) if is_time_left else "")
        for image_id in unsettled:
            if is_time_left and not is_time_left():
                report.left = 1 + sum(1 for _ in islice(unsettled, _MOST_COUNTED))
                break
            try:
                self._settle(image_id, now, requeue_after, report)
            except Stale:
                continue  # it moved while we looked: not ours to settle
            except PortError:
                log.exception("could not be settled in this run", extra={"image_id": image_id})
                report.errors += 1
        return report

    def _settle(self, image_id: str, now: datetime, requeue_after: timedelta, report: Report) -> None:
        found = self._images.get(image_id)
        if found is None or (isinstance(found, Tombstone) and not found.settled):
            finish_delete(self._store, self._images, image_id)
            report.deletes_finished += 1
        elif isinstance(found, Image) and found.status is Status.PENDING:
            self._settle_pending(found, now, requeue_after, report)
        elif isinstance(found, Image) and found.stale_renderings and found.updated_at < now - RENDERING_LIFE:
            for rendering in found.stale_renderings:
                self._store.delete_prefix(processed_prefix(image_id, rendering))
            self._images.update(image_id, found.version, {"stale_renderings": []})
            report.renderings_swept += len(found.stale_renderings)

    def _settle_pending(self, image: Image, now: datetime, requeue_after: timedelta, report: Report) -> None:
        original = self._store.find(original_key(image.id))  # not `stat`: a closed bucket is no empty one
        if original is None:
            if image.uploaded_at < now - NEVER_CAME:
                self._images.remove(image.id, image.version)
                report.never_came += 1
        elif image.last_tried_at is not None:
            if requeue_after and image.last_tried_at < now - CUT_OFF:
                changes = failed(image, FailureCode.ATTEMPTS_EXHAUSTED, EXHAUSTED, now)
                self._images.update(image.id, image.version, changes)
                report.given_up += 1
        elif not requeue_after or image.uploaded_at <= now - requeue_after:  # a clock may have been set back
            if image.expires_at is not None and image.expires_at < now + RECORD_LIFE / 2:
                # A ticket whose bytes are there, however long they wait.
                self._images.update(image.id, image.version, {"expires_at": now + RECORD_LIFE})
            self._send_again(original, report)

    def _send_again(self, original: ObjectInfo, report: Report) -> None:
        if self._in_queue is None:
            self._in_queue = self._queue.waiting()
        if report.queued_again >= SENT_ANYWAY and report.waiting < self._in_queue:
            report.waiting += 1
        else:
            self._queue.send(object_created(original.key, original.size, made=original.modified_at))
            report.queued_again += 1

    def orphans(
        self,
        report: Report,
        *,
        remove: bool = False,
        now: datetime | None = None,
        is_time_left: Callable[[], bool] = lambda: True,
    ) -> Iterator[ObjectInfo]:
        """Objects that belong to no record, older than an hour; removed as they are yielded if asked."""
        now = now or utcnow()
        known: tuple[str, bool] = ("", False)
        for prefix, id_of in ((ORIGINALS, original_id), (PROCESSED, processed_id)):
            for info in self._store.list(prefix):
                if not is_time_left():
                    report.search_left = 1
                    return
                image_id = id_of(info.key)
                if info.modified_at > now - NEVER_CAME:
                    continue
                if image_id is not None and id_time(image_id) <= now:
                    if known[0] != image_id:
                        known = (image_id, self._images.get(image_id) is not None)
                    if known[1]:
                        continue
                report.orphans += 1
                if remove:
                    self._store.delete(info.key)
                    report.orphans_removed += 1
                yield info


def _anywhere(now: datetime) -> str:
    """An id of a moment between a minute and a month ago: each hour, day and week as likely as the others of its
    kind, for what is unsettled may be an hour's or a week's. Its last digit is any: see `ImageRepository.unsettled`."""
    minutes = math.exp(random.uniform(0, math.log(30 * 24 * 60)))  # noqa: S311 - where to begin is no secret
    return first_id_at(now - timedelta(minutes=minutes))[:-1] + random.choice("0123456789abcdef")  # noqa: S311
