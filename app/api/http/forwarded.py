"""Headers that proxies add to forwarded requests: `X-Forwarded-*` and `Forwarded` (RFC 7239)."""

import ipaddress
import re
from collections.abc import Sequence
from typing import NamedTuple

from starlette.datastructures import Headers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

FORWARDED = "Forwarded"
FOR, HOST, PROTO, PREFIX = "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"
#: Headers that only a proxy adds. If one is present, the connection does not show the address that the client used.
PROXY_HEADERS = (FORWARDED, FOR, HOST, PROTO, PREFIX, "X-Real-IP", "Via")
_RAW_PROXY_HEADERS = frozenset(name.lower().encode() for name in PROXY_HEADERS)
#: Elements of one header that are read. A chain of proxies is never longer.
_MAX_ELEMENTS = 32
_INVALID_HOST = "?"
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'\s*({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")\s*')
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.~%-]+)*", re.ASCII)


class Forwarding(NamedTuple):
    """A request as the outermost trusted proxy received it; None where the headers do not say.

    `hosts` are all hosts that trusted proxies report, `host` is the outermost of them, and `header` names the header
    that they come from.
    """

    client: str | None
    scheme: str | None
    host: str | None
    hosts: tuple[str, ...]
    prefix: str
    header: str


def is_forwarded(headers: Headers) -> bool:
    """Return True if a proxy forwarded the request, or a client pretends so."""
    return not _RAW_PROXY_HEADERS.isdisjoint([name for name, _ in headers.raw])


def is_trusted(address: str | None, trusted: Sequence[Network]) -> bool:
    """Return True if the text is an address in one of the networks."""
    parsed = _parse_address(address or "")
    return parsed is not None and any(parsed in network for network in trusted)


def read_forwarding(headers: Headers, trusted: Sequence[Network]) -> Forwarding:
    """Read the headers of a request whose peer is a trusted proxy.

    Every proxy appends the address of its client to the list. From the right, the first address that is not trusted is
    the client; elements to the left of it were sent by the client and are ignored.

    `Forwarded` is read only without `X-Forwarded-For`, `-Host` and `-Proto`: proxies that set these pass on the
    `Forwarded` header of a client unchecked.
    """
    elements: list[dict[str, str]]
    if FORWARDED in headers and not any(name in headers for name in (FOR, HOST, PROTO)):
        elements = [element for line in headers.getlist(FORWARDED) for element in _parse_elements(line)][
            -_MAX_ELEMENTS:
        ]
        clients = [element.get("for", "") for element in elements]
        hosts, schemes = ([element.get(name, "") for element in elements] for name in ("host", "proto"))
        header = FORWARDED
    else:
        clients, hosts, schemes = (_list_values(headers, name) for name in (FOR, HOST, PROTO))
        header = HOST
    depth = _count_trusted(clients, trusted)
    scheme = _outermost(schemes, depth).lower()
    client = _parse_address(_outermost(clients, depth))
    return Forwarding(
        client=None if client is None else str(client),
        scheme=scheme if scheme in {"http", "https"} else None,
        host=_outermost(hosts, depth) or None,
        hosts=tuple(host for host in hosts[-depth:] if host),
        prefix=_join_prefixes(_list_values(headers, PREFIX)[-depth:]),
        header=header,
    )


def _count_trusted(clients: Sequence[str], trusted: Sequence[Network]) -> int:
    """Return the number of trusted proxies in a row, counted from this server."""
    depth = 1
    for client in reversed(clients):
        if not is_trusted(client, trusted):
            break
        depth += 1
    return depth


def _outermost(values: Sequence[str], depth: int) -> str:
    """Return the value that the outermost trusted proxy added; the list is shorter if a proxy does not append to it."""
    return values[-min(depth, len(values))] if values else ""


def _join_prefixes(values: Sequence[str]) -> str:
    """Join the prefixes that the proxies have stripped. Malformed ones are ignored."""
    prefix = "".join(value.rstrip("/") for value in values)
    return prefix if _PREFIX.fullmatch(prefix) else ""


def _list_values(headers: Headers, name: str) -> list[str]:
    values = [value.strip() for line in headers.getlist(name) for value in line.split(",")]
    return [value for value in values if value][-_MAX_ELEMENTS:]


def _parse_elements(text: str) -> list[dict[str, str]]:
    """Parse the elements of a `Forwarded` header. A malformed one gets an invalid host: it must be refused."""
    return [_parse_pairs(element) or {"host": _INVALID_HOST} for element in _split(text, ",")]


def _parse_pairs(element: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in _split(element, ";"):
        found = _PAIR.fullmatch(part)
        if found is None or found[1].lower() in pairs:
            return {}
        value = found[2]
        pairs[found[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return pairs


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark outside of quoted strings, which end with the text at the latest; leave out blank parts."""
    parts = re.findall(rf'(?:[^{mark}"]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+', text, re.DOTALL)
    return [part for part in parts if part.strip()]


def _parse_address(text: str) -> Address | None:
    """Parse an IP address, with or without brackets and port."""
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
