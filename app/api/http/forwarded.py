"""Headers in which proxies say how a request reached them: `X-Forwarded-*` and `Forwarded` (RFC 7239)."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.datastructures import Headers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
T = TypeVar("T")

FORWARDED = "Forwarded"
FOR, HOST, PROTO, PREFIX = "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"
#: Headers that only a proxy adds. With one of them, the connection does not tell how the client sees the service.
SIGNS = (FORWARDED, FOR, HOST, PROTO, PREFIX, "X-Real-IP", "Via")
#: Elements of one header that are looked at. A chain of proxies is never longer.
_MOST = 32
_NO_HOST = "?"
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'\s*({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")\s*')
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.~%-]+)*", re.ASCII)


@dataclass(frozen=True)
class Forwarding:
    """A request as the outermost trusted proxy received it. None stands for what the headers do not say.

    `hosts` are all hosts that the trusted part of the chain names; `host` is the outermost one. `header` is the name of
    the header that they come from.
    """

    client: str | None
    scheme: str | None
    host: str | None
    hosts: tuple[str, ...]
    prefix: str
    header: str


def is_forwarded(headers: Headers) -> bool:
    """Return True if a proxy has handled the request, or a client pretends that one has."""
    return any(name in headers for name in SIGNS)


def is_trusted(address: str | None, trusted: Sequence[Network]) -> bool:
    """Return True if the text is an address in one of the networks."""
    parsed = _address(address or "")
    return parsed is not None and any(parsed in network for network in trusted)


def forwarding(headers: Headers, trusted: Sequence[Network]) -> Forwarding:
    """Read the headers of a request whose peer is a trusted proxy.

    Every proxy appends the address of its client to the list. From the right, the first address that is not trusted is
    the client; what stands left of it was sent by the client and counts for nothing.

    `Forwarded` counts only where there is no `X-Forwarded-For`, `-Host` and `-Proto`: proxies that set these pass on
    the `Forwarded` of a client unread.
    """
    elements: list[dict[str, str]]
    if FORWARDED in headers and not any(name in headers for name in (FOR, HOST, PROTO)):
        elements = [element for line in headers.getlist(FORWARDED) for element in _elements(line)][-_MOST:]
        clients = [element.get("for", "") for element in elements]
        hosts, schemes = ([element.get(name, "") for element in elements] for name in ("host", "proto"))
        header = FORWARDED
    else:
        clients, hosts, schemes = (_list(headers, name) for name in (FOR, HOST, PROTO))
        header = HOST
    depth = _depth(clients, trusted)
    scheme = _outermost(schemes, depth).lower()
    client = _address(_outermost(clients, depth))
    return Forwarding(
        client=None if client is None else str(client),
        scheme=scheme if scheme in {"http", "https"} else None,
        host=_outermost(hosts, depth) or None,
        hosts=tuple(host for host in hosts[-depth:] if host),
        prefix=_prefix(_list(headers, PREFIX)[-depth:]),
        header=header,
    )


def _depth(clients: Sequence[str], trusted: Sequence[Network]) -> int:
    """Return the number of trusted proxies in a row, counted from this server."""
    depth = 1
    for client in reversed(clients):
        if not is_trusted(client, trusted):
            break
        depth += 1
    return depth


def _outermost(values: Sequence[str], depth: int) -> str:
    """Return what the outermost trusted proxy has written; a shorter list is one that not every proxy appends to."""
    return values[-min(depth, len(values))] if values else ""


def _prefix(values: Sequence[str]) -> str:
    """Join the prefixes that proxies have taken away, one after the other. A malformed one counts for nothing."""
    prefix = "".join(value.rstrip("/") for value in values)
    return prefix if _PREFIX.fullmatch(prefix) else ""


def _list(headers: Headers, name: str) -> list[str]:
    values = [value.strip() for line in headers.getlist(name) for value in line.split(",")]
    return [value for value in values if value][-_MOST:]


def _elements(text: str) -> list[dict[str, str]]:
    """Parse the elements of a `Forwarded` header. A malformed one names a host that is none: it must not pass."""
    return [_pairs(element) or {"host": _NO_HOST} for element in _split(text, ",")]


def _pairs(element: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in _split(element, ";"):
        found = _PAIR.fullmatch(part)
        if found is None or found[1].lower() in pairs:
            return {}
        value = found[2]
        pairs[found[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return pairs


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark outside of quoted strings; blank parts are left out."""
    parts = [""]
    quoted = escaped = False
    for character in text:
        if character == mark and not quoted:
            parts.append("")
            continue
        quoted ^= character == '"' and not escaped
        escaped = quoted and character == "\\" and not escaped
        parts[-1] += character
    return [part for part in parts if part.strip()]


def _address(text: str) -> Address | None:
    """Parse an address with or without brackets and port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
