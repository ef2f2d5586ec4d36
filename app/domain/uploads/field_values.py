"""Checks of the fields that describe an image, and their stored form. Values are those of JSON."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from app.domain.errors import Invalid
from app.domain.models import FocalPoint, Visibility
from app.domain.text import normal_text

TITLE_CHARACTERS = 200
ALT_CHARACTERS = 1000
TAGS = 20
TAG_CHARACTERS = 64
METADATA_KEYS = 32
#: Most bytes of all keys and values of `metadata`, in UTF-8.
METADATA_BYTES = 2048
#: Valid keys of `metadata`. They have no brackets, because forms have fields `metadata[<key>]`.
METADATA_KEY_PATTERN = "^[A-Za-z0-9_.:-]{1,64}$"
#: Raw text may be this many times longer than normalized text. The time of normalization grows with the square of the
#: marks on a letter, so the length is checked before it; it combines at most four characters into one.
RAW_FACTOR = 4

_METADATA_KEY = re.compile(METADATA_KEY_PATTERN.strip("^$"), re.ASCII)
_COORDINATES = ("x", "y")
_FOUND_CHARACTERS = 80


def parse_text(field: str, value: object, limit: int) -> str | None:
    """Return a text in its stored form (see `normal_text`); None for null and for a text that is empty.

    Raises `Invalid` with the field, the measured length and the limit, as do all functions of this module.
    """
    return _normalize(field, check_text(field, value) or "", limit) or None


def parse_tags(value: object, field: str = "tags") -> tuple[str, ...]:
    """Return normalized tags of a list or a text, split at commas. Duplicates are dropped, the order stays."""
    texts = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise wrong_type(field, "a list of strings", value)
    for text in texts:
        if not isinstance(text, str):
            raise wrong_type(field, "a list of strings", text)
    written = dict.fromkeys(tag for text in texts for tag in text.split(",") if tag and not tag.isspace())
    _check_count(field, len(written), RAW_FACTOR * TAGS)
    normal = dict.fromkeys(_normalize(field, tag, TAG_CHARACTERS) for tag in written)
    return check_tags([tag for tag in normal if tag], field)


def check_tags(tags: Sequence[str], field: str = "tags") -> tuple[str, ...]:
    """Return the tags. Raises `Invalid` for too many."""
    _check_count(field, len(tags), TAGS)
    return tuple(tags)


def parse_metadata(value: object) -> dict[str, str | None]:
    """Return entries of `metadata` in their stored form; None is the value of a key that a patch removes."""
    if not isinstance(value, dict):
        raise wrong_type("metadata", "an object of strings", value)
    for key, text in value.items():
        if not _METADATA_KEY.fullmatch(key):
            raise Invalid(
                "bad_metadata_key",
                f"`metadata` has an invalid key (found: {key[:_FOUND_CHARACTERS]!a}). A key is 1 to 64 letters, "
                "digits, and characters of `_.:-`.",
                field="metadata",
                found=key[:_FOUND_CHARACTERS],
            )
        check_text(f"metadata.{key}", text)
    _check_bytes(value, RAW_FACTOR * METADATA_BYTES)
    return {key: None if text is None else _normalize_text(f"metadata.{key}", text) for key, text in value.items()}


def merge_metadata(stored: Mapping[str, str], entries: Mapping[str, str | None]) -> dict[str, str]:
    """Return stored metadata with these entries, without those that are None. Raises `Invalid` if it is too large."""
    merged = {key: text for key, text in {**stored, **entries}.items() if text is not None}
    if len(merged) > METADATA_KEYS:
        detail = f"`metadata` has {len(merged)} keys. The limit is {METADATA_KEYS}."
        raise _too_long("metadata", detail, len(merged), METADATA_KEYS)
    _check_bytes(merged, METADATA_BYTES)
    return merged


def parse_focal_point(value: object) -> dict[str, float | None]:
    """Return the coordinates that a value names; None is one that a patch removes."""
    if not isinstance(value, dict):
        raise wrong_type("focal_point", "an object with the numbers `x` and `y`", value)
    if unknown := set(value) - set(_COORDINATES):
        raise unknown_fields(unknown, _COORDINATES, "focal_point.")
    return {name: None if value[name] is None else _coordinate(f"focal_point.{name}", value[name]) for name in value}


def merge_focal_point(stored: FocalPoint | None, coordinates: Mapping[str, float | None]) -> FocalPoint:
    """Return the focal point with these coordinates. Raises `Invalid` if one is missing."""
    merged = {**(stored.model_dump() if stored else {}), **coordinates}
    for name in _COORDINATES:
        if merged.get(name) is None:
            raise missing_field(f"focal_point.{name}", "a number from 0 to 1")
    return FocalPoint(**merged)


def parse_visibility(value: object) -> Visibility:
    """Return the visibility that a value names. Null is none."""
    if isinstance(value, str) and value in set(Visibility):
        return Visibility(value)
    accepted = list(Visibility)
    detail = f"`visibility` must be {' or '.join(map(repr, map(str, accepted)))} (found: {describe_value(value)})."
    raise Invalid("bad_visibility", detail, field="visibility", accepted=accepted)


def check_text(field: str, value: object) -> str | None:
    """Return a text or None. Raises `Invalid` for values of other types."""
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(field, "a string", value)


def wrong_type(field: str, kind: str, value: object) -> Invalid:
    """Build the error of a value of another type; `kind` is the right one."""
    return Invalid("wrong_type", f"`{field}` must be {kind} (found: {describe_value(value)}).", field=field)


def missing_field(field: str, description: str) -> Invalid:
    """Build the error of a required field that is absent."""
    return Invalid("missing_field", f"`{field}` is required: {description}.", field=field)


def unknown_fields(unknown: Iterable[str], known: Sequence[str], prefix: str = "") -> Invalid:
    """Build the error of fields that do not exist. `prefix` names the object that they are members of."""
    names = [(prefix + name)[:40] for name in sorted(unknown)[:5]]
    accepted = [prefix + name for name in known]
    detail = f"Unknown field {', '.join(map(ascii, names))}. Accepted: {', '.join(accepted)}."
    return Invalid("unknown_field", detail, found=names, fields=accepted)


def describe_value(value: object) -> str:
    """Describe a value: short ones literally, others by their type."""
    if value is None or isinstance(value, bool | str | float) or (isinstance(value, int) and abs(value) < 10**18):
        text = json.dumps(value)
        return text if len(text) <= _FOUND_CHARACTERS else f"{text[:_FOUND_CHARACTERS]}…"
    return {list: "a list", dict: "an object", int: "a number of many digits"}.get(type(value), "something else")


def _coordinate(field: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong_type(field, "a number", value)
    if not 0 <= value <= 1:  # also NaN
        detail = f"`{field}` must be from 0 to 1 (found: {describe_value(value)})."
        raise Invalid("out_of_range", detail, field=field, minimum=0, maximum=1)
    return float(value) + 0.0  # not -0.0


def _check_count(field: str, count: int, most: int) -> None:
    if count > most:
        raise _too_long(field, f"`{field}` has {count} tags. The limit is {TAGS}.", count, TAGS)


def _check_bytes(metadata: Mapping[str, str | None], most: int) -> None:
    size = sum(len(key) + len((text or "").encode(errors="surrogatepass")) for key, text in metadata.items())
    if size > most:
        detail = f"`metadata` has {size:,} bytes of keys and values. The limit is {METADATA_BYTES:,}."
        raise _too_long("metadata", detail, size, METADATA_BYTES)


def _normalize(field: str, text: str, limit: int) -> str:
    if len(text) > RAW_FACTOR * limit:
        raise _too_many_characters(field, len(text), limit)
    text = _normalize_text(field, text)
    if len(text) > limit:
        raise _too_many_characters(field, len(text), limit)
    return text


def _normalize_text(field: str, text: str) -> str:
    text = normal_text(text)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise Invalid(
            "control_character",
            f"`{field}` contains a control character or an unpaired surrogate. Remove it.",
            field=field,
        )
    return text


def _too_many_characters(field: str, count: int, limit: int) -> Invalid:
    subject = f"A tag of `{field}`" if field.endswith("tags") else f"`{field}`"
    return _too_long(field, f"{subject} has {count} characters. The limit is {limit}.", count, limit)


def _too_long(field: str, detail: str, measured: int, limit: int) -> Invalid:
    return Invalid("too_long", detail, field=field, measured=measured, limit=limit)
