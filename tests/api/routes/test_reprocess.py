"""`POST /images/{id}/reprocess`: what it answers, what it changes, and what it refuses."""

from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.domain.models import Failure, FailureCode, Image, Status
from app.domain.work import Task
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import Service, make_services
from tests.sides import Interposed

UNKNOWN = "019a9d1c-7c1e-7a3b-9f60-3d2b5a1c8e47"
FAILURE = Failure(code=FailureCode.TIMEOUT, detail="It took too long.")


def record(service: Service, image_id: str) -> Image:
    found = service.side.images.get(image_id)
    assert isinstance(found, Image)
    return found


def events(service: Service) -> list[str]:
    """Bodies of the messages in the queue, which is then empty."""
    bodies = []
    while messages := service.side.queue.receive(10):
        for message in messages:
            bodies.append(message.body)
            service.side.queue.delete(message.receipt)
    return bodies


@pytest.mark.moto
def test_a_ready_image_is_queued_and_stays_ready(service: Service) -> None:
    image = service.place(reprocess_error=FAILURE)
    before = service.client.get(f"/images/{image.id}").json()
    events(service)
    answer = service.client.post(f"/images/{image.id}/reprocess")
    assert (answer.status_code, answer.headers["location"]) == (202, before["links"]["self"])
    shown = answer.json()
    assert (shown["status"], shown["variants"], shown["reprocess_error"]) == ("ready", before["variants"], None)
    assert shown["version"] == before["version"] + 1
    got = service.client.get(f"/images/{image.id}")
    assert (got.headers["etag"], got.json()) == (answer.headers["etag"], shown)
    (event,) = events(service)
    assert image.id in event
    assert Task.PROCESS in record(service, image.id).work


def test_a_failed_image_becomes_pending(service: Service) -> None:
    image = service.place(Status.FAILED, error=FAILURE)
    events(service)
    shown = service.client.post(f"/images/{image.id}/reprocess").json()
    assert (shown["status"], shown["error"]) == ("pending", None)
    assert len(events(service)) == 1
    listed = service.client.get("/images", params={"status": "pending"}).json()["items"]
    assert [item["id"] for item in listed] == [image.id]


def test_it_can_be_repeated(service: Service) -> None:
    image = service.place()
    answers = [service.client.post(f"/images/{image.id}/reprocess") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert set(record(service, image.id).work) == {Task.PROCESS}


@pytest.mark.parametrize("image_id", ["no-id", UNKNOWN, UNKNOWN.upper()])
def test_unknown_images_are_refused(service: Service, image_id: str) -> None:
    assert_problem(service.client.post(f"/images/{image_id}/reprocess"), 404, "image_not_found")


def test_deleted_images_are_refused(service: Service) -> None:
    image = service.place()
    service.client.delete(f"/images/{image.id}")
    assert_problem(service.client.post(f"/images/{image.id}/reprocess"), 404, "image_not_found")


def test_an_open_ticket_is_refused(service: Service) -> None:
    ticket = service.client.post("/upload/direct", json={"content_type": "image/jpeg", "bytes": 5}).json()
    problem = assert_problem(service.client.post(f"/images/{ticket['id']}/reprocess"), 409, "not_ready")
    assert problem["status_of_image"] == "pending"
    assert events(service) == []


def test_query_parameters_are_refused(service: Service) -> None:
    image = service.place()
    assert_problem(service.client.post(f"/images/{image.id}/reprocess?recipe=x"), 422, "invalid_request")


def test_a_database_that_refuses_leaves_the_record(service: Service) -> None:
    image = service.place()
    before = record(service, image.id)
    events(service)

    def refuse(*_: Any) -> None:
        raise Unavailable("The database is busy.")

    images = Interposed(service.side.images, before={"update": refuse})
    service.app.state.services = make_services(service.side.having(images=images))
    assert_problem(service.client.post(f"/images/{image.id}/reprocess"), 503, "unavailable")
    assert (record(service, image.id), events(service)) == (before, [])
