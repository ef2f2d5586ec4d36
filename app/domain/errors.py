"""Named errors of the service.

DarkroomError
├── RequestError                 the caller can correct it; `api/http/statuses.py` maps each class to a status
│   ├── Malformed                the request cannot be read
│   ├── Unauthorized             no API key, or an unknown one
│   ├── Forbidden                the key lacks the scope, or a signature is bad
│   ├── NotFound                 no such image, variant or file for this owner
│   ├── NotAcceptable            no format that the caller accepts
│   ├── Conflict                 the image is in the wrong state
│   ├── Gone                     the image or ticket existed and will not return
│   ├── PreconditionFailed       `If-Match` names an old version
│   ├── TooLarge                 more bytes than the limit
│   ├── UnsupportedType          bytes or body of a type that is not accepted
│   ├── Invalid                  well-formed, but a field is invalid
│   ├── Overloaded               the service is at a limit; with `Retry-After`
│   ├── TooManyRequests          the caller is over a limit; with `Retry-After`
│   └── StorageFull              no space for more bytes until some are deleted
├── ImageError                   caused by the image itself: its record ends `failed` with this code
├── PortError                    the only errors that adapters raise
│   ├── AlreadyExists            a write-once key exists already
│   ├── Missing                  no object under the key, no record under the id
│   ├── Stale                    the record is no longer at the expected version
│   ├── HashTaken                a record of the same bytes exists already
│   ├── OverQuota                the record would exceed the owner's quota
│   ├── NotRenderable            the size cannot be rendered, and a retry would end the same way
│   ├── Refused                  no request is sent to this url, for safety
│   ├── NoAnswer                 the server at a url did not answer
│   ├── BadAnswer                the server at a url answered, but not with the file
│   └── Unavailable              the backend refused or did not answer; a retry may help
│       ├── KeepsChanging        the record changed during every attempt to write it
│       ├── RendererBusy         too many sizes wait to be rendered
│       └── Full                 no space for new bytes; reading and deleting still work
└── ConfigurationError           the settings are invalid; the process must not start
"""

from collections.abc import Mapping
from typing import Any

from app.domain.quota.usage import Usage


class DarkroomError(Exception):
    """Base class of all named errors."""


class RequestError(DarkroomError):
    """A refusal that the caller can correct.

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
    """No API key, or an unknown one."""


class Forbidden(RequestError):
    """The caller is known but lacks the permission."""


class NotFound(RequestError):
    """No such image, variant or file for this owner."""


class NotAcceptable(RequestError):
    """None of the available formats is accepted by the caller."""


class Conflict(RequestError):
    """The image is not in a state that allows this."""


class Gone(RequestError):
    """The image or ticket existed and will not return."""


class PreconditionFailed(RequestError):
    """The version that the caller expects is outdated."""


class TooLarge(RequestError):
    """More bytes than the limit."""


class UnsupportedType(RequestError):
    """Bytes, or a body, of a type that is not accepted."""


class Invalid(RequestError):
    """The request is well-formed, but a field is invalid."""


class TooManyRequests(RequestError):
    """The caller is over a limit on requests or on open tickets. `retry_after` is in seconds."""

    def __init__(self, code: str, detail: str, *, retry_after: int, **extra: Any) -> None:
        super().__init__(code, detail, headers={"Retry-After": str(retry_after)}, **extra)


class Overloaded(RequestError):
    """The service is at a limit for all callers. `retry_after` is in seconds."""

    def __init__(self, code: str, detail: str, *, retry_after: int, **extra: Any) -> None:
        super().__init__(code, detail, headers={"Retry-After": str(retry_after)}, **extra)


class StorageFull(RequestError):
    """No space for more bytes until some are deleted."""


class ImageError(DarkroomError):
    """The image cannot be processed, and a retry would end the same way.

    `code` is one of `domain.models.FailureCode`'s values; `detail` is one sentence for the image's owner.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class PortError(DarkroomError):
    """Base class of the errors that adapters raise. Other errors never cross a port."""


class AlreadyExists(PortError):
    """A write-once key exists already."""


class Missing(PortError):
    """No object under the key, or no live record under the id."""


class Stale(PortError):
    """The record is no longer at the expected version."""


class HashTaken(PortError):
    """The owner's pointer for these bytes names another record: `image_id`."""

    def __init__(self, image_id: str) -> None:
        super().__init__(image_id)
        self.image_id = image_id


class OverQuota(PortError):
    """The record would exceed the owner's quota. `usage` is what the owner uses."""

    def __init__(self, usage: Usage) -> None:
        super().__init__(f"{usage.bytes} bytes and {usage.images} images are used")
        self.usage = usage


class NotRenderable(PortError):
    """The size cannot be rendered. `code` is one of `FailureCode`'s values; `detail` is one sentence for the caller."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class Refused(PortError):
    """No request is sent to the url. `reason` is `url`, `scheme`, `port`, `host`, `address` or `redirects`.

    `detail` completes a sentence that begins with the url, such as "must begin with https://". It names no address
    that a host name resolved to.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class NoAnswer(PortError):
    """The server at the url did not answer. `reason` is `name`, `connection`, `tls`, `timeout` or `protocol`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class BadAnswer(PortError):
    """The server at the url answered, but not with the file.

    `reason` is `status`, `encoding`, `size`, `incomplete`, `rate` or `timeout`; `found` are the values found.
    """

    def __init__(self, reason: str, detail: str, **found: int | str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.found = found


class Unavailable(PortError):
    """The backend refused or did not answer. `retry_after` is seconds."""

    def __init__(self, detail: str, retry_after: int = 2) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class KeepsChanging(Unavailable):
    """The record changed during every attempt to write it."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"The record of {image_id} is changing too often. Try again.")


class RendererBusy(Unavailable):
    """Too many sizes wait to be rendered."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("Too many sizes wait to be rendered.", retry_after_seconds)


class Full(Unavailable):
    """No space for new bytes until some are deleted. Reading and deleting still work.

    `free_bytes` and `min_free_bytes` are the value found and the limit, if known.
    """

    def __init__(self, detail: str, *, free_bytes: int | None = None, min_free_bytes: int | None = None) -> None:
        super().__init__(detail)
        self.free_bytes = free_bytes
        self.min_free_bytes = min_free_bytes


class ConfigurationError(DarkroomError):
    """The settings are invalid. The message names the setting."""
