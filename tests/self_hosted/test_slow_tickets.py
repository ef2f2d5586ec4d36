"""Slow uploads by ticket to the real server, and what happens to their records meanwhile."""

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.domain.keys import original_key
from app.domain.models import Image, utcnow
from app.domain.work import PROCESS_DELAY
from tests.running_server import Server, finished, serving, wait_for
from tests.samples import encoded
from tests.sides import Side, self_hosted
from tests.tiers import smoke

pytestmark = pytest.mark.slow

BODY = encoded("JPEG", 640, 480, seed=91)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("slow") / "data") as running:
        yield running


@pytest.fixture
def side(server: Server) -> Iterator[Side]:
    """The server's own stores."""
    with self_hosted(server.data) as opened:
        yield opened


def ticket_of(server: Server) -> dict[str, Any]:
    answer = server.client.post("/upload/direct", json={"bytes": len(BODY), "content_type": "image/jpeg"})
    assert answer.status_code == 201, answer.text
    ticket: dict[str, Any] = answer.json()
    return ticket


class Upload:
    """One PUT, sent piece by piece."""

    def __init__(self, server: Server, ticket: dict[str, Any], sock: socket.socket) -> None:
        self._sock = sock
        url = urlsplit(ticket["url"])
        lines = [
            f"PUT {url.path}?{url.query} HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            f"Content-Length: {len(BODY)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in ticket["headers"].items()),
        ]
        sock.sendall("\r\n".join([*lines, "", ""]).encode())

    def send(self, start: int, end: int | None = None) -> None:
        self._sock.sendall(BODY[start:end])

    def answer(self) -> str:
        """The status and everything after it, once the server has closed the connection."""
        received = b""
        while piece := self._sock.recv(65536):
            received += piece
        return received.partition(b" ")[2].decode()


@contextmanager
def uploading(server: Server, ticket: dict[str, Any]) -> Iterator[Upload]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
        yield Upload(server, ticket, sock)


def expire(side: Side, image_id: str) -> None:
    """Let the ticket's time pass, and reconcile."""
    image = side.images.get(image_id)
    assert isinstance(image, Image)
    side.images.update(image_id, image.version, {"upload_expires_at": utcnow() - timedelta(seconds=1)})
    assert side.reconciler.run(now=utcnow() + PROCESS_DELAY).never_came == 1


def status_of(server: Server, image_id: str) -> int:
    return server.client.get(f"/images/{image_id}").status_code


def test_a_slow_upload_is_kept_though_reconcile_runs_meanwhile(server: Server, side: Side) -> None:
    """Two hours after the ticket was given, as far as its record is concerned."""
    ticket = ticket_of(server)
    with uploading(server, ticket) as upload:
        upload.send(0, 1000)
        later = utcnow() + timedelta(hours=2)
        assert side.reconciler.run(now=later).never_came == 0
        upload.send(1000)
        assert upload.answer().startswith("200 ")
    record = finished(server, ticket["id"])
    assert (record["status"], record["sha256"]) == ("ready", hashlib.sha256(BODY).hexdigest())


@pytest.mark.parametrize("how", smoke(["deleted", "expired"]))
def test_a_ticket_that_ends_while_its_bytes_come_is_refused_and_leaves_nothing(
    server: Server, side: Side, how: str
) -> None:
    ticket = ticket_of(server)
    with uploading(server, ticket) as upload:
        upload.send(0, 1000)
        if how == "deleted":
            assert server.client.delete(f"/images/{ticket['id']}").status_code == 204
        else:
            expire(side, ticket["id"])
        upload.send(1000)
        answer = upload.answer()
    assert answer.startswith("410 ")
    assert '"ticket_gone"' in answer
    assert status_of(server, ticket["id"]) == 404
    wait_for(lambda: original_key(ticket["id"]) not in side.objects(), 60)


@pytest.mark.parametrize("how", smoke(["deleted", "expired"]))
def test_a_ticket_that_has_ended_is_refused_before_its_bytes_come(server: Server, side: Side, how: str) -> None:
    ticket = ticket_of(server)
    if how == "deleted":
        assert server.client.delete(f"/images/{ticket['id']}").status_code == 204
    else:
        expire(side, ticket["id"])
    with uploading(server, ticket) as upload:  # the head alone
        assert upload.answer().startswith("410 ")
    assert status_of(server, ticket["id"]) == 404


def test_a_delete_right_after_the_upload_leaves_nothing(server: Server, side: Side) -> None:
    ticket = ticket_of(server)
    with uploading(server, ticket) as upload:
        upload.send(0)
        assert upload.answer().startswith("200 ")
    assert server.client.delete(f"/images/{ticket['id']}").status_code == 204
    assert status_of(server, ticket["id"]) == 404
    wait_for(lambda: not any(ticket["id"] in key for key in side.objects()), 60)
