"""Images through the HTTP API, the bucket's event, the queue, the worker's container, and out again."""

import hashlib
import io
from functools import partial

import httpx
import pytest
from PIL import Image as Pillow

from app.domain.recipe import DEFAULT_RECIPE
from tests import samples
from tests.running_server import processed
from tests.system.stack import Stack

pytestmark = pytest.mark.system

MEBIBYTE = 1024 * 1024
#: Requests to the bucket.
get, put = (partial(method, timeout=60) for method in (httpx.get, httpx.put))


def test_a_photograph_goes_in_and_its_variants_come_out(deployed: Stack, ann: httpx.Client) -> None:
    content = samples.photograph("photo-12mp.jpg")
    if len(content) > 4 * MEBIBYTE:
        content = samples.encoded("JPEG", 4032, 3024, seed=12, quality=85)
    made = ann.post("/upload", files={"file": ("Hills.jpg", content, "image/jpeg")}, data={"tags": "sea"})
    assert made.status_code == 201, made.text
    image_id = made.json()["id"]
    record = processed(ann, made.json())
    assert (record["status"], record["error"]) == ("ready", None), record
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert (record["width"], record["height"], record["owner"]) == (4032, 3024, "ann")
    expected = {(spec.name, form.value) for spec in DEFAULT_RECIPE.variants for form in spec.formats}
    assert {(variant["name"], variant["format"]) for variant in record["variants"]} == expected
    for variant in record["variants"]:
        found = get(variant["url"])
        assert found.status_code == 200, found.text
        assert found.headers["content-type"] == f"image/{variant['format']}"
        assert len(found.content) == variant["bytes"]
        with Pillow.open(io.BytesIO(found.content)) as picture:
            picture.load()
            assert picture.format == variant["format"].upper()
            assert picture.size == (variant["width"], variant["height"])
    original = get(ann.get(f"/images/{image_id}/original").headers["location"])
    assert original.content == content
    again = ann.post("/upload", files={"file": ("other.jpg", content)})
    assert (again.status_code, again.json()["id"], again.json()["duplicate"]) == (200, image_id, True)


def test_a_large_one_goes_straight_to_the_bucket_by_a_ticket_that_is_good_once(
    deployed: Stack, ann: httpx.Client
) -> None:
    content = samples.encoded("BMP", 1600, 1200, seed=31)
    assert len(content) > 5 * MEBIBYTE
    asked = {
        "filename": "scan.bmp", "content_type": "image/bmp", "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    ticket = ann.post("/upload/direct", json=asked)
    assert ticket.status_code == 201, ticket.text
    url, headers = ticket.json()["url"], ticket.json()["headers"]
    assert put(url, headers=headers, content=b"x" + content[1:]).status_code == 400, "other bytes"
    assert put(url, headers=headers | {"content-type": "text/html"}, content=content).status_code == 403
    elsewhere = url.replace("/originals/", "/processed/")
    assert put(elsewhere, headers=headers, content=content).status_code == 403
    sent = put(url, headers=headers, content=content)
    assert sent.status_code == 200, sent.text
    assert put(url, headers=headers, content=content).status_code == 412
    record = processed(ann, ann.get(f"/images/{ticket.json()['id']}").json())
    assert (record["status"], record["sha256"]) == ("ready", asked["sha256"]), record


def test_pictures_are_listed_and_deleted_by_their_owner_alone(
    deployed: Stack, ann: httpx.Client, bob: httpx.Client
) -> None:
    content = samples.encoded(seed=32)
    records = [
        processed(client, client.post("/upload", files={"file": ("a.jpg", content)}, data={"tags": "listed"}).json())
        for client in (ann, bob)
    ]
    mine, others = records
    assert [record["status"] for record in records] == ["ready", "ready"]
    assert mine["id"] != others["id"]
    listed = ann.get("/images?tag=listed&status=ready").json()["items"]
    assert [item["id"] for item in listed] == [mine["id"]]
    assert ann.get(f"/images/{others['id']}").status_code == 404
    assert ann.delete(f"/images/{others['id']}").status_code == 204
    assert bob.get(f"/images/{others['id']}").status_code == 200, "it was not ann's to delete"

    assert deployed.keys(f"processed/{mine['id']}/") != []
    assert ann.delete(f"/images/{mine['id']}").status_code == 204
    assert ann.delete(f"/images/{mine['id']}").status_code == 204
    assert ann.get(f"/images/{mine['id']}").status_code == 404
    assert deployed.keys(f"processed/{mine['id']}/") + deployed.keys(f"originals/{mine['id']}") == []
    assert get(mine["variants"][0]["url"]).status_code in {403, 404}
    assert ann.get("/images?tag=listed").json()["items"] == []


def test_requests_without_a_key_or_a_valid_signature_are_refused(
    deployed: Stack, nobody: httpx.Client, ann: httpx.Client
) -> None:
    assert nobody.get("/readyz").status_code == 200, "its role may ask all its backends"
    assert nobody.post("/upload", files={"file": ("a.jpg", samples.encoded())}).status_code == 401
    assert nobody.get("/images").status_code == 401
    record = processed(ann, ann.post("/upload", files={"file": ("a.jpg", samples.encoded(seed=33))}).json())
    url = record["variants"][0]["url"]
    plain, _, signature = url.partition("?")
    assert get(url).status_code == 200
    assert get(plain).status_code == 403
    assert get(f"{plain}?{signature[:-4]}0000").status_code == 403
    assert get(f"{plain.replace('thumb', 'w320')}?{signature}").status_code == 403
