"""Promises of `EventQueue`, for every adapter."""

import threading
import time

import pytest

from app.domain.errors import PortError
from app.domain.images.notifications import object_created
from app.domain.models import utcnow
from app.domain.ports import EventQueue, Message
from tests.contract.conftest import OpenQueue
from tests.contract.races import eventually, race


def receive_all(queue: EventQueue, count: int) -> list[Message]:
    """Receive `count` messages and delete none."""
    found: list[Message] = []
    end = time.monotonic() + 60
    while len(found) < count and time.monotonic() < end:
        found += queue.receive(min(10, count - len(found)), wait=1)
    assert len(found) == count
    return found


def take(queue: EventQueue) -> Message:
    """Receive one message."""
    (message,) = receive_all(queue, 1)
    return message


@pytest.mark.moto
def test_a_sent_message_is_received_as_it_was(queue: EventQueue) -> None:
    body = object_created("originals/é ü+%20.jpg", 5) + "\n\t\U0001f4f7"
    queue.send(body)
    message = take(queue)
    assert (message.body, message.receive_count) == (body, 1)


@pytest.mark.moto
def test_hints_of_the_order_lose_no_message(queue: EventQueue) -> None:
    for number in range(9):
        queue.send(str(number), owner=("ann", "a.b@c-d_e" + 119 * "x", "")[number % 3], bulk=number < 4)
    for message in receive_all(queue, 9):
        queue.delete(message.receipt, timed_out=int(message.body) % 2 == 0)
    queue.send("later", owner="ann")
    assert take(queue).body == "later"


def test_a_message_holds_256_kib(queue: EventQueue) -> None:
    body = "ü" * (128 * 1024)
    queue.send(body)
    assert take(queue).body == body


def test_an_empty_queue_gives_nothing(queue: EventQueue) -> None:
    assert list(queue.receive(10)) == []


def test_an_empty_queue_is_waited_on_as_long_as_asked(queue: EventQueue) -> None:
    start = time.monotonic()
    assert list(queue.receive(wait=1)) == []
    assert time.monotonic() - start > 0.9


def test_a_message_that_comes_ends_the_wait(queue: EventQueue) -> None:
    sender = threading.Timer(0.2, queue.send, ["late"])
    start = time.monotonic()
    sender.start()
    (message,) = queue.receive(wait=20)
    assert message.body == "late"
    assert time.monotonic() - start < 20
    sender.join()


@pytest.mark.slow
def test_all_messages_come_and_no_more_at_once_than_asked(queue: EventQueue) -> None:
    for number in range(25):
        queue.send(str(number))
    assert len(queue.receive(wait=20)) == 1
    assert 1 <= len(queue.receive(3, wait=20)) <= 3
    rest: list[Message] = []
    while batch := queue.receive(10, wait=1):
        assert len(batch) <= 10
        rest += batch
    assert 21 <= len(rest) <= 23
    assert len({message.id for message in rest}) == len({message.receipt for message in rest}) == len(rest)


@pytest.mark.slow
def test_a_deleted_message_is_done(open_queue: OpenQueue) -> None:
    queue = open_queue(visibility=1)
    queue.send("once")
    message = take(queue)
    queue.delete(message.receipt)
    queue.delete(message.receipt)
    assert list(queue.receive(wait=2)) == []


def test_a_received_message_is_invisible_and_comes_again_with_a_higher_count(open_queue: OpenQueue) -> None:
    queue = open_queue(visibility=2)
    queue.send("again")
    start = time.monotonic()
    first = take(queue)
    second = take(queue)
    assert time.monotonic() - start > 1
    assert (second.id, second.body, second.receive_count) == (first.id, "again", 2)
    assert second.receipt != first.receipt


@pytest.mark.moto
def test_a_released_message_is_due_at_once_with_a_higher_count(queue: EventQueue) -> None:
    queue.send("x")
    first = take(queue)
    assert list(queue.receive()) == []
    queue.release(first.receipt)
    second = take(queue)
    assert (second.id, second.receive_count) == (first.id, 2)


@pytest.mark.slow
def test_a_message_can_be_released_for_later(queue: EventQueue) -> None:
    queue.send("x")
    start = time.monotonic()
    queue.release(take(queue).receipt, delay=2)
    assert take(queue).receive_count == 2
    assert time.monotonic() - start > 1


@pytest.mark.slow
def test_a_message_can_be_sent_for_later(queue: EventQueue) -> None:
    start = time.monotonic()
    queue.send("later", delay=2)
    queue.send("much later", delay=900)
    assert take(queue).body == "later"
    assert time.monotonic() - start > 1
    assert list(queue.receive(10)) == []


@pytest.mark.slow
def test_an_extended_message_stays_invisible(open_queue: OpenQueue) -> None:
    queue = open_queue(visibility=3)
    for number in range(2):
        queue.send(str(number))
    for number, message in enumerate(receive_all(queue, 2)):
        queue.extend(message.receipt, 30, started=number == 0)
        kept = message
    assert list(queue.receive(10, wait=4)) == []
    queue.delete(kept.receipt)
    queue.extend(kept.receipt, 30)
    assert list(queue.receive(10)) == []


@pytest.mark.moto
def test_an_extended_message_can_be_released_and_deleted(queue: EventQueue) -> None:
    queue.send("x")
    message = take(queue)
    queue.extend(message.receipt, 900)
    queue.release(message.receipt)
    again = take(queue)
    queue.extend(message.receipt, 1, started=False)  # a delivery that is over
    assert again.receive_count == 2
    queue.extend(again.receipt, 900, started=False)
    queue.extend(again.receipt, 900)
    queue.delete(again.receipt)
    assert list(queue.receive(10)) == []


def test_a_delivery_that_is_over_has_no_say(open_queue: OpenQueue) -> None:
    queue = open_queue(visibility=30)
    queue.send("x")
    first = take(queue)
    queue.release(first.receipt)
    second = take(queue)
    queue.release(first.receipt, delay=900)
    queue.release(second.receipt)
    third = take(queue)
    queue.delete(third.receipt)
    for message in (first, second, third):
        queue.delete(message.receipt)
        queue.release(message.receipt)
    assert list(queue.receive()) == []


@pytest.mark.moto
def test_after_its_last_receive_a_message_goes_to_the_dead_letters(open_queue: OpenQueue) -> None:
    queue = open_queue(max_attempts=3)
    queue.send("poison")
    assert queue.dead_letters() == 0
    for count in (1, 2, 3):
        message = take(queue)
        assert message.receive_count == count
        assert queue.dead_letters() == 0
        queue.release(message.receipt)
    queue.send("healthy")
    assert [message.body for message in queue.receive(10, wait=20)] == ["healthy"]
    assert list(queue.receive(10)) == []
    eventually(queue.dead_letters, 1)


def test_due_messages_without_a_receiver_are_counted(open_queue: OpenQueue) -> None:
    queue = open_queue(max_attempts=2)
    assert queue.waiting() == 0
    for _ in range(3):
        queue.send("x")
    queue.send("later", delay=900)
    eventually(queue.waiting, 3)
    first, second = (take(queue) for _ in range(2))
    eventually(queue.waiting, 1)
    queue.release(first.receipt)
    eventually(queue.waiting, 2)
    queue.delete(second.receipt)
    for message in receive_all(queue, 2):
        if message.id == first.id:
            queue.release(message.receipt)  # for the last time
        else:
            queue.delete(message.receipt)
    assert list(queue.receive(10)) == []
    eventually(queue.dead_letters, 1)
    eventually(queue.waiting, 0)


def test_the_oldest_due_message_has_its_time_or_the_queue_does_not_know_it(open_queue: OpenQueue) -> None:
    queue = open_queue(max_attempts=2)
    assert queue.oldest_due() is None
    before = utcnow()
    queue.send("x")
    queue.send("later", delay=900)
    eventually(queue.waiting, 1)
    oldest = queue.oldest_due()
    assert oldest is None or before <= oldest <= utcnow()
    queue.delete(take(queue).receipt)
    assert queue.oldest_due() is None


@pytest.mark.slow
def test_a_message_that_is_done_on_its_last_receive_is_no_dead_letter(open_queue: OpenQueue) -> None:
    queue = open_queue(visibility=1, max_attempts=1)
    queue.send("just in time")
    queue.delete(take(queue).receipt)
    assert list(queue.receive(wait=2)) == []
    assert queue.dead_letters() == 0


@pytest.mark.slow
def test_a_message_whose_last_receiver_vanished_is_a_dead_letter(open_queue: OpenQueue) -> None:
    queue = open_queue(visibility=1, max_attempts=1)
    queue.send("poison")
    assert take(queue).receive_count == 1
    assert list(queue.receive(wait=2)) == []
    eventually(queue.dead_letters, 1)


def test_redriven_messages_come_again_with_a_fresh_count(open_queue: OpenQueue) -> None:
    queue = open_queue(max_attempts=1)
    assert queue.redrive() == 0
    for number in range(12):
        queue.send(str(number))
    for message in receive_all(queue, 12):
        queue.release(message.receipt)
    assert list(queue.receive(10)) == []
    eventually(queue.dead_letters, 12)
    assert queue.redrive() == 12
    again = receive_all(queue, 12)
    assert sorted(int(message.body) for message in again) == list(range(12))
    assert {message.receive_count for message in again} == {1}
    eventually(queue.dead_letters, 0)
    for message in again:
        queue.delete(message.receipt)
    assert list(queue.receive(10)) == []
    assert queue.redrive() == 0


def test_of_dead_letters_about_one_subject_one_is_redriven_and_counted(open_queue: OpenQueue) -> None:
    queue = open_queue(max_attempts=1)
    for body in ("a 1", "b 1", "a 2", "a 3"):
        queue.send(body)
    for message in receive_all(queue, 4):
        queue.release(message.receipt)
    assert list(queue.receive(10)) == []
    eventually(queue.dead_letters, 4)
    assert queue.redrive(lambda body: body[0]) == 2
    again = receive_all(queue, 2)
    assert sorted(message.body[0] for message in again) == ["a", "b"]
    eventually(queue.dead_letters, 0)
    for message in again:
        queue.delete(message.receipt)
    assert list(queue.receive(10)) == []
    assert queue.redrive() == 0


def test_senders_and_receivers_at_once_lose_no_message(queue: EventQueue) -> None:
    done = threading.Event()
    guard = threading.Lock()
    seen: list[str] = []

    def work(number: int) -> None:
        if number < 6:
            for turn in range(10):
                queue.send(f"{number}-{turn}")
            return
        while not done.is_set():
            for message in queue.receive(10, wait=0.2):
                queue.delete(message.receipt)
                with guard:
                    seen.append(message.body)
                    if len(set(seen)) >= 60:
                        done.set()

    stop = threading.Timer(120, done.set)
    stop.start()
    results = race(work, racers=12)
    stop.cancel()
    assert not [each for each in results if isinstance(each, PortError)]
    # Each at least once: a queue may hand out a message twice when two ask for it in the same instant.
    assert set(seen) == {f"{number}-{turn}" for number in range(6) for turn in range(10)}
    assert list(queue.receive(10)) == []


def test_ping_answers(queue: EventQueue) -> None:
    queue.ping()
