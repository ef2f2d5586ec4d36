"""Read an upload as JSON while it streams: only `image_base64` may be long, and it is never held whole."""

import json

from app.api.bodies.base64_stream import Base64Stream, not_base64
from app.api.bodies.reader import Received
from app.api.bodies.spool import Spool
from app.api.http.json_object import DEPTH, JsonObject, duplicate, too_deep
from app.domain.errors import Invalid, TooLarge
from app.domain.uploads.descriptions import NAMES, media_type_word

#: Bytes of the body that are not the image.
REST_BYTES = 64 * 1024
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
        document = JsonObject.parse(bytes(self._rest), KNOWN)
        if not self._picture:
            detail = "`image_base64` is required: the image as a base64 string."
            raise Invalid("missing_field", detail, field="image_base64")
        if not self._spool.size:
            raise Invalid("missing_field", "`image_base64` holds no bytes.", field="image_base64")
        return Received(
            filename=document.text("filename"),
            declared_content_type=media_type_word(document.text("content_type")),
            words=document.words(),
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
                raise too_deep(self._depth)
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
            raise duplicate("image_base64")
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
