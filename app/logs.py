"""Logging: one line per event on standard error, from every entry point and library."""

import json
import logging
import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn

from app.log_formats import JsonFormatter, Redactor, TextFormatter, without_file_names

log = logging.getLogger(__name__)

Format = Literal["auto", "text", "json"]

_constant: dict[str, Any] = {}


def configure(level: str, service: str, private: Iterable[Path] = (), form: Format = "json") -> None:
    """Write records at `level` and above to standard error, with their `extra` fields.

    `form` is JSON, text, or `auto`: text if standard error is a terminal. The one handler is on the root logger, so
    libraries and warnings use the same format. The paths in `private` are replaced in every line, and so are the file
    names in the errors of a traceback. uvicorn logs warnings and errors only: its access log would name callers and
    signed urls, and our own log has a line for each request, for the start and for the end.
    """
    terminal = sys.stderr.isatty()
    redact = Redactor(private)
    _constant.clear()
    _constant["service"] = service
    handler = _Handler()
    if form == "text" or (form == "auto" and terminal):
        handler.setFormatter(TextFormatter(redact, color=terminal and not os.environ.get("NO_COLOR")))
    else:
        handler.setFormatter(JsonFormatter(redact, _constant))
    handler.addFilter(_format_message)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no format shows them
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.getLogger("app").setLevel(level)
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
    logging.captureWarnings(capture=True)


def catch_uncaught() -> None:
    """Log exceptions that end a thread or the process, or that Python ignores. Hooks that others have set stay."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_fatal
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda args: _log_error("exception ended a thread", args.exc_value)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda args: _log_error("exception ignored", args.exc_value)


def end_before_start(reason: Exception) -> NoReturn:
    """Write the reason to standard error as text, and exit with code 2."""
    sys.stderr.write(f"{reason}\n")
    raise SystemExit(2)


class Invocations:
    """Adds the invocation of a Lambda function to every line, and whether it is a cold start."""

    def __init__(self) -> None:
        self._begun = 0

    def begin(self, context: Any) -> None:
        """Start the next invocation."""
        self._begun += 1
        _constant.update(cold_start=self._begun == 1, invocation_id=getattr(context, "aws_request_id", None))
        # Lambda sets it for each invocation: `Root=1-…;Parent=…;Sampled=0`.
        trace = os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=")
        _constant.update({"xray_trace_id": trace} if trace else {})


class _Handler(logging.StreamHandler[Any]):
    """Writes a JSON line for a record that cannot be formatted, where `logging` would write a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        because = type(sys.exc_info()[1]).__name__
        fields = {"level": "ERROR", "name": record.name, "message": "log record could not be formatted"}
        with suppress(Exception):  # standard error may be closed or full
            self.stream.write(json.dumps({**fields, "because": because}) + self.terminator)


def _format_message(record: logging.LogRecord) -> bool:
    """Filter: convert a record's message to text, and remove file names from errors in it."""
    if isinstance(record.args, tuple):
        record.args = tuple(map(without_file_names, record.args))
    if not isinstance(record.msg, str):
        record.msg = str(without_file_names(record.msg))
    return True


def _log_fatal(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("exception ended the process", exc_info=(kind, error, trace))


def _log_error(sentence: str, error: BaseException | None) -> None:
    log.error(sentence, exc_info=error)
