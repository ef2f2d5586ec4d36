"""Costs of deliveries in SQLite."""

from pathlib import Path

from app.adapters.sqlite import Database, SqliteDeliveries
from app.adapters.sqlite.delivery.outbox import insert
from app.domain.delivery.deliveries import build_delivery
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
