"""Refusals: every class has a status, a phrase that no interpreter decides, and may carry headers."""

from http import HTTPStatus

import pytest

from app.api import problems
from app.domain import errors
from tests.http.service import Service


def classes() -> list[type[errors.RequestError]]:
    return errors.RequestError.__subclasses__()


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
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


def test_gone_too_many_and_full_have_their_statuses() -> None:
    kinds = (errors.Gone, errors.TooManyRequests, errors.StorageFull)
    assert [problems.STATUS[kind] for kind in kinds] == [410, 429, 507]


def test_phrases_are_those_of_rfc_9110_on_every_interpreter() -> None:
    """Python 3.13 renamed 413, 416 and 422; the others are the same everywhere."""
    renamed = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
    assert {status: problems.PHRASES[status] for status in renamed} == renamed
    for status in set(problems.PHRASES) - set(renamed):
        assert problems.PHRASES[status] == HTTPStatus(status).phrase


def test_an_upload_that_is_too_large_says_content_too_large(service: Service) -> None:
    answer = service.client.post("/upload", files={"file": ("a.jpg", bytes(400_000), "image/jpeg")})
    assert (answer.status_code, answer.json()["title"]) == (413, "Content Too Large")
