"""Behavior of a real server on real sockets: early answers, vanishing clients, memory."""

import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.domain.models import ANONYMOUS
from app.domain.ports import ListQuery
from tests.api.live import Live, live_on
from tests.running_server import wait_for
from tests.samples import encoded

pytestmark = pytest.mark.slow

MEBIBYTE = 1024 * 1024
LIMIT = 150 * MEBIBYTE
JPEG = encoded()
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
END = b"\r\n--b--\r\n"


@pytest.fixture(params=["self-hosted"], scope="module")
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server for all of these tests. It may have logged no error when they have run."""
    with live_on(request.param, tmp_path_factory.mktemp("live"), LIMIT) as server:
        yield server
        assert not re.search("ERROR|Traceback", server.log())


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server that discards the rest of a body for a minute, so that a slow machine has the time to send it."""
    with live_on("self-hosted", tmp_path_factory.mktemp("patient"), LIMIT, drain_seconds=60) as server:
        yield server
        assert not re.search("ERROR|Traceback", server.log())


def records(live: Live) -> int:
    """Count the images."""
    return len(live.side.images.list(ListQuery(owner=ANONYMOUS, limit=200)).items)


def request_head(path: str = "/upload", content_type: str = "multipart/form-data; boundary=b", *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {content_type}", *more, "", ""]
    return "\r\n".join(lines).encode()


def read_all(sock: socket.socket) -> bytes:
    """Read until the server closes."""
    answer = b""
    while piece := sock.recv(65536):
        answer += piece
    return answer


def read_answer(sock: socket.socket) -> bytes:
    """One whole answer, whether the server closes after it or not."""
    answer = b""
    while not (head := re.search(rb"(?is)^content-length: (\d+)\r.*?\r\n\r\n", answer, re.MULTILINE)) or (
        len(answer) < head.end() + int(head[1])
    ):
        piece = sock.recv(65536)
        assert piece, answer
        answer += piece
    return answer


def status_of(answer: bytes) -> int:
    found = re.match(rb"HTTP/1.1 (\d+) ", answer)
    assert found, answer[:200]
    return int(found[1])


def send_while_it_takes(sock: socket.socket, piece: bytes, seconds: float) -> bool:
    """Send the piece over and over like a client that does not listen; whether it could for all that time."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            sock.sendall(piece)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [("/upload", "text/plain", 415), ("/nothing-here", "text/plain", 404), ("/images", "text/plain", 405)],
)
@pytest.mark.parametrize("length", ["Content-Length: 52428800", "Transfer-Encoding: chunked"])
def test_an_early_answer_reaches_a_client_that_sends_everything_first(
    patient: Live, path: str, content_type: str, status: int, length: str
) -> None:
    # 50 MiB are more than all buffers between the two hold: without draining this client sees a reset.
    piece = b"x" * 65536
    chunked = length.endswith("chunked")
    with patient.connect() as sock:
        sock.sendall(request_head(path, content_type, length))
        for _ in range(52428800 // len(piece)):
            sock.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
        if chunked:
            sock.sendall(b"0\r\n\r\n")
        answer = read_all(sock)
    assert status_of(answer) == status
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer.lower()


def test_the_answer_comes_at_once_and_the_draining_ends(live: Live) -> None:
    started = time.monotonic()
    with live.connect() as sock:
        sock.sendall(request_head("/upload", "text/plain", "Content-Length: 100000000000") + b"x" * 1000)
        assert status_of(read_answer(sock)) == 415  # before the body has come
        assert not send_while_it_takes(sock, b"x" * 65536, 60)
    assert time.monotonic() - started > 1.5


def test_a_length_over_the_limit_is_refused_before_the_bytes_come(live: Live) -> None:
    with live.connect() as sock:
        length = f"Content-Length: {LIMIT + 3 * MEBIBYTE}"
        sock.sendall(request_head("/upload", "multipart/form-data; boundary=b", length) + HEAD + JPEG)
        answer = read_answer(sock)
    assert status_of(answer) == 413
    assert b'"declared_bytes": 160432128' in answer


@pytest.mark.parametrize("length", [f"Content-Length: {LIMIT + MEBIBYTE}", "Transfer-Encoding: chunked"])
def test_too_many_bytes_are_refused_while_they_come(patient: Live, length: str) -> None:
    chunked = length.endswith("chunked")
    body, piece = HEAD + JPEG, b"\0" * 65536
    answer = b""
    with patient.connect() as sock:
        sock.sendall(request_head("/upload", "multipart/form-data; boundary=b", length))
        sock.sendall(b"%x\r\n%s\r\n" % (len(body), body) if chunked else body)
        sent = len(body)
        while not answer and sent + len(piece) <= LIMIT + MEBIBYTE:
            sock.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
            sent += len(piece)
            if select.select([sock], [], [], 0)[0]:
                answer = sock.recv(65536)
        sock.shutdown(socket.SHUT_WR)  # nothing more is discarded
        answer += read_all(sock)  # the body has no end: all bytes belong to the answer to its head
    assert status_of(answer) == 413
    assert b'"limit_bytes": 157286400' in answer
    assert sent > LIMIT
    wait_for(lambda: patient.open_files() == [], 60)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("options", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"]])
def test_curl_shows_the_refusal_of_a_file_that_is_too_large(patient: Live, options: list[str], tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.write(JPEG)
        file.truncate(170 * MEBIBYTE)
    command = ["curl", "-sS", *options, "-F", f"file=@{large}", "-w", "\n%{http_code}", f"{patient.url}/upload"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n413")
    assert '"code": "too_large"' in done.stdout


def test_a_client_that_asks_first_is_refused_before_it_sends(live: Live) -> None:
    with live.connect() as sock:
        sock.sendall(request_head("/upload", "text/plain", "Content-Length: 1000", "Expect: 100-continue"))
        answer = read_all(sock)
    assert status_of(answer) == 415
    assert b"100 Continue" not in answer


def test_a_client_that_asks_first_is_told_to_go_on(live: Live) -> None:
    body = HEAD + encoded(seed=77) + END
    with live.connect() as sock:
        length = f"Content-Length: {len(body)}"
        sock.sendall(request_head("/upload", "multipart/form-data; boundary=b", length, "Expect: 100-continue"))
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert status_of(read_answer(sock)) == 201


def test_a_small_body_that_nobody_reads_keeps_the_connection(live: Live) -> None:
    with httpx.Client(base_url=live.url, timeout=60) as client:
        answer = client.post("/upload", content=b"hello", headers={"content-type": "text/plain"})
        assert answer.status_code == 415
        assert answer.headers.get("connection") != "close"


@pytest.mark.parametrize("sent", [0, 100, 5 * MEBIBYTE])
def test_a_client_that_goes_away_half_way_leaves_nothing(live: Live, sent: int) -> None:
    before, lines = records(live), len(live.requests(route="/upload"))
    objects = live.side.objects()
    with live.connect() as sock:
        body = (HEAD + JPEG + b"\0" * sent)[: len(HEAD) + sent]
        sock.sendall(request_head("/upload", "multipart/form-data; boundary=b", f"Content-Length: {100 * MEBIBYTE}"))
        sock.sendall(body)
        if sent > MEBIBYTE:
            wait_for(live.open_files, 60)
    # The line of an earlier request may come meanwhile.
    wait_for(lambda: 499 in [each["status"] for each in live.requests(route="/upload")[lines:]], 60, live.log)
    assert live.open_files() == []
    assert [path for folder in live.temporary for path in folder.iterdir()] == []
    assert records(live) == before
    assert live.side.objects() == objects


def test_a_client_that_no_longer_waits_is_not_waited_for(live: Live) -> None:
    image = httpx.post(f"{live.url}/upload", files={"file": ("a.jpg", encoded(seed=88))}, timeout=60).json()
    known = {"route": "/images/{image_id}", "image_id": image["id"]}
    with live.connect() as sock:
        sock.sendall(f"GET /images/{image['id']}?wait=20 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_for(lambda: live.requests(**known), 60, live.log)
    (line,) = live.requests(**known)
    assert line["ms"] < 20_000  # the wait that was asked for


@pytest.mark.parametrize(
    "target",
    [
        "/files/../darkroom.db",
        "/files/processed/../../darkroom.db",
        "/files/originals/../../darkroom.db",
        "/files//etc/passwd",
        "/files/%2e%2e/darkroom.db",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
    ],
)
def test_no_path_leads_out_of_its_folder(live: Live, target: str) -> None:
    with live.connect() as sock:  # a client library would tidy the path up before it sends it
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert status_of(read_all(sock)) == 404


@pytest.mark.parametrize(
    "lengths",
    [["Content-Length: -5"], ["Content-Length: 5", "Content-Length: 6"], ["Content-Length: x"]],
    ids=["negative", "two", "no number"],
)
def test_lengths_that_make_no_sense_are_refused(live: Live, lengths: list[str]) -> None:
    with live.connect() as sock:
        sock.sendall(request_head("/upload", "multipart/form-data; boundary=b", *lengths) + b"x")
        assert status_of(read_all(sock)) == 400


def form_pieces(size: int) -> Iterator[bytes]:
    yield HEAD + JPEG
    yield from (b"\0" * 65536 for _ in range(size // 65536))
    yield END


def raw_pieces(size: int) -> Iterator[bytes]:
    yield JPEG
    yield from (b"\0" * 65536 for _ in range(size // 65536))


@pytest.mark.parametrize(
    ("content_type", "pieces"),
    [("multipart/form-data; boundary=b", form_pieces), ("image/jpeg", raw_pieces)],
    ids=["form", "raw"],
)
def test_100_megabytes_do_not_cost_100_megabytes(tmp_path: Path, content_type: str, pieces: object) -> None:
    with live_on("self-hosted", tmp_path, LIMIT) as server:
        small = httpx.post(f"{server.url}/upload", files={"file": ("a.jpg", encoded(seed=1))}, timeout=60)
        assert small.status_code == 201, small.text
        before = server.memory()
        headers = {"content-type": content_type}
        answer = httpx.post(f"{server.url}/upload", content=pieces(100_000_000), headers=headers, timeout=60)  # type: ignore[operator]
        assert answer.status_code == 201, answer.text
        assert answer.json()["bytes"] > 99_900_000
        assert server.memory() - before < 40_000_000


def test_the_status_line_has_the_phrases_of_the_standard(live: Live) -> None:
    for head, line in (
        (b"GET /images?limit=0 HTTP/1.1\r\n", b"HTTP/1.1 422 Unprocessable Content"),
        (b"POST /upload HTTP/1.1\r\nContent-Length: 999999999999\r\n", b"HTTP/1.1 413 Content Too Large"),
    ):
        with live.connect() as connection:
            connection.sendall(head + b"Host: localhost\r\nContent-Type: image/jpeg\r\n\r\n")
            assert connection.recv(65536).partition(b"\r\n")[0] == line
