"""Host names that the service answers under."""

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from app.domain.configuration.addresses import ascii_name

#: A name, or an IPv6 address in brackets, and an optional port. Two readers cannot understand it differently.
_HOST = re.compile(r"(\[(?P<v6>[0-9a-f:.]+(%[a-z0-9._~%-]+)?)\]|(?P<name>[a-z0-9._-]+))(:\d{0,5})?", re.ASCII)
_LABEL = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_ANY = "*"
#: What an entry of the list may begin with, and then holds for the names below it.
_BELOW = ("*.", ".")


def host_name(value: str) -> str | None:
    """Return the host of a `Host` header: in lower case, without port, brackets and a trailing dot.

    None means that the value is not one host.
    """
    found = _HOST.fullmatch(value.strip().lower())
    if found is None:
        return None
    if found["v6"] is not None:
        return found["v6"] if is_ip_address(found["v6"]) else None
    return found["name"].removesuffix(".") or None


def host_pattern(text: str) -> str:
    """Bring an entry of the list of allowed hosts to one form. Raise ValueError that says what is wrong with it.

    Forms: a name, a name after `.` (it and every name below it), a name after `*.` (every name below it), `*` (every
    name). A port is dropped, because ports are not compared.
    """
    entry = text.strip()
    if entry == _ANY or is_ip_address(entry):
        return entry
    below = next((mark for mark in _BELOW if entry.startswith(mark)), "")
    host = entry.removeprefix(below)
    if not host.isascii():
        letters, colon, port = host.partition(":")
        host = ascii_name(letters) + colon + port
    name = host_name(host)
    if name is None or not (_NAME.fullmatch(name) or (not below and is_ip_address(name))):
        wanted = "must be a host name such as www.example.org, .example.org for all names below it too, or *"
        raise ValueError(f"{_shown(entry)} {wanted}")
    return below + name


def network(text: str) -> IPv4Network | IPv6Network:
    """Parse an address or a network. Raise ValueError that says what is wrong with it."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        wanted = "must be an IP address or a network such as 172.16.0.0/12; names are not looked up"
        raise ValueError(f"{_shown(text)} {wanted}") from None


class AllowedHosts:
    """Hosts that the service answers under: localhost, names below it, IP addresses, its public url's host, a list.

    An IP address needs no entry: a page can never be loaded from an attacker's name and send an address as its host,
    so DNS rebinding cannot use it.
    """

    def __init__(self, patterns: Iterable[str] = (), public_url: str | None = None) -> None:
        kept = [*patterns, *filter(None, [urlsplit(public_url or "").hostname])]
        self._any = _ANY in kept
        self._names = {"localhost", *(pattern.removeprefix(".") for pattern in kept if pattern[0] != "*")}
        self._endings = (".localhost", *(pattern.removeprefix("*") for pattern in kept if pattern.startswith(_BELOW)))

    def __contains__(self, value: object) -> bool:
        """Return True if the value of a `Host` header names one of these hosts. Its port does not matter."""
        name = host_name(value) if isinstance(value, str) else None
        if name is None:
            return False
        return self._any or name in self._names or name.endswith(self._endings) or is_ip_address(name)


def is_ip_address(text: str) -> bool:
    """Return True if the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return True if only this machine can connect to the address or name."""
    if host == "localhost":
        return True
    return is_ip_address(host) and ipaddress.ip_address(host).is_loopback


def _shown(text: str) -> str:
    return repr(text.rpartition("@")[2][:80])  # what is before it may be a password
