"""Unfinished tasks of a record: each has a name and the time when it is due.

`reconcile` runs the tasks that are due. A task that fails stays and is due again later. Each outcome removes its own
task only, so two tasks of one image never hide each other.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

#: Delay before `reconcile` sends the event of an image again.
PROCESS_DELAY = timedelta(minutes=15)
#: Lifetime of private variants of a superseded rendering, for pages that still use them.
RENDERING_LIFE = timedelta(hours=24)
#: Time after which no attempt that read the record before can still store an object. The longest attempt is that of a
#: Lambda function: 15 minutes.
LONGEST_ATTEMPT = timedelta(minutes=30)
#: Longest delay of an ordinary task. One due later, see `Work.is_distant`, waits for the end of a retention period.
LONGEST_DELAY = timedelta(hours=25)


class Task(StrEnum):
    """Name of a task.

    `process` renders the image, `sweep` removes superseded renderings, `hide` makes the public prefix agree with the
    record, and `invalidate` removes its variants from the CDN. `purge` removes the bytes of a deleted image; that of a
    trashed image deletes it when it is due.
    """

    PROCESS = "process"
    SWEEP = "sweep"
    HIDE = "hide"
    PURGE = "purge"
    INVALIDATE = "invalidate"


class Work(BaseModel):
    """One task: when it was added, when it is due, and how many attempts were made."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    since: AwareDatetime
    due: AwareDatetime
    tries: int = 0

    @classmethod
    def add(cls, now: datetime, delay: timedelta = timedelta(0)) -> "Work":
        """Build a new task that is due after `delay`."""
        return cls(since=now, due=now + delay)

    def retry(self, due: datetime) -> "Work":
        """Return the task after another attempt, due again later."""
        return Work(since=self.since, due=due, tries=self.tries + 1)

    @property
    def is_distant(self) -> bool:
        """True if the task waits for the end of a retention period, longer than any ordinary delay.

        An ordinary due time further ahead than `LONGEST_DELAY` was written before the clock was set back.
        """
        return self.due - self.since > LONGEST_DELAY


def _known_tasks(work: Any) -> Any:
    """Drop the tasks of a newer version: repositories keep them, and this version leaves them alone."""
    known = frozenset(Task)
    return {name: task for name, task in work.items() if name in known} if isinstance(work, dict) else work


Tasks = Annotated[dict[Task, Work], BeforeValidator(_known_tasks)]


def next_task(work: Mapping[Task, Work]) -> Work | None:
    """Return the task that is due first, or None."""
    return min(work.values(), key=lambda each: each.due, default=None)


def change_work(work: Mapping[Task, Work], changes: Mapping[Task, Work | None]) -> Tasks:
    """Return the tasks after changes by name: a task replaces the one of its name, None removes it."""
    return {name: task for name, task in {**work, **changes}.items() if task is not None}


def derive_work(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tasks of a record that 0.1.0 wrote, from its other fields. Values may be JSON or Python objects."""
    work: dict[str, Any] = {}
    if document.get("status", "pending") == "pending":
        since = _time(document.get("uploaded_at"))
        work["process"] = {"since": since, "due": since and since + PROCESS_DELAY}
    superseded = document.get("superseded")
    if superseded:
        work["sweep"] = {"since": _time(document.get("updated_at")), "due": min(superseded.values(), key=str)}
    return {name: task for name, task in work.items() if task["since"] is not None}


def derive_superseded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the superseded renderings of a record that 0.1.0 wrote, with the times after which they are removed."""
    updated = _time(document.get("updated_at"))
    if updated is None:
        return {}
    return dict.fromkeys(document.get("stale_renderings") or (), updated + RENDERING_LIFE)


def _time(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:  # the model's own check reports it
            return None
    return value if isinstance(value, datetime) else None
