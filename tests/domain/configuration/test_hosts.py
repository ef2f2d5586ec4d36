"""Host names: how entries of the list are read, and which hosts they allow."""

import pytest

from app.domain.configuration.hosts import AllowedHosts, host_name, host_pattern, is_loopback, network

#: An entry as typed, as it is kept, hosts that it allows, and hosts that it does not allow.
ENTRIES = [
    ("nas.local", "nas.local", ["nas.local", "NAS.Local:8000", "nas.local."], ["a.nas.local", "nas", "local"]),
    ("NAS.Local:8000", "nas.local", ["nas.local:9000"], ["nas.local.evil.example"]),
    (" darkroom ", "darkroom", ["darkroom:8000"], ["darkroom.evil.example", "evil-darkroom"]),
    ("my_app", "my_app", ["my_app:8000"], ["my-app"]),
    (
        ".example.org",
        ".example.org",
        ["example.org", "a.example.org", "a.b.example.org:1"],
        ["evilexample.org", "example.org.evil.example", "example.com"],
    ),
    ("*.example.org", "*.example.org", ["a.example.org", "a.b.example.org"], ["example.org", "evilexample.org"]),
    ("*", "*", ["evil.example", "anything:80"], ["", "two hosts", "a/b", "a@b", "[x]", "a,b"]),
    ("bücher.example", "xn--bcher-kva.example", ["XN--BCHER-KVA.example:1"], ["bcher.example"]),
    (".BÜCHER.example:80", ".xn--bcher-kva.example", ["a.xn--bcher-kva.example"], ["bücher.example"]),
    ("[::1]:8000", "::1", ["[::1]"], ["::1"]),
    ("10.0.0.1", "10.0.0.1", ["10.0.0.1:8000"], ["10.0.0.1.evil.example"]),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "kept", "allowed", "others"), ENTRIES)
def test_an_entry_allows_its_hosts_whatever_their_port(
    entry: str, kept: str, allowed: list[str], others: list[str]
) -> None:
    assert host_pattern(entry) == kept
    assert host_pattern(kept) == kept
    hosts = AllowedHosts([kept])
    assert [host for host in allowed if host not in hosts] == []
    assert [host for host in others if host in hosts] == []


@pytest.mark.parametrize(
    "entry",
    ["", ".", "*.", "*.*", "**", "a*", "*.a*", "*a.example", "a..b", "..a", "-a", "a-", "http://nas.local",
     "nas.local/", "a b", "a,b", "a@b", "[::1", "[nas]", "bücher.example/x", "bücher%2e.example", "ü ü"],
)  # fmt: skip
def test_invalid_hosts_are_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"must be a host name|has characters"):
        host_pattern(entry)


def test_a_password_in_an_entry_is_not_repeated() -> None:
    for read in (host_pattern, network):
        with pytest.raises(ValueError, match="must be") as refusal:
            read("http://ann:hunter2@nas.local")
        assert "hunter2" not in str(refusal.value)


#: Hosts that nobody's page can be loaded from under a name of its own.
ALWAYS = [
    "localhost", "LOCALHOST:8000", "localhost.", "darkroom.localhost", "127.0.0.1", "127.0.0.1.:80", "192.168.1.7:8000",
    "[::1]", "[::1]:8000", "[FE80::1]", "[fe80::1%25eth0]:8000", "[::ffff:10.0.0.1]",
]  # fmt: skip
NEVER = [
    "", " ", ":", ":80", "evil.example", "localhost..", "localhost.evil.example", "127.0.0.1.evil.example",
    "2130706433", "0x7f.1", "127.1", "::1", "[::1", "[localhost]", "[1.2.3.4]evil", "[::1]evil", "localhost:80:80",
    "localhost:port", "localhost@evil.example", "localhost/evil", "localhost?", "localhost#", "localhost\\evil",
    "localhost,evil.example",
    "l\u00f6calhost", "localhost\u0000", "\uff4cocalhost",
]  # fmt: skip


def test_addresses_and_localhost_are_allowed_without_an_entry_and_nothing_else() -> None:
    for hosts in (AllowedHosts(), AllowedHosts(["nas.local"]), AllowedHosts([], "https://img.example.org/pics")):
        assert [host for host in ALWAYS if host not in hosts] == []
        assert [host for host in NEVER if host in hosts] == []


def test_the_public_urls_host_is_allowed() -> None:
    hosts = AllowedHosts([], "https://img.example.org:8443/pics")
    assert "IMG.example.org" in hosts
    assert "a.img.example.org" not in hosts


def test_a_host_has_one_form() -> None:
    assert {host_name(host) for host in ("NAS.local", "nas.local:8000", " nas.local. ", "nas.local.:")} == {"nas.local"}
    assert host_name("[2001:DB8::1]:80") == "2001:db8::1"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.7", False), ("nas.local", False), ("", False)],
)  # fmt: skip
def test_loopback_is_this_machine_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_networks_are_addresses_or_ranges_and_no_names() -> None:
    assert [str(network(text)) for text in ("127.0.0.1", "172.16.5.9/12", "[::1]", "fd00::/8")] == [
        "127.0.0.1/32", "172.16.0.0/12", "::1/128", "fd00::/8",
    ]  # fmt: skip
    for text in ("traefik", "10.0.0", "10.0.0.0/33", "*", ""):
        with pytest.raises(ValueError, match="IP address or a network"):
            network(text)
