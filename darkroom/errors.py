"""Errors of the client."""

from collections.abc import Mapping
from typing import Any


class DarkroomError(Exception):
    """A call failed. `str()` of the error is a sentence for people.

    An error of the service has the members of its problem document (RFC 9457): `code` is stable and for programs.
    Other members are in `problem`.
    """

    def __init__(
        self, detail: str, problem: Mapping[str, Any] | None = None, *, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        #: A sentence: the cause, the value found, the limit and the remedy.
        self.detail = detail
        #: All members of the problem document; empty if the service sent none.
        self.problem = dict(problem or {})
        #: Seconds after which the service asks to try again, or None.
        self.retry_after = retry_after

    @property
    def code(self) -> str | None:
        """Stable name of the problem, such as `too_large`."""
        return self._text("code")

    @property
    def status(self) -> int | None:
        """Status code of the answer."""
        found = self.problem.get("status")
        return found if isinstance(found, int) else None

    @property
    def title(self) -> str | None:
        """Reason phrase of the status code."""
        return self._text("title")

    @property
    def field(self) -> str | None:
        """Name of the field, parameter or header that was refused."""
        return self._text("field")

    @property
    def value(self) -> Any:
        """Value that was found in the field, or its size."""
        return self._first("found", "measured", "declared_bytes", "received_bytes")

    @property
    def limit(self) -> Any:
        """Limit that the value exceeds, or the values that are accepted."""
        return self._first("limit", "limit_bytes", "maximum", "minimum", "accepted")

    @property
    def request_id(self) -> str | None:
        """Id of the request in the log of the service."""
        return self._text("request_id")

    @property
    def is_temporary(self) -> bool:
        """True if the same call may succeed later, because the service or the way to it was disturbed."""
        status = self.status or 0
        if self.code == "too_many_tickets":  # until some are used
            return False
        return status in {408, 429} or (status >= 500 and status not in {501, 505, 507})

    def _text(self, name: str) -> str | None:
        found = self.problem.get(name)
        return found if isinstance(found, str) else None

    def _first(self, *names: str) -> Any:
        return next((self.problem[name] for name in names if name in self.problem), None)


class InvalidArgument(DarkroomError, ValueError):
    """An argument cannot be used, such as the url of the service. Nothing was sent."""


class FileError(DarkroomError):
    """A local file cannot be read or written, is empty, or changed while it was sent."""


class Unreachable(DarkroomError):
    """No answer from the service: nobody listens, or the connection failed in every attempt."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(f"No answer from {address} ({cause}). Check the address, and that the server runs.")
        #: Scheme and host of the service.
        self.address = address
        #: Reason, such as `Connection refused`.
        self.cause = cause

    @property
    def is_temporary(self) -> bool:
        """True: the server may be back later."""
        return True


class ClientClosed(DarkroomError):
    """The client was closed before the call had ended."""

    def __init__(self) -> None:
        super().__init__("The client is closed.")


class NotDarkroom(DarkroomError):
    """The server at this address answers, but it is not Darkroom."""

    def __init__(self, address: str) -> None:
        super().__init__(f"The server at {address} is not Darkroom. Check the address.")


class Refused(DarkroomError):
    """The service does not accept the request or the image (400, 405 to 408, 411, 413 to 422)."""


class NotAllowed(Refused):
    """The API key is missing or unknown, or lacks the scope; a url has expired (401, 403)."""


class NotFound(Refused):
    """No such image or variant, or one of another owner; or it was deleted (404, 410)."""


class Conflict(Refused):
    """The image is in a state that does not allow the call, or has changed since it was read (409, 412)."""


class ServerError(DarkroomError):
    """The service cannot answer now: it is busy, full or has an internal error (429, 5xx)."""


_KINDS: Mapping[int, type[DarkroomError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    412: Conflict,
    429: ServerError,
}


def error_class(status: int) -> type[DarkroomError]:
    """Return the class of an error with this status code."""
    return _KINDS.get(status, ServerError if status >= 500 else Refused)
