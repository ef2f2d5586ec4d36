"""Headers of a part of a multipart form: field, file name, type and encodings."""

import re
from collections.abc import Mapping
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import unquote

from python_multipart.multipart import parse_options_header

from app.api.http.content_type import NAME_CODECS, decode
from app.api.http.problem_catalog import refusal

#: Types of parts that are files even without a file name.
_BINARY = re.compile(r"image/|application/octet-stream\b|binary/octet-stream\b")
# RFC 2047. Some encoders put blanks into encoded words, and between them.
_ENCODED_WORDS = re.compile(r"\s*(?:=\?[\w-]{1,40}\?[BbQq]\?[^?]*\?=\s*)+")
# Most semicolons in a line, because parsing of empty parameters is slow. A file name of 255 bytes may consist of them.
_SEMICOLONS = 300
# Characters that browsers escape in names (WHATWG HTML, multipart/form-data), and UTF-8 octets (RFC 7578 section 2).
_ESCAPED = re.compile(r"%(?:22|0D|0A)|(?:%[89A-Fa-f][0-9A-Fa-f])+")
# A name that is completely percent-encoded, as aiohttp sends it: it contains no character that needs encoding.
_QUOTED = re.compile(r"(?=.*%)(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+")


class PartHeaders(NamedTuple):
    """Parsed headers. `filename` is text, or bytes if its charset may be known only at the end of the form."""

    name: str
    filename: bytes | str | None
    content_type: str
    charset: str | None
    transfer_encoding: str

    @classmethod
    def read(cls, headers: Mapping[bytes, bytes]) -> "PartHeaders":
        """Read headers with lower-case names. Raises `Malformed` for a part without a field name."""
        line, type_line = headers.get(b"content-disposition", b""), headers.get(b"content-type", b"")
        if max(line.count(b";"), type_line.count(b";")) > _SEMICOLONS:
            raise refusal("bad_multipart", f"A header of a part has more than {_SEMICOLONS} semicolons.")
        disposition, options = parse_options_header(line)
        if disposition != b"form-data" or b"name" not in options:
            raise refusal("bad_multipart", 'A part has no `Content-Disposition: form-data; name="…"`.')
        content_type, parameters = parse_options_header(type_line)
        charset = parameters.get(b"charset")
        encoding = headers.get(b"content-transfer-encoding", b"").partition(b";")[0]
        return cls(
            name=decode_name(options[b"name"]),
            filename=_choose_filename(line, options.get(b"filename")),
            content_type=content_type.decode("latin-1"),
            charset=None if charset is None else charset.decode("latin-1"),
            transfer_encoding=encoding.decode("latin-1").strip().lower() or "binary",
        )

    @property
    def is_file(self) -> bool:
        """Return True for a part with a file name, or with the type of an image or of binary data."""
        return self.filename is not None or _BINARY.match(self.content_type) is not None

    @property
    def is_json(self) -> bool:
        """Return True for the type of JSON."""
        return self.content_type == "application/json" or self.content_type.endswith("+json")

    @property
    def is_text(self) -> bool:
        """Return True for a type of text, or of JSON."""
        return self.content_type.startswith("text/") or self.is_json


def decode_name(name: bytes | str, codec: str = "utf-8") -> str:
    """Decode the name of a field or file: an encoded word, the form's charset, UTF-8, or else Windows-1252."""
    if isinstance(name, str):
        return name
    for attempt in (codec, "utf-8"):
        try:
            text = name.decode(attempt)
            break
        except UnicodeDecodeError:
            continue
    else:
        text = decode(name, "cp1252")
    if _QUOTED.fullmatch(text):
        with suppress(UnicodeDecodeError):
            return unquote(text, errors="strict")
    return _decode_words(text) or _ESCAPED.sub(_unescape, text)


def read_disposition_filename(line: bytes) -> bytes | str:
    """Return the file name of a `Content-Disposition`, such as that of a request; empty without one."""
    if not line or line.count(b";") > _SEMICOLONS:
        return b""
    return _choose_filename(line, parse_options_header(line)[1].get(b"filename")) or b""


def _choose_filename(line: bytes, plain: bytes | None) -> bytes | str | None:
    """Return `filename`, or `filename*` if the former is missing, empty or an encoded word."""
    if plain and not _ENCODED_WORDS.fullmatch(plain.decode("latin-1")):
        return plain
    extended = _decode_extended(line) if b"*" in line else None
    return extended or (extended if plain is None else plain)


def _decode_extended(line: bytes) -> str | None:
    """Decode `filename*` (RFC 5987) or its pieces `filename*0*`, … (RFC 2231); empty if invalid, None if absent."""
    message = Message()
    message["Content-Disposition"] = line.decode("latin-1")
    try:
        parameters: list[tuple[str, Any]] = message.get_params([], "Content-Disposition")
    except (TypeError, ValueError):  # raised for pieces that are mixed with `filename*`
        return ""
    for key, value in parameters:
        if key != "filename" or not isinstance(value, tuple):
            continue
        charset, _, text = value
        try:
            return decode(text.encode("latin-1"), NAME_CODECS[(charset or "utf-8").lower()])
        except (KeyError, UnicodeError):
            return ""
    return None


def _decode_words(text: str) -> str | None:
    """Decode RFC 2047 encoded words; return None for other text, and if it cannot be decoded."""
    if not _ENCODED_WORDS.fullmatch(text):
        return None
    try:
        pieces = decode_header(text)
        return "".join(
            piece if isinstance(piece, str) else decode(piece, NAME_CODECS[(charset or "us-ascii").lower()])
            for piece, charset in pieces
        )
    except (HeaderParseError, KeyError, UnicodeError):
        return None


def _unescape(found: re.Match[str]) -> str:
    octets = bytes.fromhex(found[0].replace("%", ""))
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return found[0]
