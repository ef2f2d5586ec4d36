"""What CloudWatch counts and draws: embedded metric format, a line for each upload and each picture.

They are lines of their own on standard output, so that no log level can silence them. What is not drawn is in the
log's lines, which every report is written to as well. Each name is a metric, and each code a further one of `Failed`:
CloudWatch charges for them by the hour in which they come.
"""

from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from app.domain.models import RETRYABLE
from app.domain.reports import ImageReport, Outcome, RequestReport, log_report

NAMESPACE = "Darkroom"
#: Phases that have a metric, `FetchSeconds` and so on.
PHASES = ("fetch", "decode", "resize", "encode", "store")

_Figures = Mapping[str, tuple[MetricUnit, float]]

_COUNTED = {
    Outcome.READY: "Developed",
    Outcome.FAILED: "Failed",
    Outcome.AGAIN: "TriedAgain",
    Outcome.UNKNOWN: "Unknown",
}


class Metrics:
    """Takes reports: says them, and hands CloudWatch their figures under the dimension `service`."""

    def __init__(self, service: str) -> None:
        self._service = service

    def request(self, report: RequestReport) -> None:
        """Counts what was taken in."""
        log_report(report)
        if report.picture_bytes is not None and not report.duplicate:
            self._emit(_arrived(report.picture_bytes))

    def picture(self, report: ImageReport) -> None:
        """Counts what became of it, and the time that it took."""
        log_report(report)
        if report.direct and report.bytes is not None and report.outcome in {Outcome.READY, Outcome.FAILED}:
            self._emit(_arrived(report.bytes))
        counted = _COUNTED.get(report.outcome)
        if counted is None:
            return
        figures: dict[str, tuple[MetricUnit, float]] = {counted: (MetricUnit.Count, 1)}
        if report.outcome is Outcome.READY:
            figures |= _seconds(report.phases)
        failed = report.outcome is Outcome.FAILED
        self._emit(figures, code=report.code if failed else None)
        if failed and report.code in RETRYABLE:
            self._emit({"Faults": (MetricUnit.Count, 1)})  # ours and not the picture's: one sum, for one alarm

    def ignored(self) -> None:
        """Counts an event that was of no concern: one from time to time is none of ours, many are a wrong trigger."""
        self._emit({"Ignored": (MetricUnit.Count, 1)})

    def _emit(self, figures: _Figures, code: str | None = None) -> None:
        metrics = EphemeralMetrics(namespace=NAMESPACE, service=self._service)
        for name, (unit, value) in figures.items():
            metrics.add_metric(name=name, unit=unit, value=value)
        if code is not None:
            metrics.add_dimensions(service=self._service, code=code)
        metrics.flush_metrics()


def _arrived(size: int) -> _Figures:
    return {"Uploads": (MetricUnit.Count, 1), "UploadBytes": (MetricUnit.Bytes, size)}


def _seconds(phases: Mapping[str, float]) -> _Figures:
    return {
        f"{phase.capitalize()}Seconds": (MetricUnit.Seconds, round(phases[phase] / 1000, 4))
        for phase in PHASES
        if phase in phases
    }
