"""Text fields of an upload: the spellings of their names, and decoding of their values."""

import json
import re
from collections.abc import Iterable
from typing import Any

from app.api.http.content_type import decode, get_codec
from app.api.http.problem_catalog import refusal
from app.domain.uploads.descriptions import NAMES, Description

#: Names of the file: ours, and the defaults of Uppy (also with `bundle`), Dropzone and FilePond.
FILE_NAMES = ("file", "files", "filepond")

_DEFAULT_CHARSET = "utf-8"
_INDEX = re.compile(r"\[\d{0,4}\]|\.\d{1,4}", re.ASCII)


def strip_index(name: str) -> str:
    """Strip the suffix that clients append to the name of a list: `tags[]`, `tags[0]` and `tags.0` are `tags`."""
    stem = re.match(r"[a-z]*", name)
    base = stem[0] if stem else ""
    return base if _INDEX.fullmatch(name, len(base)) else name


def is_file_field(name: str) -> bool:
    """Return True if a part of this name may be the file."""
    return strip_index(name) in FILE_NAMES


def resolve_field(name: str) -> str | None:
    """Return the field that a name stands for, or None if it is unknown. Only lists may have an index."""
    base = strip_index(name)
    return base if base in NAMES and base in {name, "tags"} else None


class TextFields:
    """Values of text fields. They are decoded at the end, because the form's charset (`_charset_`) may come last."""

    CHARSET = "_charset_"

    def __init__(self) -> None:
        self._values: list[tuple[str, bytes, str | None, bool]] = []
        self._form_charset: str | None = None
        self.kept_bytes = 0

    def add(self, field: str, value: bytes, *, charset: str | None = None, is_json: bool = False) -> None:
        """Add the value of a known field; its part may declare a charset, or JSON."""
        if field == self.CHARSET:
            self._form_charset = value[:40].decode("latin-1").strip() or None
        else:
            self._values.append((field, value, charset, is_json))

    @property
    def codec(self) -> str:
        """Codec of parts without a charset of their own. Raises `UnsupportedType`."""
        return get_codec(self._form_charset or _DEFAULT_CHARSET, self.CHARSET)

    def parse_description(self) -> Description:
        """Decode and check every field."""
        found: dict[str, list[str]] = {name: [] for name in NAMES}
        for field, value, charset, is_json in self._values:
            found[field] += _parse_texts(field, self._decode(field, value, charset), is_json=is_json)
        return Description.parse(
            _single_value("title", found["title"]), _single_value("alt", found["alt"]), found["tags"]
        )

    def _decode(self, field: str, value: bytes, charset: str | None) -> str:
        codec = self.codec if charset is None else get_codec(charset, field)
        try:
            return decode(value, codec)
        except UnicodeDecodeError:
            if codec == "utf-8":
                raise refusal("not_utf8", field=field) from None
            raise refusal("bad_charset", field=field, charset=codec) from None


def _single_value(name: str, values: list[str]) -> str | None:
    if len(values) > 1:
        raise refusal("duplicate_field", field=name)
    return values[0] if values else None


def _parse_texts(field: str, text: str, *, is_json: bool) -> Iterable[str]:
    """Return the texts of one value: itself, those of a JSON part, or those of `tags` written as a JSON list."""
    if not is_json:
        return _parse_tags(text) if field == "tags" and text.lstrip()[:1] == "[" else [text]
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise refusal("bad_json", f"The field `{field}` is declared as JSON, but is not JSON.", field=field) from None
    if value is None:
        return []
    values = value if field == "tags" and isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        kind = "a list of strings" if field == "tags" else "a string"
        raise refusal("wrong_type", f"`{field}` must be {kind}.", field=field)
    return values


def _parse_tags(text: str) -> list[str]:
    """Return the tags of a JSON list of strings; any other text in brackets is one tag."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else [text]
