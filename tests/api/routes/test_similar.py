"""`GET /images/{id}/similar`: what it answers and what it refuses."""

from typing import Any

import pytest

from app.domain.models import Failure, FailureCode, Status, utcnow
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import ADMIN, ANN, BOB, KEYRING, bearer
from tests.api.service import Service, service_on
from tests.contract.races import eventually

UNKNOWN = "019a9d1c-7c1e-7a3b-9f60-3d2b5a1c8e47"
HASH, TWO_BITS, EIGHT_BITS = "d2c3aec9e93f12c0", "d2c3aec9e93f12c3", "d2c3aec9e93f123f"


def similar(service: Service, image_id: str, **query: Any) -> Any:
    answer = service.client.get(f"/images/{image_id}/similar", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_look_alikes_are_records_the_closest_first(service: Service) -> None:
    image = service.place(phash=HASH)
    near, twin = service.place(seed=1, phash=TWO_BITS), service.place(seed=2, phash=HASH)
    far = service.place(seed=3, phash=EIGHT_BITS)
    service.place(seed=4, phash="2d3c5136160ced3f")
    eventually(lambda: len(similar(service, image.id)["items"]), 2)
    found = similar(service, image.id)
    assert [(each["distance"], each["image"]["id"]) for each in found["items"]] == [(0, twin.id), (2, near.id)]
    assert (found["comparable"], found["complete"]) == (True, True)
    assert found["items"][0]["image"] == service.client.get(f"/images/{twin.id}").json()
    wider = similar(service, image.id, max_distance=10)["items"]
    assert [(each["distance"], each["image"]["id"]) for each in wider] == [(0, twin.id), (2, near.id), (8, far.id)]
    assert [each["distance"] for each in similar(service, image.id, max_distance=0)["items"]] == [0]
    first = similar(service, image.id, limit=1)
    assert [each["image"]["id"] for each in first["items"]] == [twin.id]
    assert first["complete"] is False


def test_a_nearly_uniform_image_is_not_compared(service: Service) -> None:
    flat, _ = (service.place(seed=seed, phash="0000000000000001") for seed in (0, 1))
    assert similar(service, flat.id) == {"items": [], "comparable": False, "complete": True}


def test_trashed_images_are_not_found(service: Service) -> None:
    image, twin = service.place(phash=HASH), service.place(seed=1, phash=HASH)
    service.side.images.update(twin.id, twin.version, {"trashed_at": utcnow()})
    assert similar(service, image.id)["items"] == []


def test_an_image_that_is_not_ready_is_refused(service: Service) -> None:
    failure = Failure(code=FailureCode.TIMEOUT, detail="It took too long.")
    for seed, (status, error, why) in enumerate(
        [(Status.PENDING, None, "pending."), (Status.FAILED, failure, "failed: It took too long.")]
    ):
        image = service.place(status, seed=seed, error=error)
        problem = assert_problem(service.client.get(f"/images/{image.id}/similar"), 409, "not_ready")
        assert problem["detail"] == f"The image is {why}"
        assert problem["status_of_image"] == status


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("max_distance=11", "max_distance"),
        ("max_distance=-1", "max_distance"),
        ("max_distance=x", "max_distance"),
        ("max_distance=", "max_distance"),
        ("max_distance=1.5", "max_distance"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("distance=3", "distance"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_bad_parameters_are_refused(self_hosted: Service, query: str, field: str) -> None:
    image = self_hosted.place(phash=HASH)
    answer = self_hosted.client.get(f"/images/{image.id}/similar?{query}")
    assert field in str(assert_problem(answer, 422, "invalid_request"))


@pytest.mark.parametrize("image_id", [UNKNOWN, "x", UNKNOWN.upper(), "%00"])
def test_unknown_images_are_not_found(self_hosted: Service, image_id: str) -> None:
    assert_problem(self_hosted.client.get(f"/images/{image_id}/similar"), 404, "image_not_found")


def test_look_alikes_are_those_of_the_owner_of_the_image(side_name: str, tmp_path: Any) -> None:
    with service_on(side_name, tmp_path, keyring=KEYRING) as service:
        image, own = (service.place(owner="ann", seed=seed, phash=HASH) for seed in (0, 1))
        foreign = service.place(owner="bob", seed=2, phash=HASH)

        def found(key: tuple[str, object], image_id: str) -> Any:
            answer = service.client.get(f"/images/{image_id}/similar", headers=bearer(key))
            return [each["image"]["id"] for each in answer.json()["items"]] if answer.is_success else answer.status_code

        eventually(lambda: found(ANN, image.id), [own.id])
        assert found(ADMIN, image.id) == [own.id]
        assert found(BOB, image.id) == 404
        assert found(BOB, foreign.id) == []
        assert found(ADMIN, foreign.id) == []


def test_an_answer_is_at_most_as_large_as_a_page(self_hosted: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    image, *_ = (self_hosted.place(seed=seed, phash=HASH) for seed in range(4))
    whole = similar(self_hosted, image.id)
    assert (len(whole["items"]), whole["complete"]) == (3, True)
    size = len(self_hosted.client.get(f"/images/{image.id}/similar").content)
    monkeypatch.setattr("app.api.views.list_page.PAGE_BYTES", size)  # the items are counted as an escaped string
    cut = similar(self_hosted, image.id)
    assert cut["items"] == whole["items"][: len(cut["items"])]
    assert (len(cut["items"]), cut["complete"]) == (2, False)
