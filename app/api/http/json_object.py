"""JSON objects in request bodies: the parser, and checks of their members."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from app.api.http.problem_catalog import refusal
from app.domain.uploads.descriptions import Description
from app.domain.uploads.field_values import check_text, describe_value, missing_field, unknown_fields, wrong_type

DEPTH = 32

# Possessive, and the closing quote is optional, so that it takes linear time.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_LINE_BREAKS = bytes.maketrans(b"\t\r\n", b"   ")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE | re.ASCII)
_FOUND_CHARACTERS = 80


class JsonObject:
    """Members of a JSON object, or fields of a form as such an object. A null member counts as absent."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def __contains__(self, name: str) -> bool:
        return self._members.get(name) is not None

    @classmethod
    def parse(cls, body: bytes, known: Sequence[str]) -> "JsonObject":
        """Parse an object as `parse_object` does. Raises `Invalid` also for unknown members."""
        return cls._of(parse_object(body), known)

    @classmethod
    def parse_long(cls, body: bytes | bytearray, known: Sequence[str], max_rest: int) -> "JsonObject":
        """Parse an object with long strings, in which line breaks need not be escaped. Raises as `parse` does, and
        `TooLarge` for more than `max_rest` bytes in addition to the strings."""
        return cls._of(parse_object(body, max_rest=max_rest), known)

    @classmethod
    def _of(cls, members: dict[str, Any], known: Sequence[str]) -> "JsonObject":
        if unknown := members.keys() - set(known):
            raise unknown_fields(unknown, known)
        return cls(members)

    def value(self, name: str) -> Any:
        """Return a member as it is; None if it is absent."""
        return self._members.get(name)

    def flag(self, name: str) -> bool:
        """Return a boolean member; False if it is absent. Raises `Invalid` for other types."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, bool):
            raise wrong_type(name, "true or false", value)
        return bool(value)

    def text(self, name: str) -> str | None:
        """Return a string member. Raises `Invalid` for other types."""
        return check_text(name, self._members.get(name))

    def whole_number(self, name: str, what: str) -> int:
        """Return an integer of at least 1; `1.0` is accepted too, because JSON has one type of numbers.

        Raises `Invalid`; `what` describes the number.
        """
        value = self._members.get(name)
        if value is None:
            raise missing_field(name, what)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type(name, "a whole number", value)
        if value < 1:
            detail = f"`{name}` must be at least 1 (found: {describe_value(value)})."
            raise refusal("out_of_range", detail, field=name, minimum=1)
        return value

    def sha256(self, name: str) -> str | None:
        """Return a SHA-256 as lower-case hexadecimal digits. Raises `Invalid`."""
        value = self.text(name)
        return None if value is None else _parse_sha256(name, value)

    def sha256_list(self, name: str, most: int) -> dict[str, str]:
        """Return a list of SHA-256 as lower-case hexadecimal digits, by the texts of the list. Raises `Invalid`, also
        for none at all and for more than `most`."""
        value = self._members.get(name)
        if value is None or value == []:
            raise missing_field(name, f"1 to {most:,} SHA-256 in hexadecimal digits")
        if not isinstance(value, list):
            raise wrong_type(name, "a list of strings", value)
        if len(value) > most:
            detail = f"`{name}` has {len(value):,} hashes. The limit is {most:,}: send several requests."
            raise refusal("too_long", detail, field=name, measured=len(value), limit=most)
        for number, each in enumerate(value):
            if not isinstance(each, str):
                raise wrong_type(f"{name}.{number}", "a string", each)
        return {each: _parse_sha256(f"{name}.{number}", each) for number, each in enumerate(value)}

    def parse_description(self) -> Description:
        """Return the members that describe an image. Raises `Invalid`."""
        return Description.parse(self._members)


def _parse_sha256(field: str, value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise refusal("bad_sha256", field=field, found=value[:_FOUND_CHARACTERS])
    return value.lower()


def parse_object(body: bytes | bytearray, *, max_rest: int | None = None) -> dict[str, Any]:
    """Parse a JSON object in UTF-8, with or without a byte order mark.

    Raises `Malformed` for text that is not JSON, is nested more than `DEPTH` levels deep or has a duplicate member, and
    `Invalid` for a value that is not an object. `max_rest` is that of `JsonObject.parse_long`.
    """
    if not body:
        raise refusal("empty_body")
    check_depth(body, max_rest)
    try:
        members = load_json(body.decode("utf-8-sig"), strict=max_rest is None)
    except UnicodeDecodeError:
        raise refusal("bad_json", "The body is not JSON: it is not UTF-8.") from None
    except ValueError:
        text = body if max_rest is None else _STRING.sub(lambda found: found[0].translate(_LINE_BREAKS), body)
        raise refusal("bad_json", f"The body is not JSON: {_describe_error(text)}.") from None
    if not isinstance(members, dict):
        raise refusal("wrong_type", "The body must be a JSON object.")
    return members


def load_json(text: str, *, strict: bool = True) -> Any:
    """Parse JSON. Raises `ValueError`, also for NaN and Infinity, and `Malformed` for a duplicate member.

    Unless `strict`, strings may contain line breaks and other control characters.
    """
    return json.loads(text, object_pairs_hook=_to_dict, parse_constant=_no_constant, strict=strict)


def check_depth(body: bytes | bytearray, max_rest: int | None = None) -> None:
    """Raise `Malformed` for JSON that is nested more than `DEPTH` levels deep, before a parser recurses into it.

    Raises `TooLarge` for more than `max_rest` bytes in addition to the strings.
    """
    rest = _STRING.sub(b"", body)
    if max_rest is not None and len(rest) > max_rest:
        raise refusal("fields_too_large", limit_bytes=max_rest, received_bytes=len(rest))
    depth = 0
    for bracket in re.findall(rb"[][{}]", rest):
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


def _describe_error(body: bytes | bytearray) -> str:
    """Describe the error in the body. Python's own parser has other messages and positions in each version."""
    try:
        from_json(body.removeprefix(BOM_UTF8))
    except ValueError as error:
        return str(error)
    return "NaN and Infinity are not JSON"  # this parser accepts them
