"""Repair of records after crashes, lost events and unused upload tickets."""

import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice

from app.domain.errors import AlreadyExists, HashTaken, PortError, Stale
from app.domain.ids import first_id_at
from app.domain.images.notifications import object_created
from app.domain.images.service import finish_delete
from app.domain.keys import original_key, processed_prefix
from app.domain.models import (
    EXHAUSTED,
    Changes,
    FailureCode,
    Image,
    Status,
    Tombstone,
    is_open_ticket,
    mark_failed,
    utcnow,
)
from app.domain.ports import EventQueue, ImageRepository, ObjectInfo, ObjectStore
from app.domain.times import has_passed, is_implausible
from app.domain.uploads.tickets import RECORD_LIFE

log = logging.getLogger(__name__)

#: Lifetime of an upload's record without bytes. That of a ticket is `RECORD_LIFE`, because a client may send slowly.
NEVER_CAME = timedelta(hours=1)
#: A last delivery that began this long ago and left its record `pending` was interrupted.
CUT_OFF = timedelta(hours=1)
#: Number of events that each run sends again even if the queue is long. Otherwise a queue that is never empty would
#: block lost events forever.
SENT_ANYWAY = 100
#: Lifetime of variants of an old rendering, for pages that still use them.
RENDERING_LIFE = timedelta(hours=24)

#: Number of records that are removed in one call.
_BATCH = 100
#: Limit for counting the records that a run had no time for.
_MOST_COUNTED = 100_000


@dataclass
class Report:
    """Counts of one run.

    `waiting`: old `pending` images whose events may still be in the queue. `never_came`: records removed because their
    bytes never came. `left`: unfinished records that the run had no time for, counted up to a limit. `orphans_young`:
    objects without a record that are too young to count as orphans. `search_left`: 1 if there was no time to finish
    the search for orphans.
    """

    queued_again: int = 0
    waiting: int = 0
    left: int = 0
    never_came: int = 0
    given_up: int = 0
    deletes_finished: int = 0
    renderings_swept: int = 0
    orphans: int = 0
    orphans_young: int = 0
    orphans_removed: int = 0
    orphans_adopted: int = 0
    search_left: int = 0
    errors: int = 0

    def __str__(self) -> str:
        counts = (f"{field.name} {getattr(self, field.name)}" for field in fields(self))
        return ", ".join(counts)


class Reconciler:
    """Finishes unfinished records. Safe during uploads, processing, deletes and other runs.

    Bytes are deleted only for an existing tombstone. A record is removed only after a search for its bytes, and written
    again if they arrive meanwhile. A stored time that is implausibly far in the future was written before the clock was
    set back: the event is then sent again, and other periods start now.
    """

    def __init__(self, store: ObjectStore, images: ImageRepository, queue: EventQueue) -> None:
        self._store = store
        self._images = images
        self._queue = queue
        self._in_queue: int | None = 0
        self._unused: list[Image] = []

    def run(
        self,
        *,
        requeue_after: timedelta = timedelta(minutes=15),
        now: datetime | None = None,
        is_time_left: Callable[[], bool] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Report:
        """Finish unfinished records while `is_time_left` and until `stop`. With `is_time_left`, start at a random id,
        so that the next run reaches records that this one does not.

        Events of `pending` images older than `requeue_after` are sent again: the first hundred, and those in excess
        of the messages in the queue, because each message may be the event of one of them. With zero, as at a start,
        all events are sent again except for images whose last delivery was interrupted: such an image may crash every
        worker. A later run closes its record unless another event finishes it.
        """
        now = now or utcnow()
        report = Report()
        self._in_queue = None if requeue_after else 0
        self._unused = []
        unsettled = self._images.unsettled(_random_start(now) if is_time_left else "")
        for image_id in unsettled:
            if stop():
                break
            if is_time_left and not is_time_left():
                report.left = 1 + sum(1 for _ in islice(unsettled, _MOST_COUNTED))
                break
            try:
                self._settle(image_id, now, requeue_after, report)
            except Stale:
                continue  # changed meanwhile by someone else
            except PortError:
                log.exception("a record could not be finished in this run", extra={"image_id": image_id})
                report.errors += 1
            if len(self._unused) >= _BATCH:
                self._remove_unused(now, report)
        self._remove_unused(now, report)
        return report

    def _settle(self, image_id: str, now: datetime, requeue_after: timedelta, report: Report) -> None:
        found = self._images.get(image_id)
        if found is None:
            self._images.settle(image_id)  # removes an index entry without a record
        elif isinstance(found, Tombstone):
            if not found.settled:
                finish_delete(self._store, self._images, image_id)
                report.deletes_finished += 1
        elif found.status is Status.PENDING:
            self._settle_pending(found, now, requeue_after, report)
        elif found.stale_renderings:
            self._sweep(found, now, report)

    def _sweep(self, image: Image, now: datetime, report: Report) -> None:
        if is_implausible(image.updated_at, now):
            self._images.update(image.id, image.version, {})
        elif image.updated_at < now - RENDERING_LIFE:
            for rendering in image.stale_renderings:
                self._store.delete_prefix(processed_prefix(image.id, rendering))
            self._images.update(image.id, image.version, {"stale_renderings": []})
            report.renderings_swept += len(image.stale_renderings)

    def _settle_pending(self, image: Image, now: datetime, requeue_after: timedelta, report: Report) -> None:
        original = self._store.find(original_key(image.id))  # not `stat`: a refusal must not look like a missing object
        if original is None:
            self._settle_without_bytes(image, now)
        elif image.last_tried_at is not None:
            if requeue_after:
                self._settle_cut_off(image, image.last_tried_at, now, report)
        elif not requeue_after or has_passed(requeue_after, image.uploaded_at, now):
            if is_open_ticket(image):
                self._images.update(image.id, image.version, {"arrived_at": now})
            self._send_again(original, report)

    def _settle_without_bytes(self, image: Image, now: datetime) -> None:
        ends, life = image.upload_expires_at, RECORD_LIFE
        if ends is None:
            ends, life = image.updated_at + NEVER_CAME, NEVER_CAME
        if is_implausible(ends, now, life):
            changes: Changes = {} if image.upload_expires_at is None else {"upload_expires_at": now + RECORD_LIFE}
            self._images.update(image.id, image.version, changes)
        elif ends < now:
            self._unused.append(image)

    def _settle_cut_off(self, image: Image, tried_at: datetime, now: datetime, report: Report) -> None:
        if is_implausible(tried_at, now):
            self._images.update(image.id, image.version, {"last_tried_at": now})
        elif tried_at < now - CUT_OFF:
            changes = mark_failed(image, FailureCode.ATTEMPTS_EXHAUSTED, EXHAUSTED, now)
            self._images.update(image.id, image.version, changes)
            report.given_up += 1

    def _remove_unused(self, now: datetime, report: Report) -> None:
        """Remove records whose bytes never came."""
        batch, self._unused = self._unused, []
        if not batch:
            return
        try:
            removed = self._images.remove_all(batch)
        except PortError:
            log.exception("records without bytes were not removed in this run", extra={"count": len(batch)})
            report.errors += 1
            removed = {image.id for image in batch}  # perhaps; `_put_back` checks each
        for image in batch:
            if image.id in removed:
                try:
                    if not self._put_back(image, now):
                        report.never_came += 1
                except PortError:
                    log.exception("a removed record could not be checked again", extra={"image_id": image.id})
                    report.errors += 1

    def _put_back(self, image: Image, now: datetime) -> bool:
        """Write a removed record again if its bytes arrived before the removal. Return True if so."""
        if self._store.find(original_key(image.id)) is None:
            return False
        arrived: Changes = {"arrived_at": now} if image.upload_expires_at else {}
        again = image.model_copy(update={"version": image.version + 1, "updated_at": now, **arrived})
        try:
            try:
                self._images.create(again, claim=bool(image.sha256) and image.upload_expires_at is None)
            except HashTaken:
                self._images.create(again, claim=False)
        except AlreadyExists:
            pass
        return True

    def _send_again(self, original: ObjectInfo, report: Report) -> None:
        if self._in_queue is None:
            self._in_queue = self._queue.waiting()
        if report.queued_again >= SENT_ANYWAY and report.waiting < self._in_queue:
            report.waiting += 1
        else:
            self._queue.send(object_created(original.key, original.size, made=original.modified_at))
            report.queued_again += 1


def _random_start(now: datetime) -> str:
    """Return a random start id of a time between a minute and a month ago, with a logarithmic distribution: unfinished
    records may be an hour or a week old. The last digit is random too: see `ImageRepository.unsettled`."""
    minutes = math.exp(random.uniform(0, math.log(30 * 24 * 60)))  # noqa: S311 - not a secret
    return first_id_at(now - timedelta(minutes=minutes))[:-1] + random.choice("0123456789abcdef")  # noqa: S311
