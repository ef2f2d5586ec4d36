"""Web addresses from settings, normalized as browsers do (WHATWG URL Standard, by `pydantic_core.Url`).

Every function raises ValueError with a sentence that does not repeat the text, because it may hold a password.
"""

import re

from pydantic_core import Url

_LABEL = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
#: Host names that settings accept: lower-case labels. Browsers also resolve `*`, `,` and other characters.
HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_IPV6 = re.compile(r"\[[0-9a-f:]+\]")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_HOST_WANTED = "must name one host, such as www.example.org, with an optional port"
_PORT_WANTED = "must have a port from 1 to 65535, or none"


def normalize_origin(text: str) -> str:
    """Return the origin as in a browser's `Origin` header: lower case, IDN as punycode, no default port, no slash."""
    origin, path = _parse(text)
    if path not in {"", "/"}:
        raise ValueError("must end after host and port, without a path")
    return origin


def normalize_listed_origin(text: str) -> str:
    """Return `normalize_origin` of an entry in a list. The ValueError names the entry, without a password."""
    try:
        return normalize_origin(text)
    except ValueError as error:
        shown = text.rpartition("@")[2][:80]
        raise ValueError(f"{shown!r} {error}: an origin is a scheme, a host and an optional port") from None


def normalize_base_url(text: str) -> str:
    """Return the normalized origin and the path as given, without a slash at the end, so that a path can follow."""
    origin, path = _parse(text)
    if not _PATH.fullmatch(path):
        raise ValueError("has characters in its path that must be percent-encoded")
    path = path.rstrip("/")
    if {"", ".", ".."} & {*path.split("/")[1:]}:
        raise ValueError("must not have an empty segment, `.` or `..` in its path")
    return origin + path


def _parse(text: str) -> tuple[str, str]:
    """Return the normalized origin, and the path as it is."""
    if any(character <= " " for character in text):
        raise ValueError("must not contain spaces or control characters")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        raise ValueError("must start with http:// or https://")
    if "?" in rest or "#" in rest:
        raise ValueError("must not have a query or a fragment")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise ValueError("must not have a user or a password in it")
    try:
        url = Url(f"{scheme}://{authority}/")
    except ValueError as error:
        raise ValueError(_PORT_WANTED if "port" in str(error) else _HOST_WANTED) from None
    host = url.host or ""
    # A browser takes a backslash for a slash, and decodes `%` in a host.
    if url.path != "/" or "%" in authority or not (HOST_NAME.fullmatch(host) or _IPV6.fullmatch(host)):
        raise ValueError(_HOST_WANTED)
    if url.port == 0:
        raise ValueError(_PORT_WANTED)
    return str(url).removesuffix("/"), slash + path
