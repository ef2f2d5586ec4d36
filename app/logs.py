"""One JSON line an event, on standard error, the same from every door."""

import logging
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

#: Whose lines are ours to write: the application's, and its server's.
_LOGGERS = ("app", "uvicorn")

_formatter: LambdaPowertoolsFormatter | None = None


def configure(level: str, service: str) -> None:
    """Send what is said at `level` and above to standard error, `extra` fields included.

    uvicorn's own lines take the same form, but for its access log, which would name callers and signed urls: a request
    has its line from us.
    """
    global _formatter  # noqa: PLW0603 - logging is one for the process, and so is its form
    _formatter = LambdaPowertoolsFormatter(
        log_record_order=["timestamp", "level", "name", "message"],
        name="%(name)s",
        location=None,
        service=service,
        utc=True,
        use_rfc3339=True,
        serialize_stacktrace=False,  # the traceback is there as text
    )
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter)
    handler.addFilter(_without_needless)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False


class Invocations:
    """Has every line tell which invocation of a function it belongs to, and whether that was the first."""

    def __init__(self) -> None:
        self._begun = 0

    def begin(self, context: Any) -> None:
        """What is said from now on belongs to this one."""
        self._begun += 1
        if _formatter is not None:
            invocation_id = getattr(context, "aws_request_id", None)
            _formatter.append_keys(cold_start=self._begun == 1, invocation_id=invocation_id)


def _without_needless(record: logging.LogRecord) -> bool:
    for name in ("color_message", "taskName"):  # uvicorn's, and newer Pythons'
        record.__dict__.pop(name, None)
    return True
