"""SQS alone: time-outs, refusals and dead letters."""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from app.adapters.sqs import SqsQueue
from app.domain.errors import Unavailable
from tests import aws
from tests.adapters.half_answers import half_answers
from tests.engines import ACCESS_KEY, REGION, SECRET_KEY
from tests.faults.wire import Fault, Wire, answer_lost, refused, unanswered

pytestmark = pytest.mark.usefixtures("hurried")


@pytest.fixture
def url() -> Iterator[str]:
    with aws.queue(aws.moto().sqs, visibility=30, max_attempts=1) as made:
        yield made


@pytest.fixture
def queue(url: str) -> SqsQueue:
    return SqsQueue(aws.moto().sqs, url)


@pytest.fixture
def wire() -> Wire:
    return Wire(aws.moto().sqs)


def always(fault: Fault, *operations: str) -> Any:
    return lambda name: fault if name in operations else None


def client_of(read_timeout: float | None, endpoint: str | None = None) -> Any:
    session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)
    config = Config(connect_timeout=1, read_timeout=read_timeout, retries={"total_max_attempts": 1})
    return session.client("sqs", endpoint_url=endpoint, config=config)


class Polls:
    """A client that notes how long each poll may take, and finds a message after `empty` of them."""

    def __init__(self, read_timeout: float | None, empty: int) -> None:
        self.meta = client_of(read_timeout).meta
        self.waits: list[int] = []
        self._empty = empty

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        self.waits.append(asked["WaitTimeSeconds"])
        if len(self.waits) <= self._empty:
            return {}
        found = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b", "Attributes": {"ApproximateReceiveCount": "1"}}
        return {"Messages": [found]}


@pytest.mark.parametrize(
    ("read_timeout", "wait", "empty", "polls"),
    [
        (5, 20, 99, [3, 3, 3, 3, 3, 3, 2]),
        (5, 20, 1, [3, 3]),
        (5, 0, 99, [0]),
        (5, 0.2, 99, [1]),
        (60, 20, 99, [20]),
        (None, 20, 99, [20]),
        (1, 3, 99, [1, 1, 1]),
        (2.5, 2, 99, [1, 1]),
    ],
)
def test_a_long_wait_is_made_of_polls_that_end_before_the_client_gives_up(
    read_timeout: float | None, wait: float, empty: int, polls: list[int]
) -> None:
    client = Polls(read_timeout, empty)
    found = SqsQueue(client, "https://sqs.invalid/1/q").receive(1, wait=wait)
    assert client.waits == polls
    assert bool(found) == (empty < len(polls))
    assert read_timeout is None or max(polls) < max(read_timeout, 2)


@pytest.mark.slow
def test_a_message_that_comes_late_in_a_wait_is_received_once(url: str) -> None:
    sender, receiver = SqsQueue(aws.moto().sqs, url), SqsQueue(client_of(3), url)
    sender.send("late", delay=2)
    started = time.monotonic()
    (found,) = receiver.receive(1, wait=20)
    assert (found.body, found.receive_count) == ("late", 1)
    assert time.monotonic() - started > 1


@pytest.mark.slow
def test_a_queue_that_says_nothing_is_given_up() -> None:
    with half_answers(b"", silent=True) as server:
        queue = SqsQueue(client_of(1, server.url), f"{server.url}/1/q")
        for call in (lambda: queue.send("x"), queue.ping):
            with pytest.raises(Unavailable):
                call()
        server.await_requests(2)


@pytest.mark.parametrize("fault", [refused("RequestThrottled", 400), refused("InternalError", 500), unanswered])
def test_one_failure_is_tried_again_and_lasting_ones_are_unavailable(queue: SqsQueue, wire: Wire, fault: Fault) -> None:
    with wire.at(1, fault):
        queue.send("x")
    assert wire.requests == ["SendMessage", "SendMessage"]
    (message,) = queue.receive(wait=5)
    for operation, call in {
        "SendMessage": lambda: queue.send("y"),
        "ReceiveMessage": queue.receive,
        "DeleteMessage": lambda: queue.delete(message.receipt),
        "ChangeMessageVisibility": lambda: queue.release(message.receipt),
        "GetQueueAttributes": queue.ping,
    }.items():
        with wire.under(always(fault, operation)), pytest.raises(Unavailable) as raised:
            call()
        assert "injected" not in str(raised.value)
    queue.delete(message.receipt)


@pytest.mark.parametrize("code", ["AccessDenied", "AWS.SimpleQueueService.NonExistentQueue", "InvalidMessageContents"])
def test_a_refusal_is_not_taken_for_a_receipt_that_is_over(queue: SqsQueue, wire: Wire, code: str) -> None:
    for operation, call in {"DeleteMessage": queue.delete, "ChangeMessageVisibility": queue.release}.items():
        with wire.under(always(refused(code), operation)), pytest.raises(Unavailable):
            call("receipt")


def test_owner_and_bulk_become_the_group_of_a_fair_queue() -> None:
    client = aws.moto().sqs
    with aws.queue(client, visibility=30, max_attempts=3) as url:
        queue = SqsQueue(client, url)
        queue.send("an upload", owner="ann")
        queue.send("an image again", owner="ann", bulk=True)
        queue.send("of nobody")
        groups = {}
        while len(groups) < 3:
            answer = client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
            )
            for message in answer["Messages"]:
                groups[message["Body"]] = message.get("Attributes", {}).get("MessageGroupId")
    assert groups == {"an upload": "owner/ann", "an image again": "bulk", "of nobody": None}


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"])
def test_a_receipt_that_is_over_is_fine(queue: SqsQueue, wire: Wire, code: str) -> None:
    with wire.under(always(refused(code), "DeleteMessage", "ChangeMessageVisibility")):
        queue.delete("receipt")
        queue.release("receipt", delay=5)


def test_a_send_whose_answer_was_lost_is_sent_at_least_once(queue: SqsQueue, wire: Wire) -> None:
    with wire.at(1, answer_lost):
        queue.send("x")
    assert {message.body for message in queue.receive(10, wait=1)} == {"x"}


def test_a_body_over_the_limit_is_refused_here_or_there(queue: SqsQueue) -> None:
    with pytest.raises(Unavailable):
        queue.send("x" * (1024 * 1024 + 1))
    assert list(queue.receive(10)) == []


def test_a_queue_without_dead_letters_says_so(queue: SqsQueue) -> None:
    client = aws.moto().sqs
    plain = client.create_queue(QueueName="plain")["QueueUrl"]
    try:
        for call in (SqsQueue(client, plain).dead_letters, SqsQueue(client, plain).redrive):
            with pytest.raises(Unavailable, match="no dead-letter queue"):
                call()
    finally:
        client.delete_queue(QueueUrl=plain)


def test_the_dead_letters_are_looked_for_once_it_went_well(queue: SqsQueue, wire: Wire) -> None:
    with wire.under(always(unanswered, "GetQueueUrl")), pytest.raises(Unavailable):
        queue.dead_letters()
    with wire.under(lambda _: None):
        assert [queue.dead_letters() for _ in range(3)] == [0, 0, 0]
    assert wire.requests.count("GetQueueUrl") == 1


def dead(queue: SqsQueue, *bodies: str) -> None:
    """Messages that have used up their one delivery."""
    for body in bodies:
        queue.send(body)
    for _ in bodies:
        (message,) = queue.receive(wait=5)
        queue.release(message.receipt)
    assert list(queue.receive(10)) == []
    assert queue.dead_letters() == len(bodies)


@pytest.mark.slow
def test_a_redrive_ends_though_what_it_sends_fails_again(queue: SqsQueue, wire: Wire) -> None:
    dead(queue, "a", "b", "c")

    def sent_and_failed_again(send: Any) -> Any:
        answer = send()
        (message,) = queue.receive(wait=5)
        queue.release(message.receipt)
        assert list(queue.receive()) == []  # on to the dead letters
        return answer

    with wire.under(always(sent_and_failed_again, "SendMessage")):
        assert queue.redrive() == 3
    assert list(queue.receive(10)) == []


def test_a_redrive_that_is_cut_off_loses_no_message(queue: SqsQueue, wire: Wire) -> None:
    dead(queue, "a", "b")
    with wire.under(always(unanswered, "DeleteMessage")), pytest.raises(Unavailable):
        queue.redrive()
    (again,) = queue.receive(10, wait=1)
    assert again.body in {"a", "b"}
