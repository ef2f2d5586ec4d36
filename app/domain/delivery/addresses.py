"""IP addresses that the service does not connect to when a user names the host.

The networks are those of IANA's registries of special-purpose addresses. They are listed here because the answers of
`ipaddress` differ between versions of Python.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address


def _networks(**listed: str) -> tuple[tuple[str, tuple[IPv4Network | IPv6Network, ...]], ...]:
    return tuple(
        (name.replace("_", " "), tuple(IPv6Network(n) if ":" in n else IPv4Network(n) for n in networks.split()))
        for name, networks in listed.items()
    )


#: Refused always. Cloud providers answer with credentials at link-local addresses and at those of `cloud_metadata`.
_NEVER = _networks(
    link_local="169.254.0.0/16 fe80::/10",
    cloud_metadata="100.100.100.200/32 168.63.129.16/32 fd00:ec2::/32 fd20:ce::/32",
    multicast="224.0.0.0/4 ff00::/8",
    reserved="0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 "
    "240.0.0.0/4 ::/128 64:ff9b:1::/48 2001:1::/32 2001:2::/31 2001:4::/30 2001:8::/29 2001:10::/28 2001:20::/27 "
    "2001:40::/26 2001:80::/25 2001:100::/24 2001:db8::/32 3fff::/20",
)
#: Refused unless private addresses are allowed.
_PRIVATE = _networks(
    loopback="127.0.0.0/8 ::1/128",
    private="10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
    shared="100.64.0.0/10",
)
#: Global unicast.
_GLOBAL = IPv6Network("2000::/3")

_LOOPBACK = IPv6Network("::1/128")
_PRIVATE_IPV6 = (_LOOPBACK, IPv6Network("fc00::/7"))

_MAPPED = IPv6Network("::ffff:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_TRANSLATED = (_MAPPED, _COMPATIBLE, _NAT64)
_6TO4 = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
#: Bytes 8 to 11 of an ISATAP address: RFC 5214.
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def find_refusal(address: Address, *, allow_private: bool = False) -> str | None:
    """Return why the service does not connect to the address, such as "it is private"; None if it may.

    `allow_private` permits loopback, private and shared addresses. An IPv6 address that carries an IPv4 address is
    refused for both.
    """
    for kind, networks in _NEVER if allow_private else _NEVER + _PRIVATE:
        if any(address in network for network in networks):
            return f"it is {kind}"
    if isinstance(address, IPv4Address):
        return None
    if address.scope_id is not None:
        return "it names an interface of this machine"
    if not any(address in network for network in (_GLOBAL, *_TRANSLATED, *_PRIVATE_IPV6)):
        return "it is reserved"
    carried = None if address in _LOOPBACK else carried_address(address)
    why = carried and find_refusal(carried, allow_private=allow_private)
    return f"it carries {carried}: {why}" if why else None


def carried_address(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address in an IPv6 address: mapped, compatible, NAT64, 6to4, Teredo or ISATAP."""
    raw = address.packed
    if any(address in network for network in _TRANSLATED) or raw[8:12] in _ISATAP:
        return IPv4Address(raw[12:])
    if address in _6TO4:
        return IPv4Address(raw[2:6])
    if address in _TEREDO:
        return IPv4Address(bytes(byte ^ 0xFF for byte in raw[12:]))
    return None
