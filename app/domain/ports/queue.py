"""Port of the events."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A delivery of a message, identified by `receipt`. `receive_count` is 1 for the first delivery."""

    id: str
    receipt: str
    body: str
    receive_count: int


class EventQueue(Protocol):
    """At-least-once delivery of small texts, in no particular order.

    A queue has a visibility time-out and a number of attempts. A received message is invisible to others until the
    time-out ends. If it has not been deleted by then, it is delivered again with the next receive count. After the last
    attempt it becomes a dead letter instead.
    """

    def send(self, body: str, *, delay: int = 0, owner: str = "", bulk: bool = False) -> None:
        """Add a message of at most 256 KiB, durable when the call returns, delivered after `delay` seconds (0-900).

        `owner` and `bulk` are hints for the order: owners take turns, and bulk messages wait behind the others.
        """

    def receive(self, limit: int = 1, *, wait: float = 0) -> Sequence[Message]:
        """Return at most `limit` (1-10) due messages. Wait up to `wait` seconds (0-20) for the first."""

    def delete(self, receipt: str, *, timed_out: bool = False) -> None:
        """Delete a processed message. A receipt of an earlier delivery or of a deleted message is no error.

        `timed_out` is a hint: processing used up its time, so other owners come first for a while.
        """

    def release(self, receipt: str, *, delay: int = 0) -> None:
        """Make a received message due again after `delay` seconds. An outdated receipt is no error."""

    def extend(self, receipt: str, seconds: int, *, started: bool = True) -> None:
        """Keep a received message invisible for `seconds` (1-900) from now. An outdated receipt is no error.

        With `started` False the delivery does not count, until another call says that it has started. This is a hint:
        SQS counts every delivery.
        """

    def waiting(self) -> int:
        """Return the approximate number of due messages that no receiver has."""

    def oldest_due(self) -> datetime | None:
        """Return the time since which the first due message waits that no receiver has. None if there is none, or if
        the queue does not know it: SQS reports its age to CloudWatch only."""

    def dead_letters(self) -> int:
        """Return the approximate number of dead letters."""

    def redrive(self, subject: Callable[[str], str] = str) -> int:
        """Send the dead letters again, with a fresh count. Of messages with the same `subject`, one is
        sent and the others are dropped. Return the number of messages sent."""

    def ping(self) -> None:
        """Return if the queue can be reached, else raise `Unavailable`."""
