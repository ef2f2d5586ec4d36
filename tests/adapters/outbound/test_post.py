"""Posts of the guarded client."""

import datetime as dt
import socket
import struct
from email.utils import format_datetime

import pytest

from app.domain.errors import NoAnswer
from tests.adapters.outbound.clients import URL, client_of
from tests.web_server import Reply, answer, web_server

pytestmark = pytest.mark.slow


def test_a_post_sends_headers_and_body() -> None:
    with web_server(answer("204 No Content")) as server:
        found = client_of(server).post(
            f"{URL}?key=1", {"webhook-id": "evt_1", "Content-Type": "application/json"}, b"{}"
        )
    assert (found.status, found.retry_after) == (204, None)
    assert found.milliseconds >= 0
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a.jpg?key=1 HTTP/1.1"
    assert sorted(lines[1:]) == [
        "Accept-Encoding: identity", "Connection: close", "Content-Length: 2", "Content-Type: application/json",
        "Host: img.example", "User-Agent: Darkroom/1.2.3", "webhook-id: evt_1",
    ]  # fmt: skip
    assert body == b"{}"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_redirects_are_not_followed(status: str) -> None:
    with web_server(answer(status, Location="https://other.example/")) as server:
        assert client_of(server).post(URL, {}, b"{}").status == int(status[:3])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("-5", None),
        ("soon", None),
        ("9" * 30, 604800.0),
        (f"Mon, {'9' * 30} Jan 2026 00:00:00 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    with web_server(answer("503 Service Unavailable", Retry_After=value)) as server:
        found = client_of(server).post(URL, {}, b"{}")
    assert (found.status, found.retry_after) == (503, seconds)


def test_retry_after_as_a_date() -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    with web_server(answer("429 Too Many Requests", Retry_After=format_datetime(later, usegmt=True))) as server:
        found = client_of(server).post(URL, {}, b"{}")
    assert found.retry_after is not None
    assert 3600 < found.retry_after <= 24 * 3600


def test_a_large_answer_is_dropped() -> None:
    with web_server(answer(body=bytes(20_000_000))) as server:
        assert client_of(server).post(URL, {}, b"{}").status == 200


def _silent_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    connection.recv(1)


def test_an_answer_whose_body_never_comes_counts_by_its_status() -> None:
    with web_server(_silent_body) as server:
        assert client_of(server).post(URL, {}, b"{}").status == 200


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _raw(message: bytes) -> Reply:
    return lambda connection: connection.sendall(message)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (_reset, "connection"),
        (_raw(b""), "connection"),
        (_raw(b"SSH-2.0-OpenSSH\r\n"), "protocol"),
        (_raw(b"HTTP/1.1 abc\r\n\r\n"), "protocol"),
        (_raw(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n"), "protocol"),
        (_raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000), "protocol"),
        (_raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000), "protocol"),
        (_raw(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"a" * 2000) for n in range(90))), "protocol"),
    ],
    ids=["reset", "closed", "not HTTP", "no status", "many headers", "long header", "endless 100", "large head"],
)
def test_answers_that_are_not_http(reply: Reply, reason: str) -> None:
    with web_server(reply) as server, pytest.raises(NoAnswer) as failed:
        client_of(server).post(URL, {}, b"{}")
    assert failed.value.reason == reason
