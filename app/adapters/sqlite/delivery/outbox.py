"""Events and their deliveries, written in the transaction that changes a record."""

import sqlite3
from collections.abc import Iterable, Sequence

from app.adapters.sqlite.counters import add_changes
from app.domain.delivery.deliveries import Delivery, dispatch
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.delivery.events import Event, EventSource
from app.domain.images.stats import Change
from app.domain.models import Image


def note_change(connection: sqlite3.Connection, source: EventSource, before: Image | None, after: Image | None) -> None:
    """Change the counts as a record changes, and write its events, within the open transaction."""
    add_changes(connection, [(before, after)])
    add_events(connection, source, [(before, after)])


def add_events(connection: sqlite3.Connection, source: EventSource, changes: Sequence[Change]) -> None:
    """Write the events of these changes with a delivery for each endpoint that receives them, within the open
    transaction. An event that no endpoint receives is not written."""
    found = connection.execute("SELECT document FROM webhook_endpoints WHERE id > ''").fetchall()
    if not found:
        return
    endpoints = [WebhookEndpoint.model_validate_json(document) for (document,) in found]
    for event in source.of(changes):
        if deliveries := dispatch(event, endpoints):
            insert(connection, event, deliveries)


def insert(connection: sqlite3.Connection, event: Event, deliveries: Iterable[Delivery]) -> None:
    """Write an event and deliveries that do not exist, within the open transaction."""
    connection.execute(
        "INSERT OR IGNORE INTO webhook_events (id, created, document) VALUES (?, ?, ?)",
        (event.id, event.created_at.timestamp(), event.model_dump_json()),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO deliveries (id, endpoint, image, status, due, finished, document)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(each.id, each.endpoint_id, each.image_id, *columns(each)) for each in deliveries],
    )


def columns(delivery: Delivery) -> tuple[str, float | None, float | None, str]:
    """Return the columns `status`, `due`, `finished` and `document`. `due` is after the attempt that is made now."""
    times = [each.timestamp() for each in (delivery.next_attempt_at, delivery.leased_until) if each is not None]
    finished = None if delivery.finished_at is None else delivery.finished_at.timestamp()
    return str(delivery.status), max(times, default=None), finished, delivery.model_dump_json()
