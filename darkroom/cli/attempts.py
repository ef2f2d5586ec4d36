"""Requests to a service: repeat what may succeed later, check the answers."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from darkroom.cli.image_file import UploadError

_ATTEMPTS = 4
PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60
#: Longest time that another client may send the same image before this one gives up, and the pause between two tries.
BUSY_SECONDS, BUSY_PAUSE_SECONDS = 900, 2
#: Errors after which the request has not arrived.
NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout)

T = TypeVar("T")


class Unreachable(UploadError):
    """No server answers at the address, for the reason in `cause`."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(f"No server answers at {address} ({cause}). Check the address, and that the server runs.")
        self.address, self.cause = address, cause


class GaveUp(UploadError):
    """All attempts failed, although a later one could succeed."""


class Retry(Exception):
    """Another attempt may succeed, after `after` seconds if given."""

    def __init__(self, detail: str, after: int = 0) -> None:
        super().__init__(detail)
        self.after = after


class Busy(Exception):
    """Another client sends the same bytes at this time."""


def retry(attempt: Callable[[], T]) -> T:
    """Return the result of an attempt. Raises `Unreachable`, or `UploadError` after the last one has failed.

    The time in which another client is busy with the same bytes does not count.
    """
    last: Exception | None = None
    number, begun = 0, time.monotonic()
    while number < _ATTEMPTS:
        try:
            return attempt()
        except Busy as busy:
            if time.monotonic() - begun > BUSY_SECONDS:
                raise UploadError(f"{busy} Gave up after {BUSY_SECONDS // 60} minutes.") from None
            time.sleep(BUSY_PAUSE_SECONDS)
        except (httpx.RequestError, Retry) as error:
            last = error
            number += 1
            if number < _ATTEMPTS:
                time.sleep(max(PAUSE_SECONDS * 2**number, error.after if isinstance(error, Retry) else 0))
    if isinstance(last, NOT_REACHED):
        raise unreachable(last)
    raise GaveUp(f"Gave up after {_ATTEMPTS} attempts: {last or type(last).__name__}")


def unreachable(error: httpx.RequestError) -> Unreachable:
    """Build the error for a server that does not answer, with the reason of the operating system if there is one."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error) or type(error).__name__
    return Unreachable(get_address(error.request.url), reason)


def get_address(url: httpx.URL) -> str:
    """Return scheme and host of a url, without user name and password."""
    return str(url.copy_with(userinfo=b"", raw_path=b"/")).rstrip("/")


def not_darkroom() -> UploadError:
    """Build the error for an answer that Darkroom does not give."""
    return UploadError("The server at this address is not Darkroom. Check the address.")


def parse(answer: httpx.Response, expected: int = 200, needed: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the JSON object of the expected answer, which has the `needed` members.

    Raises `Retry` for an answer after which a later request may succeed, and `UploadError` for any other.
    """
    found = _json(answer)
    if answer.status_code == expected:
        if not needed <= found.keys():
            raise not_darkroom()
        return found
    if answer.is_success:
        raise not_darkroom()
    problem = found if "problem+json" in _type(answer) else {}
    detail = problem.get("detail") or f"{answer.status_code} {answer.reason_phrase}"
    if answer.status_code in {408, 429} or (answer.status_code >= 500 and answer.status_code != 507):
        raise Retry(detail, _retry_after(answer) if answer.status_code == 429 else 0)
    raise UploadError(detail, problem)


def _retry_after(answer: httpx.Response) -> int:
    """Return the seconds of a `Retry-After` header, at most a minute."""
    given = answer.headers.get("retry-after", "")
    return min(int(given), _LONGEST_PAUSE_SECONDS) if given.isascii() and given.isdigit() and len(given) < 9 else 0


def _json(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a response, or an empty dict if it holds anything else."""
    try:
        found = answer.json() if "json" in _type(answer) else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", ""))
