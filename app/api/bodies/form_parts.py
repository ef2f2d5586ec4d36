"""Parts of a multipart form while they are read: the file, text fields, and parts that are skipped."""

from typing import Protocol

from python_multipart.decoders import QuotedPrintableDecoder

from app.api.bodies.base64_stream import Base64Stream
from app.api.bodies.part_headers import PartHeaders
from app.api.bodies.spool import Spool
from app.api.http.form_fields import TextFields
from app.domain.errors import Malformed, TooLarge, UnsupportedType

FIELD_BYTES = 64 * 1024
#: Transfer encodings that leave the bytes as they are.
PLAIN = frozenset({"7bit", "8bit", "binary"})
ENCODINGS = [*sorted(PLAIN), "base64", "quoted-printable"]


class Part(Protocol):
    """Content of a part, after its transfer encoding is undone."""

    def write(self, data: bytes) -> None:
        """Add bytes."""

    def end(self) -> None:
        """End the content."""


class SkippedPart:
    """A part whose content is not wanted."""

    def write(self, data: bytes) -> None:
        """See `Part`."""

    def end(self) -> None:
        """See `Part`."""


class TextPart:
    """A value of a known field."""

    def __init__(self, field: str, headers: PartHeaders, fields: TextFields) -> None:
        self._field = field
        self._headers = headers
        self._fields = fields
        self._value = bytearray()

    def write(self, data: bytes) -> None:
        """See `Part`. Raises `TooLarge`."""
        self._value += data
        self._fields.kept_bytes += len(data)
        if len(self._value) > FIELD_BYTES:
            detail = f"The field `{self._field}` is larger than {FIELD_BYTES:,} bytes."
            size = len(self._value)
            raise TooLarge("fields_too_large", detail, field=self._field, limit_bytes=FIELD_BYTES, received_bytes=size)

    def end(self) -> None:
        """See `Part`."""
        self._fields.add(self._field, bytes(self._value), charset=self._headers.charset, is_json=self._headers.is_json)


class FilePart:
    """A file, whose bytes go into the spool; one without bytes counts for nothing."""

    def __init__(self, headers: PartHeaders, spool: Spool) -> None:
        self.headers = headers
        self.is_empty = True
        self._spool = spool

    def write(self, data: bytes) -> None:
        """See `Part`. Raises `Malformed` if another file is in the spool."""
        if data and self.is_empty and self._spool.size:
            raise Malformed("two_files", "The form has two files. Send one image at a time.", field="file")
        self.is_empty = self.is_empty and not data
        self._spool.write(data)

    def end(self) -> None:
        """See `Part`."""


class Decoder:
    """Undoes the `Content-Transfer-Encoding` of a part (RFC 2045 section 6), which RFC 7578 deprecates for forms."""

    def __init__(self, part: Part, headers: PartHeaders) -> None:
        encoding = headers.transfer_encoding
        self._part = part
        self._base64: Base64Stream | None = None
        self._quoted: QuotedPrintableDecoder | None = None
        if isinstance(part, SkippedPart) or encoding in PLAIN:
            return
        if encoding == "base64":
            self._base64 = Base64Stream(part.write, headers.name)
        elif encoding == "quoted-printable":
            self._quoted = QuotedPrintableDecoder(part)
        else:
            detail = f"The Content-Transfer-Encoding of `{headers.name}` is not accepted. Send the bytes as they are."
            found = encoding[:40]
            raise UnsupportedType("unsupported_encoding", detail, field=headers.name, found=found, accepted=ENCODINGS)

    def feed(self, data: bytes) -> None:
        """Add bytes as they are sent."""
        if self._base64:
            self._base64.feed(data)
        else:
            (self._quoted or self._part).write(data)

    def end(self) -> None:
        """End the part. Raises `Invalid` if its base64 stops in the wrong place."""
        if self._base64:
            self._base64.finish()
        if self._quoted:
            self._quoted.finalize()
        self._part.end()
