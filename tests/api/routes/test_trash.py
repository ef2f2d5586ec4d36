"""Deleting to the trash, restoring, and deleting at once."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.app import create_app
from app.domain.errors import Full
from app.domain.ids import new_id
from app.domain.keys import processed_prefix
from app.domain.models import Image, Status, Tombstone, Visibility, utcnow
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.client import self_hosted_client
from tests.api.http.test_access import ADMIN, ANN, BOB, KEYRING, KEYS, bearer
from tests.api.routes.test_bulk_edits import results
from tests.api.service import LIMITS, Service, make_services, service_on
from tests.samples import encoded
from tests.sides import Interposed

DAYS = 30
WITH_TRASH = LIMITS._replace(trash_days=DAYS)


@pytest.fixture
def trash(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """Service with a trash."""
    with service_on(side_name, tmp_path, limits=WITH_TRASH) as made:
        yield made


@pytest.fixture
def keyed(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """Service with a trash and API keys."""
    with service_on(side_name, tmp_path, limits=WITH_TRASH, keyring=KEYRING) as made:
        yield made


def found(service: Service, image: Image) -> Image | Tombstone | None:
    return service.side.images.get(image.id)


def listed(service: Service, **query: Any) -> list[str]:
    return [item["id"] for item in service.client.get("/images", params=query).json()["items"]]


def delete(service: Service, image: Image, **query: Any) -> httpx.Response:
    return service.client.delete(f"/images/{image.id}", params=query)


def restore(service: Service, image: Image) -> httpx.Response:
    return service.client.post(f"/images/{image.id}/restore")


def bulk(service: Service, action: str, ids: list[str], **members: Any) -> httpx.Response:
    return service.client.post(f"/images/{action}", json={"ids": ids, **members})


def test_a_deleted_public_image_is_hidden_and_can_be_restored(trash: Service) -> None:
    image = trash.place(visibility=Visibility.PUBLIC, tags=["a"], title="T")
    before = trash.client.get(f"/images/{image.id}").json()
    urls = [variant["url"] for variant in before["variants"]]
    link = trash.client.post(f"/images/{image.id}/share").json()["url"]
    lasting = f"/images/{image.id}/variants/w320.webp"
    assert (delete(trash, image).status_code, delete(trash, image).status_code) == (204, 204)
    assert listed(trash) == listed(trash, tag="a") == []
    assert listed(trash, trashed="true") == listed(trash, trashed="true", tag="a", visibility="public") == [image.id]

    shown = trash.client.get(f"/images/{image.id}").json()
    assert (shown["trashed_at"] is None, shown["visibility"], shown["title"]) == (False, "public", "T")
    assert shown["urls_expire_at"] is not None
    for variant in shown["variants"]:
        assert "ignature=" in variant["url"]
        assert trash.show(variant["url"]).status_code == 200
    for url in urls if trash.self_hosted else ():
        assert trash.show(url).status_code == 404
    assert_problem(trash.client.get(link), 404, "image_not_found")
    assert trash.client.get(f"/images/{image.id}/original").status_code == 307

    answer = restore(trash, image)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache")
    got = trash.client.get(f"/images/{image.id}")
    assert (got.json(), got.headers["etag"]) == (answer.json(), answer.headers["etag"])
    same = {"version", "updated_at"}
    assert {name: value for name, value in answer.json().items() if name not in same} == {
        name: value for name, value in before.items() if name not in same
    }
    assert (listed(trash), listed(trash, trashed="true")) == ([image.id], [])
    assert all(trash.show(url).status_code == 200 for url in [*urls, link, lasting])


def test_a_permanent_delete_leaves_nothing(trash: Service) -> None:
    for state in ("private", "public", "trashed", "failed", "pending"):
        status = {"failed": Status.FAILED, "pending": Status.PENDING}.get(state, Status.READY)
        image = trash.place(status, visibility=Visibility.PUBLIC if state != "private" else Visibility.PRIVATE)
        if state == "trashed":
            delete(trash, image)
        assert delete(trash, image, permanent="true").status_code == 204
        assert_problem(trash.client.get(f"/images/{image.id}"), 404, "image_not_found")
        assert_problem(restore(trash, image), 404, "image_not_found")
        assert (listed(trash), listed(trash, trashed="true"), trash.side.objects()) == ([], [], set()), state


def test_without_a_trash_a_delete_is_permanent(service: Service) -> None:
    assert service.client.get("/limits").json()["trash_days"] == 0
    one, two = service.place(seed=1), service.place(seed=2)
    assert delete(service, one, permanent="false").status_code == 204
    assert results(bulk(service, "delete", [two.id])) == [{"id": two.id, "status": 204}]
    assert isinstance(found(service, one), Tombstone)
    assert isinstance(found(service, two), Tombstone)
    assert_problem(restore(service, one), 404, "image_not_found")
    assert service.side.objects() == set()


def test_an_image_that_was_never_in_the_trash_is_restored_unchanged(trash: Service) -> None:
    image = trash.place()
    assert restore(trash, image).json()["version"] == image.version
    assert found(trash, image) == image


REFUSED: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PATCH", "", {"title": "x"}),
    ("PATCH", "", {"visibility": "public"}),
    ("PATCH", "", {}),
    ("POST", "/reprocess", None),
    ("POST", "/share", None),
    ("POST", "/share", {"variant": "w320"}),
]


def test_changes_of_a_trashed_image_are_refused_with_the_remedy(trash: Service) -> None:
    image = trash.place(visibility=Visibility.PUBLIC)
    delete(trash, image)
    kept = found(trash, image)
    for method, path, body in REFUSED:
        refused = assert_problem(trash.client.request(method, f"/images/{image.id}{path}", json=body), 409, "trashed")
        assert "POST /images/{id}/restore" in refused["detail"]
        assert refused["trashed_at"] in refused["detail"]
    assert found(trash, image) == kept
    restore(trash, image)
    for method, path, body in REFUSED:
        answer = trash.client.request(method, f"/images/{image.id}{path}", json=body)
        assert answer.status_code in {200, 201, 202}


def test_a_bulk_edit_refuses_trashed_images_one_by_one(trash: Service) -> None:
    kept, fine = trash.place(seed=1), trash.place(seed=2)
    delete(trash, kept)
    answer = trash.client.post("/images/edit", json={"ids": [kept.id, fine.id], "add_tags": ["x"]})
    refused, changed = answer.json()["results"]
    assert (refused["status"], refused["error"]["code"], changed["status"]) == (409, "trashed", 200)


def test_an_etag_of_before_does_not_match_in_the_trash(trash: Service) -> None:
    image = trash.place()
    tag = trash.client.get(f"/images/{image.id}").headers["etag"]
    delete(trash, image)
    answer = trash.client.patch(f"/images/{image.id}", json={"title": "x"}, headers={"If-Match": tag})
    assert_problem(answer, 412, "version_mismatch")


def test_others_neither_delete_nor_restore(keyed: Service) -> None:
    image, kept = keyed.place(seed=1, owner="ann"), keyed.place(seed=2, owner="ann")
    keyed.client.delete(f"/images/{kept.id}", headers=bearer(ANN))
    before = found(keyed, kept)
    for target in (image, kept):
        for permanent in (False, True):
            query = {"permanent": str(permanent).lower()}
            assert keyed.client.delete(f"/images/{target.id}", params=query, headers=bearer(BOB)).status_code == 204
            body = {"ids": [target.id], "permanent": permanent}
            answer = keyed.client.post("/images/delete", json=body, headers=bearer(BOB))
            assert results(answer) == [{"id": target.id, "status": 204}]
        assert_problem(keyed.client.post(f"/images/{target.id}/restore", headers=bearer(BOB)), 404, "image_not_found")
        (result,) = results(keyed.client.post("/images/restore", json={"ids": [target.id]}, headers=bearer(BOB)))
        assert result["error"]["code"] == "image_not_found"
    assert (found(keyed, image), found(keyed, kept)) == (image, before)
    assert keyed.client.post(f"/images/{kept.id}/restore", headers=bearer(ADMIN)).status_code == 200


def test_each_needs_the_scope_delete(keyed: Service) -> None:
    image = keyed.place(owner="ann")
    for method, path in (
        ("DELETE", f"/images/{image.id}"),
        ("POST", f"/images/{image.id}/restore"),
        ("POST", "/images/delete"),
        ("POST", "/images/restore"),
    ):
        answer = keyed.client.request(method, path, json={"ids": [image.id]}, headers=bearer(KEYS["read"]))
        assert_problem(answer, 403, "scope_missing")
    assert found(keyed, image) == image


# Many at once


def test_many_images_are_deleted_and_restored(trash: Service) -> None:
    images = [trash.place(seed=seed, visibility=Visibility.PUBLIC) for seed in range(3)]
    ids = [image.id for image in images]
    unknown = [new_id(), "no-id", ""]
    assert results(bulk(trash, "delete", [*ids, *unknown, ids[0]])) == [
        {"id": image_id, "status": 204} for image_id in [*ids, *unknown]
    ]
    assert sorted(listed(trash, trashed="true")) == sorted(ids)
    answer = results(bulk(trash, "restore", [*ids[:2], *unknown]))
    assert [(result["id"], result["status"]) for result in answer] == [
        *((image_id, 200) for image_id in ids[:2]), *((image_id, 404) for image_id in unknown)
    ]  # fmt: skip
    for result in answer[:2]:
        record = trash.side.images.get(result["id"])
        assert isinstance(record, Image)
        assert (record.version, record.trashed_at, record.placed) == (result["version"], None, Visibility.PUBLIC)
    assert results(bulk(trash, "delete", ids, permanent=True)) == [{"id": each, "status": 204} for each in ids]
    assert all(isinstance(found(trash, image), Tombstone) for image in images)
    assert trash.side.objects() == set()
    assert {result["status"] for result in results(bulk(trash, "restore", ids))} == {404}


INVALID: list[tuple[Any, str, str | None]] = [
    ({}, "missing_field", "ids"),
    ({"ids": []}, "missing_field", "ids"),
    ({"ids": None}, "missing_field", "ids"),
    ({"ids": "{id}"}, "wrong_type", "ids"),
    ({"ids": ["{id}", 5]}, "wrong_type", "ids"),
    ({"ids": ["{id}"] * 101}, "too_long", "ids"),
    ({"ids": ["{id}"], "trashed": True}, "unknown_field", None),
    ([], "wrong_type", None),
]
INVALID_DELETES: list[tuple[Any, str, str | None]] = [
    ({"ids": ["{id}"], "permanent": "true"}, "wrong_type", "permanent"),
    ({"ids": ["{id}"], "permanent": 1}, "wrong_type", "permanent"),
]


def test_invalid_requests_change_nothing(trash: Service) -> None:
    image = trash.place()
    wrong = [("restore", *case) for case in [*INVALID, ({"ids": ["{id}"], "permanent": True}, "unknown_field", None)]]
    wrong += [("delete", *case) for case in [*INVALID, *INVALID_DELETES]]
    for action, body, code, field in wrong:
        text = json.dumps(body).replace("{id}", image.id)
        answer = trash.client.post(f"/images/{action}", content=text, headers={"Content-Type": "application/json"})
        problem = assert_problem(answer, 422, code)
        assert field in {None, problem.get("field")}
    assert found(trash, image) == image


def test_an_invalid_query_deletes_nothing(trash: Service) -> None:
    image = trash.place()
    for query in ("permanent=maybe", "permanent=true&permanent=false", "permanent", "for_ever=true"):
        assert_problem(trash.client.delete(f"/images/{image.id}?{query}"), 422, "invalid_request")
    assert found(trash, image) == image


# Uploads


def upload(service: Service, seed: int = 0) -> httpx.Response:
    return service.client.post("/upload", files={"file": ("a.jpg", io.BytesIO(encoded(seed=seed)), "image/jpeg")})


def test_the_bytes_of_a_trashed_image_make_a_new_one(trash: Service) -> None:
    first = upload(trash).json()["id"]
    trash.client.delete(f"/images/{first}")
    sha256 = trash.client.get(f"/images/{first}").json()["sha256"]
    assert trash.client.post("/images/lookup", json={"sha256": [sha256]}).json() == {"known": {}}
    again = upload(trash)
    second = again.json()["id"]
    assert (again.status_code, again.json()["duplicate"], second == first) == (201, False, False)
    assert trash.client.post(f"/images/{first}/restore").status_code == 200
    assert (upload(trash).status_code, upload(trash).json()["id"]) == (200, second)
    trash.client.delete(f"/images/{second}", params={"permanent": "true"})
    assert (upload(trash).status_code, upload(trash).json()["id"]) == (200, first)


def test_a_trashed_image_is_not_known_to_tickets(trash: Service) -> None:
    image = trash.place(seed=3)
    body = {"filename": "a.jpg", "content_type": "image/jpeg", "bytes": image.bytes, "sha256": image.sha256}
    assert trash.client.post("/upload/direct", json=body).status_code == 200
    delete(trash, image)
    assert trash.client.post("/upload/direct", json=body).status_code == 201


def test_an_open_ticket_is_deleted_permanently(trash: Service) -> None:
    body = {"filename": "a.jpg", "content_type": "image/jpeg", "bytes": 100}
    ticket = trash.client.post("/upload/direct", json=body).json()["id"]
    assert trash.client.delete(f"/images/{ticket}").status_code == 204
    assert isinstance(trash.side.images.get(ticket), Tombstone)
    assert_problem(trash.client.post(f"/images/{ticket}/restore"), 404, "image_not_found")


# Its end, and its limits


def test_the_trash_ends_and_restore_answers_404(trash: Service) -> None:
    image = trash.place(visibility=Visibility.PUBLIC)
    delete(trash, image)
    trash.side.reconciler.run(now=utcnow() + timedelta(days=DAYS, minutes=1))
    assert_problem(restore(trash, image), 404, "image_not_found")
    assert (listed(trash, trashed="true"), trash.side.objects()) == ([], set())


def test_all_images_of_an_owner_include_the_trash(keyed: Service) -> None:
    images = [keyed.place(seed=seed, owner="ann") for seed in range(2)]
    keyed.client.delete(f"/images/{images[0].id}", headers=bearer(ANN))
    answer = keyed.client.delete("/images", params={"owner": "ann", "confirm": "ann"}, headers=bearer(ADMIN))
    assert answer.json() == {"deleted": 2, "complete": True}
    assert all(isinstance(found(keyed, image), Tombstone) for image in images)
    assert keyed.side.objects() == set()


def test_a_full_disk_allows_only_permanent_deletes(self_hosted: Service) -> None:
    def refuse(*_: Any) -> None:
        raise Full("no space", free_bytes=0, min_free_bytes=5)

    image = self_hosted.place(visibility=Visibility.PUBLIC)
    full = self_hosted.side.having(store=Interposed(self_hosted.side.store, before={"copy": refuse}))
    with self_hosted_client(create_app(make_services(full, limits=WITH_TRASH))) as client:
        refused = assert_problem(client.delete(f"/images/{image.id}"), 507, "trash_full")
        assert "permanent=true" in refused["detail"]
        record = found(self_hosted, image)
        assert isinstance(record, Image)
        assert record.trashed_at is None
        assert len(list(self_hosted.side.store.list(processed_prefix(image.id, public=True)))) > 0
        assert client.delete(f"/images/{image.id}", params={"permanent": "true"}).status_code == 204
    assert self_hosted.side.objects() == set()
