"""An image is deleted at each call of something else that is done with it: published, hidden, processed, purged."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from app.api.app import create_app
from app.api.middleware.gateway import Gateway
from app.domain.keys import PUBLIC
from app.domain.models import Image, Status, Tombstone, Visibility, utcnow
from app.worker.process import Worker
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.client import lambda_client, self_hosted_client
from tests.api.routes.test_trash import DAYS, WITH_TRASH
from tests.api.service import Service, make_services, service_on
from tests.samples import encoded
from tests.sides import Side
from tests.tiers import smoke
from tests.visibility.stage import RECIPE, Painter
from tests.visibility.steps import ActAt, Stepped

#: More calls than any operation makes.
MOST = 60
#: Time after which no attempt that was made before can still store an object.
LATER = timedelta(minutes=31)
END_OF_TRASH = timedelta(days=DAYS, minutes=1)


@pytest.fixture
def service(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """Service with a trash."""
    with service_on(side_name, tmp_path, limits=WITH_TRASH) as made:
        yield made


def patched(service: Service, side: Side, image: Image, visibility: str) -> None:
    """Change the visibility by a request to a service on these ports."""
    app = create_app(make_services(side, limits=WITH_TRASH))
    with self_hosted_client(app) if service.self_hosted else lambda_client(Gateway(app)) as client:
        answer = client.patch(f"/images/{image.id}", json={"visibility": visibility})
    assert answer.status_code in {200, 404, 409}, answer.text
    if answer.status_code != 200:
        assert answer.json()["code"] == {404: "image_not_found", 409: "trashed"}[answer.status_code]


def processed(service: Service, side: Side, image: Image) -> None:
    """Deliver the event of the image to a worker on these ports."""
    worker = Worker(
        side.store, side.images, side.renderings, Painter(), recipe=RECIPE, limits=WITH_TRASH, adopt=False,  # type: ignore[arg-type] # the method that a worker calls
        scratch=service.scratch, max_attempts=3,
    )  # fmt: skip
    worker.handle(image.id)


def reconciled(side: Side, after: timedelta) -> None:
    """Run reconcile on these ports as if that time had passed."""
    assert side.reconciler.run(now=utcnow() + after).errors == 0


#: Operations by name: status and visibility of the image, and what is done with it.
OPERATIONS: dict[str, tuple[Status, Visibility, Callable[[Service, Side, Image], None]]] = {
    "publish": (Status.READY, Visibility.PRIVATE, partial(patched, visibility="public")),
    "process": (Status.PENDING, Visibility.PUBLIC, processed),
    "hide": (Status.READY, Visibility.PUBLIC, partial(patched, visibility="private")),
}


def uploaded(service: Service, seed: int, status: Status, visibility: Visibility) -> Image:
    """Return a new image. One that is `pending` has the hash of its bytes, so that it can be processed."""
    if status is Status.READY:
        return service.place(seed=seed, visibility=visibility)
    files = {"file": ("photo.jpg", encoded(seed=seed), "image/jpeg")}
    answer = service.client.post("/upload", files=files, data={"visibility": visibility})
    assert answer.status_code == 201, answer.text
    found = service.side.images.get(answer.json()["id"])
    assert isinstance(found, Image)
    return found


def delete(service: Service, image: Image, *, permanent: bool) -> None:
    answer = service.client.delete(f"/images/{image.id}", params={"permanent": str(permanent).lower()})
    assert answer.status_code == 204


def stepped(side: Side, step: ActAt) -> Side:
    """Return the same backends behind the step."""
    return side.having(store=Stepped(side.store, step), images=Stepped(side.images, step))


def calls(service: Service) -> Iterable[int]:
    """Return numbers of calls: on AWS, where a step takes longer, each fourth."""
    return range(0, MOST, 1 if service.self_hosted else 4)


def public_objects(service: Service) -> set[str]:
    return {key for key in service.side.objects() if key.startswith(PUBLIC)}


@pytest.mark.parametrize("permanent", [True, False], ids=["permanently", "to the trash"])
@pytest.mark.parametrize("name", smoke(OPERATIONS, 2))
def test_a_delete_at_each_call_of_another_operation(service: Service, name: str, permanent: bool) -> None:
    status, visibility, operation = OPERATIONS[name]
    for number in calls(service):
        image = uploaded(service, number, status, visibility)
        step = ActAt(number, partial(delete, service, image, permanent=permanent))
        operation(service, stepped(service.side, step), image)
        if not step.happened:
            break
        assert public_objects(service) == set()
        found = service.side.images.get(image.id)
        if permanent:
            assert isinstance(found, Tombstone)
            assert_problem(service.client.get(f"/images/{image.id}"), 404, "image_not_found")
        else:
            assert isinstance(found, Image)
            assert found.trashed_at is not None
            answer = service.client.post(f"/images/{image.id}/restore")
            assert answer.status_code == 200, answer.text
            assert all(service.show(each["url"]).status_code == 200 for each in answer.json()["variants"])
            delete(service, image, permanent=True)
        reconciled(service.side, LATER)
        assert (service.side.objects(), service.side.unfinished()) == (set(), [])
    assert not step.happened
    assert number >= 2
    assert service.client.get(f"/images/{image.id}").json()["status"] == "ready"
    assert bool(public_objects(service)) is (name != "hide")


@pytest.mark.parametrize("permanent", [True, False], ids=["permanently", "to the trash"])
def test_a_delete_at_each_call_of_the_end_of_the_trash(service: Service, permanent: bool) -> None:
    for number in calls(service):
        image = service.place(seed=number, visibility=Visibility.PUBLIC)
        delete(service, image, permanent=False)
        step = ActAt(number, partial(delete, service, image, permanent=permanent))
        reconciled(stepped(service.side, step), END_OF_TRASH)
        assert isinstance(service.side.images.get(image.id), Tombstone)
        assert_problem(service.client.post(f"/images/{image.id}/restore"), 404, "image_not_found")
        assert service.side.objects() == set()
        reconciled(service.side, LATER)
        assert service.side.unfinished() == []
        if not step.happened:
            break
    assert not step.happened
    assert number >= 2


def test_a_delete_at_each_call_of_a_purge(service: Service) -> None:
    for number in calls(service):
        image = service.place(seed=number, visibility=Visibility.PUBLIC)
        delete(service, image, permanent=True)
        step = ActAt(number, partial(delete, service, image, permanent=True))
        reconciled(stepped(service.side, step), LATER)
        reconciled(service.side, LATER)
        assert (service.side.objects(), service.side.unfinished()) == (set(), [])
        assert_problem(service.client.get(f"/images/{image.id}"), 404, "image_not_found")
        if not step.happened:
            break
    assert not step.happened
    assert number >= 2
