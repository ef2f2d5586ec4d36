"""Messages of deliveries: hops, repeated messages, and the search for lost ones."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from app.adapters.sqlite import Database, SqliteDeliveries
from app.domain.delivery.deliveries import LEASE, SCHEDULE, Delivery, DeliveryStatus
from app.domain.delivery.endpoints import new_endpoint_id
from app.domain.delivery.wake_ups import LONGEST_HOP, LOST_AFTER, DeliveryMessages, announce, handle_message, is_overdue
from app.domain.errors import Unavailable
from app.domain.ports import EventQueue
from tests.contract.test_delivery_store import added
from tests.domain.delivery.receivers import Clock

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Sent:
    """`EventQueue` that notes what is sent. With `down` it refuses that."""

    down = False

    def __init__(self) -> None:
        self.messages: list[tuple[str, int]] = []

    def send(self, body: str, *, delay: int = 0, owner: str = "", bulk: bool = False) -> None:
        if self.down:
            raise Unavailable("The queue cannot be reached.")
        self.messages.append((body, delay))


class Scene:
    def __init__(self, database: Database) -> None:
        self.store = SqliteDeliveries(database)
        self.clock, self.sent = Clock(), Sent()
        self.messages = DeliveryMessages(cast("EventQueue", self.sent), self.store, clock=self.clock)
        (made,) = added(self.store, new_endpoint_id())
        self.id = made.id

    @property
    def delivery(self) -> Delivery:
        found = self.store.get(self.id)
        assert found is not None
        return found

    def change(self, **fields: Any) -> None:
        self.store.replace(self.delivery.changed(**fields))

    def wake_up(self, delay: timedelta) -> list[int]:
        """Return the delays of the messages that this sends."""
        before = len(self.sent.messages)
        self.messages.wake_up(self.id, delay)
        return [delay for _, delay in self.sent.messages[before:]]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    database = Database(tmp_path / "darkroom.db")
    yield Scene(database)
    database.close()


def test_a_long_delay_takes_hops_that_the_queue_can_make(scene: Scene) -> None:
    due = scene.clock.now + SCHEDULE[-1]
    hops = 0
    while scene.clock.now < due:
        (delay,) = scene.wake_up(due - scene.clock.now)
        assert 0 < delay <= LONGEST_HOP.total_seconds() == 900
        scene.clock.pass_by(timedelta(seconds=delay))
        hops += 1
    assert hops == SCHEDULE[-1] / LONGEST_HOP


def test_of_two_messages_about_one_delivery_one_remains(scene: Scene) -> None:
    assert scene.wake_up(5 * MINUTE) == [300]
    assert scene.wake_up(5 * MINUTE) == []
    scene.clock.pass_by(5 * MINUTE)
    assert scene.wake_up(5 * MINUTE) == [300]  # the message that has come is the one before


def test_an_earlier_message_is_sent_besides_a_later_one(scene: Scene) -> None:
    assert scene.wake_up(10 * MINUTE) == [600]
    assert scene.wake_up(timedelta(0)) == [0]
    assert scene.wake_up(MINUTE) == [60]


def test_a_message_leaves_an_attempt_under_way_alone(scene: Scene) -> None:
    scene.change(leased_until=scene.clock.now + LEASE)
    before = scene.delivery
    assert scene.wake_up(LEASE) == [60]
    assert scene.delivery == before


def test_a_queue_that_fails_keeps_the_message_and_loses_no_event(scene: Scene) -> None:
    scene.sent.down = True
    before = scene.delivery
    with pytest.raises(Unavailable):
        scene.wake_up(MINUTE)
    assert scene.delivery == before
    announce(cast("EventQueue", scene.sent), [before.event_id])  # only logged: reconcile repeats it


def test_a_message_that_should_have_come_is_overdue(scene: Scene) -> None:
    now = scene.clock.now
    later = now + LOST_AFTER + MINUTE
    assert not is_overdue(scene.delivery, now)
    assert is_overdue(scene.delivery, later)
    for fields in ({"wake_up_at": later + MINUTE}, {"leased_until": later}, {"next_attempt_at": later}):
        assert not is_overdue(scene.delivery.changed(**fields), later)
    wrong = {"wake_up_at": later + timedelta(days=9)}  # of a clock that was set back
    assert is_overdue(scene.delivery.changed(**wrong), later)


def test_an_unknown_message_is_dropped() -> None:
    for body in ("", "evt_1", "s3:TestEvent", "evt_" + "g" * 32, "x" * 100_000):
        handle_message(body, cast("Any", None))


def test_the_end_of_a_delivery_needs_no_message(scene: Scene) -> None:
    assert scene.messages.wake_up("evt_0.whe_0", MINUTE) is None  # type: ignore[func-returns-value] # there is none
    assert scene.sent.messages == []
    scene.store.replace(scene.delivery.finish(DeliveryStatus.DELIVERED, scene.clock.now))
    assert scene.delivery.next_attempt_at is None
