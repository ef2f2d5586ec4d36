"""`EventQueue` on SQS."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.domain.errors import Unavailable
from app.domain.ports import Message

log = logging.getLogger(__name__)

# Codes for the receipt of an earlier delivery, or of a deleted message.
_STALE_RECEIPT = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)


_LONGEST_POLL = 20  # seconds, the limit of SQS
_MARGIN = 2  # seconds
#: Message group of all bulk messages, and the limit of SQS for the name of one.
_BULK, _LONGEST_GROUP = "bulk", 128


class SqsQueue:
    """A queue with its dead-letter queue. Visibility time-out and attempts are settings of the queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url
        # A poll must end before the client's time-out: messages of a response that nobody reads stay invisible for the
        # whole visibility time-out.
        read_timeout = client.meta.config.read_timeout
        self._poll = min(max(int(read_timeout) - _MARGIN, 1), _LONGEST_POLL) if read_timeout else _LONGEST_POLL

    def send(self, body: str, *, delay: int = 0, owner: str = "", bulk: bool = False) -> None:
        """See `EventQueue.send`. The hints become the message group, which fair queues treat as a tenant."""
        group = _BULK if bulk else f"owner/{owner}"[:_LONGEST_GROUP] if owner else ""
        with _translated():
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                DelaySeconds=delay,
                **({"MessageGroupId": group} if group else {}),
            )

    def receive(self, limit: int = 1, *, wait: float = 0) -> Sequence[Message]:
        """See `EventQueue.receive`. `wait` is rounded up to whole seconds and split into polls that end
        before the client's time-out."""
        left = math.ceil(wait)
        while True:
            poll = min(left, self._poll)
            started = time.monotonic()
            messages = self._receive(self._url, limit, poll)
            left -= max(poll, int(time.monotonic() - started))
            if messages or left <= 0:
                return messages

    def delete(self, receipt: str, *, timed_out: bool = False) -> None:  # noqa: ARG002 - SQS measures the time itself
        """See `EventQueue.delete`."""
        with _translated(ignoring=_STALE_RECEIPT):
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)

    def release(self, receipt: str, *, delay: int = 0) -> None:
        """See `EventQueue.release`."""
        with _translated(ignoring=_STALE_RECEIPT):
            self._client.change_message_visibility(QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=delay)

    def extend(self, receipt: str, seconds: int, *, started: bool = True) -> None:  # noqa: ARG002 - SQS counts every delivery
        """See `EventQueue.extend`."""
        self.release(receipt, delay=seconds)

    def waiting(self) -> int:
        """See `EventQueue.waiting`. At most a minute old, according to the SQS documentation."""
        return self._visible(self._url)

    def oldest_due(self) -> datetime | None:
        """See `EventQueue.oldest_due`. SQS has no call for it."""
        return None

    def dead_letters(self) -> int:
        """See `EventQueue.dead_letters`."""
        return self._visible(self._dead_letter_url)

    def redrive(self, subject: Callable[[str], str] = str) -> int:
        """See `EventQueue.redrive`. Each message is sent before it is deleted, so that none is lost.

        A message that fails again meanwhile returns with the id under which it was sent, and stays a dead letter.
        """
        sent: set[str] = set()
        subjects: set[str] = set()
        while messages := self._receive(self._dead_letter_url, 10, 1):
            for message in messages:
                if message.id in sent:
                    continue
                about = subject(message.body)
                with _translated():
                    if about not in subjects:
                        sent.add(self._client.send_message(QueueUrl=self._url, MessageBody=message.body)["MessageId"])
                        subjects.add(about)
                    self._client.delete_message(QueueUrl=self._dead_letter_url, ReceiptHandle=message.receipt)
        return len(subjects)

    def ping(self) -> None:
        """See `EventQueue.ping`."""
        with _translated():
            self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])

    def _visible(self, url: str) -> int:
        with _translated():
            answer = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def _receive(self, url: str, limit: int, wait: int) -> Sequence[Message]:
        with _translated():
            answer = self._client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=wait,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Message(
                id=message["MessageId"],
                receipt=message["ReceiptHandle"],
                body=message["Body"],
                receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
            )
            for message in answer.get("Messages", [])
        ]

    @cached_property
    def _dead_letter_url(self) -> str:
        with _translated():
            answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["RedrivePolicy"])
            policy = json.loads(answer.get("Attributes", {}).get("RedrivePolicy", "{}"))
            if "deadLetterTargetArn" not in policy:
                raise Unavailable("The queue has no dead-letter queue.")
            name = policy["deadLetterTargetArn"].rpartition(":")[2]
            return str(self._client.get_queue_url(QueueName=name)["QueueUrl"])


@contextmanager
def _translated(ignoring: frozenset[str] = frozenset()) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if str(error.response.get("Error", {}).get("Code")) in ignoring:
            return
        log.warning("SQS refused", exc_info=error)
        raise Unavailable("The queue cannot be reached.") from error
    except BotoCoreError as error:
        log.warning("SQS did not answer", exc_info=error)
        raise Unavailable("The queue cannot be reached.") from error
