"""Formats of a log line: JSON for programs, text for a terminal. Neither shows private paths."""

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_core import to_json

_DATA = "<data>"
#: Attributes of every record. All others were passed as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
#: Fields that the text format omits, because the message contains them.
_REPEATED = frozenset({"method", "route", "status", "outcome", "code"})
_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_COLORS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


class Redactor:
    """Replaces private paths, relative or absolute, with `<data>`."""

    def __init__(self, private: Iterable[Path] = ()) -> None:
        spelled = {str(spelling) for path in private for spelling in (path, path.absolute(), os.path.realpath(path))}
        self._private = _pattern(spelled)
        self._private_in_json = _pattern({_to_json(path)[1:-1] for path in spelled})

    def in_json(self, text: str) -> str:
        """Redact a JSON text."""
        return self._private_in_json.sub(_DATA, text) if self._private_in_json else text

    def __call__(self, value: Any) -> Any:
        """Redact a string, or the strings in a list or dict. Convert other values to JSON types."""
        if isinstance(value, str):
            return self._private.sub(_DATA, value) if self._private else value
        if isinstance(value, Mapping):
            return {str(name): self(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self(each) for each in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self(str(without_file_names(value)))


class _Formatter(logging.Formatter):
    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self.redact = redact

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        """Format the traceback without the file names of its errors."""
        text = super().formatException(ei)
        for error in _chain(ei[1]):
            for name in (error.filename, error.filename2) if isinstance(error, OSError) else ():
                if name is not None:
                    text = text.replace(repr(name), "'…'")
        return text

    def _extra(self, record: logging.LogRecord) -> dict[str, Any]:
        return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _pattern(paths: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted((path for path in paths if len(path) > 1), key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?!\w)") if longest_first else None


class JsonFormatter(_Formatter):
    """One JSON object per line: timestamp, level, name, message, the record's `extra` fields, then `constant`."""

    def __init__(self, redact: Redactor, constant: dict[str, Any]) -> None:
        super().__init__(redact)
        self.constant = constant

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line = {
            "timestamp": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "name": record.name,
            "message": record.getMessage(),
            **self._extra(record),
            **self.constant,
        }
        if record.exc_info and record.exc_info[0] is not None:
            line |= {
                "exception": self.formatException(record.exc_info),
                "exception_name": record.exc_info[0].__name__,
            }
        if record.stack_info:
            line["stack"] = record.stack_info
        try:
            text = to_json(line).decode()
        except ValueError:  # a value that is not JSON, or a string that UTF-8 cannot encode
            text = _to_json(self.redact(line))
        return self.redact.in_json(text)


class TextFormatter(_Formatter):
    """Local time, level, logger, message and the `extra` fields as `name=value`; tracebacks on lines of their own."""

    def __init__(self, redact: Redactor, *, color: bool) -> None:
        super().__init__(redact)
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        time = _time(record).astimezone().strftime("%H:%M:%S")
        level = f"{record.levelname:<7}"
        if self._color:
            level = f"\033[{_COLORS.get(record.levelname, '0')}m{level}\033[0m"
        name = record.name.removeprefix("app.")
        fields = self.redact({name: value for name, value in self._extra(record).items() if name not in _REPEATED})
        extra = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
        line = f"{time} {level} {name}: {_one_line(self.redact(record.getMessage()))}"
        line += ("  " + _dimmed(extra, color=self._color)) if extra else ""
        if record.exc_info and record.exc_info[0] is not None:
            line += "\n" + self.redact(self.formatException(record.exc_info))
        if record.stack_info:
            line += "\n" + self.redact(record.stack_info)
        return line


def without_file_names(value: Any) -> Any:
    """Return the value; for an `OSError` its text without file names."""
    if isinstance(value, OSError) and value.filename is not None:
        return f"[Errno {value.errno}] {value.strerror}"
    return value


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _one_line(text: str) -> str:
    """Escape control characters, which a terminal could execute."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, str) else value
    return json.dumps(text) if isinstance(value, str) and not re.fullmatch(r"[\w./:+-]+", text) else _one_line(text)


def _dimmed(text: str, *, color: bool) -> str:
    return f"\033[2m{text}\033[0m" if color else text


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and every error that its traceback shows."""
    left, seen = [error], set()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [each.__cause__, each.__context__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]
