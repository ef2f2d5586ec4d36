"""`DeliveryStore` in SQLite tables. The rows themselves are the queue: the sender asks for those that are due."""

import json
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from app.adapters.sqlite.database import Database
from app.adapters.sqlite.delivery.outbox import columns, insert
from app.domain.delivery.deliveries import KEPT, SCHEDULE, Delivery, DeliveryStatus, EndpointHealth
from app.domain.delivery.events import Event
from app.domain.errors import Stale
from app.domain.ids import first_id_at
from app.domain.ports.delivery_store import DeliveryQuery
from app.domain.ports.repository import Page
from app.domain.times import CLOCK_SLACK

#: A due time further ahead was written before the clock was set back, and counts as due.
_LONGEST = (2 * SCHEDULE[-1] + CLOCK_SLACK).total_seconds()
#: Rows that one transaction changes: uploads wait for its end.
_AT_ONCE = 500

# Each step of the recursion finds the next endpoint in the index, so the costs grow with endpoints, not deliveries.
# SQLite would choose the index by status, and read all pending deliveries in each step.
_DUE = """
WITH RECURSIVE waiting(endpoint) AS (
    SELECT min(endpoint) FROM deliveries INDEXED BY deliveries_due WHERE status = 'pending'
    UNION ALL
    SELECT (
        SELECT min(endpoint) FROM deliveries INDEXED BY deliveries_due
        WHERE status = 'pending' AND endpoint > waiting.endpoint
    )
    FROM waiting WHERE waiting.endpoint IS NOT NULL
)
SELECT deliveries.document
FROM waiting
LEFT JOIN endpoint_health ON endpoint_health.endpoint = waiting.endpoint
JOIN deliveries ON deliveries.id IN (
    SELECT id FROM deliveries AS first
    WHERE first.status = 'pending' AND first.endpoint = waiting.endpoint AND first.due <= :now
    ORDER BY first.due, first.id LIMIT :each
) OR deliveries.id IN (
    SELECT id FROM deliveries AS late
    WHERE late.status = 'pending' AND late.endpoint = waiting.endpoint AND late.due > :late LIMIT :each
)
WHERE waiting.endpoint NOT IN (SELECT value FROM json_each(:without))
AND (coalesce(endpoint_health.probe_at, 0) <= :now OR endpoint_health.probe_at > :late)
ORDER BY deliveries.due, deliveries.id
"""

_RESUME = """
UPDATE deliveries SET due = :moment, document = json_set(
    document, '$.next_attempt_at', :now, '$.version', json_extract(document, '$.version') + 1
)
WHERE id IN (
    SELECT id FROM deliveries
    WHERE status = 'pending' AND endpoint = :endpoint AND due > :moment
    AND json_extract(document, '$.leased_until') IS NULL
    LIMIT :limit
)
"""
_REMOVE_DELIVERIES = (
    "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE finished < :before LIMIT :limit)"
)
_REMOVE_EVENTS = """
DELETE FROM webhook_events WHERE id IN (
    SELECT id FROM webhook_events AS event
    WHERE created < :before AND NOT EXISTS (
        SELECT 1 FROM deliveries WHERE deliveries.id >= event.id AND deliveries.id < event.id || '/'
    )
    LIMIT :limit
)
"""


class SqliteDeliveries:
    """Events and deliveries in a `Database`, as JSON documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event: Event, deliveries: Sequence[Delivery]) -> None:
        """See `DeliveryStore.add`."""
        with self._database.writing() as connection:
            insert(connection, event, deliveries)

    def get(self, delivery_id: str) -> Delivery | None:
        """See `DeliveryStore.get`."""
        with self._database.reading() as connection:
            return _find(connection, delivery_id)

    def get_event(self, event_id: str) -> Event | None:
        """See `DeliveryStore.get_event`."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT document FROM webhook_events WHERE id = ?", (event_id,)).fetchone()
        return Event.model_validate_json(row[0]) if row else None

    def replace(self, delivery: Delivery) -> None:
        """See `DeliveryStore.replace`. If a power cut undoes a lease or an end, the event is sent again."""
        is_sent_again = delivery.status is not DeliveryStatus.PENDING or delivery.leased_until is not None
        with self._database.writing(durable=not is_sent_again) as connection:
            found = _find(connection, delivery.id)
            if found is None or found.version + 1 != delivery.version:
                raise Stale(delivery.id)
            connection.execute(
                "UPDATE deliveries SET status = ?, due = ?, finished = ?, document = ? WHERE id = ?",
                (*columns(delivery), delivery.id),
            )

    def list(self, query: DeliveryQuery) -> Page[Delivery]:
        """See `DeliveryStore.list`. Exact; pages are full."""
        filters: dict[str, Any] = {
            "id < ?": query.after,
            "endpoint = ?": query.endpoint_id,
            "status = ?": query.status and str(query.status),
            "id >= ?": query.event_id and f"{query.event_id}.",
            "id < ? || '/'": query.event_id,
            "image = ?": query.image_id,
            "id >= ? || ''": query.since and _first_event(query.since),
            "id < ? || ''": query.until and _first_event(query.until),
        }
        used = {condition: value for condition, value in filters.items() if value is not None}
        where = " AND ".join(used) or "1"
        statement = f"SELECT document FROM deliveries WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - constants
        with self._database.reading() as connection:
            rows = connection.execute(statement, (*used.values(), query.limit + 1)).fetchall()
        found = [Delivery.model_validate_json(document) for (document,) in rows]
        shown = found[: query.limit]
        return Page(shown, shown[-1].id if len(found) > query.limit else None)

    def due(self, now: datetime, each: int, without: Collection[str] = ()) -> Sequence[Delivery]:
        """See `DeliveryStore.due`."""
        moment = now.timestamp()
        values = {"now": moment, "late": moment + _LONGEST, "each": each, "without": json.dumps(list(without))}
        with self._database.reading() as connection:
            rows = connection.execute(_DUE, values).fetchall()
        return [Delivery.model_validate_json(document) for (document,) in rows]

    def health(self, endpoint_ids: Collection[str]) -> Mapping[str, EndpointHealth]:
        """See `DeliveryStore.health`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT endpoint, document FROM endpoint_health WHERE endpoint IN (SELECT value FROM json_each(?))",
                (json.dumps(list(endpoint_ids)),),
            ).fetchall()
        return {endpoint_id: EndpointHealth.model_validate_json(document) for endpoint_id, document in rows}

    def replace_health(self, health: EndpointHealth) -> None:
        """See `DeliveryStore.replace_health`."""
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT json_extract(document, '$.version') FROM endpoint_health WHERE endpoint = ?",
                (health.endpoint_id,),
            ).fetchone()
            if (row[0] if row else 0) + 1 != health.version:
                raise Stale(health.endpoint_id)
            probe_at = None if health.probe_at is None else health.probe_at.timestamp()
            connection.execute(
                "INSERT INTO endpoint_health (endpoint, probe_at, document) VALUES (?, ?, ?) ON CONFLICT (endpoint)"
                " DO UPDATE SET probe_at = excluded.probe_at, document = excluded.document",
                (health.endpoint_id, probe_at, health.model_dump_json()),
            )

    def resume(self, endpoint_id: str, now: datetime) -> None:
        """See `DeliveryStore.resume`. Deliveries with an attempt under way stay as they are."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM endpoint_health WHERE endpoint = ?", (endpoint_id,))
        self._change_all(_RESUME, endpoint=endpoint_id, moment=now.timestamp(), now=now.isoformat())

    def count(self) -> Mapping[DeliveryStatus, int]:
        """See `DeliveryStore.count`."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT status, count(*) FROM deliveries GROUP BY status").fetchall()
        return {DeliveryStatus(status): count for status, count in rows}

    def oldest_pending(self) -> datetime | None:
        """See `DeliveryStore.oldest_pending`."""
        statement = "SELECT min(json_extract(document, '$.pending_since')) FROM deliveries WHERE status = 'pending'"
        with self._database.reading() as connection:
            (found,) = connection.execute(statement).fetchone()
        return found and datetime.fromisoformat(found)

    def remove_old(self, now: datetime) -> int:
        """See `DeliveryStore.remove_old`. Works on a full disk."""
        return self._database.freeing(partial(self._remove_old, (now - KEPT).timestamp()))

    def recover(self) -> None:
        """End the attempts of a sender that was killed: their deliveries are due. Call it while no sender runs."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE deliveries SET due = ?, document = json_set(document, '$.leased_until', NULL)"
                " WHERE status = 'pending' AND json_extract(document, '$.leased_until') IS NOT NULL",
                (time.time(),),
            )

    def _remove_old(self, before: float) -> int:
        removed = self._change_all(_REMOVE_DELIVERIES, before=before)
        self._change_all(_REMOVE_EVENTS, before=before)
        with self._database.writing() as connection:
            connection.execute("DELETE FROM endpoint_health WHERE endpoint NOT IN (SELECT id FROM webhook_endpoints)")
        return removed

    def _change_all(self, statement: str, **values: object) -> int:
        """Repeat a statement until it changes fewer rows than its limit. Return the number of all.

        Half of the time is left to others.
        """
        changed = 0
        while True:
            begun = time.monotonic()
            with self._database.writing() as connection:
                some = connection.execute(statement, {**values, "limit": _AT_ONCE}).rowcount
            changed += some
            if some < _AT_ONCE:
                return changed
            time.sleep(time.monotonic() - begun)


def _find(connection: sqlite3.Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute("SELECT document FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
    return Delivery.model_validate_json(row[0]) if row else None


def _first_event(moment: datetime) -> str:
    return f"evt_{first_id_at(moment).replace('-', '')}"
