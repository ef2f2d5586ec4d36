"""Clients that hold connections: silent, slow to send, slow to read, or too many. The bounds are short here."""

import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.api.live import Live, live_on
from tests.api.raw_requests import answers_in, exchange, read_all
from tests.running_server import wait_for
from tests.samples import encoded

pytestmark = pytest.mark.slow

MEBIBYTE = 1024 * 1024
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LAST = HEALTH + b"Connection: close\r\n\r\n"
#: More than the buffers of the kernel hold for one connection.
LARGE = 24 * MEBIBYTE
#: Longer than a client of these tests stands still on a busy machine.
HEAD_SECONDS = 6
STALL_SECONDS = 9
MOST_REQUESTS = 20


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with short time-outs. It may have logged no error when these tests have run."""
    bounds = {"head_seconds": HEAD_SECONDS, "keep_alive_seconds": HEAD_SECONDS + 1, "stall_seconds": STALL_SECONDS}
    with live_on("self-hosted", tmp_path_factory.mktemp("live"), 2 * LARGE, **bounds) as server:
        yield server
        assert [line for line in server.log().splitlines() if re.search("ERROR|WARNING|Traceback", line)] == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Live]:
    """A server that takes few requests at once, and twice as many connections."""
    with live_on("self-hosted", tmp_path, MEBIBYTE, most_requests=MOST_REQUESTS) as server:
        yield server


def test_a_silent_connection_is_closed(live: Live) -> None:
    with live.connect() as sock:
        assert read_all(sock) == b""


def test_a_connection_is_kept_for_a_while_after_a_request(live: Live) -> None:
    with live.connect() as sock:
        started = time.monotonic()
        sock.sendall(HEALTH + b"\r\n")
        assert [answer.status for answer in answers_in(read_all(sock))] == [200]
        assert time.monotonic() - started > HEAD_SECONDS


def test_a_connection_that_sends_an_empty_line_after_a_request_is_closed(live: Live) -> None:
    with live.connect() as sock:
        sock.sendall(HEALTH + b"\r\n")
        while not sock.recv(65536).endswith(b'{"status":"ok"}'):
            pass
        sock.sendall(b"\r\n")
        assert read_all(sock) == b""


@pytest.mark.parametrize("served", [False, True], ids=["first", "second"])
def test_a_head_that_comes_byte_by_byte_ends_with_a_problem(live: Live, served: bool) -> None:
    head = (HEALTH if served else LAST)[:30] + b"\r\nX-A: "
    with live.connect() as sock:
        if served:
            sock.sendall(HEALTH + b"\r\n")
            while not sock.recv(65536).endswith(b'{"status":"ok"}'):
                pass
        sock.sendall(head)
        while not select.select([sock], [], [], 0.1)[0]:
            sock.sendall(b"a")
        (answer,) = answers_in(read_all(sock))
    assert (answer.status, answer.problem["code"]) == (408, "request_timeout")
    assert answer.problem["detail"].startswith(f"The request head was not complete within {HEAD_SECONDS} seconds.")


def test_a_body_may_take_longer_than_a_head(live: Live) -> None:
    body = b'{"image_base64": "' + b"A" * 40 + b'"}'
    with live.connect() as sock:
        sock.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        end = time.monotonic() + HEAD_SECONDS + 2
        for byte in body[:-1]:
            sock.sendall(bytes([byte]))
            time.sleep(max(0, (end - time.monotonic()) / len(body)))
        time.sleep(max(0, end - time.monotonic()))
        sock.sendall(body[-1:])
        (answer,) = answers_in(read_all(sock))
    assert answer.problem["code"] == "unsupported_type"


def large_original(live: Live, seed: int) -> bytes:
    """The request of a large original."""
    body = encoded(seed=seed)
    files = {"file": ("a.jpg", body + b"\0" * (LARGE - len(body)))}
    image = httpx.post(f"{live.url}/upload", files=files, timeout=60).json()
    where = httpx.get(f"{live.url}/images/{image['id']}/original", timeout=60).headers["location"]
    return f"GET {httpx.URL(where).raw_path.decode()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


def test_a_client_that_does_not_read_is_disconnected_and_its_file_closed(live: Live) -> None:
    request = large_original(live, 601)

    def open_originals() -> int:
        return sum("/originals/" in target for target in live.descriptors())

    with ExitStack() as stack:
        socks = [stack.enter_context(live.connect()) for _ in range(20)]
        for sock in socks:
            sock.sendall(request)
        wait_for(lambda: open_originals() == 20, 60)
        wait_for(lambda: open_originals() == 0, 60)
        for sock in socks:
            with pytest.raises(ConnectionResetError):
                read_all(sock)


def test_a_client_that_does_not_read_small_answers_is_disconnected(live: Live) -> None:
    with live.connect() as sock:
        sock.settimeout(60)
        with pytest.raises(ConnectionError):
            send_for_ever(sock, HEALTH + b"\r\n")


def send_for_ever(sock: socket.socket, data: bytes) -> None:
    while True:
        sock.sendall(data)


def test_a_client_that_reads_slowly_gets_everything(live: Live) -> None:
    request = large_original(live, 602)
    received = 0
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(60)
        sock.connect(("127.0.0.1", live.port))
        sock.sendall(request)
        end = time.monotonic() + STALL_SECONDS + 2
        while time.monotonic() < end:
            received += len(sock.recv(8192))
            time.sleep(0.01)
        assert received < LARGE
        while piece := sock.recv(MEBIBYTE):
            received += len(piece)
    assert received > LARGE


def test_beyond_the_bound_the_connection_that_has_waited_longest_is_closed(small: Live) -> None:
    with ExitStack() as stack:
        oldest, *others = [stack.enter_context(small.connect()) for _ in range(2 * MOST_REQUESTS)]
        others[0].sendall(HEALTH)
        assert exchange(small.port, LAST)[0].status == 200
        assert read_all(oldest) == b""
        others[-1].sendall(LAST)
        assert answers_in(read_all(others[-1]))[0].status == 200
        for _ in range(10 * MOST_REQUESTS):
            stack.enter_context(small.connect())
        assert exchange(small.port, LAST)[0].status == 200


def test_beyond_the_bound_of_requests_the_answer_is_503_at_once(small: Live) -> None:
    upload = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(MOST_REQUESTS):
            stack.enter_context(small.connect()).sendall(upload)
        wait_for(lambda: exchange(small.port, LAST)[0].status == 503, 60)
        refused, health = exchange(small.port, upload[:-2] + b"\r\n" + b"x" * 100), exchange(small.port, LAST)
        for (answer,) in (refused, health):
            assert (answer.status, answer.problem["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"] == "2"
            assert answer.headers["connection"] == "close"
    wait_for(lambda: exchange(small.port, LAST)[0].status == 200, 60)


def test_refused_connections_do_not_count_as_requests(small: Live) -> None:
    with ExitStack() as stack:
        for _ in range(2 * MOST_REQUESTS):  # each of them lingers
            stack.enter_context(small.connect()).sendall(b"nonsense\r\n\r\n")
        assert exchange(small.port, LAST)[0].status == 200
