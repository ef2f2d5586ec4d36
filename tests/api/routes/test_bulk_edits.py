"""Editing many images: `POST /images/edit`."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from app.api.app import create_app
from app.api.middleware.gateway import Gateway
from app.api.routes import bulk
from app.api.services import BULK_THREADS
from app.domain.errors import Full, Unavailable
from app.domain.ids import new_id
from app.domain.models import Image, Status, Visibility
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.client import lambda_client, self_hosted_client
from tests.api.service import Service, make_services
from tests.contract.races import race
from tests.sides import Interposed


def edit(service: Service, ids: Any, **changes: Any) -> httpx.Response:
    return service.client.post("/images/edit", json={"ids": ids, **changes})


def results(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    bulk.BulkResults.model_validate_json(answer.text)
    found: list[dict[str, Any]] = answer.json()["results"]
    for result in found:
        assert set(result) == {"id", "status", *{200: ["version"], 204: []}.get(result["status"], ["error"])}
    return found


def record(service: Service, image: Image | str) -> Image:
    found = service.side.images.get(image if isinstance(image, str) else image.id)
    assert isinstance(found, Image)
    return found


def test_one_change_of_many_images(service: Service) -> None:
    images = [service.place(seed=seed, tags=["a", f"own{seed}"], metadata={"album": "1"}) for seed in range(5)]
    ids = [image.id for image in images][::-1]
    changes = {"remove_tags": ["a"], "add_tags": ["b"], "metadata": {"album": None, "set": "7"}, "visibility": "public"}
    answer = edit(service, ids, **changes)
    assert [(result["id"], result["status"]) for result in results(answer)] == [(image_id, 200) for image_id in ids]
    for seed, image in enumerate(images):
        found = record(service, image)
        assert (found.tags, found.metadata) == ([f"own{seed}", "b"], {"set": "7"})
        assert (found.visibility, found.placed) == (Visibility.PUBLIC, Visibility.PUBLIC)
        variant = service.client.get(f"/images/{image.id}").json()["variants"][0]
        assert service.show(variant["url"]).status_code == 200
    assert [result["version"] for result in results(answer)] == [record(service, image_id).version for image_id in ids]


def test_each_image_has_its_own_result_in_the_order_of_the_ids(service: Service) -> None:
    full = service.place(seed=1, tags=[str(number) for number in range(20)])
    fine = service.place(Status.PENDING, seed=2)
    gone = service.place(seed=3)
    service.client.delete(f"/images/{gone.id}")
    others = service.place(seed=4, owner="ann")
    unknown = new_id()
    ids = [full.id, "no-id", fine.id, gone.id, "", unknown, others.id, fine.id.upper(), "\0", fine.id, full.id, "no-id"]
    found = results(edit(service, ids, add_tags=["new"]))
    assert [result["id"] for result in found] == list(dict.fromkeys(ids))
    assert {result["id"]: result["status"] for result in found} == {
        **dict.fromkeys(ids, 404), fine.id: 200, full.id: 422
    }  # fmt: skip
    errors = {result["id"]: result.get("error") for result in found}
    assert errors[full.id] == {
        "code": "too_long",
        "title": "Unprocessable Content",
        "detail": "`tags` has 21 tags. The limit is 20.",
        "field": "tags",
        "measured": 21,
        "limit": 20,
    }
    missing = {"code": "image_not_found", "title": "Not Found", "detail": "There is no image with this id."}
    assert all(errors[image_id] == missing for image_id in (unknown, others.id, gone.id, "no-id", "", "\0"))
    assert record(service, fine).tags == ["new"]
    assert record(service, others) == others
    assert record(service, full) == full


def test_an_id_of_half_a_character_is_returned_as_it_came(service: Service) -> None:
    body = b'{"ids": ["\\ud800", "\xc3\xa9"], "add_tags": ["x"]}'
    answer = service.client.post("/images/edit", content=body, headers={"Content-Type": "application/json"})
    assert [result["id"] for result in answer.json()["results"]] == ["\ud800", "é"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_field", "ids"),
        ({"add_tags": ["x"]}, "missing_field", "ids"),
        ({"ids": [], "add_tags": ["x"]}, "missing_field", "ids"),
        ({"ids": None, "add_tags": ["x"]}, "missing_field", "ids"),
        ({"ids": "{id}", "add_tags": ["x"]}, "wrong_type", "ids"),
        ({"ids": ["{id}", 5], "add_tags": ["x"]}, "wrong_type", "ids"),
        ({"ids": ["{id}", None], "add_tags": ["x"]}, "wrong_type", "ids"),
        ({"ids": ["{id}"] * 101, "add_tags": ["x"]}, "too_long", "ids"),
        ({"ids": ["{id}"]}, "missing_field", None),
        ({"ids": ["{id}"], "title": "x"}, "unknown_field", None),
        ({"ids": ["{id}"], "tags": ["x"]}, "unknown_field", None),
        ({"ids": ["{id}"], "add_tags": None}, "wrong_type", "add_tags"),
        ({"ids": ["{id}"], "add_tags": [1]}, "wrong_type", "add_tags"),
        ({"ids": ["{id}"], "remove_tags": {}}, "wrong_type", "remove_tags"),
        ({"ids": ["{id}"], "add_tags": ["x" * 65]}, "too_long", "add_tags"),
        ({"ids": ["{id}"], "visibility": None}, "bad_visibility", "visibility"),
        ({"ids": ["{id}"], "visibility": "x"}, "bad_visibility", "visibility"),
        ({"ids": ["{id}"], "metadata": {"a": 1}}, "wrong_type", "metadata.a"),
        ({"ids": ["{id}"], "metadata": {"a b": "x"}}, "bad_metadata_key", "metadata"),
        ([], "wrong_type", None),
    ],
)
@pytest.mark.sampled(4)
def test_invalid_requests_are_refused_whole(service: Service, body: Any, code: str, field: str | None) -> None:
    image = service.place()
    answer = service.client.post("/images/edit", json=json.loads(json.dumps(body).replace("{id}", image.id)))
    problem = assert_problem(answer, 422, code)
    assert problem.get("field") == field
    assert record(service, image) == image


def test_only_json_is_accepted(service: Service) -> None:
    for content_type in ("", "text/plain", "application/merge-patch+json"):
        answer = service.client.post("/images/edit", content=b"{}", headers={"Content-Type": content_type})
        assert assert_problem(answer, 415, "unsupported_body")["accepted"] == ["application/json"]


def test_repeating_a_change_is_harmless(service: Service) -> None:
    image = service.place()
    first, second = (results(edit(service, [image.id], add_tags=["x"], visibility="public")) for _ in range(2))
    assert first == second
    assert record(service, image).tags == ["x"]


@pytest.mark.slow
def test_100_images_are_published_in_one_request(service: Service) -> None:
    """Images without variants, so that the test is quick."""
    ids = [service.place(Status.PENDING, seed=seed).id for seed in range(100)]
    found = results(edit(service, ids, visibility="public", metadata={"set": "7"}))
    assert [(result["id"], result["status"]) for result in found] == [(image_id, 200) for image_id in ids]
    assert {record(service, image_id).visibility for image_id in ids} == {Visibility.PUBLIC}


@contextmanager
def client_with(service: Service, before_update: Callable[..., object]) -> Iterator[httpx.Client]:
    """Return a client of the same service, with an action before each update of a record."""
    images = Interposed(service.side.images, before={"update": before_update})
    app = create_app(make_services(service.side.having(images=images)))
    with self_hosted_client(app) if service.self_hosted else lambda_client(Gateway(app)) as client:
        yield client


def test_images_are_changed_at_the_same_time_by_a_bounded_number_of_threads(service: Service) -> None:
    ids = [service.place(Status.PENDING, seed=seed).id for seed in range(3 * BULK_THREADS)]
    together = threading.Barrier(BULK_THREADS)
    threads: set[str] = set()

    def meet(*_: object) -> None:
        threads.add(threading.current_thread().name)
        together.wait(60)

    with client_with(service, meet) as client:
        found = results(client.post("/images/edit", json={"ids": ids, "add_tags": ["x"]}))
        assert {result["status"] for result in found} == {200}
        half = len(ids) // 2

        def post(number: int) -> httpx.Response:
            part = ids[number * half : (number + 1) * half]
            return client.post("/images/edit", json={"ids": part, "add_tags": ["y"]})

        for answer in race(post, racers=2):
            assert isinstance(answer, httpx.Response)
            assert {result["status"] for result in results(answer)} == {200}
    assert len(threads) == BULK_THREADS


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unavailable("throttled"), 503, "unavailable"),
        (Full("full", free_bytes=5, min_free_bytes=10), 507, "storage_full"),
        (Full("full"), 507, "storage_full"),
    ],
)
def test_a_backend_that_fails_for_one_image_does_not_hide_the_others(
    service: Service, error: Unavailable, status: int, code: str
) -> None:
    first, second, third = (service.place(seed=seed).id for seed in range(3))

    def fail(image_id: str, *_: object) -> None:
        if image_id == second:
            raise error

    with client_with(service, fail) as client:
        found = results(client.post("/images/edit", json={"ids": [first, second, third], "add_tags": ["x"]}))
    assert [(result["status"], result.get("error", {}).get("code")) for result in found] == [
        (200, None), (status, code), (200, None)
    ]  # fmt: skip
    assert [record(service, image_id).tags for image_id in (first, second, third)] == [["x"], [], ["x"]]


def test_images_that_are_not_begun_before_the_deadline_are_named(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = service.place()
    monkeypatch.setattr(bulk, "_SECONDS_FOR_ONE", 60.0)
    (result,) = results(edit(service, [image.id], add_tags=["x"]))
    if service.self_hosted:  # without a gateway there is no deadline
        assert result["status"] == 200
        return
    assert (result["status"], result["error"]["code"]) == (503, "out_of_time")
    assert record(service, image) == image
