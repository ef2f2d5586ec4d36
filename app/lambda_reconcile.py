"""The door for the schedule: brings to rest what a crash or a lost event left half-done."""

import logging
from dataclasses import asdict
from typing import Any

from app import logs
from app.bootstrap import Backends, open_backends
from app.domain.errors import ConfigurationError
from app.domain.keys import original_id, processed_id
from app.domain.reconcile import Reconciler
from app.settings import load

log = logging.getLogger(__name__)

#: What the call that is under way may take, its retries included, with the count of what is left and the report.
ENDING_SECONDS = 60


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
    """One run, and its report. Safe beside uploads, workers, deletes and another run.

    Objects that belong to no record are looked for only when asked, by `{"orphans": "report"}`, for that lists the
    whole bucket; `{"orphans": "remove"}` removes them. Ends in order before the function's time does: what is left is
    in the report. Raises `Unsettled` after a run that met errors.
    """
    _invocations.begin(context)
    asked = event.get("orphans") if isinstance(event, dict) else None
    reconciler = Reconciler(_backends.store, _backends.images, _backends.queue)

    def is_time_left() -> bool:
        return bool(context.get_remaining_time_in_millis() > ENDING_SECONDS * 1000)

    report = reconciler.run(is_time_left=is_time_left)
    if asked in {"report", "remove"}:
        for orphan in reconciler.orphans(report, remove=asked == "remove", is_time_left=is_time_left):
            image_id = original_id(orphan.key) or processed_id(orphan.key)
            log.info("an object of no record", extra={"image_id": image_id, "bytes": orphan.size})
    found = asdict(report)
    log.info("reconciled", extra=found)
    if report.left or report.search_left:
        log.warning("no time was left for all", extra={"left": report.left, "search_left": report.search_left})
    if report.errors:
        raise Unsettled(str(report))
    return found
