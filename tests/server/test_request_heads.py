"""Requests of the self-hosted server: bounded, without Upgrade, and with a problem document for each refusal."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.api.live import Live, live_on
from tests.api.raw_requests import answers_in, exchange, read_all
from tests.running_server import wait_for
from tests.samples import encoded

pytestmark = pytest.mark.slow

HEAD_BYTES = 32 * 1024
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKED = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n%s\r\n--b--\r\n'


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server for all of these tests. It may have logged no error when they have run.

    It discards the rest of a request for a minute, so that a slow machine has the time to send it.
    """
    patience: dict[str, float] = {"drain_seconds": 60, "linger_seconds": 60}
    with live_on("self-hosted", tmp_path_factory.mktemp("live"), 1_000_000, **patience) as server:
        yield server
        assert [line for line in server.log().splitlines() if re.search("ERROR|WARNING|Traceback", line)] == []


def upload(body: bytes, *headers: str) -> bytes:
    lines = ["POST /upload HTTP/1.1", "Host: x", "Content-Type: multipart/form-data; boundary=b", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


LENGTHS = {
    "once": ["Content-Length: %d"],
    "twice": ["Content-Length: %d", "Content-Length: %d"],
    "a list": ["Content-Length: %d, %d"],
    "with zeros": ["Content-Length: 000%d"],
    "with other names": ["Content-Length: %d", "Content_Length: 0", "Transfer_Encoding: chunked", "X: a: 0"],
}


@pytest.mark.parametrize("size", [1_000_000, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_a_request_in_a_body_is_not_run(live: Live, lengths: list[str], size: int) -> None:
    inner = b"DELETE /images/01a21f65-7e5c-7fba-a356-000000000000 HTTP/1.1\r\nHost: x\r\nX-Request-Id: hidden\r\n\r\n"
    fields = "\r\n".join(lengths).replace("%d", str(len(inner)))
    head = f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{fields}\r\n\r\n".encode()
    sent = head + inner + LAST
    first, second = exchange(live.port, *(sent[start : start + size] for start in range(0, len(sent), size)))
    assert (first.problem["code"], second.status) == ("bad_json", 200)
    assert live.requests(request_id="hidden") == []


# No protocol but HTTP/1.1 is offered, so any Upgrade is ignored (RFC 9110 section 7.8).
UPGRADES = {
    "h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"],
    "websocket": ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="],
    "anything": ["Connection: keep-alive, upgrade", "Upgrade: anything/1"],
    "twice": ["Connection: Upgrade", "Upgrade: a", "Connection: upgrade", "Upgrade: b"],
    "unlisted": ["Upgrade: h2c"],
    "in other letters": ["cOnNeCtIoN: uPgRaDe", "uPgRaDe: H2C"],
}


@pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("split", [False, True], ids=["together", "split"])
def test_a_body_sent_with_upgrade_is_a_body(live: Live, headers: list[str], split: bool) -> None:
    inner = b"DELETE /images/01a21f65-7e5c-7fba-a356-000000000000 HTTP/1.1\r\nHost: x\r\nX-Request-Id: inner\r\n\r\n"
    request = upload(inner, "X-Request-Id: outer", *headers)
    pieces = (request[: -len(inner)], inner) if split else (request,)
    first, second = exchange(live.port, *pieces, LAST)
    assert (first.status, first.headers["x-request-id"]) == (400, "outer")
    assert second.status == 200
    assert live.requests(request_id="inner") == []


@pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES)
def test_an_upload_with_upgrade_is_an_upload(live: Live, headers: list[str]) -> None:
    body = FORM % encoded(seed=sum(map(len, headers)))
    answer, _ = exchange(live.port, upload(body, *headers), LAST)
    assert answer.status in {200, 201}, answer
    assert "upgrade" not in answer.headers


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_with_http2_can_upload(live: Live) -> None:
    command = ["curl", "-sS", "--http2", "-F", "file=@-;filename=a.jpg", "-w", "\n%{http_code}", f"{live.url}/upload"]
    done = subprocess.run(command, input=encoded(seed=501), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\n201"), done.stdout


TOO_LARGE = {
    "fields": b"".join(b"X-%05d: %s\r\n" % (number, b"a" * 1000) for number in range(64)),
    "one field": b"X-A: " + b"a" * 2 * HEAD_BYTES + b"\r\n",
    "tiny fields": b"a:b\r\n" * HEAD_BYTES,
    "many fields": b"a:b\r\n" * 101,
}


@pytest.mark.parametrize("fields", TOO_LARGE.values(), ids=TOO_LARGE)
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "endless"])
def test_a_head_that_is_too_large_is_refused(live: Live, fields: bytes, ended: bool) -> None:
    if not ended and len(fields) < HEAD_BYTES:
        fields *= HEAD_BYTES
    (answer,) = exchange(live.port, HEALTH + fields + (b"\r\n" if ended else b""))
    assert (answer.status, answer.problem["code"]) == (431, "head_too_large")
    assert answer.headers["connection"] == "close"
    assert str(answer.problem.get("limit_bytes", "")) in {"", "32768"}


@pytest.mark.parametrize("end", [b" HTTP/1.1\r\nHost: x\r\n\r\n", b""], ids=["ended", "endless"])
def test_a_url_that_is_too_long_is_refused(live: Live, end: bytes) -> None:
    (answer,) = exchange(live.port, b"GET /healthz?" + b"a" * 2 * HEAD_BYTES + end)
    assert (answer.status, answer.problem["code"]) == (431, "head_too_large")
    assert "URL" in answer.problem["detail"]


def test_heads_up_to_the_limit_are_read(live: Live) -> None:
    head = HEALTH + b"Connection: close\r\nX-A: "
    head += b"a" * (HEAD_BYTES - len(head) - 4) + b"\r\n\r\n"
    fields = HEALTH + b"a:b\r\n" * 98 + b"Connection: close\r\n\r\n"
    assert [answer.status for answer in exchange(live.port, head)] == [200]
    assert [
        answer.status for answer in exchange(live.port, *(head[n : n + 1000] for n in range(0, HEAD_BYTES, 1000)))
    ] == [200]
    assert [answer.status for answer in exchange(live.port, fields)] == [200]


REFUSED = {
    "raw utf-8": ("GET /images?tag=été HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400, "bad_request_head", "ASCII"),
    "raw latin-1": (b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request_head", "ASCII"),
    "blank in the target": (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request_head", "GET /a b"),
    "no version": (b"GET /\r\n\r\n", 400, "bad_request_head", "GET /"),
    "no request": (b"Hello, is there anybody?\r\n\r\n", 400, "bad_request_head", "Hello"),
    "only blank lines": (b"\r\n" * 10, 400, "bad_request_head", "no request line"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_request_head", "http://"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported_http_version", "HTTP/1.1"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request_head", "`Host`"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "bad_request_head", "`Host`"),
    "no field": (HEALTH + b"nothing\r\n\r\n", 400, "bad_request_head", "nothing"),
    "blank before the colon": (HEALTH + b"X-A : b\r\n\r\n", 400, "bad_request_head", "X-A : b"),
    "control character": (HEALTH + b"X-A: b\x00c\r\n\r\n", 400, "bad_request_head", "X-A"),
    "carriage return": (HEALTH + b"X-A: b\rX-B: c\r\n\r\n", 400, "bad_request_head", "X-A"),
    "negative length": (HEALTH + b"Content-Length: -5\r\n\r\n", 400, "bad_request_head", "Content-Length"),
    "two lengths": (
        HEALTH + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "bad_request_head", "Content-Length",
    ),
    "list of lengths": (HEALTH + b"Content-Length: 5, 6\r\n\r\n", 400, "bad_request_head", "Content-Length"),
    "sign": (HEALTH + b"Content-Length: +5\r\n\r\n", 400, "bad_request_head", "Content-Length"),
    "length and chunks": (
        HEALTH + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request_head", "Content-Length",
    ),
    "chunks in HTTP/1.0": (
        b"POST /upload HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request_head", "HTTP/1.0",
    ),
    "coding": (HEALTH + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "unsupported_transfer_encoding", "chunked"),
    "no chunk size": (CHUNKED + b"zz\r\n", 400, "bad_chunk", "zz"),
    "wrong chunk size": (CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n", 400, "bad_chunk", "chunk"),
    "large chunk extension": (CHUNKED + b"1;" + b"a" * 100_000, 400, "bad_chunk", "32,768 bytes"),
    "chunk extensions": (CHUNKED + (b"1;" + b"a" * 10_000 + b"\r\n{\r\n") * 20, 400, "bad_chunk", "larger chunks"),
    "tiny chunks": (CHUNKED + b"1\r\n \r\n" * 50_000, 400, "bad_chunk", "larger chunks"),
    "trailers": (CHUNKED + b"0\r\n" + b"a:b\r\n" * 50_000, 400, "bad_chunk", "trailers"),
}  # fmt: skip


@pytest.mark.parametrize(("request_bytes", "status", "code", "word"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("size", [1_000_000, 700], ids=["at once", "in pieces"])
def test_unreadable_requests_are_refused_with_a_problem_document(
    live: Live, request_bytes: bytes, status: int, code: str, word: str, size: int
) -> None:
    pieces = (request_bytes[start : start + size] for start in range(0, len(request_bytes), size))
    (answer,) = exchange(live.port, *pieces)
    assert (answer.status, answer.problem["code"]) == (status, code)
    assert word in answer.problem["detail"]
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"
    request_id = answer.problem["request_id"]
    wait_for(lambda: live.requests(request_id=request_id), 60)  # the line follows the answer
    (line,) = live.requests(request_id=request_id)
    assert (line["status"], line["code"]) == (status, code)


def test_a_refusal_reaches_a_client_that_sends_everything_first(live: Live) -> None:
    with live.connect() as sock:
        sock.sendall(HEALTH)
        for _ in range(50):
            sock.sendall(b"a:b\r\n" * 200_000)
        assert [answer.status for answer in answers_in(read_all(sock))] == [431]


def test_refused_heads_cost_the_server_no_memory(live: Live) -> None:
    assert exchange(live.port, LAST)[0].status == 200
    before = live.memory()
    for head in (HEALTH, HEALTH + b"X-A: ", b"GET /healthz?", CHUNKED + b"0\r\n", CHUNKED + b"1;"):
        for piece in (b"a:b\r\n", b"a" * 1000):
            with live.connect() as sock:
                sock.sendall(head)
                for _ in range(20):
                    sock.sendall(piece * (1_000_000 // len(piece)))
                assert answers_in(read_all(sock))[0].status in {400, 431}
    assert live.memory() - before < 10_000_000


@pytest.mark.parametrize("blank", [b"\r\n", b""], ids=["after an empty line", "at once"])
def test_requests_follow_each_other_on_a_connection(live: Live, blank: bytes) -> None:
    body = b'{"image_base64": ""}'
    post = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Trailer: a\r\n\r\n" % (len(body), body)
    pieces = [post + length + body, blank, post + chunks, blank, HEALTH + b"\r\n", blank, LAST]
    assert [answer.status for answer in exchange(live.port, b"".join(pieces))] == [422, 422, 200, 200]
    assert [answer.status for answer in exchange(live.port, *pieces)] == [422, 422, 200, 200]


def test_a_small_answer_is_sent_as_one_packet(live: Live) -> None:
    """Also the last one of a connection, and one without a body."""
    requests = [HEALTH, HEALTH.replace(b"GET", b"HEAD")] * 10 + [LAST.removesuffix(b"\r\n")]
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as sock:
        for request in requests:
            sock.sendall(request + b"\r\n")
            packet = sock.recv(65536)
            assert packet.endswith(b"\r\n\r\n" if request.startswith(b"HEAD") else b'\r\n\r\n{"status":"ok"}')
        assert sock.recv(65536) == b""


def test_http_1_0_is_answered(live: Live) -> None:
    (answer,) = exchange(live.port, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")


HALF_CLOSED = {
    "get": (LAST.replace(b"Connection: close\r\n", b""), [200]),
    "two": (HEALTH + b"\r\n" + HEALTH + b"\r\n", [200, 200]),
    "upload": (upload(FORM % encoded(seed=502)), [201]),
    "early answer": (upload(b"x" * 200_000).replace(b"multipart/form-data", b"text/plain"), [415]),
}


@pytest.mark.parametrize(("request_bytes", "statuses"), HALF_CLOSED.values(), ids=HALF_CLOSED)
def test_a_half_closed_connection_is_answered(live: Live, request_bytes: bytes, statuses: list[int]) -> None:
    answers = exchange(live.port, request_bytes, half_close=True)
    assert [answer.status for answer in answers] == statuses


def test_a_client_that_half_closes_while_waiting_gets_the_record_as_it_is(live: Live) -> None:
    image = httpx.post(f"{live.url}/upload", files={"file": ("a.jpg", encoded(seed=503))}, timeout=60).json()
    request = f"GET /images/{image['id']}?wait=20 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    (answer,) = exchange(live.port, request, half_close=True)
    assert (answer.status, json.loads(answer.body)["status"]) == (200, "pending")


INCOMPLETE = {
    "head": (HEALTH, "bad_request_head"),
    "length": (upload(FORM % encoded(seed=504))[:-10], "incomplete_body"),
    "no body": (HEALTH.replace(b"GET /healthz", b"POST /upload") + b"Content-Type: application/json\r\n"
                b"Content-Length: 9\r\n\r\n", "incomplete_body"),
    "chunks": (CHUNKED + b"5\r\n[1, 2\r\n", "incomplete_body"),
    "within a chunk": (CHUNKED + b"5\r\n[1,", "incomplete_body"),
}  # fmt: skip


@pytest.mark.parametrize(("request_bytes", "code"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_half_closed_request_that_is_not_whole_is_refused(live: Live, request_bytes: bytes, code: str) -> None:
    objects = live.side.objects()
    (answer,) = exchange(live.port, request_bytes, half_close=True)
    assert (answer.status, answer.problem["code"]) == (400, code)
    wait_for(lambda: live.open_files() == [], 60)
    assert live.side.objects() == objects
