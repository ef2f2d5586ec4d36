"""Fetches of the guarded client."""

import contextlib
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest

from app.adapters.outbound import answers, channel
from app.domain.errors import BadAnswer, NoAnswer, Refused
from tests.adapters.outbound.clients import URL, Resolver, client_of, fetch
from tests.web_server import Reply, answer, replies, web_server

pytestmark = pytest.mark.slow


def test_a_file_is_fetched() -> None:
    reply = answer(body=b"image", Content_Type="image/jpeg", Content_Disposition='inline; filename="b.jpg"')
    with web_server(reply) as server:
        found, received = fetch(client_of(server), f"{URL}?size=1#part")
    assert received == b"image"
    assert (found.url, found.size) == (f"{URL}?size=1", 5)
    assert (found.content_type, found.disposition) == ("image/jpeg", 'inline; filename="b.jpg"')
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a.jpg?size=1 HTTP/1.1"
    assert "Accept-Encoding: identity" in lines
    assert "User-Agent: Darkroom/1.2.3" in lines
    assert not any(line.lower().startswith(("cookie:", "authorization:", "referer:")) for line in lines)


def _chunked(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


def _until_close(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nabcde")


@pytest.mark.parametrize("reply", [_chunked, _until_close])
def test_bodies_without_a_length(reply: Reply) -> None:
    with web_server(reply) as server:
        assert fetch(client_of(server))[1] == b"abcde"


def test_redirects_are_followed_and_each_host_is_checked() -> None:
    reply = replies(
        answer("302 Found", Location="/b.jpg", Set_Cookie="a=1"),
        answer("301 Moved", Location="//cdn.img.example/c.jpg"),
        answer("307 Temporary Redirect", Location="https://img.example/d.jpg"),
        answer(body=b"image"),
    )
    hosts: list[str] = []
    resolver = Resolver(["8.8.8.8"])
    with web_server(reply, names=("img.example", "cdn.img.example")) as server:
        found, received = fetch(
            client_of(server, resolver), is_host_allowed=lambda host: hosts.append(host) is None
        )  # fmt: skip
    assert (found.url, received) == ("https://img.example/d.jpg", b"image")
    assert hosts == resolver.asked == ["img.example", "img.example", "cdn.img.example", "img.example"]
    assert not any(b"cookie" in request.lower() for request in server.requests)


def test_a_redirect_loop_ends() -> None:
    with web_server(answer("302 Found", Location=URL)) as server, pytest.raises(Refused) as refused:
        fetch(client_of(server))
    assert refused.value.reason == "redirects"
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://127.0.0.1/", "address"),
        ("https://[::ffff:10.0.0.1]/", "address"),
        ("https://169.254.169.254/latest/meta-data", "address"),
        ("http://img.example/a.jpg", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("https://ann:word@img.example/", "url"),
        ("https://img.example:22/", "port"),
        ("https://[img.example/", "url"),
        ("https://elsewhere.example/", "host"),
    ],
)
def test_redirects_to_places_that_are_refused(location: str, reason: str) -> None:
    with web_server(answer("302 Found", Location=location)) as server, pytest.raises(Refused) as refused:
        fetch(client_of(server), is_host_allowed=lambda host: host != "elsewhere.example")
    assert refused.value.reason == reason
    assert len(server.requests) == 1


def test_a_redirect_to_a_name_of_a_private_network_is_refused() -> None:
    resolver = Resolver(["8.8.8.8"], ["10.0.0.1"])
    with web_server(answer("302 Found", Location="https://nas.example/")) as server, pytest.raises(Refused) as refused:
        fetch(client_of(server, resolver))
    assert refused.value.reason == "address"
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial Content", "302 Found", "404 Not Found", "500 Error"])
def test_other_statuses_are_no_file(status: str) -> None:
    with web_server(answer(status)) as server, pytest.raises(BadAnswer) as failed:
        fetch(client_of(server))
    assert (failed.value.reason, failed.value.found) == ("status", {"status": int(status[:3])})


def test_a_content_encoding_is_refused() -> None:
    with web_server(answer(body=b"image", Content_Encoding="gzip")) as server, pytest.raises(BadAnswer) as failed:
        fetch(client_of(server))
    assert failed.value.reason == "encoding"


def test_a_file_that_is_declared_too_large_is_not_read() -> None:
    written: list[bytes] = []
    with web_server(answer(body=bytes(1001))) as server, pytest.raises(BadAnswer) as failed:
        client_of(server).fetch(URL, written.append, is_host_allowed=lambda _: True, max_bytes=1000, seconds=60)
    assert (failed.value.reason, failed.value.found) == ("size", {"declared_bytes": 1001, "limit_bytes": 1000})
    assert not written


def _endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(65536))


def test_an_endless_download_ends_at_the_limit() -> None:
    received = bytearray()
    with web_server(_endless) as server, pytest.raises(BadAnswer) as failed:
        client_of(server).fetch(URL, received.extend, is_host_allowed=lambda _: True, max_bytes=200_000, seconds=60)
    assert failed.value.reason == "size"
    assert len(received) <= 200_000


def _lying(declared: int, sent: bytes) -> Reply:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {declared}\r\n\r\n".encode()
    return lambda connection: connection.sendall(head + sent)


def test_a_content_length_above_the_bytes_is_an_incomplete_file() -> None:
    with web_server(_lying(10, b"abc")) as server, pytest.raises(BadAnswer) as failed:
        fetch(client_of(server))
    assert (failed.value.reason, failed.value.found) == ("incomplete", {"received_bytes": 3})


def test_bytes_after_the_content_length_are_ignored() -> None:
    with web_server(_lying(3, b"abcdef")) as server:
        assert fetch(client_of(server))[1] == b"abc"


def _cut_chunk(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc")


def _bad_chunk(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")


@pytest.mark.parametrize("reply", [_cut_chunk, _bad_chunk])
def test_chunks_that_end_early(reply: Reply) -> None:
    with web_server(reply) as server, pytest.raises(BadAnswer) as failed:
        fetch(client_of(server))
    assert failed.value.reason == "incomplete"


def _trickling_body(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100_000):
            connection.sendall(b"a")
            time.sleep(0.01)


def test_a_body_that_trickles_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time pass after the first bytes: a slow machine could need a short time for the head."""
    received = bytearray()

    def write(piece: bytes) -> None:
        received.extend(piece)
        for module in (answers, channel):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 600))

    with web_server(_trickling_body) as server, pytest.raises(BadAnswer) as failed:
        client_of(server).fetch(URL, write, is_host_allowed=lambda _: True, max_bytes=1_000_000, seconds=600)
    assert failed.value.reason == "timeout"
    assert 0 < len(received) < 100_000


def test_a_body_that_is_too_slow_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_WINDOW_SECONDS", 0.2)
    with web_server(_trickling_body) as server, pytest.raises(BadAnswer) as failed:
        fetch(client_of(server), seconds=600)
    assert failed.value.reason == "rate"


def test_a_silent_server_ends_at_the_deadline() -> None:
    with web_server(lambda connection: connection.recv(1)) as server, pytest.raises(NoAnswer) as failed:
        fetch(client_of(server), seconds=0.2)
    assert failed.value.reason == "timeout"


def test_an_error_of_the_writer_is_raised() -> None:
    class Full(Exception):
        pass

    def write(_: bytes) -> Any:
        raise Full

    with web_server(answer(body=b"image")) as server, pytest.raises(Full):
        client_of(server).fetch(URL, write, is_host_allowed=lambda _: True, max_bytes=10, seconds=60)
