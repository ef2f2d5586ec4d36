"""Checks of unfinished work: dead letters, a missing worker, tasks that nobody runs, recounts, and the clock."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from app.domain.ids import id_time
from app.domain.images.stats import FORMAT, Counters
from app.domain.maintenance.doctor.findings import Problem, error
from app.domain.models import utcnow
from app.domain.ports import EventQueue, ImageRepository, ListQuery
from app.domain.times import is_implausible

#: Age of a due task that the hourly runs of reconcile have missed.
_OVERDUE = timedelta(hours=2)
#: Bounds of what is looked at.
_MOST_COUNTED, _OWNERS = 1000, 100


def check_queue(queue: EventQueue, is_worker_running: Callable[[], bool] | None) -> Iterator[Problem]:
    """Check for dead letters and for events that no worker receives. On AWS workers start by themselves."""
    queue.ping()
    if dead := queue.dead_letters():
        yield Problem(
            "dead_letters",
            f"{dead:,} events have failed in every attempt",
            "look for the cause in the log, then run `darkroom redrive`",
        )
    if is_worker_running is not None and (waiting := queue.waiting()) and not is_worker_running():
        yield error("no_worker", f"{waiting:,} images wait, and no worker runs", "start the server: darkroom serve")


def check_schedule(images: ImageRepository, now: datetime | None = None) -> Iterator[Problem]:
    """Check that reconcile runs: tasks that were due long ago show that it does not."""
    until = (now or utcnow()) - _OVERDUE
    overdue = 0
    for image_id in islice(images.due(until), _MOST_COUNTED):
        record = images.get(image_id)
        overdue += record is not None and any(task.due <= until for task in record.work.values())
    if overdue:
        more = " or more" if overdue == _MOST_COUNTED else ""
        yield Problem(
            "reconcile_late",
            f"{overdue:,}{more} images have tasks that were due two hours ago: reconcile does not run or fails",
            "run `darkroom reconcile`; on AWS, check the schedule of ReconcileFunction and its log",
        )


def check_newest(images: ImageRepository, counters: Counters, now: datetime | None = None) -> Iterator[Problem]:
    """Check that no image comes from the future: the clock was set back since then."""
    now = now or utcnow()
    for owner in counters.list(_OWNERS):
        for image in images.list(ListQuery(owner=owner.owner, limit=1)).items:
            moment = id_time(image.id)
            if is_implausible(moment, now):
                detail = f"image {image.id} is of {moment:%Y-%m-%d %H:%M} UTC, which this clock calls the future"
                yield error("clock_behind", detail, "correct the clock (NTP)")
                return


def check_formats(counters: Counters) -> Iterator[Problem]:
    """Check that the counts by format have the images of earlier versions. Finds owners who have mostly such images.

    A ready image counts for each format of its variants, so those of an owner are at most the sum of all formats.
    """
    missing: dict[str, int] = {}
    for owner, counts, *_ in counters.list(_OWNERS):
        formats = sum(number for name, number in counts.items() if name.startswith(FORMAT) and name.endswith(":images"))
        if counts.get("ready", 0) > formats:
            missing[owner] = counts["ready"] - formats
    if missing:
        owner = max(missing, key=missing.__getitem__)
        others = f" (one of {len(missing):,} owners)" if len(missing) > 1 else ""
        yield Problem(
            "formats_not_counted",
            f"the figures by format of {owner}{others} lack {missing[owner]:,} or more images of an earlier version",
            f"run `darkroom owner recount {owner}`, after which reconcile adds them, or wait for the weekly recount",
        )
