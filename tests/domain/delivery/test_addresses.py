"""Addresses that the service does not connect to. Most cases are those that imgproxy 4 publishes."""

from ipaddress import IPv6Address, ip_address

import pytest

from app.domain.delivery.addresses import carried_address, find_refusal

PUBLIC = (
    "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "169.253.255.255",
    "223.255.255.255", "2001:4860::1", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1",
    "::8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::", "2002:101:101::", "64:ff9b::8.8.8.8", "2001::f7f7:f7f7",
    "2001:4860::5efe:808:808",
)  # fmt: skip
#: Addresses of a private network or of this machine, bare and carried.
PRIVATE = (
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.0", "100.64.0.1", "100.127.255.255",
    "127.0.0.1", "127.0.0.254", "::1", "fc00::1", "fd00::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
    "::10.0.0.1", "::127.0.0.1", "::100.64.0.1", "2002:a00:1::", "2002:c0a8:1::", "2002:6440:1::", "2002:7f00:1::",
    "64:ff9b::10.0.0.1", "64:ff9b::172.16.0.1", "64:ff9b::100.64.0.1", "64:ff9b::127.0.0.1",
    "2001::f5ff:fffe", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:4860::5efe:a00:1", "2001:4860::200:5efe:c0a8:101",
    "fd00::5efe:a00:1",
)  # fmt: skip
#: Addresses that no setting permits.
NEVER = (
    "169.254.0.1", "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "::169.254.0.1",
    "::ffff:169.254.169.254", "2002:a9fe:a9fe::", "64:ff9b::169.254.169.254", "2001::5601:5601",
    "2001:4860::5efe:a9fe:a9fe", "fd00::5efe:a9fe:a9fe", "fe80::5efe:808:808", "fd00:ec2::254", "fd20:ce::254",
    "100.100.100.200", "::ffff:100.100.100.200", "168.63.129.16", "0.0.0.0", "0.1.2.3", "::", "192.0.0.192",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1", "64:ff9b:1:a00:0:100::", "64:ff9b:1:c0a8:1:100::",
    "64:ff9b:1::8.8.8.8", "2001:db8::1", "2001:db8::5efe:a00:1", "2001:db8::200:5efe:c0a8:101", "2001:2::1",
    "2001:10::1", "2001:20::1", "2001:1ff::1", "3fff::1", "100::1", "fec0::1", "5f00::1", "4000::1", "2606::1%1",
    "::2:0:0", "0:0:0:1::", "64:ff9a::1", "64:ff9b:0:1::",
)  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_accepted(text: str) -> None:
    assert find_refusal(ip_address(text)) is None
    assert find_refusal(ip_address(text), allow_private=True) is None


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_refused_unless_they_are_allowed(text: str) -> None:
    assert find_refusal(ip_address(text)) is not None
    assert find_refusal(ip_address(text), allow_private=True) is None


@pytest.mark.parametrize("text", NEVER)
def test_link_local_and_reserved_addresses_are_never_accepted(text: str) -> None:
    assert find_refusal(ip_address(text)) is not None
    assert find_refusal(ip_address(text), allow_private=True) is not None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.1", "it is private"),
        ("127.0.0.1", "it is loopback"),
        ("100.64.0.1", "it is shared"),
        ("169.254.169.254", "it is link local"),
        ("fd00:ec2::254", "it is cloud metadata"),
        ("224.0.0.1", "it is multicast"),
        ("4000::1", "it is reserved"),
        ("64:ff9b::10.0.0.1", "it carries 10.0.0.1: it is private"),
    ],
)
def test_a_refusal_says_why(text: str, why: str) -> None:
    assert find_refusal(ip_address(text)) == why


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        ("::10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2002:6440:1::", "100.64.0.1"),
        ("64:ff9b::100.64.0.1", "100.64.0.1"),
        ("2001::f5ff:fffe", "10.0.0.1"),
        ("2001::f7f7:f7f7", "8.8.8.8"),
        ("2001:db8::5efe:a00:1", "10.0.0.1"),
        ("2001:db8::200:5efe:c0a8:101", "192.168.1.1"),
        ("2001:4860:4860::8888", None),
        ("fc00::1", None),
    ],
)
def test_addresses_within_addresses(text: str, carried: str | None) -> None:
    found = carried_address(IPv6Address(text))
    assert (None if found is None else str(found)) == carried
