"""The function of webhooks: from an upload to a receiver, and what it returns to the queue."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.adapters.dynamodb.access.endpoints import DynamoEndpoints
from app.adapters.dynamodb.delivery.store import DynamoDeliveries
from app.adapters.outbound import GuardedHttp
from app.domain.delivery import deliveries
from app.domain.delivery.deliveries import Delivery, DeliveryStatus
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.errors import Unavailable
from app.domain.models import utcnow
from app.domain.ports.delivery_store import DeliveryQuery
from tests import aws
from tests.domain.delivery.receivers import an_endpoint, verified
from tests.entry_points.opened import Answer, Context, Place, opened, place, upload_event
from tests.events import payload
from tests.samples import encoded
from tests.self_hosted.test_webhooks import LocalReceiver, receiver

__all__ = ["receiver"]

pytestmark = pytest.mark.slow


class Functions:
    """API, worker and sender of one stack, with an endpoint."""

    def __init__(self, where: Place, url: str, modules: dict[str, ModuleType], receiver_url: str) -> None:
        self.where, self.url, self.modules = where, url, modules
        dynamodb = where.made.dynamodb
        self.store = DynamoDeliveries(dynamodb, where.table)
        self.endpoint: WebhookEndpoint = an_endpoint(url=receiver_url)
        DynamoEndpoints(dynamodb, f"{where.table}-Access").create(self.endpoint)
        self.sender = modules["webhooks"]._sender
        self.sender._http = GuardedHttp("tests", allow_private=True)  # the receiver is on this machine

    def upload(self, seed: int) -> str:
        answer = Answer(self.modules["api"].handler(upload_event(encoded(seed=seed)), Context(30)))
        assert answer.status == 201, answer.content
        return str(answer.json()["id"])

    def process(self) -> None:
        for event in self.where.events():
            assert self.modules["worker"].handler(event, Context(300)) == {"batchItemFailures": []}

    def messages(self) -> list[str]:
        """Take the messages that are due."""
        sqs, found = self.where.made.sqs, []
        while messages := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message["Body"])
        return found

    def send(self, *bodies: str) -> Any:
        """Call the sender with a batch of messages; return the numbers of those that it returns."""
        one = payload("sqs_one", key="", receive_count="1", bucket=self.where.bucket)["Records"][0]
        records = [one | {"body": body, "messageId": str(number)} for number, body in enumerate(bodies)]
        answer = self.modules["webhooks"].handler({"Records": records}, Context(60))
        assert answer.keys() == {"batchItemFailures"}
        return [int(each["itemIdentifier"]) for each in answer["batchItemFailures"]]

    def pending(self) -> list[Delivery]:
        return list(self.store.list(DeliveryQuery(100, status=DeliveryStatus.PENDING)).items)

    def pass_time(self) -> list[str]:
        """Make pending deliveries due, as their messages would find them; return their ids."""
        pending = self.pending()
        for each in pending:
            self.store.replace(each.changed(next_attempt_at=utcnow()))
        return [each.id for each in pending]


@pytest.fixture
def functions(tmp_path: Path, receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    # Messages of failed attempts come back after the end of any test, not after 5 seconds.
    monkeypatch.setattr(deliveries, "SCHEDULE", (timedelta(minutes=10), *deliveries.SCHEDULE[1:]))
    with ExitStack() as stack:
        where = stack.enter_context(place())
        url = stack.enter_context(aws.queue(where.made.sqs, visibility=30, max_attempts=5))
        environment = where.environment | {"DARKROOM_WEBHOOK_QUEUE_URL": url}
        modules = {
            name: stack.enter_context(opened(f"app.lambda_{name}", environment, tmp_path))
            for name in ("api", "worker", "webhooks")
        }
        yield Functions(where, url, modules, receiver.url)


def test_an_upload_leads_to_a_verified_request_at_a_receiver_that_fails_twice(
    functions: Functions, receiver: LocalReceiver
) -> None:
    receiver.failures = 2
    image_id = functions.upload(1)
    functions.process()
    while messages := functions.messages():
        assert functions.send(*messages) == []
    assert len(functions.pending()) == 2
    for _ in range(2):
        assert functions.send(*functions.pass_time()) == []
    assert functions.pending() == []
    assert receiver.requests == 4
    assert receiver.types(image_id) == {"image.uploaded", "image.ready"}
    bodies = [verified(functions.endpoint, receiver.headers[each], body) for each, body in receiver.bodies.items()]
    (ready,) = (body for body in bodies if body["type"] == "image.ready")
    assert ready["data"]["status"] == "ready"
    assert ready["data"]["variants"]
    attributes = functions.where.made.sqs.get_queue_attributes(QueueUrl=functions.url, AttributeNames=["All"])
    assert int(attributes["Attributes"]["ApproximateNumberOfMessagesDelayed"]) == 2  # of the failed attempts


def test_messages_that_could_not_be_handled_are_returned_and_others_are_not(
    functions: Functions, receiver: LocalReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.failures = 0
    functions.upload(2)
    events = functions.messages()
    assert len(events) == 1
    handle: Callable[[str], object] = functions.sender.dispatch

    def refusing(event_id: str) -> object:
        if event_id.endswith("0" * 32):
            raise Unavailable("The database cannot be reached.")
        if event_id.endswith("1" * 32):
            raise ZeroDivisionError
        return handle(event_id)

    monkeypatch.setattr(functions.sender, "dispatch", refusing)
    junk = json.dumps({"Event": "s3:TestEvent"})
    assert functions.send("evt_" + "0" * 32, *events, junk, "evt_" + "1" * 32) == [0, 3]
    assert len(functions.pending()) == 1


@pytest.mark.parametrize("event", [{}, None, [], {"Records": []}, {"Records": [1, {}]}, {"Records": 3}])
def test_other_events_are_ignored(functions: Functions, event: Any) -> None:
    assert functions.modules["webhooks"].handler(event, Context(60)) == {"batchItemFailures": []}


def test_an_upload_needs_no_queue_of_webhooks(functions: Functions) -> None:
    functions.where.made.sqs.delete_queue(QueueUrl=functions.url)
    functions.upload(3)
    (event,) = functions.store.unfinished(utcnow())
    assert not event.is_dispatched
    functions.where.made.sqs.create_queue(QueueName=functions.url.rpartition("/")[2])
    assert functions.send(event.event_id) == []
    assert len(functions.pending()) == 1
