"""Text fields of an upload: the spellings of their names, and decoding of their values."""

import json
import re
from collections.abc import Mapping
from typing import Any

from app.api.http.content_type import decode, get_codec
from app.api.http.json_object import JsonObject, check_depth, load_json
from app.api.http.problem_catalog import refusal
from app.domain.uploads.descriptions import NAMES
from app.domain.uploads.field_values import describe_value

#: Names of the file: ours, and the defaults of Uppy (also with `bundle`), Dropzone and FilePond.
FILE_NAMES = ("file", "files", "filepond")

#: Fields of an upload in addition to the image.
TEXT_FIELDS = (*NAMES, "owner")

#: Characters of a field's name that an error shows.
NAME_CHARACTERS = 80

_DEFAULT_CHARSET = "utf-8"
#: Fields that are objects, and their spellings as an error lists them.
_OBJECTS: Mapping[str, str] = {
    "metadata": 'a JSON object, such as {"album": "7"}, or fields such as `metadata[album]`',
    "focal_point": '`x,y`, such as 0.5,0.25, or a JSON object, such as {"x": 0.5, "y": 0.25}',
}
_MEMBER = re.compile(rf"({'|'.join(_OBJECTS)})\[([^\]]*)\]")
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
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
    if base in TEXT_FIELDS and base in {name, "tags"}:
        return base
    return name if _MEMBER.fullmatch(name) else None


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

    def parse(self) -> JsonObject:
        """Decode every field. Fields of one name are the items of a list or the members of an object."""
        found: dict[str, Any] = {}
        for name, raw, charset, is_json in self._values:
            text = self._decode(name[:NAME_CHARACTERS], raw, charset)
            field, key = _split_member(name)
            value = _parse_declared(name[:NAME_CHARACTERS], text) if is_json else _parse_text(field, key, text)
            if value is not None:
                _add(found, field, value if key is None else {key: value})
        return JsonObject(found)

    def _decode(self, field: str, value: bytes, charset: str | None) -> str:
        codec = self.codec if charset is None else get_codec(charset, field)
        try:
            return decode(value, codec)
        except UnicodeDecodeError:
            if codec == "utf-8":
                raise refusal("not_utf8", field=field) from None
            raise refusal("bad_charset", field=field, charset=codec) from None


def _split_member(name: str) -> tuple[str, str | None]:
    """Return the field and the member of a name such as `metadata[key]`."""
    found = _MEMBER.fullmatch(name)
    return (found[1], found[2]) if found else (name, None)


def _add(found: dict[str, Any], field: str, value: Any) -> None:
    """Add the value of one field. Raises `Malformed` for a second one that is not part of a list or an object."""
    if field == "tags":
        found[field] = [*found.get(field, []), *(value if isinstance(value, list) else [value])]
        return
    if field in found:
        both = found[field], value
        if not all(isinstance(each, dict) for each in both) or both[0].keys() & both[1].keys():
            raise refusal("duplicate_field", field=field)
        value = both[0] | both[1]
    found[field] = value


def _parse_declared(field: str, text: str) -> Any:
    """Parse the value of a part that declares JSON as its type."""
    try:
        check_depth(text.encode(errors="surrogatepass"))
        return load_json(text)
    except ValueError:
        raise refusal("bad_json", f"The field `{field}` is declared as JSON, but is not JSON.", field=field) from None


def _parse_text(field: str, key: str | None, text: str) -> Any:
    """Return the value of a text as JSON has it. An empty input of a form is no value, but an empty text."""
    if field == "tags":
        return _parse_tags(text)
    if field in _OBJECTS and key is None:
        return _parse_object(field, text) if text.strip() else None
    if field == "focal_point":
        return _parse_number(text)
    return None if field == "visibility" and not text.strip() else text


def _parse_object(field: str, text: str) -> Any:
    """Return the object of a JSON text, or the focal point of `x,y`."""
    parts = text.split(",") if field == "focal_point" else []
    if len(parts) == 2 and all(_NUMBER.fullmatch(part.strip()) for part in parts):
        return dict(zip("xy", map(float, parts), strict=True))
    try:
        check_depth(text.encode(errors="surrogatepass"))
        return load_json(text)
    except ValueError:
        found = describe_value(text)
        detail = f"The field `{field}` is not JSON (found: {found}). Send {_OBJECTS[field]}."
        raise refusal("bad_json", detail, field=field) from None


def _parse_number(text: str) -> float | str:
    """Return the number that a text is, or the text."""
    return float(text) if _NUMBER.fullmatch(text.strip()) else text


def _parse_tags(text: str) -> list[str]:
    """Return the tags of a JSON list of strings; any other text is one tag."""
    if text.lstrip()[:1] != "[":
        return [text]
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else [text]
