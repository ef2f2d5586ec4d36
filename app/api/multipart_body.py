"""The multipart form of an upload, read as it streams."""

import re

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.fields import NAMES, TAGS, Words, media_type_word
from app.api.received import Received
from app.api.spool import Spool
from app.domain.errors import Invalid, Malformed, TooLarge

#: A title, an alternative text, and each tag in a part of its own.
PARTS = 2 + TAGS
FIELD_BYTES = 64 * 1024
HEADER_BYTES = 8 * 1024
HEADER_LINES = 16
#: A `Content-Type` line longer than this is no honest one.
CONTENT_TYPE_BYTES = 1024

# RFC 2046 section 5.1.1: at most 70 characters, the last one no blank. Printable ASCII is taken beside its `bchars`.
_BOUNDARY = re.compile(rb"[ -~]{0,69}[!-~]")


class MultipartBody:
    """Takes exactly one part `file` with a file name, and small text parts named in `fields.NAMES`."""

    def __init__(self, content_type: str, spool: Spool) -> None:
        self._spool = spool
        self._parser = MultipartParser(
            _boundary(content_type),
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
        self._header_bytes = 0
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0
        self._field: str | None = None  # the name of the text part that we are in; None in the file
        self._value = bytearray()
        self._values: dict[str, list[str]] = {name: [] for name in NAMES}
        self._file: tuple[str, str | None] | None = None  # its name and its declared type

    def feed(self, chunk: bytes) -> None:
        """See `BodyReader`."""
        self._received += len(chunk)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise Malformed("bad_multipart", "The body does not keep to the multipart form.") from None

    def finish(self) -> Received:
        """See `BodyReader`."""
        if not self._received:
            raise Malformed("empty_body", "The body is empty.")
        if not self._ended:
            raise Malformed("unterminated", "The body ends before its closing boundary.")
        if self._file is None or not (self._file[0] or self._spool.size):  # a form sent with no file chosen
            raise Invalid("missing_file", "There is no file part: send the picture as `file`.", field="file")
        if not self._spool.size:
            raise Malformed("empty_file", "The file is empty.", field="file")
        filename, declared_type = self._file
        return Received(
            filename=filename,
            declared_type=media_type_word(declared_type),
            words=Words.of(self._single("title"), self._single("alt"), self._values["tags"]),
        )

    def _single(self, name: str) -> str | None:
        values = self._values[name]
        if len(values) > 1:
            raise Malformed("duplicate_field", f"The field `{name}` is there twice.", field=name)
        return values[0] if values else None

    def _part_begin(self) -> None:
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
            raise Malformed("bad_multipart", detail, limit_bytes=HEADER_BYTES)
        return piece

    def _header_end(self) -> None:
        name, value = self._header
        self._headers.setdefault(bytes(name).lower(), bytes(value))
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise Malformed("bad_multipart", 'A part has no `Content-Disposition: form-data; name="…"`.')
        name = options[b"name"].decode(errors="replace")
        filename = options.get(b"filename")
        if name == "file" and filename is not None:
            if self._file is not None:
                raise Malformed("two_files", "There are two file parts: send one picture at a time.", field="file")
            declared = self._headers.get(b"content-type")
            self._file = (filename.decode(errors="replace"), declared.decode("latin-1") if declared else None)
            self._field = None
            return
        if name == "file":
            raise Invalid("missing_file", "The part `file` has no file name: send the picture as a file.", field="file")
        if filename is not None or name not in self._values:
            detail = f"There is no {'file' if filename is not None else 'field'} {name[:40]!a}: "
            known = "a form has the picture as `file`, and may have " + ", ".join(f"`{word}`" for word in NAMES)
            raise Invalid("unknown_field", f"{detail}{known}.", fields=["file", *NAMES])
        self._parts += 1
        if self._parts > PARTS:
            detail = f"There are more than {PARTS} fields."
            raise Malformed("too_many_fields", detail, limit=PARTS, measured=self._parts)
        self._field = name
        self._value = bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._spool.write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_BYTES:
            detail = f"The field `{self._field}` is larger than {FIELD_BYTES:,} bytes."
            size = len(self._value)
            raise TooLarge("fields_too_large", detail, field=self._field, limit_bytes=FIELD_BYTES, received_bytes=size)

    def _part_end(self) -> None:
        if self._field is None:
            return
        try:
            self._values[self._field].append(self._value.decode())
        except UnicodeDecodeError:
            raise Malformed("not_utf8", f"The field `{self._field}` is not UTF-8.", field=self._field) from None
        self._field = None

    def _end(self) -> None:
        self._ended = True


def _boundary(content_type: str) -> bytes:
    options = parse_options_header(content_type)[1] if len(content_type) <= CONTENT_TYPE_BYTES else {}
    boundary = options.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise Malformed("bad_boundary", "The Content-Type names no boundary of 1 to 70 characters.")
    return boundary
