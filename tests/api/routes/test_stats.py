"""`GET /stats` and `GET /stats/owners`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.models import Status, utcnow
from app.domain.recipe import build_recipe_id
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import ADMIN, ANN, BOB, KEYRING, bearer, upload
from tests.api.service import LIMITS, Service, service_on
from tests.sides import side_parameters

CURRENT = build_recipe_id(LIMITS.recipe)
SIZES = ("original_bytes", "variant_bytes", "saved_bytes", "trashed_bytes")


@pytest.fixture(params=side_parameters())
def keyed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """API that requires keys."""
    with service_on(request.param, tmp_path, keyring=KEYRING) as made:
        yield made


def stats(service: Service, key: tuple[str, object] | None = None, **query: Any) -> dict[str, Any]:
    answer = service.client.get("/stats", params=query, headers=bearer(key) if key else {})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_images_are_counted_by_status_and_recipe(service: Service) -> None:
    assert stats(service) == {
        **dict.fromkeys(("images", "pending", "ready", "failed", "stale", "trashed", *SIZES), 0),
        "owner": "anonymous", "exact": service.self_hosted, "recounted_at": None, "formats": [],
        **dict.fromkeys(("used_bytes", "used_images", "quota_bytes", "quota_images")),
    }  # fmt: skip
    current = [service.place(seed=seed, recipe_id=CURRENT, bytes=100_000) for seed in (1, 2)]
    old = service.place(seed=3, recipe_id="000000000000", bytes=1)  # smaller than its variants
    older = service.place(seed=4, bytes=1)
    service.place(Status.FAILED, seed=5, bytes=7)
    service.place(Status.PENDING, seed=6, bytes=7)
    ticket = {"filename": "a.jpg", "content_type": "image/jpeg", "bytes": 5000}
    assert service.client.post("/upload/direct", json=ticket).status_code == 201
    ready = [*current, old, older]
    largest = [min(variant.bytes for variant in image.variants if variant.name == "w1280") for image in current]
    expected = {
        "images": 6, "pending": 1, "ready": 4, "failed": 1, "stale": 2,
        "original_bytes": 200_016,
        "variant_bytes": sum(variant.bytes for image in ready for variant in image.variants),
        "saved_bytes": 200_000 - sum(largest),
        "trashed": 0, "trashed_bytes": 0,
    }  # fmt: skip
    found = stats(service)
    assert {name: found[name] for name in expected} == expected
    assert [each["format"] for each in found["formats"]] == ["jpeg", "webp"]
    for each in found["formats"]:
        made = [[v for v in image.variants if v.format == each["format"]] for image in ready]
        assert each["variant_bytes"] == sum(variant.bytes for variants in made for variant in variants)
        assert each["largest_bytes"] == sum(max(variants, key=lambda v: v.width).bytes for variants in made)
        assert (each["images"], each["original_bytes"]) == (4, 200_002)

    image = current[0]
    service.side.images.update(image.id, image.version, {"trashed_at": utcnow()})
    found = stats(service)
    assert (found["images"], found["ready"], found["trashed"], found["original_bytes"]) == (5, 3, 1, 100_016)
    assert found["trashed_bytes"] == 100_000 + sum(variant.bytes for variant in image.variants)
    assert service.client.delete(f"/images/{old.id}").status_code == 204
    assert (stats(service)["images"], stats(service)["stale"]) == (4, 1)


def test_an_owner_gets_its_own_counts_and_an_admin_those_of_others(keyed: Service) -> None:
    size = upload(keyed, ANN)["bytes"]
    for key, query in ((ANN, {}), (ANN, {"owner": "ann"}), (ADMIN, {"owner": "ann"})):
        found = stats(keyed, key, **query)
        assert (found["owner"], found["images"], found["original_bytes"]) == ("ann", 1, size)
    assert stats(keyed, BOB)["images"] == stats(keyed, ADMIN)["images"] == 0
    refused = keyed.client.get("/stats?owner=ann", headers=bearer(BOB))
    assert_problem(refused, 403, "scope_missing")
    for query in ("owner=", "owner=a/b", "owners=ann", "owner=ann&owner=bob", f"owner={'a' * 129}"):
        assert_problem(keyed.client.get(f"/stats?{query}", headers=bearer(ADMIN)), 422, "invalid_request")


def test_owners_are_listed_page_by_page(keyed: Service) -> None:
    names = ["Zoe", "ann", "bob", "carl@example.org"]
    for seed, name in enumerate(names, 1):
        keyed.place(seed=seed, owner=name, recipe_id=CURRENT, bytes=seed)
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 3}
    for count in (3, 1):
        answer = keyed.client.get("/stats/owners", params=query, headers=bearer(ADMIN))
        assert answer.status_code == 200
        page = answer.json()
        assert len(page["items"]) == count
        found += page["items"]
        query["cursor"] = page["next_cursor"]
    assert query["cursor"] is None
    assert [each["owner"] for each in found] == names
    assert [each["original_bytes"] for each in found] == [1, 2, 3, 4]
    assert {each["exact"] for each in found} == {keyed.self_hosted}
    assert found[1] == stats(keyed, ANN)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=0", 422, "invalid_request"),
        ("limit=201", 422, "invalid_request"),
        ("owner=ann", 422, "invalid_request"),
        ("cursor=bm9ib2R5", 400, "bad_cursor"),
        ("cursor=", 400, "bad_cursor"),
    ],
)
def test_a_list_of_owners_that_is_not_understood_is_refused(keyed: Service, query: str, status: int, code: str) -> None:
    assert_problem(keyed.client.get(f"/stats/owners?{query}", headers=bearer(ADMIN)), status, code)


def test_a_cursor_of_images_is_none_of_owners(keyed: Service) -> None:
    for seed in (1, 2):
        keyed.place(seed=seed, owner="root")
    cursor = keyed.client.get("/images?limit=1", headers=bearer(ADMIN)).json()["next_cursor"]
    assert_problem(keyed.client.get(f"/stats/owners?cursor={cursor}", headers=bearer(ADMIN)), 400, "bad_cursor")


@pytest.mark.parametrize("key", [ANN, None], ids=["with an ordinary key", "without authentication"])
def test_only_admins_list_owners(side_name: str, tmp_path: Path, key: tuple[str, object] | None) -> None:
    with service_on(side_name, tmp_path, keyring=KEYRING if key else None) as made:
        answer = made.client.get("/stats/owners", headers=bearer(key) if key else {})
        assert_problem(answer, 403, "scope_missing")
