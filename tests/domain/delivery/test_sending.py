"""Attempts of deliveries: signatures, the schedule, and receivers that fail."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from app.adapters.sqlite import Database, SqliteDeliveries, SqliteEndpoints, SqliteImages
from app.domain.delivery import loop as loop_module
from app.domain.delivery import redelivery
from app.domain.delivery.deliveries import FAILURES, LIFE, SCHEDULE, DeliveryStatus
from app.domain.delivery.endpoints import WebhookEndpoint, rotate_secret
from app.domain.delivery.loop import SendingLoop
from app.domain.delivery.redelivery import Deliveries
from app.domain.delivery.sending import Sender
from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.models import Status, utcnow
from app.domain.ports.delivery_store import DeliveryQuery
from app.domain.ports.outbound import Answer, NoAnswer, Refused
from tests.contract.races import race
from tests.contract.records import an_image
from tests.domain.delivery.receivers import SECRETS, Clock, Receiver, an_endpoint, answers, verified

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


class Scene:
    """A database with one endpoint, and a sender whose receiver and clock are the test's."""

    def __init__(self, database: Database) -> None:
        self.store = SqliteDeliveries(database)
        self.endpoints = SqliteEndpoints(database)
        self.images = SqliteImages(database)
        self.clock = Clock()
        self.receiver = Receiver(answers(204))
        self.woken: list[tuple[str, timedelta]] = []
        self.endpoint = self.add_endpoint()
        self.deliveries = Deliveries(self.store, clock=self.clock)
        self.sender = self.new_sender()

    def new_sender(self) -> Sender:
        return Sender(
            self.store, self.endpoints, SECRETS, self.receiver, clock=self.clock, chance=lambda: 0,
            wake_up=lambda found, delay: self.woken.append((found, delay)),
        )  # fmt: skip

    def add_endpoint(self, **fields: object) -> WebhookEndpoint:
        endpoint = an_endpoint(**fields)
        self.endpoints.create(endpoint)
        return endpoint

    def upload(self) -> str:
        """Create a record and return the id of its delivery."""
        image = an_image()
        self.images.create(image, claim=False)
        (delivery,) = self.store.list(DeliveryQuery(10, image_id=image.id, endpoint_id=self.endpoint.id)).items
        self.clock.now = max(self.clock.now, delivery.created_at)
        return delivery.id

    def status(self, delivery_id: str) -> DeliveryStatus:
        found = self.store.get(delivery_id)
        assert found is not None
        return found.status

    def send_due(self) -> int:
        """Handle what is due, one after the other."""
        found = self.store.due(self.clock.now, 1000)
        for delivery in found:
            self.sender.handle(delivery.id)
        return len(found)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    database = Database(tmp_path / "darkroom.db")
    yield Scene(database)
    database.close()


def test_an_upload_and_its_outcome_are_delivered_and_verified(scene: Scene) -> None:
    image = an_image()
    scene.images.create(image, claim=False)
    scene.images.update(image.id, 1, {"status": Status.READY, "processed_at": utcnow(), "rendering_id": "r"})
    scene.clock.now = utcnow()
    assert scene.send_due() == 2
    bodies = [verified(scene.endpoint, headers, body) for _, headers, body in scene.receiver.requests]
    assert [(each["type"], each["data"]["id"]) for each in bodies] == [
        ("image.uploaded", image.id), ("image.ready", image.id),
    ]  # fmt: skip
    assert {url for url, _, _ in scene.receiver.requests} == {scene.endpoint.url}
    assert [each.status for each in scene.store.list(DeliveryQuery(10)).items] == [DeliveryStatus.DELIVERED] * 2


def test_nothing_is_written_without_an_endpoint_that_wants_it(scene: Scene) -> None:
    scene.endpoints.delete(scene.endpoint.id)
    scene.images.create(an_image(), claim=False)
    for fields in ({"enabled": False}, {"owner": "other"}, {"events": ("image.deleted",)}):
        scene.add_endpoint(**fields)
    scene.images.create(an_image(), claim=False)
    assert scene.store.list(DeliveryQuery(10)).items == []


def test_a_write_that_is_refused_makes_no_event(scene: Scene) -> None:
    image = an_image()
    scene.images.create(image, claim=False)
    with pytest.raises(Exception, match=image.id):
        scene.images.update(image.id, 7, {"title": "x"})
    assert len(scene.store.list(DeliveryQuery(10)).items) == 1


def test_both_secrets_sign_after_a_rotation(scene: Scene) -> None:
    rotated = rotate_secret(scene.endpoint, utcnow())
    scene.endpoints.replace(rotated)
    scene.upload()
    scene.send_due()
    ((_, headers, body),) = scene.receiver.requests
    verified(scene.endpoint, headers, body)
    verified(rotated, headers, body)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, None, 1), Answer(302, None, 1), Answer(404, None, 1), Answer(199, None, 1),
        NoAnswer("timeout", ""), NoAnswer("connection", ""), NoAnswer("tls", ""), Refused("address", "is private"),
    ],
)  # fmt: skip
def test_a_failure_follows_the_schedule_to_its_end(scene: Scene, answer: Answer | Exception) -> None:
    delivery_id = scene.upload()
    scene.receiver.answer = lambda: answer
    for number, delay in enumerate(SCHEDULE, 1):
        assert scene.send_due() == 1
        found = scene.store.get(delivery_id)
        assert found is not None
        assert (found.status, found.failures) == (DeliveryStatus.PENDING, number)
        assert found.next_attempt_at == scene.clock.now + delay
        scene.clock.pass_by(delay - SECOND)
        assert scene.send_due() == 0
        scene.clock.pass_by(SECOND)
    scene.send_due()
    assert scene.status(delivery_id) is DeliveryStatus.DEAD
    assert set(scene.receiver.ids) == {delivery_id.partition(".")[0]}
    assert len(scene.receiver.ids) == 7


def test_a_receiver_that_fails_twice_gets_the_same_id_three_times(scene: Scene) -> None:
    delivery_id = scene.upload()
    scene.receiver.answer = answers(500, 503, 204)
    for delay in (*SCHEDULE[:2], timedelta()):
        scene.send_due()
        scene.clock.pass_by(delay)
    assert scene.status(delivery_id) is DeliveryStatus.DELIVERED
    assert len(scene.receiver.ids) == 3
    assert len(set(scene.receiver.ids)) == 1
    stamps = [int(headers["webhook-timestamp"]) for _, headers, _ in scene.receiver.requests]
    assert stamps[2] - stamps[0] >= (SCHEDULE[0] + SCHEDULE[1]).total_seconds()
    found = scene.store.get(delivery_id)
    assert found is not None
    assert [attempt.status for attempt in found.attempts] == [500, 503, 204]


@pytest.mark.parametrize(("asked", "waited"), [(30.0, 30), (1e12, 3600), (-5.0, 5), (0.0, 5)])
def test_retry_after_holds_for_the_endpoint_within_bounds(scene: Scene, asked: float, waited: int) -> None:
    first, second = scene.upload(), scene.upload()
    scene.receiver.answer = answers(429, retry_after=asked)
    scene.sender.handle(first)
    found = scene.store.get(first)
    assert found is not None
    assert found.next_attempt_at == scene.clock.now + waited * SECOND
    scene.receiver.answer = answers(204)
    if asked > 0:
        assert scene.send_due() == 0
    scene.clock.pass_by(waited * SECOND)
    assert scene.send_due() == 2
    assert scene.status(second) is DeliveryStatus.DELIVERED


def test_gone_disables_the_endpoint_until_it_is_enabled_again(scene: Scene) -> None:
    first, second = scene.upload(), scene.upload()
    scene.receiver.answer = answers(410)
    scene.send_due()
    assert len(scene.receiver.requests) == 1
    assert {scene.status(each) for each in (first, second)} == {DeliveryStatus.DROPPED}
    assert scene.deliveries.health([scene.endpoint.id])[scene.endpoint.id].status(scene.clock.now) == "disabled"
    scene.receiver.answer = answers(204)
    scene.deliveries.clear_health(scene.endpoint.id)
    third = scene.upload()
    scene.send_due()
    assert scene.status(third) is DeliveryStatus.DELIVERED


@pytest.mark.parametrize("enabled", [True, False])
def test_deliveries_of_a_disabled_or_deleted_endpoint_are_dropped(scene: Scene, enabled: bool) -> None:
    delivery_id = scene.upload()
    if enabled:
        scene.endpoints.delete(scene.endpoint.id)
    else:
        scene.endpoints.replace(scene.endpoint.model_copy(update={"enabled": False, "version": 2}))
    scene.send_due()
    assert (scene.status(delivery_id), scene.receiver.requests) == (DeliveryStatus.DROPPED, [])


def test_a_change_of_an_endpoint_counts_for_the_next_attempt(scene: Scene) -> None:
    scene.upload()
    scene.send_due()
    changed = rotate_secret(scene.endpoint, utcnow()).model_copy(
        update={"enabled": False, "url": "https://new.example"}
    )
    scene.endpoints.replace(changed)
    dropped = scene.deliveries.test(changed)
    scene.send_due()
    enabled = changed.model_copy(update={"enabled": True, "version": 3})
    scene.endpoints.replace(enabled)
    delivery = scene.deliveries.test(enabled)
    scene.send_due()
    assert (scene.status(dropped.id), scene.status(delivery.id)) == (DeliveryStatus.DROPPED, DeliveryStatus.DELIVERED)
    url, headers, body = scene.receiver.requests[-1]
    assert url == "https://new.example"
    verified(enabled, headers, body)


def test_a_failing_endpoint_is_tried_by_one_delivery_at_growing_distance_and_then_resumes(scene: Scene) -> None:
    waiting = [scene.upload() for _ in range(40)]
    other = scene.add_endpoint(url="https://other.example.com/in", events=("image.failed",))
    scene.receiver.answer = answers(500)
    scene.send_due()
    assert len(scene.receiver.requests) == FAILURES
    gaps, last = [], scene.clock.now
    while scene.clock.now < last + 3 * HOUR and len(gaps) < 40:
        scene.clock.pass_by(SECOND)
        before = len(scene.receiver.requests)
        scene.send_due()
        made = len(scene.receiver.requests) - before
        assert made <= 1
        if made:
            gaps.append(scene.clock.now - last)
            last = scene.clock.now
        else:
            scene.clock.pass_by(4 * SECOND)
    assert gaps[-1] > gaps[0]
    assert scene.deliveries.health([scene.endpoint.id])[scene.endpoint.id].is_paused(last + HOUR)
    assert scene.store.health([other.id]) == {}
    scene.receiver.answer = answers(204)
    scene.clock.pass_by(HOUR)
    scene.send_due()
    scene.send_due()
    assert {scene.status(each) for each in waiting} <= {DeliveryStatus.DELIVERED, DeliveryStatus.DEAD}
    assert [scene.status(each) for each in waiting].count(DeliveryStatus.DEAD) == 0


def test_an_endpoint_that_fails_does_not_delay_another(scene: Scene) -> None:
    other = scene.add_endpoint(url="https://other.example.com/in")
    mine = [scene.upload() for _ in range(10)]
    urls: list[str] = []

    def post(url: str, headers: object, body: bytes) -> Answer:
        urls.append(url)
        return Answer(500 if url == scene.endpoint.url else 204, None, 1)

    scene.receiver.post = post  # type: ignore[method-assign]
    scene.send_due()
    theirs = scene.store.list(DeliveryQuery(50, endpoint_id=other.id)).items
    assert {each.status for each in theirs} == {DeliveryStatus.DELIVERED}
    assert urls.count(scene.endpoint.url) == FAILURES
    assert {scene.status(each) for each in mine} == {DeliveryStatus.PENDING}


def test_an_endpoint_that_fails_for_an_hour_while_others_work(scene: Scene) -> None:
    working = scene.add_endpoint(url="https://works.example.com/in")
    failing_until = scene.clock.now + timedelta(minutes=100)
    tried: list[timedelta] = []
    begin = scene.clock.now

    class ByHost(Receiver):
        def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
            super().post(url, headers, body)
            if url == working.url or scene.clock.now >= failing_until:
                return Answer(204, None, 3)
            tried.append(scene.clock.now - begin)
            return Answer(500, None, 3)

    scene.receiver = ByHost(answers(204))
    scene.sender = scene.new_sender()
    sent: list[str] = []
    paused = set[bool]()
    for minute in range(150):
        if minute % 5 == 0 and minute < 100:
            sent.append(scene.upload())
        while scene.send_due():
            pass
        theirs = [f"{each.partition('.')[0]}.{working.id}" for each in sent]
        assert {scene.status(each) for each in theirs} == {DeliveryStatus.DELIVERED}, (
            minute
        )  # nothing waits for another
        health = scene.store.health([scene.endpoint.id]).get(scene.endpoint.id)
        paused.add(health is not None and health.is_paused(scene.clock.now))
        scene.clock.pass_by(MINUTE)
    assert paused == {False, True}
    late = [each for each in tried if each > HOUR]
    assert late  # a paused endpoint is still tried
    assert all(after - before >= timedelta(minutes=15) for before, after in pairwise(late))
    assert {scene.status(each) for each in sent} == {DeliveryStatus.DELIVERED}
    assert set(scene.receiver.ids) == {each.partition(".")[0] for each in sent}
    assert scene.store.health([scene.endpoint.id]) == {}


def test_a_delivery_that_waits_for_three_days_is_given_up(scene: Scene) -> None:
    delivery_id = scene.upload()
    scene.clock.pass_by(LIFE + SECOND)
    scene.send_due()
    assert (scene.status(delivery_id), scene.receiver.requests) == (DeliveryStatus.DEAD, [])


def test_a_delivery_has_one_attempt_at_a_time(scene: Scene) -> None:
    delivery_id = scene.upload()
    senders = [scene.new_sender() for _ in range(8)]
    race(lambda number: senders[number].handle(delivery_id), 8)
    assert len(scene.receiver.requests) == 1


def test_the_attempt_of_a_killed_sender_is_made_again_after_recovery(scene: Scene) -> None:
    delivery_id = scene.upload()
    found = scene.store.get(delivery_id)
    assert found is not None
    scene.store.replace(found.changed(leased_until=scene.clock.now + MINUTE))
    assert scene.send_due() == 0
    scene.store.recover()
    scene.clock.pass_by(SECOND)
    assert scene.send_due() == 1
    assert scene.status(delivery_id) is DeliveryStatus.DELIVERED


def test_a_long_redelivery_goes_on_where_it_ended(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of delivered events, which may have been delivered again before the next request."""
    monkeypatch.setattr(redelivery, "_PAGE", 2)
    for number in range(9):
        scene.upload()
        time.sleep(0.002 * (number % 2))  # some in the same millisecond
    scene.send_due()
    since, until, counts = scene.clock.now - HOUR, scene.clock.now + HOUR, list[int]()
    while until is not None and len(counts) < 10:
        sent = scene.deliveries.redeliver_range(
            scene.endpoint.id, since, until, DeliveryStatus.DELIVERED, is_time_left=lambda: False
        )
        scene.send_due()
        counts.append(sent.count)
        until = sent.left_until
    assert sorted(Counter(scene.receiver.ids).values()) == [2] * 9
    assert sum(counts) == 9


def test_redelivery_of_one_and_of_a_range(scene: Scene) -> None:
    made = [scene.upload() for _ in range(3)]
    scene.send_due()
    assert len(scene.receiver.requests) == 3
    again = scene.deliveries.redeliver(made[0])
    assert (again.id, again.status) == (made[0], DeliveryStatus.PENDING)
    scene.send_due()
    assert scene.receiver.ids[-1] == made[0].partition(".")[0]
    now = scene.clock.now
    everything = (scene.endpoint.id, now - HOUR, now + HOUR)
    assert scene.deliveries.redeliver_range(*everything).count == 0  # none is dead
    assert scene.deliveries.redeliver_range(*everything, None).count == 3
    assert scene.deliveries.redeliver_range(scene.endpoint.id, now - 2 * HOUR, now - HOUR, None).count == 0
    scene.send_due()
    assert len(scene.receiver.requests) == 7
    with pytest.raises(NotFound):
        scene.deliveries.redeliver("evt_1.whe_2")
    found = scene.deliveries.get(made[1])
    scene.store.replace(found.again(now))
    scene.store.replace(found.again(now).changed(leased_until=now + MINUTE))
    with pytest.raises(Conflict):
        scene.deliveries.redeliver(made[1])


def test_a_test_event_reaches_its_endpoint_only(scene: Scene) -> None:
    scene.add_endpoint()
    delivery = scene.deliveries.test(scene.endpoint)
    scene.clock.now = utcnow()
    scene.send_due()
    ((_, headers, body),) = scene.receiver.requests
    assert verified(scene.endpoint, headers, body)["type"] == "webhook.test"
    assert scene.status(delivery.id) is DeliveryStatus.DELIVERED


def test_the_loop_sends_beside_an_endpoint_that_hangs(scene: Scene) -> None:
    other = scene.add_endpoint(url="https://other.example.com/in")
    for _ in range(20):
        scene.upload()
    release, stop = threading.Event(), threading.Event()

    def post(url: str, headers: object, body: bytes) -> Answer:
        if url == scene.endpoint.url:
            release.wait(60)
        return Answer(204, None, 1)

    scene.receiver.post = post  # type: ignore[method-assign]
    loop = SendingLoop(scene.store, scene.new_sender(), clock=scene.clock)
    thread = threading.Thread(target=loop.run, args=(stop.is_set,))
    thread.start()
    try:
        wait_for(lambda: len(delivered(scene, other)) == 20)
        assert delivered(scene, scene.endpoint) == []
        release.set()
        wait_for(lambda: len(delivered(scene, scene.endpoint)) == 20)
    finally:
        release.set()
        stop.set()
        thread.join()


def test_the_loop_waits_before_it_handles_a_delivery_again_that_the_store_refuses(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as on a full disk, which would be full of log lines then."""
    monkeypatch.setattr(loop_module, "_RETRY_SECONDS", 60)
    scene.endpoints.replace(scene.endpoint.model_copy(update={"events": ("image.deleted",), "version": 2}))
    refused = scene.deliveries.test(scene.endpoint)
    other = scene.add_endpoint()
    handled: list[str] = []
    sender, stop = scene.new_sender(), threading.Event()

    class Refusing:
        def handle(self, delivery_id: str) -> None:
            handled.append(delivery_id)
            if delivery_id == refused.id:
                raise Unavailable("The database is busy.")
            sender.handle(delivery_id)

    loop = SendingLoop(scene.store, Refusing(), clock=scene.clock)  # type: ignore[arg-type]
    thread = threading.Thread(target=loop.run, args=(stop.is_set,))
    thread.start()
    try:
        wait_for(lambda: refused.id in handled)
        for number in range(5):
            scene.images.create(an_image(), claim=False)
            scene.clock.now = utcnow()
            wait_for(lambda number=number: len(delivered(scene, other)) == number + 1)  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
    assert handled.count(refused.id) == 1


def delivered(scene: Scene, endpoint: WebhookEndpoint) -> list[str]:
    query = DeliveryQuery(100, endpoint_id=endpoint.id, status=DeliveryStatus.DELIVERED)
    return [each.id for each in scene.store.list(query).items]


def wait_for(condition: Callable[[], bool]) -> None:
    done = threading.Event()
    for _ in range(1200):
        if condition():
            return
        done.wait(0.05)
    raise AssertionError("it did not happen within a minute")
