"""`DELETE /images?owner=`: everything of one owner, for admins only, in a bounded time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.routes import images as routes
from app.domain.access.api_keys import Scope, new_key
from app.domain.access.keyring import Keyring
from app.domain.errors import Unavailable
from app.domain.models import Image, Status, Tombstone
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import Service, make_services, service_on
from tests.sides import Interposed, side_parameters

ADMIN = new_key("root", [Scope.ADMIN])
ANN = new_key("ann", [Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE])
KEYRING = Keyring([ADMIN[1], ANN[1]])


@pytest.fixture(params=side_parameters())
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """API that requires keys."""
    with service_on(request.param, tmp_path, keyring=KEYRING) as made:
        yield made


def delete(service: Service, key: tuple[str, object] = ADMIN, **query: str) -> httpx.Response:
    return service.client.delete("/images", params=query, headers={"Authorization": f"Bearer {key[0]}"})


def test_everything_of_the_owner_is_deleted(service: Service) -> None:
    hers = [service.place(seed=seed, owner="ann").id for seed in range(3)]
    hers += [service.place(Status.PENDING, seed=9, owner="ann").id]
    body = {"content_type": "image/jpeg", "bytes": 5}
    headers = {"Authorization": f"Bearer {ANN[0]}"}
    hers += [service.client.post("/upload/direct", json=body, headers=headers).json()["id"]]
    his = service.place(seed=1, owner="bob").id
    answer = delete(service, owner="ann", confirm="ann")
    assert (answer.status_code, answer.json()) == (200, {"deleted": 5, "complete": True})
    assert answer.headers["cache-control"] == "no-store"
    assert all(isinstance(service.side.images.get(image_id), Tombstone) for image_id in hers)
    assert isinstance(service.side.images.get(his), Image)
    assert {key.split("/")[1] for key in service.side.objects()} == {his}
    assert service.client.get("/images", headers=headers).json()["items"] == []
    assert delete(service, owner="ann", confirm="ann").json() == {"deleted": 0, "complete": True}
    assert delete(service, owner="nobody", confirm="nobody").json() == {"deleted": 0, "complete": True}


@pytest.mark.parametrize("confirm", ["bob", "", "ANN", "ann ", "x" * 500])
def test_another_name_in_confirm_deletes_nothing(service: Service, confirm: str) -> None:
    image = service.place(owner="ann")
    problem = assert_problem(delete(service, owner="ann", confirm=confirm), 422, "confirm_mismatch")
    assert (problem["field"], problem["found"], problem["expected"]) == ("confirm", confirm[:80], "ann")
    assert isinstance(service.side.images.get(image.id), Image)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"confirm": "ann"}, "query.owner"),
        ({"owner": "ann"}, "query.confirm"),
        ({}, "query.owner"),
        ({"owner": "a b", "confirm": "a b"}, "query.owner"),
        ({"owner": "", "confirm": ""}, "query.owner"),
        ({"owner": "ann", "confirm": "ann", "status": "failed"}, "query.status"),
    ],
)
def test_a_wrong_query_deletes_nothing(service: Service, query: dict[str, str], field: str) -> None:
    image = service.place(owner="ann")
    problem = assert_problem(delete(service, **query), 422, "invalid_request")
    assert problem["errors"][0]["field"] == field
    assert isinstance(service.side.images.get(image.id), Image)


def test_it_is_for_admins_only(service: Service) -> None:
    image = service.place(owner="ann")
    problem = assert_problem(delete(service, ANN, owner="ann", confirm="ann"), 403, "scope_missing")
    assert problem["scope"] == "admin"
    assert isinstance(service.side.images.get(image.id), Image)


def test_without_keys_nobody_is_an_admin(side_name: str, tmp_path: Path) -> None:
    with service_on(side_name, tmp_path) as service:
        image = service.place()
        answer = service.client.delete("/images", params={"owner": "anonymous", "confirm": "anonymous"})
        assert "DARKROOM_AUTH=required" in assert_problem(answer, 403, "scope_missing")["detail"]
        assert isinstance(service.side.images.get(image.id), Image)


def test_a_request_that_ends_for_time_is_repeated(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    hers = [service.place(seed=seed, owner="ann").id for seed in range(3)]
    monkeypatch.setattr(routes, "_OWNER_SECONDS", 0)
    assert delete(service, owner="ann", confirm="ann").json() == {"deleted": 0, "complete": False}
    assert all(isinstance(service.side.images.get(image_id), Image) for image_id in hers)
    monkeypatch.undo()
    assert delete(service, owner="ann", confirm="ann").json() == {"deleted": 3, "complete": True}


def test_a_database_that_refuses_is_no_success(service: Service) -> None:
    service.place(owner="ann")

    def refuse(*_: Any) -> None:
        raise Unavailable("The database is busy.")

    images = Interposed(service.side.images, before={"delete": refuse})
    service.app.state.services = make_services(service.side.having(images=images), keyring=KEYRING)
    assert_problem(delete(service, owner="ann", confirm="ann"), 503, "unavailable")
