"""The log: one JSON object per line on standard error, from every entry point and every library."""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

log = logging.getLogger(__name__)

#: Loggers of the application and of its server. Other loggers write warnings and errors only.
_LOGGERS = ("app", "uvicorn")
_DATA = "<data>"

_formatter: LambdaPowertoolsFormatter | None = None


def configure(level: str, service: str, private: Iterable[Path] = ()) -> None:
    """Write records at `level` and above to standard error, with their `extra` fields.

    The one handler is on the root logger, so libraries and warnings write JSON too. The paths in `private` are replaced
    in every line, and so are the file names in the errors of a traceback. uvicorn's access log is off: it would name
    callers and signed urls, and each request has a line of its own.
    """
    global _formatter  # noqa: PLW0603 - logging is global to the process, and so is its formatter
    _formatter = _Formatter(
        log_record_order=["timestamp", "level", "name", "message"],
        name="%(name)s",
        location=None,
        service=service,
        utc=True,
        use_rfc3339=True,
        serialize_stacktrace=False,  # the traceback is there as text
        json_serializer=_Serializer(private),
    )
    handler = _Handler()
    handler.setFormatter(_formatter)
    handler.addFilter(_prepared)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(level)
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
    logging.captureWarnings(capture=True)


def catch_uncaught() -> None:
    """Log exceptions that end a thread or the process, or that have nowhere to go. Hooks of others stay."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_fatal
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda args: _log_error("a thread ended by an exception", args.exc_value)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda args: _log_error("an exception was ignored", args.exc_value)


class Invocations:
    """Adds to every line which invocation of a function it belongs to, and whether that was the first."""

    def __init__(self) -> None:
        self._begun = 0

    def begin(self, context: Any) -> None:
        """Start the next invocation."""
        self._begun += 1
        if _formatter is not None:
            invocation_id = getattr(context, "aws_request_id", None)
            _formatter.append_keys(cold_start=self._begun == 1, invocation_id=invocation_id)


class _Handler(logging.StreamHandler[Any]):
    """Writes a JSON line also for a record that cannot be formatted, where logging would write a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        because = type(sys.exc_info()[1]).__name__
        fields = {"level": "ERROR", "name": record.name, "message": "a log line could not be written"}
        with suppress(Exception):  # standard error may be closed or full
            self.stream.write(json.dumps({**fields, "because": because}) + self.terminator)


class _Formatter(LambdaPowertoolsFormatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        """Format the traceback without the file names of its errors."""
        text = super().formatException(ei)
        for error in _chain(ei[1]):
            for name in (error.filename, error.filename2) if isinstance(error, OSError) else ():
                if name is not None:
                    text = text.replace(repr(name), "'…'")
        return text


class _Serializer:
    """Writes a line as JSON, with private paths replaced in all of its strings."""

    def __init__(self, private: Iterable[Path]) -> None:
        spelled = {str(spelling) for path in private for spelling in (path, path.absolute(), os.path.realpath(path))}
        longest_first = sorted((path for path in spelled if len(path) > 1), key=len, reverse=True)
        self._private = re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?!\w)") if longest_first else None

    def __call__(self, line: Any) -> str:
        return json.dumps(self._clean(line), default=self._text, separators=(",", ":"), ensure_ascii=False)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._private.sub(_DATA, value) if self._private else value
        if isinstance(value, dict):
            return {str(name): self._clean(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(each) for each in value]
        return value

    def _text(self, value: object) -> Any:
        return self._clean(_words(value) if isinstance(value, BaseException) else str(value))


def _prepared(record: logging.LogRecord) -> bool:
    """Make a record's message text, with errors in it that name no file."""
    for name in ("color_message", "taskName"):  # uvicorn's, and newer Pythons'
        record.__dict__.pop(name, None)
    if isinstance(record.args, tuple):
        record.args = tuple(map(_words, record.args))
    if not isinstance(record.msg, str):
        record.msg = str(_words(record.msg))
    return True


def _words(value: Any) -> Any:
    """The value; for an `OSError` its text without file names."""
    if isinstance(value, OSError) and value.filename is not None:
        return f"[Errno {value.errno}] {value.strerror}"
    return value


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that a traceback shows with it."""
    left, seen = [error], set()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [each.__cause__, each.__context__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]


def _log_fatal(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("the process ended by an exception", exc_info=(kind, error, trace))


def _log_error(sentence: str, error: BaseException | None) -> None:
    log.error(sentence, exc_info=error)
