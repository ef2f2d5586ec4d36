"""Corners of the queue in SQLite."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.sqlite import Database, SqliteQueue
from tests.adapters.clock import ClockAhead


@pytest.fixture
def queue(database: Database) -> SqliteQueue:
    return SqliteQueue(database, visibility=900, max_attempts=2)


@pytest.mark.parametrize(
    "call",
    [
        lambda queue: queue.send("x" * (256 * 1024 + 1)),
        lambda queue: queue.send("ü" * (128 * 1024) + "x"),
        lambda queue: queue.send(""),
        lambda queue: queue.send("x", delay=901),
        lambda queue: queue.send("x", delay=-1),
        lambda queue: queue.release("1-a", delay=901),
        lambda queue: queue.extend("1-1-a", 901),
        lambda queue: queue.receive(0),
        lambda queue: queue.receive(11),
        lambda queue: queue.receive(1, wait=21),
    ],
)
def test_invalid_arguments_are_refused(queue: SqliteQueue, call: Callable[[SqliteQueue], object]) -> None:
    with pytest.raises(ValueError, match=r"message|delay|seconds"):
        call(queue)
    assert list(queue.receive(10)) == []


@pytest.mark.parametrize("receipt", ["", "-", "x", "1", "999-abc", "1-abc", "1-1-abc", "1 OR 1=1", "ü" * 5000])
def test_a_receipt_of_nobody_changes_nothing(queue: SqliteQueue, receipt: str) -> None:
    queue.send("x")
    (message,) = queue.receive()
    queue.delete(receipt)
    queue.release(receipt)
    queue.extend(receipt, 1, started=False)
    assert list(queue.receive()) == []
    queue.release(message.receipt)
    assert len(queue.receive()) == 1


def test_a_receipt_of_an_earlier_delivery_does_not_delete(queue: SqliteQueue) -> None:
    queue.send("x")
    (first,) = queue.receive()
    queue.release(first.receipt)
    (second,) = queue.receive()
    queue.delete(first.receipt)
    queue.release(second.receipt)
    assert queue.dead_letters() == 1


def test_recovery_brings_back_what_is_with_receivers_and_nothing_else(queue: SqliteQueue) -> None:
    for body in ("in flight", "done", "dead", "waiting"):
        queue.send(body)
    queue.send("delayed", delay=900)
    in_flight, done, dead = queue.receive(3)
    queue.delete(done.receipt)
    queue.release(dead.receipt)
    while queue.dead_letters() == 0:
        queue.release(next(message.receipt for message in queue.receive(10) if message.body == "dead"))
    assert queue.recover() == 2
    found = {message.body: message.receive_count for message in queue.receive(10)}
    assert found == {"in flight": 2, "waiting": 2}
    assert queue.dead_letters() == 1
    queue.delete(in_flight.receipt)
    assert queue.recover() == 2


def test_a_message_that_kills_every_receiver_becomes_a_dead_letter(queue: SqliteQueue) -> None:
    queue.send("poison")
    for count in (1, 2):
        (message,) = queue.receive()
        assert message.receive_count == count
        queue.recover()
    assert list(queue.receive()) == []
    assert queue.dead_letters() == 1


def test_a_delivery_that_was_not_started_does_not_count(queue: SqliteQueue) -> None:
    queue.send("held")
    queue.send("at work")
    held, at_work = queue.receive(2)
    queue.extend(held.receipt, 900, started=False)
    queue.extend(held.receipt, 900, started=False)
    queue.extend(at_work.receipt, 900, started=False)
    queue.extend(at_work.receipt, 900)
    assert list(queue.receive()) == []
    assert queue.recover() == 2
    assert {message.body: message.receive_count for message in queue.receive(10)} == {"held": 1, "at work": 2}


def test_a_message_that_is_never_started_is_no_dead_letter(queue: SqliteQueue) -> None:
    queue.send("held")
    for _ in range(5):
        (message,) = queue.receive()
        assert message.receive_count == 1
        queue.extend(message.receipt, 900, started=False)
        queue.release(message.receipt)
    assert queue.dead_letters() == 0


def test_of_one_text_recovery_keeps_the_message_that_was_tried_most(queue: SqliteQueue) -> None:
    for body in ("same", "same", "other"):
        queue.send(body)
    queue.receive()
    queue.recover()
    found = [(message.body, message.receive_count) for message in queue.receive(10)]
    assert sorted(found) == [("other", 1), ("same", 2)]
    queue.send("same")  # that one was tried for the last time stands for nothing that comes
    queue.recover()
    found = [(message.body, message.receive_count) for message in queue.receive(10)]
    assert sorted(found) == [("other", 2), ("same", 1)]
    assert queue.dead_letters() == 1


def test_messages_come_in_the_order_they_became_due(queue: SqliteQueue) -> None:
    for number in range(30):
        queue.send(str(number))
    assert [message.body for _ in range(3) for message in queue.receive(10)] == [str(number) for number in range(30)]


def test_messages_outlive_the_database(tmp_path: Path) -> None:
    for number in range(3):
        database = Database(tmp_path / "other.db")
        queue = SqliteQueue(database, visibility=900, max_attempts=2)
        queue.send(str(number))
        database.close()
    database = Database(tmp_path / "other.db")
    assert [message.body for message in SqliteQueue(database, 900, 2).receive(10)] == ["0", "1", "2"]
    database.close()


SetBack = Callable[[float], None]


@pytest.fixture
def set_back(monkeypatch: pytest.MonkeyPatch) -> SetBack:
    """Set the queue's clock back by this number of seconds."""
    return lambda seconds: monkeypatch.setattr("app.adapters.sqlite.queue.time", ClockAhead(-seconds))


@pytest.mark.parametrize("seconds", [3600, 365 * 86_400])
def test_a_clock_set_back_holds_up_no_message(queue: SqliteQueue, set_back: SetBack, seconds: float) -> None:
    queue.send("held by a receiver that is gone")
    assert len(queue.receive()) == 1
    queue.send("waiting")
    queue.send("delayed", delay=60)
    set_back(seconds)
    assert queue.waiting() == 3
    found = {message.body: message.receive_count for message in queue.receive(10)}
    assert found == {"held by a receiver that is gone": 2, "waiting": 1, "delayed": 1}
    assert queue.waiting() == 0  # their time-outs count from the clock as it is now
    assert list(queue.receive(10)) == []


def test_a_clock_set_back_keeps_nothing_from_the_dead_letters(queue: SqliteQueue, set_back: SetBack) -> None:
    queue.send("poison")
    for _ in range(2):
        (message,) = queue.receive()
        queue.release(message.receipt, delay=60 if message.receive_count == 2 else 0)
    assert queue.dead_letters() == 0
    set_back(3600)
    assert queue.dead_letters() == 1


def test_a_small_correction_of_the_clock_takes_no_message_from_its_receiver(
    queue: SqliteQueue, set_back: SetBack
) -> None:
    queue.send("at work")
    assert len(queue.receive()) == 1
    set_back(5)
    assert list(queue.receive()) == []
