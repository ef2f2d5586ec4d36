"""Connections of the guarded client: names, addresses, TLS and time."""

import contextlib
import socket
import threading
import time

import pytest

from app.adapters.outbound import GuardedHttp
from app.domain.delivery.addresses import Address
from app.domain.errors import NoAnswer, Refused
from tests.adapters.outbound.clients import URL, Resolver, client_of, fetch
from tests.running_server import free_port
from tests.web_server import answer, web_server


def test_one_connection_to_the_checked_address_with_the_name_in_tls_and_host() -> None:
    connections: list[tuple[str, int]] = []
    resolver = Resolver(["8.8.4.4"])
    with web_server(answer(body=b"image")) as server:

        def connect(address: Address, port: int, seconds: float) -> socket.socket:
            connections.append((str(address), port))
            return server.connect(address, port, seconds)

        _, received = fetch(client_of(server, resolver, connect=connect))
    assert received == b"image"
    assert connections == [("8.8.4.4", 443)]
    assert resolver.asked == ["img.example"]
    assert server.names == ["img.example"]
    assert b"\r\nHost: img.example\r\n" in server.requests[0]


def test_a_name_that_changes_between_check_and_connection_is_resolved_once() -> None:
    resolver = Resolver(["8.8.8.8"], ["127.0.0.1"])
    with web_server(answer(body=b"image")) as server:
        connected: list[Address] = []

        def connect(address: Address, port: int, seconds: float) -> socket.socket:
            connected.append(address)
            return server.connect(address, port, seconds)

        client = client_of(server, resolver, connect=connect)
        fetch(client)
        assert [str(address) for address in connected] == ["8.8.8.8"]
        with pytest.raises(Refused) as refused:  # the next request sees the new address, and checks it
            fetch(client)
    assert refused.value.reason == "address"
    assert len(connected) == 1
    assert len(resolver.asked) == 2


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["2001:4860::1", "::1"], ["169.254.169.254"]],
)
def test_one_refused_address_refuses_the_name(addresses: list[str]) -> None:
    with web_server(answer()) as server:
        client = client_of(server, Resolver(addresses))
        with pytest.raises(Refused) as refused:
            client.post(URL, {}, b"{}")
        with pytest.raises(Refused):
            fetch(client)
    assert refused.value.reason == "address"
    assert not any(address in refused.value.detail for address in addresses)
    assert not server.requests


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/", "https://localhost/",
            "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/"]
)  # fmt: skip
def test_the_system_resolver_is_checked_too(url: str) -> None:
    with pytest.raises(Refused) as refused:
        GuardedHttp("1").post(url, {}, b"")
    assert refused.value.reason == "address"


def test_private_addresses_and_http_are_accepted_if_they_are_allowed() -> None:
    with web_server(answer("204 No Content"), names=None) as server:
        client = GuardedHttp("1", allow_private=True)
        assert client.post(f"http://127.0.0.1:{server.port}/", {}, b"{}").status == 204
        with pytest.raises(Refused) as refused:
            client.post("http://169.254.169.254/latest/meta-data", {}, b"")
    assert refused.value.reason == "address"


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server(answer(), names=None) as proxy, web_server(answer("202 Accepted"), names=None) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        client = GuardedHttp("1", allow_private=True)
        assert client.post(f"http://127.0.0.1:{server.port}/", {}, b"").status == 202
    assert not proxy.requests


@pytest.mark.parametrize("names", [("other.example",), ("*.img.example",)])
def test_a_certificate_for_another_name_is_refused(names: tuple[str, ...]) -> None:
    with web_server(answer(), names=names) as server, pytest.raises(NoAnswer) as failed:
        client_of(server).post(URL, {}, b"{}")
    assert failed.value.reason == "tls"
    assert not server.requests


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    with web_server(answer()) as server, pytest.raises(NoAnswer) as failed:
        client_of(server, context=None).post(URL, {}, b"{}")
    assert failed.value.reason == "tls"
    assert not server.requests


def test_a_server_without_tls_is_refused() -> None:
    with web_server(answer(), names=None) as server, pytest.raises(NoAnswer) as failed:
        client_of(server).post(URL, {}, b"{}")
    assert failed.value.reason == "tls"


def test_a_name_without_addresses() -> None:
    def resolve(_: str) -> list[Address]:
        raise socket.gaierror

    with pytest.raises(NoAnswer) as failed:
        GuardedHttp("1", resolve=resolve).post(URL, {}, b"")
    assert failed.value.reason == "name"


@pytest.mark.slow
def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    ended = threading.Event()

    def resolve(_: str) -> list[Address]:
        ended.wait(60)
        return []

    client = GuardedHttp("1", resolve=resolve, post_seconds=0.05)
    try:
        for _ in range(20):  # more than look-ups at the same time
            with pytest.raises(NoAnswer) as failed:
                client.post(URL, {}, b"")
            assert failed.value.reason == "timeout"
    finally:
        ended.set()


def test_the_next_address_is_tried_if_one_does_not_answer() -> None:
    tried: list[str] = []
    with web_server(answer()) as server:

        def connect(address: Address, port: int, seconds: float) -> socket.socket:
            tried.append(str(address))
            if address.version == 6:
                raise OSError("no route")
            return server.connect(address, port, seconds)

        client = client_of(server, Resolver(["2001:4860::1", "8.8.8.8"]), connect=connect)
        assert client.post(URL, {}, b"").status == 200
    assert tried == ["2001:4860::1", "8.8.8.8"]


def test_a_refused_connection() -> None:
    with pytest.raises(NoAnswer) as failed:
        GuardedHttp("1", allow_private=True).post(f"https://127.0.0.1:{free_port()}/", {}, b"")
    assert failed.value.reason == "connection"


def _hang(connection: socket.socket) -> None:
    connection.recv(1)


def _trickle(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 100_000:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("reply", [_hang, _trickle], ids=["silent", "trickling"])
def test_a_server_that_hangs_or_trickles_its_head_ends_at_the_deadline(reply: object) -> None:
    with web_server(reply) as server:  # type: ignore[arg-type]
        with pytest.raises(NoAnswer) as failed:
            client_of(server, post_seconds=0.3).post(URL, {}, b"{}")
        assert failed.value.reason == "timeout"


@pytest.mark.slow
def test_a_server_that_never_begins_tls_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

        def connect(_: Address, __: int, seconds: float) -> socket.socket:
            return socket.create_connection(address, seconds)

        client = GuardedHttp("1", resolve=Resolver(["8.8.8.8"]), connect=connect, post_seconds=0.2)
        with pytest.raises(NoAnswer) as failed:
            client.post(URL, {}, b"{}")
    assert failed.value.reason == "timeout"
