"""Urls that users name: parsing, and the list of hosts that images may be fetched from."""

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from pydantic_core import Url

from app.domain.configuration.addresses import HOST_NAME
from app.domain.errors import Refused

URL_CHARACTERS = 2048
#: Longest name of a host, and longest part of it, in the DNS.
_NAME_CHARACTERS, _LABEL_CHARACTERS = 253, 63
#: Ports below this one belong to other protocols, except those of HTTP.
_FIRST_FREE_PORT = 1024
_PORTS = {"https": 443, "http": 80}


class Target(NamedTuple):
    """A url in the form that browsers give it. `host` is in lower case and ASCII, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    query: str | None = None

    @classmethod
    def parse(cls, url: str, *, allow_http: bool = False) -> "Target":
        """Parse a url. Raises `Refused` with the reason `url`, `scheme` or `port`, and a sentence without the url."""
        if len(url) > URL_CHARACTERS:
            raise Refused("url", f"has {len(url):,} characters; the limit is {URL_CHARACTERS:,}")
        if "\\" in url or any(character <= " " or character == "\x7f" for character in url):
            raise Refused("url", "must not contain spaces, backslashes or control characters")
        scheme, separator, rest = url.partition("://")
        schemes = ("https", "http") if allow_http else ("https",)
        if not separator or scheme.lower() not in schemes:
            raise Refused("scheme", f"must begin with {' or '.join(f'{name}://' for name in schemes)}")
        if not rest or rest[0] in "/?#":
            raise Refused("url", "must name a host")
        try:
            parsed = Url(url)
        except ValueError:
            raise Refused("url", "must name one host, and a port from 1 to 65535 or none") from None
        if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
            raise Refused("url", "must not have a user or a password in it")
        host = (parsed.host or "").strip("[]").removesuffix(".")
        if not (HOST_NAME.fullmatch(host) or _is_address(host)):
            raise Refused("url", "must name one host, such as www.example.org")
        if len(host) > _NAME_CHARACTERS or any(len(label) > _LABEL_CHARACTERS for label in host.split(".")):
            limits = f"{_NAME_CHARACTERS} characters, and {_LABEL_CHARACTERS} between two dots"
            raise Refused("url", f"names a host that cannot exist: a name has at most {limits}")
        port = _PORTS[parsed.scheme] if parsed.port is None else parsed.port
        if port < _FIRST_FREE_PORT and port not in _PORTS.values():
            raise Refused("port", f"must not use the port {port}: use 443, 80, or one from {_FIRST_FREE_PORT}")
        return cls(parsed.scheme, host, port, parsed.path or "/", parsed.query)

    @property
    def request_target(self) -> str:
        """Path and query, as the request line has them."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def authority(self) -> str:
        """Host and port, as the `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def without_query(self) -> str:
        """The url without query, user and fragment. These may hold credentials."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.request_target}"


class FetchHosts:
    """Hosts that images may be fetched from: names, `.name` or `*.name` for subdomains, addresses, `*` for all."""

    def __init__(self, patterns: Iterable[str]) -> None:
        kept = tuple(patterns)
        self.is_empty = not kept
        self._any = "*" in kept
        self._names = {_canonical(pattern.removeprefix(".")) for pattern in kept if pattern[0] != "*"}
        self._endings = tuple(pattern.removeprefix("*") for pattern in kept if pattern.startswith(("*.", ".")))

    def __contains__(self, host: object) -> bool:
        """Return True if the host of a `Target` is listed."""
        if not isinstance(host, str):
            return False
        return self._any or host in self._names or (not _is_address(host) and host.endswith(self._endings))


def _canonical(host: str) -> str:
    return str(ipaddress.ip_address(host)) if _is_address(host) else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
