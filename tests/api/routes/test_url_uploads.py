"""Uploads of images that the service fetches from a url."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.outbound.clients import URL, Resolver, client_of
from tests.api.service import LIMITS, Service, service_on
from tests.samples import encoded
from tests.web_server import Reply, WebServer, answer, replies, web_server

pytestmark = pytest.mark.slow

IMAGE = encoded(seed=7)


@contextmanager
def fetching(
    folder: Path, reply: Reply, side: str = "self-hosted", **changes: Any
) -> Iterator[tuple[Service, WebServer]]:
    """Run a service that may fetch from `*.example`, and the server that these names lead to."""
    limits = LIMITS._replace(url_uploads=True, max_direct_bytes=100_000)
    with web_server(reply) as server:
        options = {"outbound": client_of(server), "fetch_hosts": ("*.example",), "limits": limits, **changes}
        with service_on(side, folder, **options) as service:
            yield service, server


def problem(service: Service, url: str = URL, **fields: Any) -> dict[str, Any]:
    found = service.client.post("/upload", json={"url": url, **fields})
    assert found.status_code >= 400, found.text
    document: dict[str, Any] = found.json()
    assert service.left_behind() == []
    return document


@pytest.mark.parametrize("side", ["self-hosted", "moto"])
def test_an_image_is_fetched_and_stored(tmp_path: Path, side: str) -> None:
    with fetching(tmp_path, answer(body=IMAGE, Content_Type="image/jpeg"), side) as (service, server):
        fields = {"title": "A", "tags": ["sea"], "visibility": "public"}
        created = service.client.post("/upload", json={"url": f"{URL}?token=s3cret", **fields})
        record = created.json()
        again = service.client.post("/upload", json={"url": URL})
        assert created.status_code == 201, record
        assert (again.status_code, again.json()["id"]) == (200, record["id"])
        assert service.original(record["id"]) == IMAGE
        assert record["source_url"] == URL
        assert (record["filename"], record["declared_content_type"], record["bytes"]) == (
            "a.jpg",
            "image/jpeg",
            len(IMAGE),
        )
        assert (record["title"], record["tags"], record["visibility"]) == ("A", ["sea"], "public")
        assert service.client.get(record["links"]["self"]).json()["source_url"] == URL
        assert service.client.get("/limits").json()["url_uploads"] is True
    assert server.requests[0].startswith(b"GET /a.jpg?token=s3cret HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("url", "headers", "fields", "filename"),
    [
        (URL, {"Content_Disposition": 'attachment; filename="sea view.jpg"'}, {}, "sea view.jpg"),
        (URL, {"Content_Disposition": 'attachment; filename="../b.jpg"'}, {"filename": "mine.jpg"}, "mine.jpg"),
        ("https://img.example/x/sea%20view.jpg", {}, {}, "sea view.jpg"),
        ("https://img.example/", {}, {}, None),
    ],
)
def test_the_name_of_the_file(
    tmp_path: Path, url: str, headers: dict[str, str], fields: dict[str, str], filename: str | None
) -> None:
    with fetching(tmp_path, answer(body=IMAGE, **headers)) as (service, _):
        assert service.client.post("/upload", json={"url": url, **fields}).json()["filename"] == filename


def test_a_repetition_with_the_key_fetches_nothing(tmp_path: Path) -> None:
    with fetching(tmp_path, answer(body=IMAGE)) as (service, server):
        key = {"Idempotency-Key": "k"}
        first = service.client.post("/upload", json={"url": URL}, headers=key)
        again = service.client.post("/upload", json={"url": URL}, headers=key)
        other = service.client.post("/upload", json={"url": f"{URL}?b"}, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first.json()["id"], "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(server.requests) == 1


def test_a_key_can_be_used_again_after_a_failed_fetch(tmp_path: Path) -> None:
    with fetching(tmp_path, replies(answer("500 Error"), answer(body=IMAGE))) as (service, _):
        key = {"Idempotency-Key": "k"}
        assert service.client.post("/upload", json={"url": URL}, headers=key).json()["code"] == "fetch_failed"
        assert service.client.post("/upload", json={"url": URL}, headers=key).status_code == 201


def test_uploads_from_a_url_are_off_by_default(tmp_path: Path) -> None:
    with fetching(tmp_path, answer(body=IMAGE), fetch_hosts=()) as (service, server):
        assert problem(service)["code"] == "fetch_disabled"
    assert not server.requests


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://img.example/a.jpg", "scheme"),
        ("img.example/a.jpg", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("https://ann:s3cret@img.example/a.jpg", "url"),
        ("https://img.example:22/", "port"),
        ("https://example.org/a.jpg", "host"),
        ("https://127.0.0.1/a.jpg", "host"),
        ("https://badexample/a.jpg", "host"),
    ],
)
def test_urls_that_are_refused(tmp_path: Path, url: str, reason: str) -> None:
    with fetching(tmp_path, answer(body=IMAGE)) as (service, server):
        found = problem(service, url)
    assert (found["status"], found["code"], found["reason"], found["field"]) == (422, "fetch_refused", reason, "url")
    assert "s3cret" not in str(found)
    assert not server.requests


def test_a_host_with_a_private_address_is_refused(tmp_path: Path) -> None:
    with web_server(answer(body=IMAGE)) as server:
        outbound = client_of(server, Resolver(["192.168.77.1"]))
        with fetching(tmp_path, answer(), outbound=outbound, fetch_hosts=("*",)) as (service, _):
            found = problem(service)
            literal = problem(service, "https://169.254.169.254/latest/meta-data")
    assert (found["code"], found["reason"]) == ("fetch_refused", "address")
    assert "192.168" not in str(found)
    assert (literal["code"], literal["reason"]) == ("fetch_refused", "address")
    assert not server.requests


@pytest.mark.parametrize(
    ("reply", "status", "code", "members"),
    [
        (answer("404 Not Found"), 422, "fetch_failed", {"reason": "status", "found": 404}),
        (answer("302 Found", Location=URL), 422, "fetch_refused", {"reason": "redirects"}),
        (answer("302 Found", Location="https://10.0.0.1/"), 422, "fetch_refused", {"reason": "host"}),
        (answer(body=IMAGE, Content_Encoding="gzip"), 422, "fetch_failed", {"reason": "encoding", "found": "gzip"}),
        (answer(body=b""), 422, "fetch_failed", {"reason": "incomplete"}),
        (answer(body=b"<!DOCTYPE html><html>" + b" " * 50_000, Content_Type="image/jpeg"), 415, "unsupported_type", {}),
        (answer(body=bytes(100_001)), 413, "too_large", {"declared_bytes": 100_001, "limit_bytes": 100_000}),
        (
            lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + IMAGE + bytes(200_000)),
            413,
            "too_large",
            {"limit_bytes": 100_000},
        ),
        (
            lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + IMAGE),
            422,
            "fetch_failed",
            {"reason": "incomplete", "received_bytes": len(IMAGE)},
        ),
        (lambda connection: connection.sendall(b"SSH-2.0\r\n"), 422, "fetch_failed", {"reason": "protocol"}),
    ],
    ids=["404", "loop", "private redirect", "gzip", "empty", "HTML", "large", "endless", "lying length", "no HTTP"],
)  # fmt: skip
def test_answers_that_are_refused(
    tmp_path: Path, reply: Reply, status: int, code: str, members: dict[str, Any]
) -> None:
    with fetching(tmp_path, reply) as (service, _):
        found = problem(service)
    assert (found["status"], found["code"]) == (status, code)
    assert members.items() <= found.items()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": URL, "image_base64": "AAAA"}, 400, "two_files"),
        ({"url": 1}, 422, "wrong_type"),
        ({}, 422, "missing_field"),
        ({"url": URL, "visibility": "hidden"}, 422, "bad_visibility"),
    ],
)
def test_bodies_that_are_refused(tmp_path: Path, body: dict[str, Any], status: int, code: str) -> None:
    with fetching(tmp_path, answer(body=IMAGE)) as (service, server):
        found = service.client.post("/upload", json=body)
    assert (found.status_code, found.json()["code"]) == (status, code)
    assert not server.requests


def test_the_fetches_of_an_owner_are_bounded(tmp_path: Path) -> None:
    begun, ended = threading.Semaphore(0), threading.Event()

    def hang(connection: socket.socket) -> None:
        begun.release()
        ended.wait(60)
        answer(body=IMAGE)(connection)

    with fetching(tmp_path, hang) as (service, server), ThreadPoolExecutor(4) as pool:
        running = [pool.submit(service.client.post, "/upload", json={"url": f"{URL}?{n}"}) for n in range(4)]
        for _ in running:
            assert begun.acquire(timeout=60)
        refused = service.client.post("/upload", json={"url": URL})
        ended.set()
        assert sorted(each.result().status_code for each in running) == [200, 200, 200, 201]
        assert service.client.post("/upload", json={"url": URL}).status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_fetches")
    assert refused.headers["retry-after"] == "5"
    assert len(server.requests) == 5
