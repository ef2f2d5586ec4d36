"""What is told of every request and every picture: ids, sizes and times.

Nothing personal: no owner, no address, no name of a file, no key, no url. A door hands in what takes the reports, and
`log_report`, which writes a line into the log, is the least of it.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum

requests = logging.getLogger("app.request")
pictures = logging.getLogger("app.picture")


class Outcome(StrEnum):
    """How the delivery of a picture's event ended."""

    READY = "ready"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    DELETED = "deleted"
    UNKNOWN = "unknown"
    AGAIN = "again"


@dataclass(kw_only=True)
class RequestReport:
    """One request, answered. Sizes are in bytes, times in milliseconds.

    `route` is the template of the path, None where nothing is; `code` is that of the problem it was answered with.
    `picture_bytes` is the size of a picture taken in, `duplicate` whether its bytes were here before. `gateway_id` is
    the gateway's own name for the request, if there is a gateway.
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
    picture_bytes: int | None = None
    duplicate: bool | None = None
    gateway_id: str | None = None
    phases: dict[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class ImageReport:
    """One delivery of a picture's event, as far as it came. Sizes are in bytes and pixels, times in milliseconds.

    `direct` says that the original did not come through `POST /upload`. Of `phases`, `process` is the whole life of
    the child process, and `open` to `placeholder` are its own, of which several run at once; `memory_mb` is the most
    that it had.
    """

    image_id: str
    receive_count: int | None = None
    outcome: Outcome = Outcome.AGAIN
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

_WORTH_A_LOOK = frozenset({Outcome.FAILED, Outcome.UNKNOWN, Outcome.AGAIN})


def log_report(report: RequestReport | ImageReport) -> None:
    """Write the report's line into the log, its fields beside the sentence. What is not known is left out."""
    fields = {name: value for name, value in asdict(report).items() if value not in (None, {})}
    if isinstance(report, RequestReport):
        what = (report.method, report.route or "(no route)", report.status)
        requests.info("%s %s %d", *what, extra=fields)
    else:
        level = logging.WARNING if report.outcome in _WORTH_A_LOOK else logging.INFO
        pictures.log(level, "%s", f"{report.outcome}: {report.code}" if report.code else report.outcome, extra=fields)
