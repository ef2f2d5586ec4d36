"""Streaming reader of uploads as multipart forms."""

import re

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.bodies.form_parts import PLAIN, FilePart, Part, SkippedPart, TextPart, TransferDecoder
from app.api.bodies.part_headers import PartHeaders, decode_name
from app.api.bodies.reader import UploadFields
from app.api.bodies.spool import Spool
from app.api.http.form_fields import TextFields, is_file_field, resolve_field
from app.api.http.problem_catalog import refusal
from app.domain.errors import RequestError
from app.domain.limits import MEBIBYTE
from app.domain.text import shown
from app.domain.uploads.descriptions import parse_media_type

PARTS = 100
#: Most bytes of a form in addition to the file: headers, text fields, skipped parts, preamble and epilogue.
OTHER_BYTES = 2 * MEBIBYTE
HEADER_BYTES = 8 * 1024
HEADER_LINES = 16
#: Most bytes of a `Content-Type` that is parsed.
CONTENT_TYPE_BYTES = 1024
#: Bytes of quoted-printable for one byte of a file; base64 needs fewer.
ENCODED_BYTES = 3

_IGNORED_CHARACTERS = 100
# RFC 2046 section 5.1.1: at most 70 characters, no blank at the end. All of printable ASCII, not only `bchars`.
_BOUNDARY = re.compile(rb"[ -~]{0,69}[!-~]")


class MultipartBody:
    """Reads one file and text fields.

    Unknown parts are skipped and named in the result. Empty file parts are ignored, and so are text parts with a file's
    name if there is a file: form libraries send both.
    """

    def __init__(self, content_type: str, spool: Spool, limit: int) -> None:
        """Read into a spool of at most `limit` bytes."""
        self._spool = spool
        self._limit = limit
        boundary = _parse_boundary(content_type)
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
            max_header_count=HEADER_LINES,
            max_header_size=HEADER_BYTES,
        )
        self._ended = False
        self._received = 0
        self._file_bytes = 0  # before decoding
        self._header_bytes = 0
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._parts = -1  # the preamble does not count
        self._current: TransferDecoder | None = None  # None in the preamble
        self._in_file = False
        self._texts = TextFields()
        self._files: list[FilePart] = []
        self._ignored: dict[str, None] = {}
        self.max_bytes = ENCODED_BYTES * limit + OTHER_BYTES
        # The parser accepts no text before the first boundary, but between parts. So the preamble (RFC 2046 section
        # 5.1.1) is parsed as a part.
        self._parser.write(b"--" + boundary + b"\r\n\r\n\r\n")

    @property
    def kept_bytes(self) -> int:
        """See `BodyReader`."""
        return self._texts.kept_bytes

    def feed(self, chunk: bytes) -> None:
        """See `BodyReader`."""
        self._received += len(chunk)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise refusal("bad_multipart") from None
        other = self._received - self._file_bytes
        if other > OTHER_BYTES:
            raise refusal("fields_too_large", limit_bytes=OTHER_BYTES, received_bytes=other)

    def finish(self) -> UploadFields:
        """See `BodyReader`."""
        if not self._received:
            raise refusal("empty_body")
        if not self._ended:
            raise self._unterminated()
        codec = self._texts.codec
        members = self._texts.parse()
        description, owner = members.parse_description(), members.text("owner")
        file = next((file for file in self._files if not file.is_empty), None)
        if file is None:
            raise self._no_file(codec)
        return UploadFields(
            filename=decode_name(file.headers.filename or "", codec),
            declared_content_type=parse_media_type(file.headers.content_type),
            description=description,
            owner=owner,
            ignored=tuple(self._ignored),
        )

    def _unterminated(self) -> RequestError:
        if not self._parts:
            detail = "The body does not contain the boundary of its Content-Type. Lines must end in CRLF."
            return refusal("bad_multipart", detail)
        return refusal("unterminated")

    def _no_file(self, codec: str) -> RequestError:
        if any(decode_name(file.headers.filename or "", codec) for file in self._files):
            return refusal("empty_file", field="file")
        ignored = list(self._ignored)
        detail = "The form has no file. Send the image as a file in the field `file`."
        if as_text := next((name for name in ignored if is_file_field(name)), None):
            detail = f"The part `{as_text}` has no file name. Send the image as a file."
        elif ignored:
            names = ", ".join(f"`{name[:40]}`" for name in ignored[:5])
            detail += f" Unknown fields: {names}."
        return refusal("missing_file", detail, field="file", ignored_fields=ignored)

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > PARTS:
            raise refusal("too_many_fields", limit=PARTS, measured=self._parts)
        self._headers = {}
        self._header_bytes = 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(self._counted(data[start:end]))

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(self._counted(data[start:end]))

    def _counted(self, piece: bytes) -> bytes:
        self._header_bytes += len(piece)
        if self._header_bytes > HEADER_BYTES:
            detail = f"The headers of a part are larger than {HEADER_BYTES:,} bytes."
            raise refusal("bad_multipart", detail, limit_bytes=HEADER_BYTES)
        return piece

    def _header_end(self) -> None:
        name, value = self._header
        self._headers.setdefault(bytes(name).lower(), bytes(value))
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        if not self._parts:
            return
        headers = PartHeaders.read(self._headers)
        part = self._open(headers)
        self._in_file = isinstance(part, FilePart)
        self._current = TransferDecoder(part, headers)

    def _open(self, headers: PartHeaders) -> Part:
        if is_file_field(headers.name) and headers.is_file:
            file = FilePart(headers, self._spool)
            self._files.append(file)
            if headers.transfer_encoding in PLAIN:
                self.max_bytes = self._limit + OTHER_BYTES
            return file
        field = headers.name if headers.name == TextFields.CHARSET else resolve_field(headers.name)
        if field is None or (headers.is_file and not headers.is_text):
            self._ignored[shown(headers.name)[:_IGNORED_CHARACTERS]] = None
            return SkippedPart()
        return TextPart(field, headers, self._texts)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current is None:
            return
        if self._in_file:
            self._file_bytes += end - start
        self._current.feed(memoryview(data)[start:end])

    def _part_end(self) -> None:
        if self._current is not None:
            self._current.end()
        self._current = None

    def _end(self) -> None:
        self._ended = True


def _parse_boundary(content_type: str) -> bytes:
    options = parse_options_header(content_type)[1] if len(content_type) <= CONTENT_TYPE_BYTES else {}
    boundary = options.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise refusal("bad_boundary")
    return boundary
