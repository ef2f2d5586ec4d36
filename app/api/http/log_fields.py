"""What a request's line in the log is to say, noted where it becomes known."""

from typing import TypedDict, Unpack

from starlette.types import Scope

from app.domain.phase_timer import PhaseTimer

_NOTES, _CLOCK = "notes", "clock"


class Notes(TypedDict, total=False):
    """See `RequestReport`."""

    route: str
    code: str
    image_id: str
    image_bytes: int
    duplicate: bool
    gateway_id: str


def note(scope: Scope, **known: Unpack[Notes]) -> None:
    """Note it for the line of this request."""
    notes_of(scope).update(known)


def notes_of(scope: Scope) -> Notes:
    """All that was noted."""
    found: Notes = scope.setdefault("state", {}).setdefault(_NOTES, {})
    return found


def clock_of(scope: Scope) -> PhaseTimer:
    """Where the time of this request goes."""
    found: PhaseTimer = scope.setdefault("state", {}).setdefault(_CLOCK, PhaseTimer())
    return found
