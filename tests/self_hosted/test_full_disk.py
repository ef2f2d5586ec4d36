"""Full disk of a running server: reads and deletes work, no accepted upload is lost, and it recovers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running_server import Server, finished, wait_for
from tests.samples import encoded
from tests.self_hosted.test_crashes import stop_worker
from tests.small_disk import SmallDisk, small_disk, way_to_mount

MEBIBYTE = 1024 * 1024
RESERVE = 16 * MEBIBYTE

pytestmark = pytest.mark.skipif(way_to_mount() is None, reason="this system lets this user mount no disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, 64) as mounted:
        yield mounted


@contextmanager
def served(disk: SmallDisk, **settings: str) -> Iterator[Server]:
    server = Server(disk.folder, DARKROOM_MIN_FREE_MB="16", **settings)
    server.prefix = disk.prefix
    with server:
        yield server


def upload(server: Server, seed: int, **query: str) -> httpx.Response:
    return server.client.post("/upload", params=query, files={"file": ("a.jpg", encoded("JPEG", 640, 480, seed=seed))})


def made(server: Server, seed: int) -> dict[str, Any]:
    """A new image that is ready."""
    answer = upload(server, seed, wait="20")
    assert answer.status_code == 201, answer.text
    record = finished(server, answer.json()["id"])
    assert record["status"] == "ready", f"{record}{server.log.read_text()}"
    return record


def check_readable(server: Server, record: dict[str, Any]) -> None:
    found = server.client.get(f"/images/{record['id']}").json()
    assert found["status"] == "ready"
    for variant in found["variants"]:
        assert len(server.client.get(variant["url"]).content) == variant["bytes"]
    assert len(server.client.get(f"/images/{record['id']}/original", follow_redirects=True).content) == record["bytes"]


def delete_all(server: Server, records: list[dict[str, Any]]) -> None:
    for record in records:
        assert server.client.delete(f"/images/{record['id']}").status_code == 204
        assert server.client.get(f"/images/{record['id']}").status_code == 404
    assert server.client.get("/images").json()["items"] == []


def check_works_again(server: Server) -> None:
    wait_for(lambda: server.client.get("/readyz").status_code == 200, 60, server.log.read_text)
    check_readable(server, made(server, 99))


@pytest.mark.slow
def test_below_the_reserve_uploads_are_refused_early_and_all_else_works(disk: SmallDisk) -> None:
    with served(disk) as server:
        records = [made(server, seed) for seed in range(3)]
        body = encoded("JPEG", 640, 480, seed=50)
        wanted = {"content_type": "image/jpeg", "bytes": len(body)}
        ticket = server.client.post("/upload/direct", json=wanted).json()
        pending = upload(server, 3).json()
        disk.fill(leave=RESERVE - 2 * MEBIBYTE)
        for refused in (
            upload(server, 4),
            server.client.post("/upload/direct", json=wanted),
            server.client.put(ticket["url"], content=body, headers=ticket["headers"]),
        ):
            problem = refused.json()
            assert (refused.status_code, problem["code"]) == (507, "storage_full"), refused.text
            assert problem["min_free_bytes"] == RESERVE > problem["free_bytes"]
        ready = server.client.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "disk_full")
        assert {"storage", "records"} <= set(ready.json()["full"])
        for record in records:
            check_readable(server, record)
        assert finished(server, pending["id"])["status"] == "ready"
        delete_all(server, [*records, pending])
        disk.clear()
        check_works_again(server)
        sent = server.client.put(ticket["url"], content=body, headers=ticket["headers"])
        assert sent.status_code == 200, sent.text


@pytest.mark.slow
def test_on_a_disk_without_a_free_byte_images_can_be_read_and_deleted(disk: SmallDisk) -> None:
    with served(disk) as server:
        records = [made(server, seed) for seed in range(12)]
        disk.fill()
        assert upload(server, 20).status_code == 507
        check_readable(server, records[0])
        delete_all(server, records)
        disk.clear()
        check_works_again(server)


@pytest.mark.slow
def test_a_server_started_on_a_full_disk_deletes_too(disk: SmallDisk) -> None:
    with served(disk) as server:
        records = [made(server, seed) for seed in range(3)]
        disk.fill()
        server.kill()
    disk.fill()
    with served(disk) as server:
        check_readable(server, records[0])
        delete_all(server, records)
        server.kill()
    with served(disk) as server:
        assert server.client.get("/images").json()["items"] == []
        disk.clear()
        check_works_again(server)


@pytest.mark.slow
def test_images_that_wait_when_the_disk_fills_are_ready_once_there_is_space(disk: SmallDisk) -> None:
    with served(disk, DARKROOM_MAX_ATTEMPTS="2") as server:
        made(server, 1)
        worker = stop_worker(server, disk.outside / "darkroom.db")
        body = encoded("PNG", 1200, 900, seed=2)
        answer = server.client.post("/upload", files={"file": ("a.png", body)})
        assert answer.status_code == 201
        disk.fill(leave=len(body) // 2)  # there is space for a record, and none for the image
        os.kill(worker, signal.SIGCONT)
        wait_for(lambda: "waits for disk space" in server.log.read_text(), 60, server.log.read_text)
        assert server.client.get(f"/images/{answer.json()['id']}").json()["status"] == "pending"
        disk.clear()
        assert finished(server, answer.json()["id"])["status"] == "ready", server.log.read_text()
