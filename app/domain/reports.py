"""Reports of requests and of processed images: ids, sizes and times.

Nothing personal: no owner, no address, no file name, no API key, no url. An entry point chooses the reporter;
`log_report`, which writes one line to the log, is the default.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

requests = logging.getLogger("app.request")
images = logging.getLogger("app.image")


class Outcome(StrEnum):
    """Result of one delivery of an image's event."""

    READY = "ready"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    DELETED = "deleted"
    UNKNOWN = "unknown"
    RETRY = "retry"


class RequestReport(NamedTuple):
    """One answered request. Sizes are in bytes, times in milliseconds.

    `route` is the template of the path, None if no route matched; `code` is that of the problem in the answer.
    `image_bytes` is the size of an accepted image; `duplicate` is True if the owner already had its bytes. `size` is
    `hit` for a size on demand that was stored, `miss` for one that was rendered. `gateway_id` is the gateway's id of
    the request, if there is a gateway.
    """

    request_id: str
    method: str
    status: int
    ms: float
    bytes_in: int
    bytes_out: int
    route: str | None = None
    code: str | None = None
    image_id: str | None = None
    image_bytes: int | None = None
    duplicate: bool | None = None
    size: str | None = None
    gateway_id: str | None = None
    phases: Mapping[str, float] = MappingProxyType({})


@dataclass(kw_only=True, eq=False, repr=False)
class ImageReport:
    """One delivery of an image's event, with the fields known when it ended. Sizes are in bytes and pixels, times in
    milliseconds.

    `direct` is True if the original did not arrive through `POST /upload`. In `phases`, `process` is the lifetime of
    the child process; `open` to `placeholder` are measured inside it, and several of them overlap. `memory_mb` is the
    child's peak memory.
    """

    image_id: str
    receive_count: int | None = None
    outcome: Outcome = Outcome.RETRY
    code: str | None = None
    direct: bool = False
    format: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    variants: int | None = None
    variant_bytes: int | None = None
    memory_mb: float | None = None
    ms: float = 0
    phases: dict[str, float] = field(default_factory=dict)


RequestReporter = Callable[[RequestReport], None]
ImageReporter = Callable[[ImageReport], None]

_LOGGED_AS_WARNING = frozenset({Outcome.FAILED, Outcome.UNKNOWN, Outcome.RETRY})


def log_report(report: RequestReport | ImageReport) -> None:
    """Log one line: a message, and the report's fields as `extra`. Unknown fields are left out."""
    if isinstance(report, RequestReport):
        message = f"{report.method} {report.route or '(no route)'} {report.status}"
        _log(requests, logging.INFO, message, report)
    else:
        level = logging.WARNING if report.outcome in _LOGGED_AS_WARNING else logging.INFO
        _log(images, level, f"{report.outcome}: {report.code}" if report.code else str(report.outcome), report)


def _log(logger: logging.Logger, level: int, message: str, report: RequestReport | ImageReport) -> None:
    """Log without the place in the code, which `Logger.log` looks up in the stack and no format shows."""
    if logger.isEnabledFor(level):
        found = report._asdict() if isinstance(report, RequestReport) else vars(report)
        fields = {name: value for name, value in found.items() if value is not None and value != {}}
        logger.handle(logger.makeRecord(logger.name, level, "", 0, message, (), None, extra=fields))
