"""Lambda entry point of the schedule: reconciles records, and looks for orphans on request."""

import logging
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from app import logs
from app.bootstrap import Backends, open_backends
from app.domain.errors import ConfigurationError
from app.domain.maintenance.orphans import GRACE, Orphans
from app.domain.maintenance.reconcile import Reconciler
from app.settings import load

log = logging.getLogger(__name__)

#: What the call that is under way may take, its retries included, with the count of what is left and the report.
ENDING_SECONDS = 60
_YEAR_MINUTES = 366 * 24 * 60


class Unsettled(Exception):
    """Some records could not be settled in this run. The next one tries again; the alarm on errors tells meanwhile."""


def _open() -> Backends:
    settings = load()
    logs.configure(settings.log_level, settings.service)
    if settings.embedded:
        raise ConfigurationError("DARKROOM_STORAGE_URL: a function needs `s3://<bucket>`; it has no disk of its own")
    return open_backends(settings)


_backends = _open()
_invocations = logs.Invocations()


def handler(event: Any, context: Any) -> dict[str, int]:
    """Reconcile once and return the report. Safe beside uploads, workers, deletes and another run.

    `{"orphans": "report"}` also looks for objects without a record, which lists the whole bucket; `{"orphans":
    "remove"}` removes them. `"grace_minutes"` is how old they have to be (60). The run ends before the function's time
    does; the report counts what is left. Raises `Unsettled` after a run that met errors, and ValueError for a request
    that is not understood.
    """
    _invocations.begin(context)
    asked, grace = _request(event)
    reconciler = Reconciler(_backends.store, _backends.images, _backends.queue)

    def is_time_left() -> bool:
        return bool(context.get_remaining_time_in_millis() > ENDING_SECONDS * 1000)

    report = reconciler.run(is_time_left=is_time_left)
    if asked:
        orphans = Orphans(_backends.store, _backends.images, _backends.queue)
        for orphan in orphans.find(report, grace=grace, is_time_left=is_time_left):
            log.info("orphan", extra={"image_id": orphan.image_id, "bytes": orphan.object.size})
            if asked == "remove":
                orphans.remove(orphan, report)
    found = asdict(report)
    log.info("reconciled", extra=found)
    if report.left or report.search_left:
        log.warning("no time was left for all", extra={"left": report.left, "search_left": report.search_left})
    if report.errors:
        raise Unsettled(str(report))
    return found


def _request(event: Any) -> tuple[str | None, timedelta]:
    """Return what to do with orphans, and their grace time. The schedule's own event asks for nothing."""
    given = event if isinstance(event, dict) else {}
    asked, minutes = given.get("orphans"), given.get("grace_minutes", GRACE // timedelta(minutes=1))
    if asked not in {None, "report", "remove"}:
        raise ValueError('"orphans" must be "report" or "remove"')
    if not isinstance(minutes, int) or not 0 <= minutes <= _YEAR_MINUTES:
        raise ValueError(f'"grace_minutes" must be a whole number from 0 to {_YEAR_MINUTES}')
    return asked, timedelta(minutes=minutes)
