"""Addresses of the web, in the one form in which browsers say them, whatever form they were given in."""

import ipaddress
import re

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535
_LABEL = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_AUTHORITY = re.compile(rf"(?P<host>\[(?P<v6>[0-9a-f:.]+)]|{_LABEL}(\.{_LABEL})*)(:(?P<port>[0-9]{{0,5}}))?")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


def origin_of(text: str) -> str:
    """The origin as a browser's `Origin` header has it: in lower case, without the scheme's own port or a slash.

    Raises ValueError that says what is wrong and repeats nothing, for there may be a password in it.
    """
    origin, path = _origin_and_path(text)
    if path not in {"", "/"}:
        raise ValueError("must end after host and port, without a path")
    return origin


def address_of(text: str) -> str:
    """The address, its origin as in `origin_of`, to which a path can be appended. Raises ValueError as that does."""
    origin, path = _origin_and_path(text)
    if not _PATH.fullmatch(path):
        raise ValueError("has characters in its path that must be percent-encoded")
    return origin + path.rstrip("/")


def _origin_and_path(text: str) -> tuple[str, str]:
    if not text.isascii() or any(character <= " " for character in text):
        raise ValueError("has characters that no address has; browsers say `xn--…` for a host of other letters")
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS or not separator:
        raise ValueError("must start with http:// or https://")
    if "?" in rest or "#" in rest:
        raise ValueError("must not have a query or a fragment")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise ValueError("must not have a user or a password in it")
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
