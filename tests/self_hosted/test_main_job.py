"""The main job on one machine: upload by HTTP, process in the worker, list, show, delete."""

import base64
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.running_server import Server, finished, has_no_files_of_images, serving, wait_for
from tests.samples import encoded, image_file, photograph
from tests.tiers import smoke


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("main") / "data") as running:
        yield running


def upload(server: Server, body: bytes, name: str = "photo.jpg", **query: str) -> dict[str, Any]:
    answer = server.client.post("/upload", files={"file": (name, body)}, params={"wait": "20", **query})
    assert answer.status_code == 201, answer.text
    return finished(server, answer.json()["id"])


def check_variants(server: Server, record: dict[str, Any]) -> None:
    names = [spec["name"] for spec in server.client.get("/limits").json()["recipe"]["variants"]]
    assert list(dict.fromkeys(variant["name"] for variant in record["variants"])) == names
    for variant in record["variants"]:
        answer = server.client.get(variant["url"])
        assert answer.status_code == 200
        assert len(answer.content) == variant["bytes"]
        with Image.open(io.BytesIO(answer.content), formats=[variant["format"]]) as picture:
            picture.load()
            assert picture.size == (variant["width"], variant["height"])
            assert picture.getexif().get(0x0112, 1) == 1


def files_below(folder: Path) -> set[Path]:
    """Files below a folder whose other folders may vanish meanwhile."""
    return {Path(parent, name) for parent, _, names in os.walk(folder) for name in names}


def lasting_files(data: Path) -> set[Path]:
    """Files of a data folder, without the worker's scratch folder: its spare process makes files of its own there."""
    return {path for path in files_below(data) if not path.is_relative_to(data / "scratch")}


@pytest.mark.parametrize("name", smoke(["photo-12mp.jpg", "photo-12mp.heic"]))
def test_a_large_photograph_goes_all_the_way(server: Server, name: str) -> None:
    photo = photograph(name)
    record = upload(server, photo, name)
    assert record["status"] == "ready", record
    assert record["content_type"] == ("image/jpeg" if name.endswith("jpg") else "image/heic")
    assert record["width"] * record["height"] > 11_000_000
    assert record["filename"] == name
    check_variants(server, record)
    listed = server.client.get("/images", params={"limit": 200}).json()["items"]
    assert record["id"] in [item["id"] for item in listed]
    original = server.client.get(record["links"]["original"], follow_redirects=True)
    assert original.content == photo
    assert server.client.delete(f"/images/{record['id']}").status_code == 204
    assert server.client.get(f"/images/{record['id']}").status_code == 404
    # The worker removes its own folder a moment after the image is ready.
    wait_for(lambda: not any(record["id"] in str(path) for path in files_below(server.data)), 60)


def test_a_rotated_photograph_comes_out_upright_by_base64(server: Server) -> None:
    body = image_file("pillow-tests__hopper_orientation_6.jpg").read_bytes()
    answer = server.client.post(
        "/upload",
        params={"wait": 20},
        json={"filename": "h.jpg", "content_type": "image/png", "image_base64": base64.b64encode(body).decode()},
    )
    assert answer.status_code == 201
    record = finished(server, answer.json()["id"])
    assert record["status"] == "ready"
    assert record["declared_content_type"] == "image/png"
    assert record["content_type"] == "image/jpeg"
    with Image.open(io.BytesIO(body), formats=["JPEG"]) as original:
        assert (record["width"], record["height"]) == original.size[::-1]
    check_variants(server, record)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pillow-tests__truncated_image.png", "corrupt_image"),
        ("fuzzdb__lottapixel.jpg", "too_many_pixels"),
        ("thumbor__16384x16384.png", "too_many_pixels"),
    ],
)
def test_an_image_that_cannot_be_processed_is_a_failed_record(server: Server, name: str, code: str) -> None:
    record = upload(server, image_file(name).read_bytes(), name)
    assert record["status"] == "failed"
    assert record["error"]["code"] == code
    assert record["variants"] == []


def test_sending_the_same_image_again_returns_the_existing_record(server: Server) -> None:
    body = encoded("PNG", 300, 200, seed=7)
    record = upload(server, body)
    again = server.client.post("/upload", files={"file": ("other.png", body)})
    assert (again.status_code, again.json()["id"], again.json()["duplicate"]) == (200, record["id"], True)
    kept = upload(server, body, on_duplicate="create")
    assert kept["id"] != record["id"]


@pytest.mark.slow
def test_deleting_everything_leaves_no_byte(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        first = upload(server, encoded("JPEG", 400, 300, seed=99))
        server.client.delete(f"/images/{first['id']}")
        before = lasting_files(server.data)
        ids = [upload(server, encoded("JPEG", 400, 300, seed=seed))["id"] for seed in range(3)]
        stored = " ".join(map(str, lasting_files(server.data)))
        for image_id in ids:
            assert image_id in stored
            assert server.client.delete(f"/images/{image_id}").status_code == 204
        assert server.client.get("/images").json()["items"] == []
        rest = {"darkroom.db-wal", "darkroom.db-shm"}
        wait_for(lambda: {path.name for path in lasting_files(server.data) - before} <= rest, 60)
        wait_for(lambda: has_no_files_of_images(server.data), 60)
        assert [path for folder in ("originals", "processed") for path in (server.data / folder).rglob("*")] == []
