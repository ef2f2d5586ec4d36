"""The JSON form of an upload, read as it streams: only `image_base64` may be long, and it is never held whole."""

import json
from typing import Any

from app.api.base64_stream import Base64Stream, not_base64
from app.api.fields import NAMES, Words, media_type_word
from app.api.received import Received
from app.api.spool import Spool
from app.domain.errors import Invalid, Malformed, TooLarge

#: Bytes of the body that are not the picture.
REST_BYTES = 64 * 1024
DEPTH = 32
KNOWN = ("filename", "content_type", "image_base64", *NAMES)

_QUOTE, _BACKSLASH = b'"'[0], b"\\"[0]
_OPENING, _CLOSING = b"{[", b"}]"


class JsonBody:
    """Cuts the top-level string `image_base64` out of a JSON object and decodes it; parses the rest strictly."""

    def __init__(self, spool: Spool, limit: int) -> None:
        """Read into a spool that takes `limit` bytes."""
        # Four characters stand for three bytes and may be written as two each ("\\/"); line breaks come on top.
        self.max_bytes = 3 * limit + 2 * REST_BYTES
        self._spool = spool
        self._picture: PictureText | None = None
        self._in_picture = False
        self._rest = bytearray()
        self._depth = 0
        self._string_start: int | None = None  # where in the rest the string that we are in starts
        self._escaped = False
        self._key: bytes | None = None  # the last string at depth 1
        self._after_colon = False  # at depth 1, before the value

    @property
    def kept_bytes(self) -> int:
        """See `BodyReader`."""
        return len(self._rest)

    def feed(self, chunk: bytes) -> None:
        """See `BodyReader`."""
        while chunk:
            if self._in_picture and self._picture:
                ended, chunk = self._picture.feed(chunk)
                self._in_picture = not ended
            else:
                chunk = self._scan(chunk)

    def finish(self) -> Received:
        """See `BodyReader`."""
        if not self._rest:
            raise Malformed("empty_body", "The body is empty.")
        document = _parse(bytes(self._rest))
        if unknown := sorted(set(document) - set(KNOWN)):
            names = ", ".join(ascii(name[:40]) for name in unknown[:5])
            raise Invalid("unknown_field", f"There is no field {names}.", fields=KNOWN)
        if not isinstance(document.get("image_base64"), str):
            raise Invalid(
                "missing_field", "`image_base64` must be the picture as a base64 string.", field="image_base64"
            )
        if not self._spool.size:
            raise Invalid("missing_field", "`image_base64` holds no bytes.", field="image_base64")
        tags = document.get("tags") or []
        tags = [tags] if isinstance(tags, str) else tags
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise Invalid("wrong_type", "`tags` must be a list of strings.", field="tags")
        return Received(
            filename=_text(document, "filename"),
            declared_type=media_type_word(_text(document, "content_type")),
            words=Words.of(_text(document, "title"), _text(document, "alt"), tags),
        )

    def _scan(self, chunk: bytes) -> bytes:
        """Move bytes into the rest until the picture starts; what follows its opening quote, or nothing."""
        for at, byte in enumerate(chunk):
            self._rest.append(byte)
            if len(self._rest) > REST_BYTES:
                detail = f"The fields beside the picture are larger than {REST_BYTES:,} bytes."
                raise TooLarge("fields_too_large", detail, limit_bytes=REST_BYTES, received_bytes=len(self._rest))
            if self._string_start is not None:
                self._in_string(byte)
            elif byte == _QUOTE:
                if self._after_colon and self._depth == 1 and self._names_picture():
                    self._open_picture()
                    return chunk[at + 1 :]
                self._string_start = len(self._rest) - 1
            else:
                self._structure(byte)
        return b""

    def _in_string(self, byte: int) -> None:
        if self._escaped:
            self._escaped = False
        elif byte == _BACKSLASH:
            self._escaped = True
        elif byte == _QUOTE:
            if self._depth == 1 and not self._after_colon:
                self._key = bytes(self._rest[self._string_start :])
            self._string_start = None

    def _structure(self, byte: int) -> None:
        if byte in _OPENING:
            self._depth += 1
            if self._depth > DEPTH:
                detail = f"The JSON is nested more than {DEPTH} deep."
                raise Malformed("too_deep", detail, limit=DEPTH, measured=self._depth)
        elif byte in _CLOSING:
            self._depth -= 1
        elif self._depth == 1 and byte in b":,":
            self._after_colon = byte == b":"[0]

    def _names_picture(self) -> bool:
        try:
            return bool(json.loads(self._key or b'""') == "image_base64")
        except ValueError:
            return False  # the whole will not parse either

    def _open_picture(self) -> None:
        if self._picture:
            raise _duplicate("image_base64")
        self._picture = PictureText(Base64Stream(self._spool.write))
        self._in_picture = True
        self._rest += b'"'  # the rest keeps an empty string in the picture's place


class PictureText:
    """The inside of the JSON string, unescaped in pieces. Line breaks may stand in it bare."""

    def __init__(self, base64: Base64Stream) -> None:
        self._base64 = base64
        self._carry = b""  # an escape that is not whole yet

    def feed(self, chunk: bytes) -> tuple[bool, bytes]:
        """Whether the string has ended in this chunk, and what comes after it."""
        data = self._carry + chunk
        end = data.find(b'"')
        text, after = (data, b"") if end < 0 else (data[:end], data[end + 1 :])
        if b"\\" in text:
            text = self._unescaped(text, ended=end >= 0)
        else:
            self._carry = b""
        self._base64.feed(text)
        if end >= 0:
            self._base64.finish()
        return end >= 0, after

    def _unescaped(self, text: bytes, *, ended: bool) -> bytes:
        # No escape that base64 can hold has a backslash or a quote after its own backslash. So two in a row, or a
        # last one before the quote, are refused, and every other one starts an escape.
        last = text.rfind(b"\\")
        whole = last + (6 if text[last + 1 : last + 2] == b"u" else 2)
        self._carry = b""
        if whole > len(text):
            if ended:
                raise not_base64("An escape in it is not whole.")
            self._carry, text = text[last:], text[:last]
        if b"\\\\" in text or (self._carry and text.endswith(b"\\")):
            raise not_base64("It holds a backslash.")
        try:
            whole_text = json.loads(f'"{text.decode("latin-1")}"', strict=False)
        except ValueError:
            raise not_base64("It holds an escape that JSON does not know.") from None
        return str(whole_text).encode("ascii", errors="replace")


def _parse(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text.decode("utf-8-sig"), object_pairs_hook=unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise Malformed("bad_json", "The JSON is not UTF-8.") from None
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise Malformed("bad_json", f"The body is not JSON{where}.") from None
    if not isinstance(document, dict):
        raise Invalid("wrong_type", "The body must be a JSON object.")
    return document


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of its names and values. Raises `Malformed` for a name that is there twice."""
    document: dict[str, Any] = {}
    for name, value in pairs:
        if name in document:
            raise _duplicate(name)
        document[name] = value
    return document


def _duplicate(name: str) -> Malformed:
    return Malformed("duplicate_field", f"The field {name[:40]!a} is there twice.")


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Invalid("wrong_type", f"`{name}` must be a string.", field=name)
