"""Port of the events that are not finished, where a queue holds the work of webhooks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.delivery.deliveries import Delivery


@dataclass(frozen=True)
class Unfinished:
    """An event that has not been dispatched, or that has pending deliveries."""

    event_id: str
    deliveries: tuple[Delivery, ...]
    is_dispatched: bool


class Outbox(Protocol):
    """Events whose deliveries are not all finished. The repository adds an event, `DeliveryStore` the rest."""

    def unfinished(self, before: datetime) -> Iterator[Unfinished]:
        """Yield the unfinished events that are older than this, the oldest first. Entries may lag behind writes, but
        every delivery is as it is stored. Entries of events whose deliveries are finished are removed."""
