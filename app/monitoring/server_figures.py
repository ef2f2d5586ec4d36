"""Figures of the server process, and the answer to a scrape."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.domain.disk import free_bytes
from app.domain.errors import PortError
from app.domain.ports import EventQueue
from app.domain.ports.delivery_store import DeliveryStore
from app.domain.reports import RequestReport, log_report
from app.monitoring.exchange import read_figures
from app.monitoring.webhook_figures import DeliveryFigures

#: Reasons of refusals by code, and by status for other codes.
_REASONS = {
    "rate_limited": "rate_limit", "quota_exceeded": "quota", "too_many_tickets": "tickets", "renderer_busy": "renderer",
}  # fmt: skip
_REASONS_BY_STATUS = {401: "unauthorized", 403: "forbidden", 413: "too_large", 503: "busy", 507: "disk"}
#: Label of requests that match no route.
NO_ROUTE = "none"
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ServerFigures:
    """Reporter that logs each request and counts it. `exposition` answers a scrape."""

    def __init__(self, worker_socket: Path, disks: Mapping[str, Path]) -> None:
        self._worker_socket = worker_socket
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "darkroom_requests",
            "Answered requests by method, template of the path and status. 499: the client has hung up.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "darkroom_request_seconds",
            "Seconds from the head of a request to the end of its answer, including the time of `?wait=`.",
            ("route",),
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._uploads = Counter("darkroom_uploads", "Stored images, also by upload tickets.", registry=self._registry)
        self._upload_bytes = Counter("darkroom_upload_bytes", "Bytes of these images.", registry=self._registry)
        self._duplicates = Counter(
            "darkroom_duplicate_uploads", "Uploads of bytes that the owner already had.", registry=self._registry
        )
        self._refusals = Counter(
            "darkroom_refusals",
            "Refused requests by reason. busy: a limit of the service, or a backend that does not answer.",
            ("reason",),
            registry=self._registry,
        )
        for reason in (*_REASONS.values(), *_REASONS_BY_STATUS.values()):
            self._refusals.labels(reason)
        self._sizes = Counter(
            "darkroom_sizes",
            "Requests for a size on demand. hit: it was stored; miss: it had to be rendered.",
            ("result",),
            registry=self._registry,
        )
        for result in ("hit", "miss"):
            self._sizes.labels(result)
        self._registry.register(_Disks(disks))

    def request(self, report: RequestReport) -> None:
        """Log and count a request."""
        log_report(report)
        answered, seconds = self._figures_of(report.method, report.route or NO_ROUTE, report.status)
        answered.inc()
        seconds.observe(report.ms / 1000)
        reason = _REASONS.get(report.code or "") or _REASONS_BY_STATUS.get(report.status)
        if reason is not None:
            self._refusals.labels(reason).inc()
        if report.duplicate:
            self._duplicates.inc()
        elif report.image_bytes is not None:
            self._uploads.inc()
            self._upload_bytes.inc(report.image_bytes)
        if report.size is not None:
            self._sizes.labels(report.size).inc()

    @cache  # noqa: B019 - one object for the life of the process, and as few combinations as the figures have
    def _figures_of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(method, route, str(status)), self._seconds.labels(route)

    def watch(self, queue: EventQueue, deliveries: DeliveryStore | None = None) -> None:
        """Show the queue too, and the deliveries of webhooks."""
        self._registry.register(_Queue(queue))
        if deliveries is not None:
            self._registry.register(DeliveryFigures(deliveries))

    def exposition(self) -> bytes:
        """Return all figures in the text format of Prometheus. Those of a worker that does not answer are missing, and
        `darkroom_worker_up` is 0."""
        worker = read_figures(self._worker_socket)
        is_up = b"# HELP darkroom_worker_up 1 if the worker process answers.\n# TYPE darkroom_worker_up gauge\n"
        return generate_latest(self._registry) + is_up + b"darkroom_worker_up %d\n" % bool(worker) + worker


class _Disks(Collector):
    """Free space, read at each scrape."""

    def __init__(self, disks: Mapping[str, Path]) -> None:
        self._disks = disks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the free bytes of each disk that can be examined."""
        free = GaugeMetricFamily(
            "darkroom_disk_free_bytes", "Free bytes. storage: disk of the data folder; records: of the database.",
            labels=("disk",),
        )  # fmt: skip
        for name, folder in self._disks.items():
            try:
                free.add_metric((name,), free_bytes(folder))
            except OSError:
                continue
        yield free


class _Queue(Collector):
    """State of the queue, read at each scrape. While the database fails it is missing."""

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue

    def describe(self) -> list[GaugeMetricFamily]:
        """Return no names: reading them would need the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield length, age and dead letters."""
        figures: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("darkroom_queue_waiting", "Events that wait for the worker.", self._queue.waiting),
            ("darkroom_queue_oldest_seconds", "Time for which the first of them waits; 0 if none does.", self._oldest),
            ("darkroom_queue_dead_letters", "Events that failed in all attempts.", self._queue.dead_letters),
        )
        for name, text, read in figures:
            try:
                yield GaugeMetricFamily(name, text, value=read())
            except PortError:
                return

    def _oldest(self) -> float:
        since = self._queue.oldest_due()
        return 0 if since is None else max(0.0, time.time() - since.timestamp())
