"""Fields of a request's log line, added where they become known."""

from typing import Literal, TypedDict, Unpack

from starlette.types import Scope

from app.domain.phase_timer import PhaseTimer

_FIELDS, _TIMER = "log_fields", "phase_timer"


class LogFields(TypedDict, total=False):
    """Fields of `RequestReport` that are known only while the request is handled."""

    route: str
    code: str
    image_id: str
    image_bytes: int
    duplicate: bool
    size: Literal["hit", "miss"]
    gateway_id: str


def add_log_fields(scope: Scope, **fields: Unpack[LogFields]) -> None:
    """Add fields to the log line of this request."""
    log_fields(scope).update(fields)


def log_fields(scope: Scope) -> LogFields:
    """Return all fields that were added."""
    found: LogFields = scope.setdefault("state", {}).setdefault(_FIELDS, {})
    return found


def phase_timer(scope: Scope) -> PhaseTimer:
    """Return the timer of this request's phases."""
    found: PhaseTimer = scope.setdefault("state", {}).setdefault(_TIMER, PhaseTimer())
    return found
