"""Strict streaming base64 decoder: every accepted text has exactly one meaning."""

import binascii
from collections.abc import Callable

from app.api.http.problem_catalog import refusal
from app.domain.errors import RequestError

_WHITESPACE = b" \t\r\n"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PREFIX_BYTES = 256


class Base64Stream:
    """Decode pieces of any length into `sink`. Errors name `field`.

    Accepted: the standard and the URL-safe alphabet (RFC 4648 sections 4 and 5), whitespace anywhere, a
    `data:...;base64,` prefix, whose media type is ignored, and complete or missing padding. Everything else raises
    `Invalid`: characters outside the alphabet, wrong padding, text after the padding, and non-zero trailing bits.
    """

    def __init__(self, sink: Callable[[bytes], object], field: str = "image_base64") -> None:
        self._sink = sink
        self._field = field
        self._start: bytes | None = b""  # possible start of a prefix; None after it
        self._carry = b""  # an incomplete group: fewer than four characters
        self._padding = 0

    def feed(self, text: bytes) -> None:
        """Decode a piece of the text."""
        if self._start is not None:
            text = self._without_prefix(self._start + text)
        if text:
            self._decode(text)

    def finish(self) -> None:
        """End the text. Raises `Invalid` if it is incomplete."""
        if self._start is not None:
            start, self._start = self._start.lstrip(_WHITESPACE), None
            if start[:5].lower() == b"data:":
                raise self._refused("the `data:` prefix has no `;base64,`")
            self._decode(start)
        carry = self._carry
        if len(carry) == 1:
            raise self._refused("it ends within a byte")
        if self._padding and (len(carry) + self._padding) % 4:
            raise self._refused("the padding does not complete the last group of four characters")
        if carry:
            last = binascii.a2b_base64(carry + b"=" * (4 - len(carry)))
            if binascii.b2a_base64(last, newline=False).rstrip(b"=") != carry:
                raise self._refused("the unused bits of the last character are not zero")
            self._sink(last)

    def _without_prefix(self, text: bytes) -> bytes:
        start = text.lstrip(_WHITESPACE)
        if len(start) < 5 and b"data:".startswith(start.lower()):
            self._start = start
            return b""
        if start[:5].lower() != b"data:":
            self._start = None
            return start
        header, comma, rest = start.partition(b",")
        if not comma and len(header) <= _PREFIX_BYTES:
            self._start = start
            return b""
        if not comma or len(header) > _PREFIX_BYTES or not header.lower().endswith(b";base64"):
            raise self._refused("the `data:` prefix has no `;base64,`")
        self._start = None
        return rest

    def _decode(self, text: bytes) -> None:
        if self._padding or b"=" in text or not self._decode_plain(text):
            text = text.translate(_STANDARD, _WHITESPACE)
            if self._padding or b"=" in text:
                text = self._without_padding(text)
            if strange := text.translate(None, _ALPHABET):
                raise self._refused(f"it contains the character {chr(strange[0])!a}")
            self._decode_plain(text)

    def _decode_plain(self, text: bytes) -> bool:
        """Decode characters of the standard alphabet; return False, and decode nothing, if there are others."""
        text = self._carry + text
        whole = len(text) - len(text) % 4
        try:
            # Without strict mode, Python's decoder skips unknown characters.
            decoded = binascii.a2b_base64(text[:whole], strict_mode=True)
        except binascii.Error:
            return False
        if text[whole:].translate(None, _ALPHABET):
            return False
        self._carry = text[whole:]
        if decoded:
            self._sink(decoded)
        return True

    def _without_padding(self, text: bytes) -> bytes:
        body, _, _ = text.partition(b"=")
        padding = text[len(body) :]
        if (self._padding and body) or padding.strip(b"="):
            raise self._refused("there is text after the padding")
        self._padding += len(padding)
        if self._padding > 2:
            raise self._refused("the padding has more than two `=`")
        return body

    def _refused(self, why: str) -> RequestError:
        return not_base64(why, self._field)


def not_base64(why: str, field: str = "image_base64") -> RequestError:
    """Build the error of a text that is not base64."""
    return refusal("bad_base64", f"`{field}` is not base64: {why}.", field=field)
