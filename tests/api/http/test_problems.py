"""Errors: every class has a status and a fixed reason phrase, and may have headers."""

from http import HTTPStatus

import pytest

from app.api.http import problems
from app.domain import errors
from tests.api.service import Service
from tests.samples import encoded


def classes() -> list[type[errors.RequestError]]:
    return errors.RequestError.__subclasses__()


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
@pytest.mark.sampled(4)
def test_every_refusal_has_a_status_and_keeps_its_headers(service: Service, kind: type[errors.RequestError]) -> None:
    timed = kind in {errors.TooManyRequests, errors.Overloaded}
    more = {"retry_after": 7} if timed else {"headers": {"Retry-After": "7"}}

    @service.app.get("/refused")
    def refused() -> None:
        raise kind("some_code", "A sentence.", limit=3, **more)

    answer = service.client.get("/refused")
    assert answer.status_code == problems.STATUS[kind]
    assert answer.headers["Retry-After"] == "7"
    told = answer.json()
    assert (told["code"], told["detail"], told["limit"]) == ("some_code", "A sentence.", 3)
    assert told["title"] == problems.PHRASES[answer.status_code]


def test_a_delete_that_a_full_disk_refuses_can_be_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = service.place()

    def full(*_: object) -> None:
        raise errors.Full("no space")

    with monkeypatch.context() as patch:
        patch.setattr(service.side.images, "delete", full)
        answer = service.client.delete(f"/images/{image.id}")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert service.client.delete(f"/images/{image.id}").status_code == 204


@pytest.mark.parametrize("body", ["upload", "ticket"])
def test_no_space_for_a_record_is_a_507(service: Service, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise errors.Full("no space", free_bytes=100, min_free_bytes=1000)

    monkeypatch.setattr(service.side.images, "create", full)
    if body == "upload":
        answer = service.client.post("/upload", files={"file": ("a.jpg", encoded(), "image/jpeg")})
    else:
        answer = service.client.post("/upload/direct", json={"content_type": "image/jpeg", "bytes": 100})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (507, "storage_full")
    assert (problem["free_bytes"], problem["min_free_bytes"]) == (100, 1000)
    assert "100 bytes free" in problem["detail"]
    assert service.left_behind() == []


def test_gone_too_many_and_full_have_their_statuses() -> None:
    kinds = (errors.Gone, errors.TooManyRequests, errors.StorageFull)
    assert [problems.STATUS[kind] for kind in kinds] == [410, 429, 507]


def test_reason_phrases_are_the_same_in_every_python() -> None:
    """Python 3.13 renamed 413, 416 and 422; the others are the same everywhere."""
    renamed = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
    assert {status: problems.PHRASES[status] for status in renamed} == renamed
    for status in set(problems.PHRASES) - set(renamed):
        assert problems.PHRASES[status] == HTTPStatus(status).phrase


def test_an_upload_that_is_too_large_says_content_too_large(service: Service) -> None:
    answer = service.client.post("/upload", files={"file": ("a.jpg", bytes(400_000), "image/jpeg")})
    assert (answer.status_code, answer.json()["title"]) == (413, "Content Too Large")
