"""Failures of operator commands: three lines on standard error, and an exit code."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import NoReturn, ParamSpec

from app.domain.errors import ConfigurationError, Full, PortError
from app.domain.maintenance.transfer.folder import FolderError
from darkroom.cli.console import DONE, INTERRUPTED, NOT_ALLOWED, NOT_DONE, UNREACHABLE, USAGE, write_line
from darkroom.cli.image_file import printable

__all__ = ["DONE", "INTERRUPTED", "NOT_ALLOWED", "NOT_DONE", "UNREACHABLE", "USAGE", "fail", "reports_failures"]

P = ParamSpec("P")

_CANNOT_START = "Darkroom cannot start:"
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
#: Parts of the codes of errors with which AWS refuses a call.
_REFUSALS = ("AccessDenied", "Forbidden", "UnauthorizedOperation", "NotAuthorized", "InvalidClientTokenId", "403")


def fail(error: str, cause: str, remedy: str, code: int = NOT_DONE) -> NoReturn:
    """End the command with an error, its cause and a remedy. A cause of several lines is printed in as many."""
    first, *others = cause.strip().splitlines() or ["unknown"]
    lines = [f"error: {error}", f"cause: {first}", *(f"       {other.strip()}" for other in others), f"try: {remedy}"]
    for line in lines:
        write_line(printable(line), error=True)
    raise SystemExit(code)


def reports_failures(command: Callable[P, None]) -> Callable[P, None]:
    """Decorate a command: wrong settings, unreachable stores and unusable folders end it with three lines."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ConfigurationError as error:
            cause = str(error).removeprefix(_CANNOT_START)
            fail("the settings cannot be used", cause, "correct these variables (docs/settings.md)", USAGE)
        except FolderError as error:
            fail(str(error), error.cause, error.remedy, _code(error, NOT_DONE))
        except Full as error:
            fail("the store is full", str(error), "delete images or free space, then run the command again")
        except PortError as error:
            code = _code(error, UNREACHABLE)
            remedy = "check its address and its service, then run the command again"
            if code == NOT_ALLOWED:
                remedy = "give this user the right (docs/server.md, docs/aws.md)"
            fail("a store refused or did not answer", str(error), remedy, code)
        except KeyboardInterrupt:
            write_line("Interrupted.", error=True)
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:
            with suppress(OSError):  # the interpreter would report the same error again at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(NOT_DONE) from None

    return run


def _code(error: Exception, usual: int) -> int:
    """Return `NOT_ALLOWED` if a right is missing, else the usual code."""
    return NOT_ALLOWED if any(map(_is_refusal, _chain(error))) else usual


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _REFUSED
    response = getattr(error, "response", None)  # of an error of the AWS SDK
    code = str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
    return any(part in code for part in _REFUSALS)
