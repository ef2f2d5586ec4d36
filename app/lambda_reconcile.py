"""Lambda entry point of the schedule: reconciles records, and looks for orphans on request."""

import logging
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from app import logs
from app.bootstrap import Backends, open_backends
from app.domain.maintenance.lost_wake_ups import repeat_wake_ups
from app.domain.maintenance.orphans import GRACE, Orphans
from app.domain.maintenance.reconcile import Reconciler
from app.domain.maintenance.recount import run_recount
from app.settings import load_on_lambda

log = logging.getLogger(__name__)

#: Seconds for the current call with its retries, the count of the remaining records, and the report.
ENDING_SECONDS = 60
_YEAR_MINUTES = 366 * 24 * 60


class Incomplete(Exception):
    """Some records were not repaired in this run. The next run tries again; the alarm on errors reports it."""


def _open() -> Backends:
    settings = load_on_lambda()
    logs.configure(settings.log_level, settings.service)
    return open_backends(settings)


_backends = _open()
_invocations = logs.Invocations()


def handler(event: Any, context: Any) -> dict[str, int]:
    """Reconcile once and return the report. Safe during uploads, processing, deletes and another run.

    `{"orphans": "report"}` also searches for objects without a record, which lists the whole bucket; `{"orphans":
    "remove"}` removes them. `"grace_minutes"` is their minimum age (60). The run ends before the function's time-out;
    the report counts what is left. Raises `Incomplete` after a run with errors, and ValueError for an invalid request.
    """
    _invocations.begin(context)
    action, grace = _request(event)
    reconciler = Reconciler(_backends.store, _backends.images, _backends.queue, _backends.renderings)

    def is_time_left() -> bool:
        return bool(context.get_remaining_time_in_millis() > ENDING_SECONDS * 1000)

    report = reconciler.run(is_time_left=is_time_left)
    if action:
        orphans = Orphans(_backends.store, _backends.images, _backends.queue)
        for orphan in orphans.find(report, grace=grace, is_time_left=is_time_left):
            log.info("orphan", extra={"image_id": orphan.image_id, "bytes": orphan.object.size})
            if action == "remove":
                orphans.remove(orphan, report)
    repeat_wake_ups(_backends.webhooks, report, is_time_left=is_time_left)
    run_recount(_backends.recount, report, is_time_left=is_time_left)
    found = asdict(report)
    log.info("reconciled", extra=found)
    if report.left or report.search_left:
        log.warning("stopped before the time-out", extra={"left": report.left, "search_left": report.search_left})
    if report.errors:
        raise Incomplete(str(report))
    return found


def _request(event: Any) -> tuple[str | None, timedelta]:
    """Return the action on orphans and their grace time. The event of the schedule requests none."""
    given = event if isinstance(event, dict) else {}
    action, minutes = given.get("orphans"), given.get("grace_minutes", GRACE // timedelta(minutes=1))
    if action not in {None, "report", "remove"}:
        raise ValueError('"orphans" must be "report" or "remove"')
    if not isinstance(minutes, int) or not 0 <= minutes <= _YEAR_MINUTES:
        raise ValueError(f'"grace_minutes" must be a whole number from 0 to {_YEAR_MINUTES}')
    return action, timedelta(minutes=minutes)
