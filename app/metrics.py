"""CloudWatch metrics in embedded metric format: one line for each upload, each processed image and each dead delivery.

The lines go to standard output, so that no log level can silence them. Every report is also written to the log, with
the fields that have no metric. Each name is a metric and each failure code a further one, because CloudWatch charges
for every metric by the hour in which it has data.
"""

from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from app.domain.models import RETRYABLE
from app.domain.reports import ImageReport, Outcome, RequestReport, log_report

NAMESPACE = "Darkroom"
#: Phases with a metric of their own: `FetchSeconds` and so on.
PHASES = ("fetch", "decode", "resize", "encode", "store")

_Values = Mapping[str, tuple[MetricUnit, float]]

_COUNTERS = {
    Outcome.READY: "Processed",
    Outcome.FAILED: "Failed",
    Outcome.RETRY: "Retried",
    Outcome.UNKNOWN: "Unknown",
}


class Metrics:
    """Reporter that logs each report and emits its metrics under the dimension `service`."""

    def __init__(self, service: str) -> None:
        self._service = service

    def request(self, report: RequestReport) -> None:
        """Report a request; count the image that it uploaded."""
        log_report(report)
        if report.image_bytes is not None and not report.duplicate:
            self._emit(_upload_metrics(report.image_bytes))

    def image(self, report: ImageReport) -> None:
        """Report a delivery; count its outcome and the seconds of each phase."""
        log_report(report)
        if report.direct and report.bytes is not None and report.outcome in {Outcome.READY, Outcome.FAILED}:
            self._emit(_upload_metrics(report.bytes))
        counter = _COUNTERS.get(report.outcome)
        if counter is None:
            return
        values: dict[str, tuple[MetricUnit, float]] = {counter: (MetricUnit.Count, 1)}
        if report.outcome is Outcome.READY:
            values |= _phase_metrics(report.phases)
        failed = report.outcome is Outcome.FAILED
        self._emit(values, code=report.code if failed else None)
        if failed and report.code in RETRYABLE:
            self._emit({"Faults": (MetricUnit.Count, 1)})  # caused by the service: one sum, for one alarm

    def ignored(self) -> None:
        """Count an ignored event. A few are normal; many mean that the function has a wrong trigger."""
        self._emit({"Ignored": (MetricUnit.Count, 1)})

    def dead_delivery(self) -> None:
        """Count a webhook delivery that failed in all of its attempts."""
        self._emit({"DeadDeliveries": (MetricUnit.Count, 1)})

    def _emit(self, values: _Values, code: str | None = None) -> None:
        metrics = EphemeralMetrics(namespace=NAMESPACE, service=self._service)
        for name, (unit, value) in values.items():
            metrics.add_metric(name=name, unit=unit, value=value)
        if code is not None:
            metrics.add_dimensions(service=self._service, code=code)
        metrics.flush_metrics()


def _upload_metrics(size: int) -> _Values:
    return {"Uploads": (MetricUnit.Count, 1), "UploadBytes": (MetricUnit.Bytes, size)}


def _phase_metrics(phases: Mapping[str, float]) -> _Values:
    return {
        f"{phase.capitalize()}Seconds": (MetricUnit.Seconds, round(phases[phase] / 1000, 4))
        for phase in PHASES
        if phase in phases
    }
