"""Host names under which the service answers."""

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from app.domain.configuration.addresses import HOST_NAME, normalize_origin

#: A name, or an IPv6 address in brackets, and an optional port. No two parsers disagree about these characters.
_HOST = re.compile(r"(\[(?P<v6>[0-9a-f:.]+(%[a-z0-9._~%-]+)?)\]|(?P<name>[a-z0-9._-]+))(:\d{0,5})?", re.ASCII)
_ANY = "*"
#: Prefixes of entries that cover all subdomains.
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
    """Normalize an entry of the list of allowed hosts. Raises ValueError with the accepted forms.

    Forms: a name, a name after `.` (the name and its subdomains), a name after `*.` (its subdomains only), `*` (every
    name). A port is dropped, because ports are not compared.
    """
    entry = text.strip()
    if entry == _ANY or is_ip_address(entry):
        return entry
    below = next((mark for mark in _BELOW if entry.startswith(mark)), "")
    host = entry.removeprefix(below)
    if not host.isascii():
        host = _punycode(host)
    name = host_name(host)
    if name is None or not (HOST_NAME.fullmatch(name) or (not below and is_ip_address(name))):
        wanted = "must be a host name such as www.example.org, .example.org to include its subdomains, or *"
        raise ValueError(f"{_shown(entry)} {wanted}")
    return below + name


def network(text: str) -> IPv4Network | IPv6Network:
    """Parse an IP address or a network. Raises ValueError with an example."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        wanted = "must be an IP address or a network such as 172.16.0.0/12; names are not looked up"
        raise ValueError(f"{_shown(text)} {wanted}") from None


class AllowedHosts:
    """Hosts of this service: localhost, its subdomains, IP addresses, the host of the public url, and a list.

    An IP address needs no entry. DNS rebinding cannot use one: a page that was loaded under an attacker's name sends
    that name as its host, never an address.
    """

    def __init__(self, patterns: Iterable[str] = (), public_url: str | None = None) -> None:
        kept = [*patterns, *filter(None, [urlsplit(public_url or "").hostname])]
        self._any = _ANY in kept
        self._names = {"localhost", *(pattern.removeprefix(".") for pattern in kept if pattern[0] != "*")}
        self._endings = (".localhost", *(pattern.removeprefix("*") for pattern in kept if pattern.startswith(_BELOW)))

    def __contains__(self, value: object) -> bool:
        """Return True if the value of a `Host` header names one of these hosts, with any port."""
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


def _punycode(host: str) -> str:
    """Encode a host name of other letters as browsers do (`xn--…`). Return "" if it is no host name."""
    try:
        return "" if "/" in host else normalize_origin(f"http://{host}").removeprefix("http://")
    except ValueError:
        return ""


def _shown(text: str) -> str:
    return repr(text.rpartition("@")[2][:80])  # the part before `@` may be a password
