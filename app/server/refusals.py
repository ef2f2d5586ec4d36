"""Refusals of the server: the value found in a connection, the limit, and the remedy."""

import re
from collections.abc import Callable

import h11

from app.api.http.problem_catalog import refusal
from app.domain.errors import RequestError

#: The largest request head (request line and header fields), in bytes, and the most header fields in it.
HEAD_BYTES = 32 * 1024
HEAD_FIELDS = 100

OVERLOADED = refusal("overloaded", retry_after=2)
INCOMPLETE_HEAD = refusal("bad_request_head", "The connection was half-closed within the request head.")

_FOUND_CHARACTERS = 80
_TLS = b"\x16\x03"
_REPR = re.compile(r"(?:bytearray\()?b(?P<quote>['\"])(?P<text>(?:\\.|[^\\])*?)(?P=quote)", re.DOTALL)
_NOT_ASCII = re.compile(r"\\x[89a-f]")


def late_head(seconds: float) -> RequestError:
    """Refuse a request head that arrives too slowly."""
    detail = f"The request head was not complete within {seconds:.0f} seconds. Send it without pauses."
    return refusal("request_timeout", detail)


def head_too_large(head: bytes) -> RequestError:
    """Refuse a request head of more bytes than `HEAD_BYTES`."""
    if b"\n" in head[:HEAD_BYTES]:
        detail = f"The request head is larger than {HEAD_BYTES:,} bytes. Send fewer or shorter header fields."
    else:
        detail = f"The request line is larger than {HEAD_BYTES:,} bytes. Send a shorter URL."
    return refusal("head_too_large", detail, limit_bytes=HEAD_BYTES)


def too_many_fields(found: int) -> RequestError:
    """Refuse a request head of more header fields than `HEAD_FIELDS`."""
    detail = f"The request has {found} header fields. The limit is {HEAD_FIELDS}."
    return refusal("head_too_large", detail, limit=HEAD_FIELDS, measured=found)


def unsupported_version(version: str) -> RequestError:
    """Refuse a request of another major version of HTTP."""
    return refusal("unsupported_http_version", found=version)


def ambiguous_framing(other: str) -> RequestError:
    """Refuse a body whose end two parsers could find at different places (RFC 9112 section 6.1)."""
    return refusal("bad_request_head", f"The request has Transfer-Encoding and {other}. Send one of them.")


def too_much_framing(framing: int, data: int) -> RequestError:
    """Refuse a chunked body of tiny chunks, or of large chunk extensions."""
    detail = (
        f"The chunked body has more framing than data (found: {framing:,} bytes for {data:,} bytes of data). "
        "Send larger chunks, without extensions."
    )
    return refusal("bad_chunk", detail)


def bad_head(error: h11.RemoteProtocolError, head: bytes) -> RequestError:
    """Refuse a request head that h11 could not read."""
    if error.error_status_hint == 501:
        return refusal("unsupported_transfer_encoding")
    if head.startswith(_TLS):
        detail = "The request is TLS, and this port serves plain HTTP. Use http:// instead of https://."
        return refusal("bad_request_head", detail)
    found = _found(error)
    for begins, describe in _HEAD_DETAILS.items():
        if str(error).startswith(begins):
            return refusal("bad_request_head", describe(found), **({"found": found} if found else {}))
    return refusal("bad_request_head", "The request head is malformed.")


def bad_body(error: h11.RemoteProtocolError) -> RequestError:
    """Refuse a chunked body that h11 could not read."""
    if error.error_status_hint == 431:
        detail = f"A chunk extension or the trailers are larger than {HEAD_BYTES:,} bytes. Leave them out."
        return refusal("bad_chunk", detail, limit_bytes=HEAD_BYTES)
    return refusal("bad_chunk", found=_found(error))


def _request_line(found: str) -> str:
    if _NOT_ASCII.search(found):
        return f"The request line must be ASCII (found: {found}). Percent-encode other characters."
    return f"Malformed request line (found: {found}). Send `METHOD target HTTP/1.1`."


_HEAD_DETAILS: dict[str, Callable[[str], str]] = {
    "illegal request line": _request_line,
    "no request line": lambda _: "The request head has no request line. Send `METHOD target HTTP/1.1`.",
    "illegal header line": lambda found: f"Malformed header field (found: {found}). Send `Name: value`.",
    "continuation line": lambda _: "The first header field begins with a blank. Send `Name: value`.",
    "Missing mandatory Host": lambda _: "The header `Host` is missing.",
    "Found multiple Host": lambda _: "The header `Host` occurs more than once. Send it once.",
    "conflicting Content-Length": lambda _: "The request has different values of Content-Length. Send one.",
    "bad Content-Length": lambda _: "Content-Length must be a number of bytes of at most 20 digits.",
}


def _found(error: h11.RemoteProtocolError) -> str:
    """Return the start of the bytes that h11 quotes in its message."""
    quoted = _REPR.search(str(error))
    return quoted["text"][:_FOUND_CHARACTERS] if quoted else ""
