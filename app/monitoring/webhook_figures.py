"""Figures of webhooks: deliveries, which the server reads at each scrape, and attempts, which the worker counts."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.domain.delivery.deliveries import Attempt, DeliveryStatus
from app.domain.errors import PortError
from app.domain.models import utcnow
from app.domain.ports.delivery_store import DeliveryStore

#: Outcomes without an answer. Others are counted as `other`.
_ERRORS = ("timeout", "connection", "tls", "name", "protocol", "refused")
_ANSWERS = ("1xx", "2xx", "3xx", "4xx", "5xx")


class AttemptFigures:
    """Counts the attempts of deliveries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "darkroom_webhook_attempts",
            "Requests to webhook endpoints by outcome: the class of the answer's status, or why there was no answer.",
            ("outcome",),
            registry=registry,
        )
        for outcome in (*_ANSWERS, *_ERRORS, "other"):
            self._attempts.labels(outcome)

    def count(self, attempt: Attempt) -> None:
        """Count an attempt."""
        outcome = f"{attempt.status // 100}xx" if attempt.status is not None else attempt.error
        self._attempts.labels(outcome if outcome in {*_ANSWERS, *_ERRORS} else "other").inc()


class DeliveryFigures(Collector):
    """State of the deliveries. While the database fails it is missing."""

    def __init__(self, deliveries: DeliveryStore) -> None:
        self._deliveries = deliveries

    def describe(self) -> list[GaugeMetricFamily]:
        """Return no names: reading them would need the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the number of deliveries, and the age of the oldest that is pending."""
        try:
            counts, oldest = self._deliveries.count() or {}, self._deliveries.oldest_pending()
        except PortError:
            return
        deliveries = GaugeMetricFamily(
            "darkroom_webhook_deliveries",
            "Deliveries by status. Finished ones are kept for 30 days.",
            labels=("status",),
        )
        for status in DeliveryStatus:
            deliveries.add_metric((status,), counts.get(status, 0))
        yield deliveries
        age = 0.0 if oldest is None else max(0.0, (utcnow() - oldest).total_seconds())
        yield GaugeMetricFamily(
            "darkroom_webhook_oldest_pending_seconds",
            "Time for which the oldest pending delivery waits; 0 if none does.",
            value=age,
        )
