"""Every failure the service can name.

DarkroomError
├── RequestError                 the caller can mend it; `api/http/statuses.py` maps each class to a status
│   ├── Malformed                the request cannot be read
│   ├── Unauthorized             no key, or one that is not known
│   ├── Forbidden                the key lacks the scope, or a signature is bad
│   ├── NotFound                 no such image, variant or file for this owner
│   ├── NotAcceptable            no format that the caller takes
│   ├── Conflict                 the image is in the wrong state
│   ├── Gone                     it was here, and will not come back
│   ├── PreconditionFailed       `If-Match` names an old version
│   ├── TooLarge                 more bytes than the limit
│   ├── UnsupportedType          bytes or body of a type that is not accepted
│   ├── Invalid                  well-formed, but a field is not
│   ├── Overloaded               the service is at a limit of its own; `Retry-After` says how long
│   ├── TooManyRequests          the caller is over a limit; `Retry-After` says how long
│   └── StorageFull              no room for more bytes until some are deleted
├── ImageError                 the picture's own fault: its record ends `failed` with this code
├── PortError                    what an adapter may raise, and nothing else
│   ├── AlreadyExists            a key that is written once is already there
│   ├── Missing                  no object under the key, no record under the id
│   ├── Stale                    the record has moved past the expected version
│   ├── HashTaken                these bytes already have a record
│   └── Unavailable              the backend refused or did not answer; trying again may help
│       └── Full                 no space for new bytes; reading and deleting still work
└── ConfigurationError           the settings make no sense; the process must not start
"""

from collections.abc import Mapping
from typing import Any


class DarkroomError(Exception):
    """Root of all named failures."""


class RequestError(DarkroomError):
    """A refusal that the caller can understand and mend.

    `code` is stable and machine-readable; `detail` is one sentence; `headers` are sent with the answer, such as
    `Retry-After`; `extra` holds the value found and the limit, and becomes members of the problem document.
    """

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers: Mapping[str, str] = headers or {}
        self.extra: Mapping[str, Any] = extra


class Malformed(RequestError):
    """The request cannot be read."""


class Unauthorized(RequestError):
    """No key, or one that is not known."""


class Forbidden(RequestError):
    """The caller is known, and may not."""


class NotFound(RequestError):
    """Nothing of that name for this owner."""


class NotAcceptable(RequestError):
    """None of the formats that the caller takes."""


class Conflict(RequestError):
    """The image is not in a state that allows this."""


class Gone(RequestError):
    """The image or ticket existed and will not come back."""


class PreconditionFailed(RequestError):
    """The caller holds an old version."""


class TooLarge(RequestError):
    """More bytes than the limit."""


class UnsupportedType(RequestError):
    """Bytes, or a body, of a type that is not accepted."""


class Invalid(RequestError):
    """The request can be read, and a field of it cannot be taken."""


class TooManyRequests(RequestError):
    """The caller is over a limit on requests, or on what may be open at once. `retry_after` is in seconds."""

    def __init__(self, code: str, detail: str, *, retry_after: int, **extra: Any) -> None:
        super().__init__(code, detail, headers={"Retry-After": str(retry_after)}, **extra)


class Overloaded(RequestError):
    """The service is at a limit of its own, whoever calls. `retry_after` is in seconds."""

    def __init__(self, code: str, detail: str, *, retry_after: int, **extra: Any) -> None:
        super().__init__(code, detail, headers={"Retry-After": str(retry_after)}, **extra)


class StorageFull(RequestError):
    """No room for more bytes until some are deleted."""


class ImageError(DarkroomError):
    """The picture cannot be developed, and trying again would end the same.

    `code` is one of `domain.models.FailureCode`'s values; `detail` is one sentence for the picture's owner.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class PortError(DarkroomError):
    """What an adapter may raise. Foreign errors never cross a port."""


class AlreadyExists(PortError):
    """The key is written once, and has been."""


class Missing(PortError):
    """No object under the key, or no live record under the id."""


class Stale(PortError):
    """The record is no longer at the expected version."""


class HashTaken(PortError):
    """The owner's pointer for these bytes names another record: `image_id`."""

    def __init__(self, image_id: str) -> None:
        super().__init__(image_id)
        self.image_id = image_id


class Unavailable(PortError):
    """The backend refused or did not answer. `retry_after` is seconds."""

    def __init__(self, detail: str, retry_after: int = 2) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Full(Unavailable):
    """No space for new bytes until some are deleted. Reading and deleting still work.

    `free_bytes` and `min_free_bytes` are what was found and the limit, where they are known.
    """

    def __init__(self, detail: str, *, free_bytes: int | None = None, min_free_bytes: int | None = None) -> None:
        super().__init__(detail)
        self.free_bytes = free_bytes
        self.min_free_bytes = min_free_bytes


class ConfigurationError(DarkroomError):
    """The settings make no sense together; the sentence names the setting."""
