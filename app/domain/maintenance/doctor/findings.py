"""Findings of a diagnosis, and the checks that make them."""

import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import ConfigurationError, PortError


class Severity(StrEnum):
    """`ok`: nothing to do. `warning`: works, and something should be changed. `error`: something does not work."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """A result of a check. `code` is stable; `remedy` is empty for `ok`."""

    check: str
    severity: Severity
    code: str
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Problem:
    """A finding of a check that is not `ok`, before the name of the check is added."""

    code: str
    detail: str
    remedy: str
    severity: Severity = Severity.WARNING


def error(code: str, detail: str, remedy: str) -> Problem:
    """Build a problem that keeps something from working."""
    return Problem(code, detail, remedy, Severity.ERROR)


@dataclass(frozen=True)
class Check:
    """A part of the diagnosis. `run` yields its problems; without any, `summary` is what is well."""

    name: str
    summary: str
    run: Callable[[], Iterable[Problem]]


def diagnose(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run the checks. An error of a check is a finding too, and does not end the others."""
    for check in checks:
        is_good = True
        for problem in _problems(check):
            is_good = False
            yield Finding(check.name, problem.severity, problem.code, problem.detail, problem.remedy)
        if is_good:
            yield Finding(check.name, Severity.OK, "ok", check.summary)


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the highest severity."""
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=Severity.OK)


def _problems(check: Check) -> Iterator[Problem]:
    try:
        yield from check.run()
    except ConfigurationError as wrong:
        yield error("cannot_open", str(wrong), "correct the setting that is named")
    except PortError as refused:
        yield error("store_failed", str(refused), "see the line above it, and check the store and its rights")
    except OSError as refused:
        is_denied = refused.errno in {errno.EACCES, errno.EPERM}
        remedy = "give the user of the service the right" if is_denied else "repair it"
        yield error("system_failed", f"{refused.strerror or refused} ({refused.filename})", remedy)
