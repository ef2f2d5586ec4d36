"""Events on DynamoDB: written with their record, and in the outbox until all deliveries are finished."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from app.adapters.dynamodb import DynamoImages
from app.adapters.dynamodb.delivery.outbox import EventWrites, Outbox
from app.adapters.dynamodb.delivery.store import DynamoDeliveries
from app.adapters.sqs import SqsQueue
from app.domain.delivery.backends import Webhooks
from app.domain.delivery.deliveries import DeliveryStatus, build_delivery
from app.domain.delivery.endpoints import new_endpoint_id
from app.domain.delivery.events import Event, EventSource
from app.domain.errors import Stale, Unavailable
from app.domain.maintenance import lost_wake_ups
from app.domain.maintenance.lost_wake_ups import repeat_wake_ups
from app.domain.maintenance.report import Report
from app.domain.models import Image, Status, utcnow
from app.domain.ports.outbox import Unfinished
from tests import aws
from tests.contract.records import an_image, tombstone_of

LATER = timedelta(hours=1)


class Place:
    """A table with events on. `announced` are the ids of events that were."""

    def __init__(self, client: Any, table: str) -> None:
        self.announced: list[str] = []
        self.client, self.table = client, table
        self.images = DynamoImages(client, table, EventWrites(table, EventSource(), self.announce))
        self.store = DynamoDeliveries(client, table)

    def announce(self, ids: Sequence[str]) -> None:
        self.announced += ids

    def unfinished(self) -> list[Unfinished]:
        return list(self.store.unfinished(utcnow() + LATER))

    def types(self) -> list[str]:
        """Types of the events that wait for their dispatch, in order."""
        events = [self.store.get_event(each.event_id) for each in self.unfinished() if not each.is_dispatched]
        return [event.type for event in events if event]

    def upload(self, **fields: Any) -> Image:
        image = an_image(**fields)
        self.images.create(image, claim=True)
        return image

    def upload_and_read(self) -> Event:
        """Upload an image, and return its first event."""
        self.upload()
        event = self.store.get_event(self.announced[0])
        assert event is not None
        return event


@pytest.fixture(params=["moto", pytest.param("engines", marks=pytest.mark.engines)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    client = (aws.moto() if request.param == "moto" else aws.engines()).dynamodb
    with aws.table(client) as table:
        yield Place(client, table)


@pytest.mark.moto
def test_each_write_adds_its_event(place: Place) -> None:
    image = place.upload()
    image = place.images.update(image.id, 1, {"status": Status.READY, "processed_at": utcnow(), "rendering_id": "r"})
    image = place.images.update(image.id, 2, {"title": "new"})
    image = place.images.update(image.id, 3, {"last_tried_at": utcnow()})
    image = place.images.update(image.id, 4, {"trashed_at": utcnow()})
    place.images.delete(image.id, 5, tombstone_of(image))
    expected = ["image.uploaded", "image.ready", "image.updated", "image.deleted", "image.deleted"]
    assert place.types() == expected
    assert place.announced == [each.event_id for each in place.unfinished()]
    bodies = [event.body for each in place.announced if (event := place.store.get_event(each))]
    assert '"title":"new"' in bodies[2]


def test_a_write_that_is_refused_adds_none(place: Place) -> None:
    image = place.upload()
    for refused in (
        lambda: place.images.update(image.id, 7, {"title": "x"}),
        lambda: place.images.remove(image.id, 7),
        lambda: place.images.create(image, claim=False),
    ):
        with pytest.raises(Exception, match=image.id):
            refused()
    assert place.types() == ["image.uploaded"]
    assert len(place.announced) == 1


def test_records_that_are_removed_together_add_theirs(place: Place) -> None:
    images = [place.upload(sha256=f"{number:064}") for number in range(3)]
    ticket = an_image(sha256=None, upload_expires_at=utcnow() + LATER)
    place.images.create(ticket, claim=False)
    assert place.images.remove_all([*images, ticket]) == {image.id for image in (*images, ticket)}
    assert place.types() == ["image.uploaded"] * 3 + ["image.deleted"] * 3


@pytest.mark.moto
def test_an_event_is_in_the_outbox_until_its_last_delivery_is_finished(place: Place) -> None:
    place.upload()
    (found,) = place.unfinished()
    assert (found.deliveries, found.is_dispatched) == ((), False)
    event = place.store.get_event(found.event_id)
    assert event is not None
    deliveries = [build_delivery(event, new_endpoint_id()) for _ in range(3)]
    place.store.add(event, deliveries)
    (found,) = place.unfinished()
    assert found.is_dispatched
    assert {each.id for each in found.deliveries} == {each.id for each in deliveries}
    for delivery in deliveries:
        assert len(place.unfinished()) == 1
        place.store.replace(delivery.finish(DeliveryStatus.DELIVERED, utcnow()))
    assert place.unfinished() == []
    place.store.add(event, deliveries)  # a message that came twice
    assert place.unfinished() == []
    assert place.store.get_event(event.id) == event
    assert place.store.unfinished(event.created_at - LATER) is not None


def test_an_event_that_nobody_receives_is_removed(place: Place) -> None:
    event = place.upload_and_read()
    place.store.add(event, [])
    assert place.unfinished() == []
    assert place.store.get_event(event.id) is None


def test_a_dispatch_that_ends_half_way_is_found(place: Place) -> None:
    event = place.upload_and_read()
    deliveries = [build_delivery(event, new_endpoint_id()) for _ in range(2)]
    with mock.patch.object(place.store, "_put", side_effect=Unavailable("")), pytest.raises(Unavailable):
        place.store.add(event, deliveries)
    (found,) = place.unfinished()
    assert not found.is_dispatched
    place.store.add(event, deliveries)
    assert [each.is_dispatched for each in place.unfinished()] == [True]


@pytest.mark.parametrize("left", [0, 1])
def test_a_delivery_that_is_missing_and_not_wanted_any_more_is_forgotten(place: Place, left: int) -> None:
    """The endpoint was deleted after a dispatch that ended half way."""
    event = place.upload_and_read()
    deliveries = [build_delivery(event, new_endpoint_id()) for _ in range(2)]
    with mock.patch.object(place.store, "_put", side_effect=Unavailable("")), pytest.raises(Unavailable):
        place.store.add(event, deliveries)
    place.store.add(event, deliveries[:left])
    assert [each.is_dispatched for each in place.unfinished()] == [True] * left
    for delivery in deliveries[:left]:
        place.store.replace(delivery.finish(DeliveryStatus.DELIVERED, utcnow()))
    assert place.unfinished() == []


def test_a_second_dispatch_without_receivers_keeps_the_deliveries_of_the_first(place: Place) -> None:
    """A message came twice, the second time to a function that does not know the new endpoint yet."""
    event = place.upload_and_read()
    delivery = build_delivery(event, new_endpoint_id())
    place.store.add(event, [delivery])
    place.store.add(event, [])
    assert place.store.get_event(event.id) == event
    assert [each.deliveries for each in place.unfinished()] == [(delivery,)]


def test_an_entry_whose_delivery_is_finished_already_is_removed(place: Place) -> None:
    event = place.upload_and_read()
    delivery = build_delivery(event, new_endpoint_id())
    place.store.add(event, [delivery])
    done = delivery.finish(DeliveryStatus.DELIVERED, utcnow())
    with mock.patch.object(Outbox, "close", side_effect=Unavailable("")), pytest.raises(Unavailable):
        place.store.replace(done)
    assert place.unfinished() == []
    with pytest.raises(Stale):
        place.store.replace(done.changed().again(utcnow()))
    place.store.replace(done.again(utcnow()))
    assert len(place.unfinished()) == 1


def test_lost_messages_are_sent_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an event that was not announced, and of a delivery whose message never came."""
    with aws.queue(aws.moto().sqs, 30, 3) as url:
        queue = SqsQueue(aws.moto().sqs, url)
        place.upload(sha256="0" * 64)
        place.upload(sha256="1" * 64)
        first, second = place.announced
        event = place.store.get_event(first)
        assert event is not None
        delivery = build_delivery(event, new_endpoint_id())
        place.store.add(event, [delivery])
        report = Report()
        webhooks = Webhooks(place.store, mock.Mock(), queue=queue, outbox=place.store)
        repeat_wake_ups(webhooks, report)
        assert report.webhooks_repeated == 0  # they may still come
        repeat_wake_ups(webhooks, report, now=utcnow() + LATER)
        assert report.webhooks_repeated == 2
        assert {message.body for message in queue.receive(10)} == {delivery.id, second}
        monkeypatch.setattr(lost_wake_ups, "SENT_ANYWAY", 0)
        queue.send("evt_of_another")
        report = Report()
        repeat_wake_ups(webhooks, report, now=utcnow() + LATER)
        assert (report.webhooks_repeated, report.errors) == (1, 0)  # a message in the queue may be one of the two
