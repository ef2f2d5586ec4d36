"""Parts of a multipart form, as they are received: the file, text fields, and skipped parts."""

from python_multipart.decoders import QuotedPrintableDecoder

from app.api.bodies.base64_stream import Base64Stream
from app.api.bodies.part_headers import PartHeaders
from app.api.bodies.spool import Spool
from app.api.http.form_fields import NAME_CHARACTERS, TextFields
from app.api.http.problem_catalog import refusal

FIELD_BYTES = 64 * 1024
#: Transfer encodings that do not change the bytes.
PLAIN = frozenset({"7bit", "8bit", "binary"})
ENCODINGS = [*sorted(PLAIN), "base64", "quoted-printable"]


class Part:
    """Receiver of the decoded content of a part."""

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""

    def end(self) -> None:
        """End the content."""


class SkippedPart(Part):
    """Part of an unknown field; its content is discarded."""


class TextPart(Part):
    """Value of a known field."""

    def __init__(self, field: str, headers: PartHeaders, fields: TextFields) -> None:
        self._field = field
        self._headers = headers
        self._fields = fields
        self._value = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """See `Part`. Raises `TooLarge`."""
        self._value += data
        self._fields.kept_bytes += len(data)
        if len(self._value) > FIELD_BYTES:
            field = self._field[:NAME_CHARACTERS]
            detail = f"The field `{field}` is larger than {FIELD_BYTES:,} bytes."
            found = {"field": field, "limit_bytes": FIELD_BYTES, "received_bytes": len(self._value)}
            raise refusal("fields_too_large", detail, **found)

    def end(self) -> None:
        """See `Part`."""
        self._fields.add(self._field, bytes(self._value), charset=self._headers.charset, is_json=self._headers.is_json)


class FilePart(Part):
    """File, written into the spool. Empty files are ignored if another file has content."""

    def __init__(self, headers: PartHeaders, spool: Spool) -> None:
        self.headers = headers
        self.is_empty = True
        self._spool = spool

    def write(self, data: bytes | memoryview) -> None:
        """See `Part`. Raises `Malformed` if another file is in the spool."""
        if data and self.is_empty and self._spool.size:
            raise refusal("two_files", field="file")
        self.is_empty = self.is_empty and not data
        self._spool.write(data)


class TransferDecoder:
    """Decode the `Content-Transfer-Encoding` of a part (RFC 2045 section 6), which RFC 7578 deprecates for forms."""

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
            found = encoding[:40]
            detail = f"Unsupported Content-Transfer-Encoding of `{headers.name}` (found: {found!a}). Omit it."
            raise refusal("unsupported_encoding", detail, field=headers.name, found=found, accepted=ENCODINGS)

    def feed(self, data: memoryview) -> None:
        """Decode bytes of the body."""
        if self._base64:
            self._base64.feed(bytes(data))
        elif self._quoted:
            self._quoted.write(bytes(data))
        else:
            self._part.write(data)

    def end(self) -> None:
        """End the part. Raises `Invalid` if its base64 is incomplete."""
        if self._base64:
            self._base64.finish()
        if self._quoted:
            self._quoted.finalize()
        self._part.end()
