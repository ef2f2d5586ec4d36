"""Streaming reader of uploads as JSON. Only `image_base64` may be long; it is decoded without being buffered."""

import json

from app.api.bodies.base64_stream import Base64Stream, not_base64
from app.api.bodies.reader import UploadFields
from app.api.bodies.spool import Spool
from app.api.http.json_object import DEPTH, JsonObject
from app.api.http.problem_catalog import refusal
from app.domain.uploads.descriptions import NAMES, parse_media_type
from app.domain.uploads.field_values import missing_field

#: Most bytes of the body in addition to the image.
REST_BYTES = 64 * 1024
KNOWN = ("filename", "content_type", "image_base64", *NAMES, "owner")

_QUOTE, _BACKSLASH = b'"'[0], b"\\"[0]
_OPENING, _CLOSING = b"{[", b"}]"


class JsonBody:
    """Decode the top-level string `image_base64` of a JSON object; parse the rest strictly."""

    def __init__(self, spool: Spool, limit: int) -> None:
        """Read into a spool of at most `limit` bytes."""
        # Four characters encode three bytes and may be escaped as two each ("\\/"); line breaks are extra.
        self.max_bytes = 3 * limit + 2 * REST_BYTES
        self._spool = spool
        self._image: ImageText | None = None
        self._in_image = False
        self._rest = bytearray()
        self._depth = 0
        self._string_start: int | None = None  # start of the current string in the rest
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
            if self._in_image and self._image:
                ended, chunk = self._image.feed(chunk)
                self._in_image = not ended
            else:
                chunk = self._scan(chunk)

    def finish(self) -> UploadFields:
        """See `BodyReader`."""
        document = JsonObject.parse(bytes(self._rest), KNOWN)
        if not self._image:
            raise missing_field("image_base64", "the image as a base64 string")
        if not self._spool.size:
            raise refusal("missing_field", "`image_base64` is empty.", field="image_base64")
        return UploadFields(
            filename=document.text("filename"),
            declared_content_type=parse_media_type(document.text("content_type")),
            description=document.parse_description(),
            owner=document.text("owner"),
        )

    def _scan(self, chunk: bytes) -> bytes:
        """Move bytes into the rest until the image starts; return the bytes after its opening quote, or none."""
        for at, byte in enumerate(chunk):
            self._rest.append(byte)
            if len(self._rest) > REST_BYTES:
                raise refusal("fields_too_large", limit_bytes=REST_BYTES, received_bytes=len(self._rest))
            if self._string_start is not None:
                self._in_string(byte)
            elif byte == _QUOTE:
                if self._after_colon and self._depth == 1 and self._names_image():
                    self._open_image()
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
                raise refusal("too_deep", limit=DEPTH, measured=self._depth)
        elif byte in _CLOSING:
            self._depth -= 1
        elif self._depth == 1 and byte in b":,":
            self._after_colon = byte == b":"[0]

    def _names_image(self) -> bool:
        try:
            return bool(json.loads(self._key or b'""') == "image_base64")
        except ValueError:
            return False  # parsing the whole will fail as well

    def _open_image(self) -> None:
        if self._image:
            raise refusal("duplicate_field", field="image_base64")
        self._image = ImageText(Base64Stream(self._spool.write))
        self._in_image = True
        self._rest += b'"'  # the rest keeps an empty string instead of the image


class ImageText:
    """Content of the JSON string, unescaped in pieces. Unescaped line breaks are accepted."""

    def __init__(self, base64: Base64Stream) -> None:
        self._base64 = base64
        self._carry = b""  # an incomplete escape

    def feed(self, chunk: bytes) -> tuple[bool, bytes]:
        """Decode a chunk; return True if the string ends in it, and the bytes after the string."""
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
        # Escapes of base64 characters have no second backslash and no quote. So two backslashes in a row, and one
        # before the closing quote, are refused; every other backslash starts an escape.
        last = text.rfind(b"\\")
        whole = last + (6 if text[last + 1 : last + 2] == b"u" else 2)
        self._carry = b""
        if whole > len(text):
            if ended:
                raise not_base64("it contains an incomplete escape")
            self._carry, text = text[last:], text[:last]
        if b"\\\\" in text or (self._carry and text.endswith(b"\\")):
            raise not_base64("it contains a backslash")
        try:
            whole_text = json.loads(f'"{text.decode("latin-1")}"', strict=False)
        except ValueError:
            raise not_base64("it contains an invalid JSON escape") from None
        return str(whole_text).encode("ascii", errors="replace")
