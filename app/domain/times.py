"""Comparisons of stored times with a clock that may have been set back.

A time stored while the clock was ahead lies in the future after the clock is corrected. Waiting for it could take as
long as the clock was wrong, so each comparison here has a limit.
"""

from datetime import datetime, timedelta

#: Difference between clocks, or correction of one, up to which a stored time is trusted.
CLOCK_SLACK = timedelta(minutes=5)


def is_implausible(moment: datetime, now: datetime, longest: timedelta = timedelta(0)) -> bool:
    """Return True if a moment is later than `longest` from now. When it was stored, it was not."""
    return moment > now + longest + CLOCK_SLACK


def has_passed(wait: timedelta, since: datetime, now: datetime) -> bool:
    """Return True if `wait` has passed since a stored time, or if that time is implausible. Use it where acting early
    does no harm."""
    return since <= now - wait or is_implausible(since, now)
