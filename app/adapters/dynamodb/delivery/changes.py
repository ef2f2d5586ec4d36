"""Events in the transaction of a change, as records need them. It imports nothing of webhooks, which are mostly off."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from app.adapters.dynamodb.writes import Write
from app.domain.images.stats import Change


class Events(NamedTuple):
    """Events of a change: the writes for its transaction, and what to call after it."""

    writes: Sequence[Write]
    announce: Callable[[], None]


class EventBuilder(Protocol):
    """Builds the events of changes. `watched` are the fields whose change may make one."""

    @property
    def watched(self) -> frozenset[str]:
        """Names of fields."""

    def of(self, change: Change) -> Events:
        """Return the events of a change of a record."""


class NoEvents:
    """Builds no events: webhooks are off."""

    watched: frozenset[str] = frozenset()

    def of(self, _change: Change) -> Events:
        """Return no events."""
        return Events((), announce_nothing)


def announce_nothing() -> None:
    """Announce no event."""
