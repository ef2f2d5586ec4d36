"""Adapters of webhooks."""

from datetime import timedelta
from typing import NamedTuple

from app.domain.delivery.sending import WakeUp
from app.domain.ports import EventQueue
from app.domain.ports.delivery_store import DeliveryStore
from app.domain.ports.endpoint_store import EndpointStore
from app.domain.ports.outbox import Outbox


def _no_need(_delivery_id: str, _delay: timedelta) -> None:
    """Do nothing: the sender asks the store for due deliveries."""


class Webhooks(NamedTuple):
    """Stores of deliveries and endpoints. `wake_up` has a delivery handled after a time.

    `queue` and `outbox` are set where a queue holds the deliveries: its messages, and the events that are not finished.
    """

    deliveries: DeliveryStore
    endpoints: EndpointStore
    wake_up: WakeUp = _no_need
    queue: EventQueue | None = None
    outbox: Outbox | None = None
