"""Uploads as form and as JSON."""

import base64
import hashlib
import json
import threading
from typing import Any

import httpx
import pytest

from app.domain.models import Status
from tests.api.service import Service
from tests.samples import encoded, image_file

JPEG = encoded()


def by_form(service: Service, content: bytes, name: str = "photo.jpg", **options: Any) -> httpx.Response:
    return service.client.post("/upload", files={"file": (name, content, "image/jpeg")}, **options)


def by_json(service: Service, content: bytes, **fields: Any) -> httpx.Response:
    return service.client.post("/upload", json={"image_base64": base64.b64encode(content).decode(), **fields})


@pytest.mark.moto
def test_a_form_stores_the_bytes_and_answers_with_the_record(service: Service) -> None:
    answer = by_form(service, JPEG, data={"title": " A title ", "alt": "Hills", "tags": ["sea", "sky, sea"]})
    record = answer.json()
    assert answer.status_code == 201, record
    assert answer.headers["location"] == f"/images/{record['id']}" == record["links"]["self"]
    assert record["status"] == "pending"
    assert record["content_type"] == "image/jpeg"
    assert record["declared_content_type"] == "image/jpeg"
    assert record["filename"] == "photo.jpg"
    assert record["bytes"] == len(JPEG)
    assert record["sha256"] == hashlib.sha256(JPEG).hexdigest()
    assert (record["title"], record["alt"], record["tags"]) == ("A title", "Hills", ["sea", "sky"])
    assert record["duplicate"] is False
    assert service.original(record["id"]) == JPEG


def test_json_stores_the_bytes_and_answers_with_the_record(service: Service) -> None:
    answer = by_json(service, JPEG, filename="a/b.jpg", content_type="image/png", title="T", tags=["x", "y"])
    record = answer.json()
    assert answer.status_code == 201, record
    assert (record["filename"], record["content_type"], record["declared_content_type"]) == (
        "b.jpg",
        "image/jpeg",
        "image/png",
    )
    assert (record["title"], record["tags"]) == ("T", ["x", "y"])
    assert service.original(record["id"]) == JPEG


@pytest.mark.parametrize(
    "text",
    [
        lambda b: "data:image/png;base64," + base64.b64encode(b).decode(),
        lambda b: base64.urlsafe_b64encode(b).decode(),
        lambda b: base64.urlsafe_b64encode(b).decode().rstrip("="),
        lambda b: base64.encodebytes(b).decode(),
        lambda b: "\r\n  " + base64.encodebytes(b).decode().replace("\n", "\r\n") + "  ",
    ],
    ids=["data url", "url-safe", "url-safe without padding", "line breaks", "blanks around"],
)
def test_json_accepts_every_usual_form_of_base64(service: Service, text: Any) -> None:
    answer = service.client.post("/upload", json={"image_base64": text(JPEG)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(JPEG).hexdigest()


def test_duplicate_bytes_return_the_existing_record(service: Service) -> None:
    first = by_form(service, JPEG).json()
    again = by_json(service, JPEG, title="another")
    assert again.status_code == 200
    assert again.json()["id"] == first["id"]
    assert again.json()["duplicate"] is True
    assert again.headers["location"] == f"/images/{first['id']}"
    kept = by_form(service, JPEG, params={"on_duplicate": "create"})
    assert kept.status_code == 201
    assert kept.json()["id"] != first["id"]


@pytest.mark.parametrize("value", ["find", "keep"])
def test_old_values_of_on_duplicate_are_refused(service: Service, value: str) -> None:
    answer = by_form(service, JPEG, params={"on_duplicate": value})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "'reuse' or 'create'" in answer.text
    assert service.left_behind() == []


def test_a_second_copy_counts_as_known_bytes(service: Service) -> None:
    def ready(image_id: str) -> str:
        version = service.client.get(f"/images/{image_id}").json()["version"]
        service.side.images.update(image_id, version, {"status": Status.READY})
        return image_id

    first, second, third = (
        ready(by_form(service, JPEG, params={"on_duplicate": "create"}).json()["id"]) for _ in range(3)
    )
    digest = hashlib.sha256(JPEG).hexdigest()
    wanted = {"content_type": "image/jpeg", "bytes": len(JPEG), "sha256": digest}
    for left in (first, second, third):
        for again in (
            by_form(service, JPEG),
            by_json(service, JPEG),
            service.client.post("/upload/direct", json=wanted),
        ):
            assert (again.status_code, again.json()["id"]) == (200, left)
            assert again.json()["duplicate"] is True
        assert service.client.delete(f"/images/{left}").status_code == 204
    assert by_form(service, JPEG).status_code == 201


@pytest.mark.moto
def test_an_upload_can_wait_for_its_image(service: Service) -> None:
    def settle() -> None:
        (image_id,) = service.side.unfinished()
        service.side.images.update(image_id, 1, {"status": Status.READY})

    timer = threading.Timer(0.3, settle)
    timer.start()
    answer = by_form(service, JPEG, params={"wait": "20"})
    timer.join()
    assert (answer.status_code, answer.json()["status"]) == (201, "ready")


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("small__webp.webp", "image/webp"),
        ("small__gif.gif", "image/gif"),
        ("corkami-mitra__heic.heic", "image/heic"),
        ("corkami-mitra__bmp.bmp", "image/bmp"),
        ("corkami-mitra__tiff-le.tif", "image/tiff"),
        ("libavif-tests__white_1x1.avif", "image/avif"),
        ("pillow-tests__sugarshack.mpo", "image/jpeg"),
        ("small__png-truncated.png", "image/png"),
        ("pillow-tests__truncated_jpeg.jpg", "image/jpeg"),
    ],
)
def test_the_format_is_detected_from_the_bytes(service: Service, file: str, found: str) -> None:
    answer = by_form(service, image_file(file).read_bytes(), "wrong.php")
    assert answer.status_code == 201, answer.text
    assert answer.json()["content_type"] == found
    assert answer.json()["filename"] == "wrong.php"


def test_a_form_and_json_make_the_same_record(service: Service) -> None:
    one = by_form(service, JPEG, data={"title": "é", "tags": "a,b"}, params={"on_duplicate": "create"}).json()
    text = json.dumps({"image_base64": base64.b64encode(JPEG).decode(), "filename": "photo.jpg",
                       "content_type": "image/jpeg", "title": "é", "tags": "a,b"})  # fmt: skip
    headers = {"content-type": "application/json; charset=utf-8"}
    two = service.client.post("/upload?on_duplicate=create", content=text.encode(), headers=headers).json()
    differ = {name for name in one if one[name] != two[name]}
    assert differ <= {"id", "uploaded_at", "updated_at", "links"}
