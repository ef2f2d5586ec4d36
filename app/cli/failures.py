"""Failures of operator commands, reported in one sentence."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from app import logs
from app.domain.errors import ConfigurationError, PortError

P = ParamSpec("P")


def reports_failures(command: Callable[P, None]) -> Callable[P, None]:
    """Decorate a command: wrong settings and unreachable stores end it with one sentence."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ConfigurationError as error:
            logs.end_before_start(error)
        except PortError as error:
            raise SystemExit(f"The command failed: {error}") from None

    return run
