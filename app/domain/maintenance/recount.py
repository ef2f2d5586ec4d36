"""Correction of counts that are approximate, as a part of reconcile."""

import logging
from collections.abc import Callable

from app.domain.errors import PortError
from app.domain.images.stats import Recount
from app.domain.maintenance.report import Report

log = logging.getLogger(__name__)


def run_recount(recount: Recount, report: Report, *, is_time_left: Callable[[], bool] = lambda: True) -> None:
    """Correct the counts that are due, while there is time. A failure counts as an error; the next run tries again."""
    try:
        report.recounted = recount(is_time_left)
    except PortError:
        log.exception("the counts of some owners were not corrected in this run")
        report.errors += 1
