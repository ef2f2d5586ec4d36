"""Costs of deliveries in SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.sqlite import Database, SqliteDeliveries
from app.adapters.sqlite.delivery.outbox import insert
from app.domain.delivery.deliveries import KEPT, DeliveryStatus, build_delivery
from app.domain.delivery.endpoints import new_endpoint_id
from app.domain.delivery.events import build_test_event
from app.domain.models import utcnow


def test_a_look_for_due_deliveries_costs_the_same_with_many_that_wait(tmp_path: Path) -> None:
    """Count the steps of SQLite's machine."""
    database = Database(tmp_path / "darkroom.db")
    store = SqliteDeliveries(database)
    endpoints = [new_endpoint_id() for _ in range(5)]

    def add(number: int) -> None:
        event = build_test_event("ann", utcnow())
        with database.writing() as connection:
            insert(connection, event, [build_delivery(event, endpoints[0])])
            connection.executemany(
                "INSERT INTO deliveries SELECT id || ?, ?, image, status, due, finished, document FROM deliveries"
                " WHERE id LIKE ?",
                [(str(each), endpoints[each % 5], f"{event.id}.whe_" + "_" * 32) for each in range(number)],
            )

    def steps() -> int:
        count = [0]

        def step() -> int:
            count[0] += 1
            return 0

        with database.reading() as connection:
            connection.set_progress_handler(step, 10)
        assert len(store.due(utcnow(), 4)) == 20
        with database.reading() as connection:
            connection.set_progress_handler(None, 0)
        return count[0]

    add(25)
    few = steps()
    add(2000)
    assert steps() < 1.5 * few
    database.close()


def test_many_deliveries_are_changed_in_short_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.sqlite.delivery.store._AT_ONCE", 3, raising=False)
    database, changes = Database(tmp_path / "darkroom.db"), list[int]()
    store, endpoint, now = SqliteDeliveries(database), new_endpoint_id(), utcnow()
    added = []
    for _ in range(10):
        event = build_test_event("ann", now)
        added.append(build_delivery(event, endpoint).changed(next_attempt_at=now + timedelta(hours=1)))
        store.add(event, added[-1:])
    writing = database.writing

    @contextmanager
    def counted(*, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with writing(durable=durable) as connection:
            before = connection.total_changes
            yield connection
            changes.append(connection.total_changes - before)

    monkeypatch.setattr(database, "writing", counted)
    store.resume(endpoint, now)
    assert {store.get(each.id).next_attempt_at for each in added} == {now}  # type: ignore[union-attr]  # they exist
    assert (max(changes), sum(changes)) == (3, 10)
    for each in added:
        store.replace(store.get(each.id).finish(DeliveryStatus.DELIVERED, now))  # type: ignore[union-attr]
    changes.clear()
    assert store.remove_old(now + KEPT + timedelta(seconds=1)) == 10
    assert (max(changes), sum(changes)) == (3, 20)
    database.close()
