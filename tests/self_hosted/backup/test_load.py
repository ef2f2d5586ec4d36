"""Backups of a server under load restore to equal records and bytes."""

import random
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.filesystem import locate
from app.domain.keys import original_key, variant_key
from app.domain.models import Image, Visibility
from tests.running_server import Server, finished, serving
from tests.samples import encoded
from tests.self_hosted.backup.installations import backup, created, files, records, report

pytestmark = pytest.mark.slow

#: Fields of a record that change with the time of the answer, or with the address of the server.
_MOVING = {"urls_expire_at", "variants", "links", "embed"}


class Load(threading.Thread):
    """Uploads, edits, switches of visibility and deletes, until it is stopped."""

    def __init__(self, server: Server, seed: int) -> None:
        super().__init__()
        self._url = server.url
        self._random = random.Random(seed)
        self._seed = seed
        self._stopped = threading.Event()
        self.error: Exception | None = None
        self.deleted = 0

    def run(self) -> None:
        try:
            with httpx.Client(base_url=self._url, timeout=60) as client:
                self._work(client)
        except Exception as error:  # noqa: BLE001 - shown by `stop`
            self.error = error

    def _work(self, client: httpx.Client) -> None:
        ids: list[str] = []
        number = 0
        while not self._stopped.is_set():
            number += 1
            body = encoded("JPEG", 96, 64, seed=self._seed * 100_000 + number)
            ids.append(client.post("/upload", files={"file": ("a.jpg", body)}).json()["id"])
            chosen = self._random.choice(ids)
            visibility = self._random.choice(["public", "private"])
            client.patch(f"/images/{chosen}", json={"title": f"{number}", "visibility": visibility}).raise_for_status()
            if len(ids) > 5:
                gone = ids.pop(self._random.randrange(len(ids)))
                client.delete(f"/images/{gone}").raise_for_status()
                self.deleted += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join(60)
        assert self.error is None, self.error


def stored(server: Server) -> dict[str, Any]:
    """Every record with the bytes of its original and of its variants."""
    found: dict[str, Any] = {}
    cursor: str | None = None
    while True:
        page = server.client.get("/images", params={"limit": 200, **({"cursor": cursor} if cursor else {})}).json()
        for record in page["items"]:
            original = server.client.get(f"/images/{record['id']}/original", follow_redirects=True)
            variants = {
                (variant["name"], variant["format"]): server.client.get(variant["url"]).content
                for variant in record["variants"]
            }
            kept = {name: value for name, value in record.items() if name not in _MOVING}
            found[record["id"]] = (kept, original.content, variants)
        cursor = page["next_cursor"]
        if not cursor:
            return found


def test_backups_under_load_restore_to_equal_records_and_bytes(data: Path, target: Path, tmp_path: Path) -> None:
    with serving(data) as server:
        bodies = [encoded("JPEG", 320, 240, seed=number) for number in range(5)]
        stable = {server.client.post("/upload", files={"file": ("k.jpg", body)}).json()["id"] for body in bodies}
        assert {finished(server, image_id)["status"] for image_id in stable} == {"ready"}
        loads = [Load(server, seed) for seed in (1, 2)]
        for load in loads:
            load.start()
        made = []
        while len(made) < 6 or sum(load.deleted for load in loads) < 10:
            made.append(created(target))
        for load in loads:
            load.stop()
        before = stored(server)
    for each in made:
        checked = report(backup("verify", each, "--json"))
        assert (checked["problems"], checked["images"] >= len(stable)) == ([], True)
    restored = tmp_path / "restored"
    assert backup("restore", made[-1], "--into", restored).exit_code == 0
    with serving(restored) as server:
        after = stored(server)
        assert {image_id: after[image_id] for image_id in stable} == {image_id: before[image_id] for image_id in stable}
        arrived = [(record["bytes"], original) for record, original, _ in after.values() if record["status"] == "ready"]
        assert all(size == len(original) for size, original in arrived)
    # At rest, everything is equal.
    assert backup("restore", created(target), "--into", tmp_path / "again").exit_code == 0
    assert records(tmp_path / "again") == records(data)
    named = {path for each in records(data) for path in paths(each)}
    live, copied = files(data), files(tmp_path / "again")
    assert copied == {path: live[path] for path in named}


def paths(image: Image) -> set[str]:
    """Files of an image."""
    keys = {original_key(image.id)}
    if image.rendering_id:
        is_public = image.placed is Visibility.PUBLIC
        keys |= {variant_key(image.id, image.rendering_id, each.file, public=is_public) for each in image.variants}
    return {str(locate(key)) for key in keys}
