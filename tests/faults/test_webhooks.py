"""Webhooks on AWS: no fault between any two requests loses an event."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest

from app.adapters.dynamodb import DynamoImages
from app.adapters.dynamodb.delivery.outbox import EventWrites
from app.adapters.dynamodb.delivery.store import DynamoDeliveries
from app.domain.delivery.events import EventSource
from app.domain.delivery.sending import Sender
from app.domain.delivery.wake_ups import DeliveryMessages, announce, handle_message
from app.domain.errors import Unavailable
from app.domain.maintenance.lost_wake_ups import repeat_wake_ups
from app.domain.maintenance.report import Report
from app.domain.models import utcnow
from app.domain.ports import EventQueue
from app.domain.ports.delivery_store import DeliveryQuery
from tests.domain.delivery.receivers import SECRETS, Clock, Receiver, an_endpoint, answers
from tests.faults.scene import Scene
from tests.faults.test_steps import every_step
from tests.faults.wire import crash


class Messages:
    """Queue in memory, which counts no time. With `down` it refuses every message."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.down = False

    def send(self, body: str, *, delay: int = 0, owner: str = "", bulk: bool = False) -> None:
        if self.down:
            raise Unavailable("The queue cannot be reached.")
        self.bodies.append(body)

    def waiting(self) -> int:
        return 0


class Hooks:
    """A scene with webhooks on, one endpoint, and its receiver."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.queue, self.clock = scene, Messages(), Clock()
        self.queue_port = cast("EventQueue", self.queue)
        client, table = scene.dynamodb, cast("Any", scene.side.images)._table
        self.receiver = Receiver(answers(500, 204))
        adapters = scene.side.webhooks
        assert adapters is not None
        self.endpoint = an_endpoint()
        adapters.endpoints.create(self.endpoint)
        self.store = DynamoDeliveries(client, table)
        self.webhooks = adapters._replace(deliveries=self.store, queue=self.queue_port, outbox=self.store)
        wake_up = DeliveryMessages(self.queue_port, self.store, clock=self.clock).wake_up
        self.sender = Sender(
            self.store, adapters.endpoints, SECRETS, self.receiver, wake_up=wake_up, clock=self.clock, chance=lambda: 0
        )
        events = EventWrites(table, EventSource(), partial(announce, self.queue_port))
        scene.side = scene.side.having(images=DynamoImages(client, table, events))

    def work_off(self, most: int = 10_000) -> None:
        """Handle messages until there are none, and repeat those that are lost, as time passes."""
        for _ in range(most):
            if self.queue.bodies:
                handle_message(self.queue.bodies.pop(0), self.sender)
                self.clock.pass_by(timedelta(seconds=1))
                continue
            self.clock.now = max(self.clock.now, utcnow()) + timedelta(hours=1)
            report = Report()
            repeat_wake_ups(self.webhooks, report, now=self.clock.now)
            assert report.errors == 0
            if not report.webhooks_repeated:
                assert list(self.store.unfinished(self.clock.now)) == []
                return
        raise AssertionError("the work never ends")

    def received(self) -> dict[str, set[str]]:
        """Types of the events that were accepted, by image."""
        found = defaultdict(set)
        for _, _, body in self.receiver.requests[1:]:  # the first one was refused
            event = json.loads(body)
            found[event["data"]["id"]].add(event["type"])
        return found


@pytest.fixture
def hooks(scene: Scene) -> Hooks:
    return Hooks(scene)


@pytest.mark.parametrize("down", [False, True], ids=["queue", "no queue"])
def test_writes_that_end_anywhere_lose_no_event(hooks: Hooks, down: bool) -> None:
    scene = hooks.scene
    hooks.queue.down = down
    ids: list[str] = []

    def process(number: int) -> Callable[[], object]:
        ids.append(scene.upload(number).image.id)
        worker = scene.worker()
        return lambda: worker.handle(ids[-1])

    every_step(scene, lambda number: lambda: scene.upload(1000 + number), lambda: crash)
    every_step(scene, process, lambda: crash)
    for folder in scene.scratch.iterdir():
        folder.rmdir()
    scene.deliver()
    ids += [scene.ready(2000 + number).id for number in range(30)]
    deleted = iter(ids)

    def delete(_: int) -> Callable[[], object]:
        image_id = next(deleted)
        return lambda: scene.delete(image_id)

    every_step(scene, delete, lambda: crash)
    scene.come_to_rest()
    hooks.queue.down = False
    hooks.work_off()
    received = hooks.received()
    alive = set(scene.listed())
    assert len(ids) > 5
    assert alive
    for image_id in alive | set(ids):
        expected = {"image.uploaded", "image.ready"} | (set() if image_id in alive else {"image.deleted"})
        assert received[image_id] == expected, image_id


def test_a_sender_that_ends_anywhere_loses_no_event(hooks: Hooks) -> None:
    scene = hooks.scene
    uploaded = [scene.upload(number).image.id for number in range(30)]
    events: list[str] = [*hooks.queue.bodies]
    hooks.queue.bodies.clear()
    left: Sequence[str] = events

    def step(_: int) -> Callable[[], object]:
        nonlocal left
        event_id, *left = left

        def dispatch_and_send() -> None:
            hooks.sender.dispatch(event_id)
            hooks.sender.handle(f"{event_id}.{hooks.endpoint.id}")

        return dispatch_and_send

    steps = every_step(scene, step, lambda: crash)
    assert steps >= 6
    hooks.queue.bodies.clear()  # every message is lost
    hooks.work_off()
    assert set(hooks.received()) == set(uploaded)
    page = hooks.store.list(DeliveryQuery(100))
    assert {delivery.status for delivery in page.items} == {"delivered"}
    assert len(page.items) == len(uploaded)
