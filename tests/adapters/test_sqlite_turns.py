"""Order of the queue in SQLite: owners take turns, those whose images time out stand back, and bulk work waits."""

import pytest

from app.adapters.sqlite import Database, SqliteQueue
from app.adapters.sqlite.turns import BEHIND_SECONDS
from tests.adapters.clock import ClockAhead


@pytest.fixture
def queue(database: Database) -> SqliteQueue:
    return SqliteQueue(database, visibility=900, max_attempts=3)


def send(queue: SqliteQueue, *names: str, bulk: bool = False) -> None:
    """Send messages such as `ann 1`, whose first word is the owner."""
    for name in names:
        queue.send(name, owner=name.split()[0], bulk=bulk)


def take(queue: SqliteQueue, count: int = 1, *, timed_out: bool = False) -> list[str]:
    """Receive messages one by one, and delete each."""
    bodies = []
    for _ in range(count):
        for message in queue.receive():
            queue.delete(message.receipt, timed_out=timed_out)
            bodies.append(message.body)
    return bodies


TURNS = ["ann 1", "bob 1", "cy 1", "ann 2", "bob 2", "ann 3", "ann 4"]


def test_owners_take_turns_and_each_has_its_messages_in_order(queue: SqliteQueue) -> None:
    send(queue, "ann 1", "ann 2", "ann 3", "ann 4", "bob 1", "bob 2", "cy 1")
    assert take(queue, 10) == TURNS


def test_several_messages_at_once_are_those_of_the_next_turns(queue: SqliteQueue) -> None:
    send(queue, "ann 1", "ann 2", "ann 3", "ann 4", "bob 1", "bob 2", "cy 1")
    assert [message.body for limit in (4, 10) for message in queue.receive(limit)] == TURNS


def test_a_message_sent_late_waits_for_one_turn_of_each_other_owner(queue: SqliteQueue) -> None:
    send(queue, *(f"ann {number}" for number in range(10)))
    assert take(queue, 3) == ["ann 0", "ann 1", "ann 2"]
    send(queue, "bob 1", "bob 2")
    assert take(queue, 4) == ["bob 1", "ann 3", "bob 2", "ann 4"]


def test_the_owner_served_least_lately_is_next_after_a_restart(queue: SqliteQueue, database: Database) -> None:
    send(queue, "bob 1", "ann 1", "ann 2", "bob 2")
    assert take(queue) == ["bob 1"]
    reopened = SqliteQueue(database, visibility=900, max_attempts=3)
    reopened.recover()
    assert take(reopened, 3) == ["ann 1", "bob 2", "ann 2"]


def test_a_message_with_a_receiver_or_due_later_gives_its_owner_no_turn(queue: SqliteQueue) -> None:
    send(queue, "ann 1", "bob 1")
    queue.send("cy 1", delay=900, owner="cy")
    (held,) = queue.receive()
    assert held.body == "ann 1"
    assert take(queue, 2) == ["bob 1"]
    queue.release(held.receipt)
    assert take(queue, 2) == ["ann 1"]


def test_messages_of_unknown_owners_take_turns_as_those_of_one_owner(queue: SqliteQueue) -> None:
    queue.send("first")
    queue.send("second")
    send(queue, "ann 1")
    assert take(queue, 3) == ["first", "ann 1", "second"]


def test_bulk_messages_wait_behind_those_of_every_owner(queue: SqliteQueue) -> None:
    send(queue, "ann bulk 1", "ann bulk 2", "bob bulk 1", bulk=True)
    send(queue, "ann 1", "ann 2", "cy 1")
    assert take(queue, 4) == ["ann 1", "cy 1", "ann 2", "bob bulk 1"]
    send(queue, "bob 1")
    assert take(queue, 3) == ["bob 1", "ann bulk 1", "ann bulk 2"]


def test_an_owner_whose_message_timed_out_is_behind_the_others_for_a_while(
    queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(queue, "ann 1", "ann 2", "ann 3", "ann 4", "ann 5")
    assert take(queue, timed_out=True) == ["ann 1"]
    send(queue, "bob 1", "bob 2")
    assert take(queue, 3) == ["bob 1", "bob 2", "ann 2"]
    send(queue, "ann bulk 1", "bob bulk 1", bulk=True)
    send(queue, "bob 3", "bob 4", "bob 5")
    assert take(queue) == ["bob 3"]
    monkeypatch.setattr("app.adapters.sqlite.queue.time", ClockAhead(BEHIND_SECONDS + 1))
    assert take(queue, 5) == ["ann 3", "bob 4", "ann 4", "bob 5", "ann 5"]


def test_a_delivery_that_is_over_puts_no_owner_behind(queue: SqliteQueue) -> None:
    send(queue, "ann 1", "bob 1", "bob 2", "bob 3")
    (message,) = queue.receive()
    queue.release(message.receipt)
    assert take(queue) == ["bob 1"]
    (again,) = queue.receive()
    queue.delete(message.receipt, timed_out=True)
    queue.delete(again.receipt)
    send(queue, "ann 2")
    assert take(queue, 3) == ["bob 2", "ann 2", "bob 3"]


def test_a_clock_set_back_leaves_no_owner_behind(queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    send(queue, "ann 1")
    assert take(queue, timed_out=True) == ["ann 1"]
    monkeypatch.setattr("app.adapters.sqlite.queue.time", ClockAhead(-86_400))
    send(queue, "bob 1", "bob 2", "ann 2", "ann 3")
    assert take(queue, 4) == ["bob 1", "ann 2", "bob 2", "ann 3"]


@pytest.mark.parametrize("forget", ["tidy", "recover"])
def test_owners_without_messages_are_forgotten(queue: SqliteQueue, database: Database, forget: str) -> None:
    send(queue, "ann 1", "bob 1", "bob 2", "cy 1")
    assert take(queue, 2) == ["ann 1", "bob 1"]
    assert take(queue, timed_out=True) == ["cy 1"]
    getattr(queue, forget)()
    with database.reading() as connection:
        known = {owner for (owner,) in connection.execute("SELECT owner FROM turns")}
    assert known == {"bob", "cy"}  # cy is still behind


def test_a_turn_reads_one_message_of_each_owner(queue: SqliteQueue, database: Database) -> None:
    """A long queue costs no more than a short one: count the steps of SQLite's machine."""

    def steps() -> int:
        count = [0]

        def step() -> int:
            count[0] += 1
            return 0

        with database.writing() as connection:
            connection.set_progress_handler(step, 1)
        try:
            take(queue)
        finally:
            with database.writing() as connection:
                connection.set_progress_handler(None, 0)
        return count[0]

    send(queue, *(f"ann {number}" for number in range(20)), *(f"bob {number}" for number in range(20)))
    short = steps()
    with database.writing() as connection:
        connection.executemany(
            "INSERT INTO messages (body, due, owner) VALUES (?, ?, 'ann')", [(f"ann {n}", n) for n in range(2000)]
        )
    assert 0 < steps() < 2 * short
