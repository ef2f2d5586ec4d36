"""Repair of records after crashes, lost events and unused upload tickets."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice

from app.domain.errors import AlreadyExists, HashTaken, PortError, Stale
from app.domain.images.deletion import Deletion
from app.domain.images.failing import mark_exhausted, mark_failed
from app.domain.images.notifications import object_created
from app.domain.images.renderings import Renderings
from app.domain.keys import original_key
from app.domain.maintenance.report import Report
from app.domain.models import Changes, Failure, FailureCode, Image, Status, Tombstone, is_open_ticket, utcnow
from app.domain.ports import EventQueue, ImageRepository, ObjectInfo, ObjectStore
from app.domain.times import has_passed, is_implausible
from app.domain.uploads.tickets import RECORD_LIFE
from app.domain.work import LONGEST_DELAY, PROCESS_DELAY, Task, Tasks, Work

log = logging.getLogger(__name__)

#: Lifetime of an upload's record without bytes. That of a ticket is `RECORD_LIFE`, because a client may send slowly.
NEVER_CAME = timedelta(hours=1)
#: A last delivery that began this long ago and left its record `pending` was interrupted.
CUT_OFF = timedelta(hours=1)
#: Number of events that each run sends again even if the queue is long. Otherwise a queue that is never empty would
#: block lost events forever.
SENT_ANYWAY = 100
#: Delay before the event of an image is sent yet again.
_RESEND_DELAY = timedelta(hours=1)
#: Age of a task `invalidate` that counts as an error.
_LATE = timedelta(hours=1)
_MISSING = "The original is missing from the store. Restore it from a backup, or upload the image again."

#: Number of records that are removed in one call.
_BATCH = 100
#: Limit for counting the records that a run had no time for.
_MOST_COUNTED = 100_000


class Reconciler:
    """Runs the tasks that are due. Safe during uploads, processing, edits, deletes and other runs.

    Bytes are deleted only for an existing tombstone or a task of the record. A record is removed only after a search
    for its bytes, and written again if they arrive meanwhile. A stored time that is implausibly far in the future was
    written before the clock was set back: the event is then sent again, and other periods start now.
    """

    def __init__(self, store: ObjectStore, images: ImageRepository, queue: EventQueue, renderings: Renderings) -> None:
        self._store = store
        self._images = images
        self._queue = queue
        self._renderings = renderings
        self._deletion = Deletion(images, renderings)
        self._in_queue: int | None = 0
        self._unused: list[Image] = []
        self._cached: dict[str, Image | Tombstone] = {}

    def run(
        self,
        *,
        requeue_after: timedelta = PROCESS_DELAY,
        now: datetime | None = None,
        is_time_left: Callable[[], bool] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Report:
        """Run the tasks that are due, while `is_time_left` and until `stop`.

        Events of images that wait longer than `requeue_after` are sent again: the first hundred, and those in excess
        of the messages in the queue, because each message may be the event of one of them. With zero, as at a start,
        all events are sent again except for images whose last delivery was interrupted: such an image may crash every
        worker. A later run closes its record unless another event finishes it.
        """
        now = now or utcnow()
        report = Report()
        self._in_queue = None if requeue_after else 0
        self._unused, self._cached = [], {}
        due = self._images.due(now + (timedelta(0) if requeue_after >= PROCESS_DELAY else LONGEST_DELAY))
        for image_id in due:
            if stop():
                break
            if is_time_left and not is_time_left():
                report.left = 1 + sum(1 for _ in islice(due, _MOST_COUNTED))
                break
            try:
                self._visit(image_id, now, requeue_after, report)
            except Stale:
                continue  # changed meanwhile by someone else
            except PortError:
                log.exception("a record could not be finished in this run", extra={"image_id": image_id})
                report.errors += 1
            if len(self._unused) >= _BATCH:
                self._remove_unused(now, report)
        self._remove_unused(now, report)
        self._invalidate(now, report)
        return report

    def _visit(self, image_id: str, now: datetime, requeue_after: timedelta, report: Report) -> None:
        found = self._images.get(image_id)
        if found is None:
            self._images.update_tombstone(image_id, {})  # removes an index entry without a record
            return
        if isinstance(found, Tombstone):
            self._visit_tombstone(found, now, report)
            return
        if _is_past_retention(found, now):
            self._deletion.delete_version(found)
            report.trash_deleted += 1
            return
        if _is_due(found.work, Task.HIDE, now):
            found = self._renderings.finish_hide(found, now)
            report.hides_finished += Task.HIDE not in found.work
        if _is_due(found.work, Task.SWEEP, now):
            report.renderings_swept += self._renderings.sweep(found, now)
            found = self._images.get(image_id)
        if not isinstance(found, Image):
            return
        if _is_due(found.work, Task.INVALIDATE, now):
            self._cached[image_id] = found
        if Task.PROCESS in found.work:
            self._run_process(found, found.work[Task.PROCESS], now, requeue_after, report)

    def _visit_tombstone(self, found: Tombstone, now: datetime, report: Report) -> None:
        if _is_due(found.work, Task.PURGE, now):
            report.deletes_finished += self._renderings.purge(found, now)
        if _is_due(found.work, Task.INVALIDATE, now):
            self._cached[found.id] = found

    def _run_process(self, image: Image, task: Work, now: datetime, requeue_after: timedelta, report: Report) -> None:
        waits = has_passed(requeue_after, task.since, now) or requeue_after >= PROCESS_DELAY
        if not waits or (requeue_after >= PROCESS_DELAY and not _is_due(image.work, Task.PROCESS, now)):
            return
        original = self._store.find(original_key(image.id))  # not `stat`: a refusal must not look like a missing object
        if image.status is not Status.PENDING and image.processed_at is not None and image.processed_at > task.since:
            self._images.update(image.id, image.version, {"work": {Task.PROCESS: None}})  # done by a worker of 0.1.0
            self._renderings.synchronize(image.id)
        elif original is None and image.processed_at is not None:
            self._images.update(image.id, image.version, _without_original(image, now))
            report.original_missing += 1
        elif original is None:
            self._end_without_bytes(image, now)
        elif image.last_tried_at is not None:
            if requeue_after:
                self._end_interrupted(image, image.last_tried_at, now, report)
        elif self._send_again(image, original, report):
            self._reschedule(image, task, now, requeue_after)

    def _reschedule(self, image: Image, task: Work, now: datetime, requeue_after: timedelta) -> None:
        changes: Changes = {"arrived_at": now} if is_open_ticket(image) else {}
        if requeue_after:
            changes["work"] = {Task.PROCESS: task.retry(now + _RESEND_DELAY)}
        if changes:
            self._images.update(image.id, image.version, changes)

    def _end_without_bytes(self, image: Image, now: datetime) -> None:
        ends, life = image.upload_expires_at, RECORD_LIFE
        if ends is None:
            ends, life = image.updated_at + NEVER_CAME, NEVER_CAME
        if is_implausible(ends, now, life):
            changes: Changes = {} if image.upload_expires_at is None else {"upload_expires_at": now + RECORD_LIFE}
            self._images.update(image.id, image.version, changes)
        elif ends < now:
            self._unused.append(image)

    def _end_interrupted(self, image: Image, tried_at: datetime, now: datetime, report: Report) -> None:
        if is_implausible(tried_at, now):
            self._images.update(image.id, image.version, {"last_tried_at": now})
        elif tried_at < now - CUT_OFF:
            self._images.update(image.id, image.version, mark_exhausted(image, now))
            self._renderings.synchronize(image.id)  # the attempt may have left variants
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
                self._images.claim(again)  # as a copy
        except AlreadyExists:
            pass
        return True

    def _send_again(self, image: Image, original: ObjectInfo, report: Report) -> bool:
        """Send the event of an image, behind those of uploads if the image has variants already."""
        if self._in_queue is None:
            self._in_queue = self._queue.waiting()
        if report.queued_again >= SENT_ANYWAY and report.waiting < self._in_queue:
            report.waiting += 1
            return False
        event = object_created(original.key, original.size, made=original.modified_at)
        self._queue.send(event, owner=image.owner, bulk=image.status is Status.READY)
        report.queued_again += 1
        return True

    def _invalidate(self, now: datetime, report: Report) -> None:
        """Invalidate the variants of hidden and deleted images at the CDN, all in one call.

        A task that is late counts as an error: on AWS an alarm reports it.
        """
        if not self._cached:
            return
        if not self._renderings.invalidate(list(self._cached)):
            since = min(found.work[Task.INVALIDATE].since for found in self._cached.values())
            report.errors += since < now - _LATE
            return
        for image_id, found in self._cached.items():
            try:
                self._end_invalidate(found)
                report.invalidated += 1
            except PortError:
                log.exception("the task `invalidate` was not removed", extra={"image_id": image_id})
                report.errors += 1

    def _end_invalidate(self, found: Image | Tombstone) -> None:
        """Remove the task, unless it was added again since the record was read."""
        if isinstance(found, Image):
            self._renderings.change_tasks(found, {Task.INVALIDATE: None})
        else:
            self._images.update_tombstone(found.id, {Task.INVALIDATE: None})


def _is_due(work: Tasks, name: Task, now: datetime) -> bool:
    """Return True if there is such a task, and its time has come or is implausible."""
    task = work.get(name)
    if task is None:
        return False
    return task.due <= now or (not task.is_distant and is_implausible(task.due, now, LONGEST_DELAY))


def _is_past_retention(image: Image, now: datetime) -> bool:
    """Return True if the image is in the trash and its time there is over. A clock that was set back delays that: an
    implausible time does not count, because the delete is final."""
    task = image.work.get(Task.PURGE)
    return image.trashed_at is not None and task is not None and task.due <= now


def _without_original(image: Image, now: datetime) -> Changes:
    if image.status is Status.PENDING:
        return mark_failed(image, FailureCode.ORIGINAL_MISSING, _MISSING, now)
    failure = Failure(code=FailureCode.ORIGINAL_MISSING, detail=_MISSING)
    return {"reprocess_error": failure, "work": {Task.PROCESS: None}}
