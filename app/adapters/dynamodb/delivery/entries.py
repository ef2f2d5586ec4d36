"""Items of events, deliveries and the health of endpoints.

An event is in the index until all of its deliveries are finished: the outbox. Deliveries are in the index for lists,
all in one partition, because lists are of every owner. DynamoDB removes both when they have expired.
"""

import math
from datetime import datetime, timedelta

from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.table import EXPIRES_AT, INDEX_KEY, INDEX_SORT, KEY
from app.domain.delivery.deliveries import KEPT, Delivery, EndpointHealth
from app.domain.delivery.events import Event

#: Index partition of all deliveries, by id.
DELIVERIES = "deliveries"
DOCUMENT, VERSION, STATUS = "document", "version", "status"
#: Attribute of a dispatched event: the set of endpoints whose deliveries are pending.
PENDING = "pending"
#: Events are kept longer than their deliveries, which read them.
_EVENT_KEPT = KEPT + timedelta(days=1)


def event_key(event_id: str) -> str:
    """Return the key of an event."""
    return f"event#{event_id}"


def delivery_key(delivery_id: str) -> str:
    """Return the key of a delivery."""
    return f"delivery#{delivery_id}"


def health_key(endpoint_id: str) -> str:
    """Return the key of the health of an endpoint."""
    return f"health#{endpoint_id}"


def outbox_partition(digit: str) -> str:
    """Return the index partition of the unfinished events whose id ends with this hex digit."""
    return f"outbox#{digit}"


def event_item(event: Event) -> Item:
    """Return the item of an event that waits for its dispatch."""
    return {KEY: event_key(event.id), DOCUMENT: event.model_dump_json(), **outbox_entry(event.id)}


def outbox_entry(event_id: str) -> Item:
    """Return the attributes that add an event to the outbox."""
    return {INDEX_KEY: outbox_partition(event_id[-1]), INDEX_SORT: event_id}


def delivery_item(delivery: Delivery) -> Item:
    """Return the item of a delivery. A finished one expires."""
    finished = delivery.finished_at
    expiry = {} if finished is None else {EXPIRES_AT: math.ceil((finished + KEPT).timestamp())}
    listing = {INDEX_KEY: DELIVERIES, INDEX_SORT: delivery.id}
    document = {DOCUMENT: delivery.model_dump_json(), VERSION: delivery.version, STATUS: str(delivery.status)}
    return {KEY: delivery_key(delivery.id), **document, **listing, **expiry}


def health_item(health: EndpointHealth) -> Item:
    """Return the item of the health of an endpoint."""
    return {KEY: health_key(health.endpoint_id), DOCUMENT: health.model_dump_json(), VERSION: health.version}


def event_expiry(now: datetime) -> int:
    """Return the time at which an event expires whose deliveries are finished now, in epoch seconds."""
    return math.ceil((now + _EVENT_KEPT).timestamp())
