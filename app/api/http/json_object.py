"""JSON objects in request bodies: the parser, and checks of their members."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from app.api.http.problem_catalog import refusal
from app.domain.errors import RequestError
from app.domain.uploads.descriptions import Description

DEPTH = 32

# Possessive, and the closing quote is optional, so that it takes linear time.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE | re.ASCII)
_FOUND_CHARACTERS = 80


class JsonObject:
    """Members of a JSON object. A null member counts as absent."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def __contains__(self, name: str) -> bool:
        return self._members.get(name) is not None

    @classmethod
    def parse(cls, body: bytes, known: Sequence[str]) -> "JsonObject":
        """Parse UTF-8, with or without a byte order mark.

        Raises `Malformed` for text that is not JSON, is nested more than `DEPTH` levels deep or has a duplicate member,
        and `Invalid` for a value that is not an object or has an unknown member.
        """
        if not body:
            raise refusal("empty_body")
        check_depth(body)
        try:
            members = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_to_dict, parse_constant=_no_constant)
        except UnicodeDecodeError:
            raise refusal("bad_json", "The body is not JSON: it is not UTF-8.") from None
        except ValueError:
            raise refusal("bad_json", f"The body is not JSON: {_describe_error(body)}.") from None
        if not isinstance(members, dict):
            raise refusal("wrong_type", "The body must be a JSON object.")
        if unknown := sorted(set(members) - set(known)):
            names = ", ".join(ascii(name[:40]) for name in unknown[:5])
            detail = f"Unknown field {names}. Accepted: {', '.join(known)}."
            raise refusal("unknown_field", detail, fields=list(known))
        return cls(members)

    def text(self, name: str) -> str | None:
        """Return a string member. Raises `Invalid` for other types."""
        value = self._members.get(name)
        if value is None or isinstance(value, str):
            return value
        raise _wrong_type(name, "a string", value)

    def whole_number(self, name: str, what: str) -> int:
        """Return an integer of at least 1; `1.0` is accepted too, because JSON has one type of numbers.

        Raises `Invalid`; `what` describes the number.
        """
        value = self._members.get(name)
        if value is None:
            raise refusal("missing_field", f"`{name}` is required: {what}.", field=name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(name, "a whole number", value)
        if value < 1:
            detail = f"`{name}` must be at least 1 (found: {_describe_value(value)})."
            raise refusal("out_of_range", detail, field=name, minimum=1)
        return value

    def sha256(self, name: str) -> str | None:
        """Return a SHA-256 as lower-case hexadecimal digits. Raises `Invalid`."""
        value = self.text(name)
        if value is None or _SHA256.fullmatch(value):
            return value and value.lower()
        raise refusal("bad_sha256", field=name, found=value[:_FOUND_CHARACTERS])

    def parse_description(self) -> Description:
        """Return title, alternative text and tags. Raises `Invalid`."""
        tags = self._members.get("tags")
        tags = [] if tags is None else [tags] if isinstance(tags, str) else tags
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise refusal("wrong_type", "`tags` must be a list of strings.", field="tags")
        return Description.parse(self.text("title"), self.text("alt"), tags)


def check_depth(body: bytes) -> None:
    """Raise `Malformed` for JSON that is nested more than `DEPTH` levels deep, before a parser recurses into it."""
    depth = 0
    for bracket in re.findall(rb"[][{}]", _STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH:
            raise refusal("too_deep", limit=DEPTH, measured=depth)


def _to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, value in pairs:
        if name in document:
            raise refusal("duplicate_field", field=name[:40])
        document[name] = value
    return document


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _wrong_type(name: str, kind: str, value: object) -> RequestError:
    return refusal("wrong_type", f"`{name}` must be {kind} (found: {_describe_value(value)}).", field=name)


def _describe_value(value: object) -> str:
    """Describe a value: short ones literally, others by their type."""
    if isinstance(value, bool | str | float) or (isinstance(value, int) and abs(value) < 10**18):
        text = json.dumps(value)
        return text if len(text) <= _FOUND_CHARACTERS else f"{text[:_FOUND_CHARACTERS]}…"
    return {list: "a list", dict: "an object", int: "a number of many digits"}.get(type(value), "something else")


def _describe_error(body: bytes) -> str:
    """Describe the error in the body. Python's own parser has other messages and positions in each version."""
    try:
        from_json(body.removeprefix(BOM_UTF8))
    except ValueError as error:
        return str(error)
    return "NaN and Infinity are not JSON"  # this parser accepts them
