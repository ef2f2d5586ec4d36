"""Strict base64 decoder: every accepted text has exactly one meaning."""

import binascii
import re
from collections.abc import Callable

from app.api.http.problem_catalog import refusal
from app.domain.errors import RequestError

_WHITESPACE = b" \t\r\n"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DATA_URL = re.compile(r"[ \t\r\n]{0,256}data:(?:[^,]{0,256};base64,)?", re.IGNORECASE)
_PIECE = 256 * 1024


class Base64Stream:
    """Decode pieces of any length into `sink`. Errors name `field`.

    Accepted: the standard and the URL-safe alphabet (RFC 4648 sections 4 and 5), whitespace anywhere, and complete or
    missing padding. Everything else raises `Invalid`: characters outside the alphabet, wrong padding, text after the
    padding, and non-zero trailing bits.
    """

    def __init__(self, sink: Callable[[bytes], object], field: str) -> None:
        self._sink = sink
        self._field = field
        self._last = b""  # at most four characters, which may be the last group

    def feed(self, text: bytes) -> None:
        """Decode a piece of the text."""
        text = self._last + text.translate(_STANDARD, _WHITESPACE)
        whole = max(0, len(text) - 1) // 4 * 4
        self._last = text[whole:]
        try:
            decoded = binascii.a2b_base64(text[:whole], strict_mode=True)
        except binascii.Error:
            decoded = b""
        # Only the last group may have padding. Python's decoder does not tell why it refuses a text.
        if len(decoded) != whole // 4 * 3:
            raise self._refused(text)
        if decoded:
            self._sink(decoded)

    def finish(self) -> None:
        """End the text. Raises `Invalid` if it is incomplete."""
        group = self._last.rstrip(b"=")
        if group.translate(None, _ALPHABET):
            raise self._refused(self._last)
        if len(group) == 1:
            raise not_base64("it ends within a byte", self._field)
        if group != self._last and (len(self._last) < 4 or not group):
            raise not_base64("the padding does not complete the last group of four characters", self._field)
        decoded = binascii.a2b_base64(group + b"=" * (-len(group) % 4))
        if binascii.b2a_base64(decoded, newline=False).rstrip(b"=") != group:
            raise not_base64("the unused bits of the last character are not zero", self._field)
        if decoded:
            self._sink(decoded)

    def _refused(self, text: bytes) -> RequestError:
        if strange := text.translate(None, _ALPHABET + b"="):
            return not_base64(f"it contains the character {chr(strange[0])!a}", self._field)
        return not_base64("there is text after the padding", self._field)


def decode_text(text: str, sink: Callable[[bytes], object], field: str) -> None:
    """Decode a whole text, with or without a `data:...;base64,` prefix, whose media type is ignored."""
    prefix = _DATA_URL.match(text)
    if prefix and not prefix[0].endswith(","):
        raise not_base64("the `data:` prefix has no `;base64,`", field)
    stream = Base64Stream(sink, field)
    for start in range(prefix.end() if prefix else 0, len(text), _PIECE):
        stream.feed(text[start : start + _PIECE].encode("ascii", errors="replace"))
    stream.finish()


def not_base64(why: str, field: str) -> RequestError:
    """Build the error of a text that is not base64."""
    return refusal("bad_base64", f"`{field}` is not base64: {why}.", field=field)
