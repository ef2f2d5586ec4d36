"""`kill -9` of everything at random moments of a mixed load, and what must hold after each restart."""

import hashlib
import io
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.embedded.test_crashes import worker_of
from tests.samples import encoded
from tests.server import Server, wait_for

ROUNDS = 10


class Load:
    """Clients that upload and delete until the server is gone, and remember what they were promised."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.dice = random.Random(seed)
        self.promised: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self._serial = seed * 100_000

    def run(self) -> None:
        """One client; several may run at once."""
        with httpx.Client(base_url=self.server.url, timeout=30) as client:
            try:
                while True:
                    self._step(client)
            except httpx.TransportError:
                return

    def _step(self, client: httpx.Client) -> None:
        self._serial += 1
        body = encoded("JPEG", 300 + self._serial % 200, 200, seed=self._serial)
        answer = client.post("/upload", files={"file": ("p.jpg", body)})
        assert answer.status_code in {200, 201}, answer.text
        image_id = answer.json()["id"]
        self.promised[image_id] = body
        if self.dice.random() < 0.3:
            answer = client.delete(f"/images/{image_id}")
            if answer.status_code == 204:
                self.deleted.add(image_id)


def check(server: Server, image_id: str, body: bytes) -> None:
    """An image that was promised is ready, its bytes are those sent, and each variant is there and decodes."""
    record: dict[str, Any] = server.client.get(f"/images/{image_id}", params={"wait": 20}).json()
    assert record["status"] == "ready", record
    assert record["sha256"] == hashlib.sha256(body).hexdigest()
    assert server.client.get(record["links"]["original"], follow_redirects=True).content == body
    for variant in record["variants"]:
        content = server.client.get(variant["url"]).content
        assert len(content) == variant["bytes"]
        with Image.open(io.BytesIO(content), formats=[variant["format"]]) as picture:
            picture.load()
            assert picture.size == (variant["width"], variant["height"])


@pytest.mark.slow
def test_nothing_promised_is_lost_and_nothing_deleted_comes_back(tmp_path: Path) -> None:
    dice = random.Random(20)
    promised: dict[str, bytes] = {}
    deleted: set[str] = set()
    server = Server(tmp_path / "data")
    try:
        for round_number in range(ROUNDS):
            server.start()
            load = Load(server, round_number)
            clients = [threading.Thread(target=load.run) for _ in range(3)]
            for client in clients:
                client.start()
            time.sleep(dice.uniform(0.2, 1.5))
            worker = worker_of(server)
            victims = [server.kill, lambda pid=worker: os.kill(pid, signal.SIGKILL)]
            dice.shuffle(victims)
            for victim in victims:
                victim()
            for client in clients:
                client.join()
            promised |= load.promised
            deleted |= load.deleted
        server.start()
        wait_for(lambda: server.client.get("/readyz").status_code == 200, 20)
        # A delete that was under way when the power went may or may not have happened: only answered ones count.
        undecided = {image_id for image_id in promised if image_id not in deleted and gone(server, image_id)}
        assert len(undecided) <= ROUNDS * 3
        for image_id in deleted:
            assert gone(server, image_id)
        kept = {image_id: body for image_id, body in promised.items() if image_id not in deleted | undecided}
        assert kept
        for image_id, body in kept.items():
            check(server, image_id, body)
        found = {str(path) for folder in ("originals", "processed") for path in (server.data / folder).rglob("*")}
        for image_id in deleted:
            assert not any(image_id in path for path in found)
        # A record is ready a moment before its picture's folder is cleared away.
        wait_for(lambda: not any(server.data.joinpath("scratch").iterdir()), 20)
    finally:
        server.__exit__(None, None, None)


def gone(server: Server, image_id: str) -> bool:
    return server.client.get(f"/images/{image_id}").status_code == 404
