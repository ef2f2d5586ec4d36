"""Quotas: refusals, usage and limits as callers see them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.access.api_keys import Scope, new_key
from app.domain.access.keyring import Keyring
from app.domain.access.own_limits import OwnLimits
from app.domain.limits import Limits
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import Service, service_on
from tests.samples import encoded
from tests.sides import side_parameters

FIRST, SECOND = encoded(seed=1), encoded(seed=2)
QUOTA = len(FIRST) + len(SECOND) - 1
STORED = {"Content-Type": "image/jpeg"}


@pytest.fixture(params=side_parameters())
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    limits = Limits(quota_bytes=QUOTA, quota_images=3)
    with service_on(request.param, tmp_path, limits=limits) as made:
        yield made


def usage(service: Service) -> tuple[int, int]:
    found: dict[str, Any] = service.client.get("/stats").json()
    assert (found["quota_bytes"], found["quota_images"]) == (QUOTA, 3)
    return found["used_bytes"], found["used_images"]


def test_an_upload_above_the_quota_names_what_is_used_and_the_limit(service: Service) -> None:
    assert service.client.post("/upload", content=FIRST, headers=STORED).status_code == 201
    answer = service.client.post("/upload", content=SECOND, headers=STORED)
    problem = assert_problem(answer, 507, "quota_exceeded")
    named = {"used_bytes": len(FIRST), "limit_bytes": QUOTA, "image_bytes": len(SECOND)}
    assert {name: problem[name] for name in named} == named
    assert usage(service) == (len(FIRST), 1)
    assert len(service.side.objects()) == 1
    known = service.client.post("/upload", content=FIRST, headers=STORED)
    assert (known.status_code, known.json()["duplicate"]) == (200, True)
    limits = service.client.get("/limits").json()
    assert (limits["quota_bytes"], limits["quota_images"]) == (QUOTA, 3)


def test_a_key_has_its_own_quota_for_its_own_owner(side_name: str, tmp_path: Path) -> None:
    scopes = [Scope.UPLOAD, Scope.READ]
    keys = {
        "plain": new_key("ann", scopes),
        "small": new_key("ann", scopes, OwnLimits(quota_images=1)),
        "free": new_key("ann", scopes, OwnLimits(quota_bytes=0, quota_images=0)),
        "admin": new_key("root", [Scope.ADMIN], OwnLimits(quota_images=1)),
    }
    keyring = Keyring([entry for _, entry in keys.values()])
    with service_on(side_name, tmp_path, limits=Limits(quota_images=2), keyring=keyring) as service:

        def upload(name: str, seed: int, **query: str) -> int:
            headers = STORED | {"X-API-Key": keys[name][0]}
            return service.client.post("/upload", content=encoded(seed=seed), headers=headers, params=query).status_code

        def stats(name: str, **query: str) -> tuple[int, int | None]:
            found = service.client.get("/stats", headers={"X-API-Key": keys[name][0]}, params=query).json()
            return found["used_images"], found["quota_images"]

        assert [upload("small", seed) for seed in (1, 2, 1)] == [201, 507, 200]
        assert [upload("plain", seed) for seed in (2, 3)] == [201, 507]
        assert [upload("free", seed) for seed in (3, 4)] == [201, 201]
        assert stats("plain") == (4, 2)  # also what was stored without a limit
        assert (stats("small"), stats("admin", owner="ann")) == ((4, 1), (4, 2))
        ticket = {"bytes": 9, "content_type": "image/jpeg"}
        for name, status in (("plain", 507), ("small", 507), ("free", 201)):
            answer = service.client.post("/upload/direct", json=ticket, headers={"X-API-Key": keys[name][0]})
            assert answer.status_code == status, name
        # An admin has a quota of its own for its own images only.
        assert [upload("admin", seed) for seed in (5, 6)] == [201, 507]
        assert [upload("admin", seed, owner="bob") for seed in (5, 6, 7)] == [201, 201, 507]


def test_a_delete_frees_what_the_image_uses(service: Service) -> None:
    first = service.client.post("/upload", content=FIRST, headers=STORED).json()["id"]
    for _ in range(2):
        assert service.client.delete(f"/images/{first}").status_code == 204
    assert usage(service) == (0, 0)
    assert service.client.post("/upload", content=SECOND, headers=STORED).status_code == 201


def test_a_ticket_uses_its_announced_size_once(service: Service) -> None:
    wanted = {"bytes": QUOTA, "content_type": "image/jpeg", "sha256": hashlib.sha256(b"large").hexdigest()}
    tickets = [service.client.post("/upload/direct", json=wanted).json()["id"] for _ in range(2)]
    assert tickets[0] == tickets[1]
    assert usage(service) == (QUOTA, 1)
    another = {"bytes": 1, "content_type": "image/jpeg"}
    assert_problem(service.client.post("/upload/direct", json=another), 507, "quota_exceeded")
    assert service.client.delete(f"/images/{tickets[0]}").status_code == 204
    assert usage(service) == (0, 0)


def test_the_number_of_images_is_limited_too(service: Service) -> None:
    small = {"bytes": 1, "content_type": "image/jpeg"}
    for _ in range(3):
        assert service.client.post("/upload/direct", json=small).status_code == 201
    problem = assert_problem(service.client.post("/upload/direct", json=small), 507, "quota_exceeded")
    assert (problem["used_images"], problem["limit_images"]) == (3, 3)


def test_a_refused_request_can_repeat_its_idempotency_key(service: Service) -> None:
    first = service.client.post("/upload", content=FIRST, headers=STORED).json()["id"]
    keyed = {**STORED, "Idempotency-Key": "k"}
    assert service.client.post("/upload", content=SECOND, headers=keyed).status_code == 507
    service.client.delete(f"/images/{first}", params={"permanent": True})
    assert service.client.post("/upload", content=SECOND, headers=keyed).status_code == 201
    assert usage(service) == (len(SECOND), 1)
