"""Figures of the worker process."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.domain.delivery.deliveries import Attempt
from app.domain.models import FailureCode
from app.domain.reports import ImageReport, Outcome
from app.monitoring.webhook_figures import AttemptFigures

#: Phases that are shown; others are in the log only.
PHASES = ("fetch", "process", "decode", "resize", "encode", "store")
_PHASE_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_CODES = frozenset(map(str, FailureCode))


class WorkerFigures:
    """Counts of processed images. `slots` is the number of images that are processed at the same time."""

    def __init__(self, slots: int) -> None:
        self._registry = CollectorRegistry()
        self._processed = Counter(
            "darkroom_processed",
            "Deliveries of an image's event by outcome, and by code of the failure.",
            ("outcome", "code"),
            registry=self._registry,
        )
        for outcome in Outcome:
            if outcome is not Outcome.FAILED:
                self._processed.labels(outcome, "")
        self._phases = Histogram(
            "darkroom_phase_seconds",
            "Seconds of the phases of an image. process: life of its child process, which the others are part of.",
            ("phase",),
            buckets=_PHASE_SECONDS,
            registry=self._registry,
        )
        for phase in PHASES:
            self._phases.labels(phase)
        self._busy = Gauge(
            "darkroom_children_busy", "Child processes that decode at present.", ("task",), registry=self._registry
        )
        limit = Gauge("darkroom_children_limit", "Children of each task at the same time.", registry=self._registry)
        limit.set(slots)
        self._attempts = AttemptFigures(self._registry)

    def watch(self, task: str, busy: Callable[[], float]) -> None:
        """Show the number of children that work on a task."""
        self._busy.labels(task).set_function(busy)

    def image(self, report: ImageReport) -> None:
        """Count a delivery."""
        code = report.code if report.code in _CODES else ""
        self._processed.labels(report.outcome, code).inc()
        if report.outcome is Outcome.READY:
            for phase in PHASES:
                if phase in report.phases:
                    self._phases.labels(phase).observe(report.phases[phase] / 1000)

    def webhook(self, attempt: Attempt) -> None:
        """Count an attempt of a webhook delivery."""
        self._attempts.count(attempt)

    def exposition(self) -> bytes:
        """Return the figures in the text format of Prometheus."""
        return generate_latest(self._registry)
