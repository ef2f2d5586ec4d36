"""Sentences about wrong usage."""

import re

from typer.exceptions import TyperException

#: Beginnings of messages of pydantic, with which typer checks values, and what they become.
_PLAIN = (
    (r"Value error, ", ""),
    (r"Input should be greater than or equal to ", "must be at least "),
    (r"Input should be less than or equal to ", "must be at most "),
    (r"Input should be a valid integer\b.*", "must be a whole number"),
    (r"Input should be a valid number\b.*", "must be a number"),
    (r"Input should be ", "must be "),
)
_FOUND_CHARACTERS = 80


def describe_usage(error: TyperException) -> str:
    """Return the cause of wrong usage as one line, with the value that was found. Empty if the help says it all."""
    text = " ".join(error.format_message().split()).removeprefix("Invalid value: ")
    for pattern, plain in _PLAIN:
        text = re.sub(f"(^|: ){pattern}", rf"\1{plain}", text)
    found = _found(error)
    return f"{text.removesuffix('.')} (found: {found!r})" if found and repr(found) not in text else text


def _found(error: TyperException) -> str:
    """Return the value that pydantic refused, if it is a text."""
    errors = getattr(error.__cause__, "errors", None)
    value = errors()[0].get("input") if callable(errors) else None
    return value[:_FOUND_CHARACTERS] if isinstance(value, str) else ""
