"""Client of the command line under errors of the call, the network and the answer."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.domain.keys import original_key
from app.domain.models import utcnow
from app.domain.uploads import grants
from darkroom import connection
from darkroom.cli.command import cli
from darkroom.cli.direct import FileClient
from darkroom.cli.image_file import ImageFile, UploadError
from darkroom.errors import Unreachable
from tests.api.service import Service, service_on
from tests.samples import encoded
from tests.tiers import smoke

KEY = "dk_not_to_be_seen"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.jpg"
    path.write_bytes(encoded("JPEG", 90, 60, seed=60))
    return path


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PAUSE_SECONDS", 0)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with service_on("self-hosted", tmp_path) as made:
        yield made


class Lossy(httpx.BaseTransport):
    """Transport that loses the first answers to a method."""

    def __init__(self, service: Service, **lost: int) -> None:
        self._way = service.client._transport
        self._lost = lost
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.method)
        answer = self._way.handle_request(request)
        if self._lost.get(request.method, 0) > 0:
            self._lost[request.method] -= 1
            raise httpx.ReadError("the answer is lost", request=request)
        return answer


class Peer(HTTPServer):
    """A server that gives every POST the same answer. With `looks_up`, it answers a lookup as Darkroom does."""

    status, content_type, content = 404, "text/plain", b"nothing"
    looks_up = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answering(BaseHTTPRequestHandler):
    server: Peer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, content_type, content = self.server.status, self.server.content_type, self.server.content
        if self.server.looks_up and self.path == "/images/lookup":
            status, content_type, content = 200, "application/json", b'{"known": {}}'
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(("127.0.0.1", 0), _Answering) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def darkroom(*arguments: str, url: str, key: str = "") -> Result:
    """The command, run in this process."""
    return CliRunner().invoke(cli, list(arguments), env={"DARKROOM_API_KEY": key, "DARKROOM_URL": url})


@pytest.mark.parametrize("wrong", ["\r\n", "\n", "é", "\x7f", "\udcff", "\nX-Other: 1"])
def test_no_key_is_shown_whatever_is_wrong_with_it(picture: Path, peer: Peer, wrong: str) -> None:
    done = darkroom("upload", str(picture), url=peer.url, key=f"{KEY}{wrong}")
    assert KEY not in done.stdout + done.stderr
    assert isinstance(done.exception, SystemExit)  # and no traceback
    if wrong.strip():
        assert done.exit_code == 2
        assert "API key" in done.stderr
    else:  # a line break at the end is no part of the key
        assert done.exit_code == 3
        assert "404 Not Found" in done.stderr


@pytest.mark.parametrize("method", ["PUT", "GET"])
@pytest.mark.parametrize("lost", [1, 3])
def test_a_lost_answer_does_not_store_the_image_twice(service: Service, picture: Path, method: str, lost: int) -> None:
    way = Lossy(service, **{method: lost})
    with FileClient("http://testserver", transport=way) as client:
        record = client.send(ImageFile.read(picture))
    assert service.side.objects() == {original_key(record["id"])}
    assert way.asked.count("POST") == 1  # a ticket is a record
    assert way.asked.count("PUT") == (1 if method == "GET" else lost + 1)


def test_a_ticket_that_expires_between_two_attempts_is_asked_for_anew(
    service: Service, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = iter([utcnow(), utcnow() + timedelta(seconds=301)])
    monkeypatch.setattr(grants, "utcnow", lambda: next(later, utcnow()))
    way = Lossy(service)
    broken = iter([httpx.ConnectError("no route")])

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT" and (error := next(broken, None)):
            raise error
        return Lossy.handle_request(way, request)

    monkeypatch.setattr(way, "handle_request", handle)
    with FileClient("http://testserver", transport=way) as client:
        record = client.send(ImageFile.read(picture))
    assert way.asked == ["POST", "PUT", "POST", "PUT", "GET"]
    assert service.side.objects() == {original_key(record["id"])}


def test_a_ticket_that_is_refused_at_once_is_not_tried_again(
    service: Service, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = iter([utcnow(), utcnow() + timedelta(seconds=301)])
    monkeypatch.setattr(grants, "utcnow", lambda: next(later))
    way = Lossy(service)
    with FileClient("http://testserver", transport=way) as client, pytest.raises(UploadError) as refusal:
        client.send(ImageFile.read(picture))
    assert refusal.value.problem["code"] == "url_expired"
    assert way.asked == ["POST", "PUT"]


@pytest.mark.parametrize(
    ("status", "content_type", "content"),
    smoke(
        [
            (200, "text/html", b"<html>Welcome"),
            (200, "application/json", b"{}"),
            (400, "application/problem+json", b"<html>"),
            (200, "application/json", b"[]"),
            (200, "application/json", b"<html>"),
            (200, "application/json", b"\xff"),
            (201, "application/json", b'{"id": "x"}'),
            (201, "text/plain", b""),
            (302, "text/html", b""),
            (400, "application/problem+json", b"[]"),
        ],
        fast=3,
    ),
)
def test_an_answer_that_is_not_darkrooms_is_reported_in_a_sentence(
    picture: Path, peer: Peer, status: int, content_type: str, content: bytes
) -> None:
    peer.status, peer.content_type, peer.content = status, content_type, content
    done = darkroom("upload", str(picture), url=peer.url)
    assert isinstance(done.exception, SystemExit), done.exception
    other = status < 400
    assert done.exit_code == (3 if other else 1)
    assert ("not Darkroom" if other else str(status)) in done.stderr
    error, cause, remedy, counts = done.stderr.splitlines()
    assert error == (f"error: cannot use {peer.url}" if other else f"error: {peer.url} refuses the request")
    assert cause.startswith("cause: ")
    assert remedy.startswith("try: set DARKROOM_URL" if other else "try: check DARKROOM_URL")
    assert counts == "1 file: 1 not sent"


@pytest.mark.parametrize(
    "url",
    smoke(
        ["127.0.0.1:8125", "", "localhost:8125", "http://[::1", "http://", "ftp://a.example", "http://a.example:99999"],
        fast=2,
    ),
)
def test_an_address_that_is_none_ends_the_command_at_once(picture: Path, url: str) -> None:
    done = darkroom("upload", str(picture), "--url", url, url="http://127.0.0.1:1")
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2
    assert "address" in done.stderr


def test_without_an_answer_to_the_first_image_the_others_are_not_tried(picture: Path) -> None:
    done = darkroom("upload", str(picture), str(picture), str(picture), url="http://127.0.0.1:1")
    assert done.exit_code == 3
    assert done.stderr.splitlines() == [
        "error: cannot reach http://127.0.0.1:1",
        "cause: Connection refused",
        "try: darkroom serve, or set DARKROOM_URL",
        "3 files: 3 not sent",
    ]


def test_a_service_that_goes_away_is_not_waited_for_to_the_end(
    service: Service, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Lossy(service)
    with FileClient("http://testserver", transport=way) as client:
        record = client.send(ImageFile.read(picture))

        def gone(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

        monkeypatch.setattr(way, "handle_request", gone)
        with pytest.raises(Unreachable, match="No answer from http://testserver "):
            client.wait_until_processed(record, 3600)


def test_invalid_proxies_are_reported_in_a_sentence(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "foo://")
    done = darkroom("upload", str(picture), url="http://a.example")
    assert done.exit_code == 2
    assert "proxy" in done.stderr


def test_a_name_that_is_no_text_is_sent_as_near_as_can_be(service: Service, tmp_path: Path, peer: Peer) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(encoded("JPEG", 90, 60, seed=61))
    with FileClient("http://testserver", transport=Lossy(service)) as client:
        assert client.send(ImageFile.read(path))["filename"] == "caf\N{REPLACEMENT CHARACTER}.jpg"
    peer.looks_up = True
    for more in ([], ["--json"]):
        done = darkroom("upload", str(path), *more, url=peer.url)
        assert isinstance(done.exception, SystemExit), done.exception
        assert "caf" in done.output


def test_a_file_deleted_before_it_is_sent_is_reported(service: Service, picture: Path) -> None:
    measured = ImageFile.read(picture)
    picture.unlink()
    way = Lossy(service)
    with (
        FileClient("http://testserver", transport=way) as client,
        pytest.raises(UploadError, match="No such file"),
    ):
        client.send(measured)
    assert "GET" not in way.asked


@pytest.mark.parametrize("answer", [b"[]", b'{"known": []}', b'{"unknown": {}}'])
def test_an_answer_to_a_lookup_that_is_not_darkrooms_ends_the_command(picture: Path, peer: Peer, answer: bytes) -> None:
    peer.status, peer.content_type, peer.content = 200, "application/json", answer
    done = darkroom("upload", str(picture), url=peer.url)
    assert done.exit_code == 3
    assert " is not Darkroom." in done.stderr


def test_a_full_server_ends_the_command_with_the_remedy(picture: Path, peer: Peer) -> None:
    problem = {"code": "storage_full", "detail": "Free disk space is below the reserve."}
    peer.status, peer.content_type, peer.content = 507, "application/problem+json", json.dumps(problem).encode()
    peer.looks_up = True
    done = darkroom("upload", str(picture), str(picture), url=peer.url)
    assert done.stderr.splitlines() == [
        f"error: {peer.url} is full",
        "cause: Free disk space is below the reserve.",
        "try: delete images, or ask its operator for space",
        "2 files: 2 not sent",
    ]


def test_no_password_of_the_address_is_printed(picture: Path) -> None:
    done = darkroom("upload", str(picture), url="http://ann:secret@127.0.0.1:1/")
    assert "error: cannot reach http://127.0.0.1:1\n" in done.stderr
    assert "secret" not in done.stderr
