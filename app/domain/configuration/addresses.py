"""Web addresses from settings, brought to the one form that browsers use."""

import ipaddress
import re

from pydantic_core import Url

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535
_LABEL = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_AUTHORITY = re.compile(rf"(?P<host>\[(?P<v6>[0-9a-f:.]+)]|{_LABEL}(\.{_LABEL})*)(:(?P<port>[0-9]{{0,5}}))?")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_NO_NAME = re.compile(r"[\s/?#@:\\\[\]%]")


def origin_of(text: str) -> str:
    """Return the origin as a browser's `Origin` header has it: lower case, without the default port or a slash.

    Raise ValueError that says what is wrong. The message repeats nothing, because the text may hold a password.
    """
    origin, path = _origin_and_path(text)
    if path not in {"", "/"}:
        raise ValueError("must end after host and port, without a path")
    return origin


def listed_origin(text: str) -> str:
    """Return an entry of a list of origins as `origin_of` does. The ValueError names the entry, without a password."""
    try:
        return origin_of(text)
    except ValueError as error:
        shown = text.rpartition("@")[2][:80]
        raise ValueError(f"{shown!r} {error}: an origin is a scheme, a host and maybe a port") from None


def address_of(text: str) -> str:
    """Return the address, its origin as in `origin_of`, so that a path can be appended. Raise ValueError likewise."""
    origin, path = _origin_and_path(text)
    if not _PATH.fullmatch(path):
        raise ValueError("has characters in its path that must be percent-encoded")
    path = path.rstrip("/")
    if {"", ".", ".."} & {*path.split("/")[1:]}:
        raise ValueError("must not have an empty segment, `.` or `..` in its path")
    return origin + path


def ascii_name(name: str) -> str:
    """Encode a host name of other letters as browsers do (`xn--…`). Raise ValueError if it cannot be encoded."""
    if name.isascii():
        return name
    try:
        encoded = None if _NO_NAME.search(name) else Url(f"http://{name}/").host
    except ValueError:
        encoded = None
    if not encoded:
        raise ValueError("has characters that no host name has")
    return encoded


def _origin_and_path(text: str) -> tuple[str, str]:
    if any(character <= " " for character in text):
        raise ValueError("has characters that no address has")
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS or not separator:
        raise ValueError("must start with http:// or https://")
    if "?" in rest or "#" in rest:
        raise ValueError("must not have a query or a fragment")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise ValueError("must not have a user or a password in it")
    name, colon, port = authority.partition(":")
    if not authority.isascii():
        authority = ascii_name(name) + colon + port
    return f"{scheme}://{_place(authority.lower(), _DEFAULT_PORTS[scheme])}", slash + path


def _place(authority: str, default_port: int) -> str:
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise ValueError("must name one host, such as www.example.org, and maybe a port")
    host, port = found["host"], int(found["port"] or default_port)
    if found["v6"]:
        try:
            host = f"[{ipaddress.IPv6Address(found['v6']).compressed}]"
        except ValueError:
            raise ValueError("must name one host by an address that there can be") from None
    if not 0 < port <= _LAST_PORT:
        raise ValueError(f"must have a port from 1 to {_LAST_PORT}, or none")
    return host if port == default_port else f"{host}:{port}"
