"""JSON objects in request bodies: one parser, and one set of rules for their members."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from app.domain.errors import Invalid, Malformed
from app.domain.uploads.descriptions import Description

DEPTH = 32

# Possessive, and closed at the end of the body at the latest, so that it takes linear time.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE | re.ASCII)
_FOUND_CHARACTERS = 80


class JsonObject:
    """The members of an object. A member that is null counts as absent."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    @classmethod
    def parse(cls, body: bytes, known: Sequence[str]) -> "JsonObject":
        """Parse UTF-8, with or without a byte order mark.

        Raises `Malformed` for what is not JSON, is nested more than `DEPTH` deep or has a member twice, and `Invalid`
        for what is no object or has a member that is not known.
        """
        if not body:
            raise Malformed("empty_body", "The body is empty.")
        check_depth(body)
        try:
            members = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant)
        except UnicodeDecodeError:
            raise Malformed("bad_json", "The JSON is not UTF-8.") from None
        except ValueError:
            raise Malformed("bad_json", f"The body is not JSON{_fault(body)}.") from None
        if not isinstance(members, dict):
            raise Invalid("wrong_type", "The body must be a JSON object.")
        if unknown := sorted(set(members) - set(known)):
            names = ", ".join(ascii(name[:40]) for name in unknown[:5])
            raise Invalid("unknown_field", f"There is no field {names}.", fields=list(known))
        return cls(members)

    def text(self, name: str) -> str | None:
        """A string. Raises `Invalid` for anything else."""
        value = self._members.get(name)
        if value is None or isinstance(value, str):
            return value
        raise _wrong_type(name, "a string", value)

    def whole_number(self, name: str, what: str) -> int:
        """A number of at least 1, which may be written with a fraction of zero: JSON has one kind of number.

        Raises `Invalid`; `what` says what the number means.
        """
        value = self._members.get(name)
        if value is None:
            raise Invalid("missing_field", f"`{name}` is required: {what}.", field=name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(name, "a whole number", value)
        if value < 1:
            raise Invalid(
                "out_of_range", f"`{name}` must be at least 1 (found: {_found(value)}).", field=name, minimum=1
            )
        return value

    def sha256(self, name: str) -> str | None:
        """A SHA-256 in hexadecimal digits, in lower case. Raises `Invalid`."""
        value = self.text(name)
        if value is None or _SHA256.fullmatch(value):
            return value and value.lower()
        detail = f"`{name}` must be 64 hexadecimal digits (found: {_found(value)})."
        raise Invalid("bad_sha256", detail, field=name, found=value[:_FOUND_CHARACTERS])

    def words(self) -> Description:
        """Title, alternative text and tags. Raises `Invalid`."""
        tags = self._members.get("tags")
        tags = [] if tags is None else [tags] if isinstance(tags, str) else tags
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise Invalid("wrong_type", "`tags` must be a list of strings.", field="tags")
        return Description.parse(self.text("title"), self.text("alt"), tags)


def check_depth(body: bytes) -> None:
    """Raise `Malformed` for JSON that is nested more than `DEPTH` deep, before a parser recurses into it."""
    depth = 0
    for bracket in re.findall(rb"[][{}]", _STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH:
            raise too_deep(depth)


def too_deep(depth: int) -> Malformed:
    """Build the refusal of JSON that is nested too deep."""
    return Malformed("too_deep", f"The JSON is nested more than {DEPTH} deep.", limit=DEPTH, measured=depth)


def duplicate(name: str) -> Malformed:
    """Build the refusal of a member that is there twice."""
    return Malformed("duplicate_field", f"The field {name[:40]!a} is there twice.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, value in pairs:
        if name in document:
            raise duplicate(name)
        document[name] = value
    return document


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _wrong_type(name: str, kind: str, value: object) -> Invalid:
    return Invalid("wrong_type", f"`{name}` must be {kind} (found: {_found(value)}).", field=name)


def _found(value: object) -> str:
    """A short value as it came, and anything else by its kind."""
    if isinstance(value, bool | str | float) or (isinstance(value, int) and abs(value) < 10**18):
        text = json.dumps(value)
        return text if len(text) <= _FOUND_CHARACTERS else f"{text[:_FOUND_CHARACTERS]}…"
    return {list: "a list", dict: "an object", int: "a number of many digits"}.get(type(value), "something else")


def _fault(body: bytes) -> str:
    """Say what is wrong with the body, and where. Python's own parser has other words and places in each version."""
    try:
        from_json(body.removeprefix(BOM_UTF8))
    except ValueError as error:
        return f": {error}"
    return ": NaN and Infinity are not JSON"  # this parser accepts them
