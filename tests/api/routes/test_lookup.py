"""Looking images up by their bytes: `POST /images/lookup`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.routes.lookup import MAX_HASHES, KnownImages
from app.domain.access.api_keys import Scope, new_key
from app.domain.access.keyring import Keyring
from app.domain.models import Failure, FailureCode, Status, utcnow
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import Service, service_on
from tests.samples import encoded
from tests.sides import side_parameters

ANN, ADMIN = new_key("ann", [Scope.UPLOAD]), new_key("root", [Scope.ADMIN])


@pytest.fixture(params=side_parameters())
def with_keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with service_on(request.param, tmp_path, keyring=Keyring([ANN[1], ADMIN[1]])) as made:
        yield made


def hash_of(seed: int) -> str:
    """Return the hash that `Service.place` gives an image."""
    return f"{seed:064x}"


def look_up(service: Service, sha256: Any, **body: Any) -> httpx.Response:
    return service.client.post("/images/lookup", json={"sha256": sha256, **body})


def known(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return dict(KnownImages.model_validate_json(answer.text).known)


def test_ready_images_are_known_and_others_are_not(service: Service) -> None:
    ready = [service.place(seed=seed).id for seed in (1, 2)]
    service.place(Status.PENDING, seed=3)
    service.place(Status.FAILED, seed=4, error=Failure(code=FailureCode.CORRUPT_IMAGE, detail="Cut short."))
    service.place(seed=5, trashed_at=utcnow())
    service.place(seed=6, owner="ann")
    gone = service.place(seed=7).id
    service.client.delete(f"/images/{gone}")
    body = {"content_type": "image/jpeg", "bytes": 5, "sha256": hash_of(8)}
    assert service.client.post("/upload/direct", json=body).status_code == 201
    answer = look_up(service, [hash_of(seed) for seed in range(10)])
    assert known(answer) == {hash_of(1): ready[0], hash_of(2): ready[1]}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("hides", [{"trashed_at": utcnow()}, {"status": Status.FAILED}], ids=["trashed", "failed"])
def test_a_copy_is_known_while_the_first_image_is_not(service: Service, hides: dict[str, Any]) -> None:
    first, second, third = (service.place(seed=1, keep_duplicate=True) for _ in range(3))
    assert known(look_up(service, [hash_of(1)])) == {hash_of(1): first.id}
    service.side.images.update(first.id, first.version, hides)
    assert known(look_up(service, [hash_of(1), hash_of(2)])) == {hash_of(1): second.id}
    service.side.images.update(second.id, second.version, hides)
    assert known(look_up(service, [hash_of(1)])) == {hash_of(1): third.id}


def test_an_image_is_known_once_it_is_processed_and_until_it_is_deleted(service: Service) -> None:
    sent = service.client.post("/upload", files={"file": ("p.jpg", encoded(seed=3))}).json()
    assert known(look_up(service, [sent["sha256"]])) == {}
    image = service.side.images.update(sent["id"], sent["version"], {"status": Status.READY})
    assert known(look_up(service, [sent["sha256"]])) == {sent["sha256"]: image.id}
    trashed = service.side.images.update(image.id, image.version, {"trashed_at": utcnow()})
    assert known(look_up(service, [sent["sha256"]])) == {}
    service.side.images.update(image.id, trashed.version, {"trashed_at": None})
    assert known(look_up(service, [sent["sha256"]])) == {sent["sha256"]: image.id}
    service.client.delete(f"/images/{image.id}")
    assert known(look_up(service, [sent["sha256"]])) == {}


def test_of_several_copies_one_is_known_as_long_as_one_exists(service: Service) -> None:
    files = {"file": ("p.jpg", encoded(seed=1))}
    copies = [
        service.client.post(f"/upload?on_duplicate={wanted}", files=files).json() for wanted in ("reuse", "create")
    ]
    for copy in copies:
        service.side.images.update(copy["id"], copy["version"], {"status": Status.READY})
    sha256 = copies[0]["sha256"]
    assert known(look_up(service, [sha256])) == {sha256: copies[0]["id"]}
    service.client.delete(f"/images/{copies[0]['id']}")
    assert known(look_up(service, [sha256])) == {sha256: copies[1]["id"]}


def test_hashes_are_answered_in_the_spelling_of_the_request(service: Service) -> None:
    image = service.place(seed=0xABCDEF)
    lower, upper = hash_of(0xABCDEF), hash_of(0xABCDEF).upper()
    mixed = lower.replace("a", "A")
    answer = look_up(service, [upper, hash_of(1), lower, lower, mixed, upper])
    assert known(answer) == {upper: image.id, lower: image.id, mixed: image.id}
    assert [*answer.json()["known"]] == [upper, lower, mixed]


def test_a_thousand_hashes_are_looked_up_at_once(service: Service) -> None:
    placed = {hash_of(seed): service.place(seed=seed).id for seed in (0, 499, 999)}
    hashes = [hash_of(seed) for seed in range(MAX_HASHES)]
    assert known(look_up(service, hashes)) == placed
    indented = b'{\n    "sha256": [\n' + b",\n".join(f'        "{each}"'.encode() for each in hashes) + b"\n    ]\n}\n"
    answer = service.client.post(
        "/images/lookup", content=indented, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert known(answer) == placed


def test_one_hash_too_many_is_refused_with_the_limit(service: Service) -> None:
    problem = assert_problem(look_up(service, [hash_of(1)] * 1001), 422, "too_long")
    assert (problem["field"], problem["measured"], problem["limit"]) == ("sha256", 1001, 1000)
    assert problem["detail"] == "`sha256` has 1,001 hashes. The limit is 1,000: send several requests."


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_field", "sha256"),
        ({"sha256": None}, "missing_field", "sha256"),
        ({"sha256": []}, "missing_field", "sha256"),
        ({"sha256": "0" * 64}, "wrong_type", "sha256"),
        ({"sha256": {"0" * 64: 1}}, "wrong_type", "sha256"),
        ({"sha256": ["0" * 64, 5]}, "wrong_type", "sha256.1"),
        ({"sha256": [None]}, "wrong_type", "sha256.0"),
        ({"sha256": ["0" * 64, "0" * 63]}, "bad_sha256", "sha256.1"),
        ({"sha256": ["0" * 65]}, "bad_sha256", "sha256.0"),
        ({"sha256": ["g" * 64]}, "bad_sha256", "sha256.0"),
        ({"sha256": ["٣" * 64]}, "bad_sha256", "sha256.0"),
        ({"sha256": ["0" * 64 + "\n"]}, "bad_sha256", "sha256.0"),
        ({"sha256": [""]}, "bad_sha256", "sha256.0"),
        ({"sha256": ["0" * 64], "owner": "a b"}, "bad_owner", "owner"),
        ({"sha256": ["0" * 64], "status": "ready"}, "unknown_field", None),
        (["0" * 64], "wrong_type", None),
    ],
)
def test_an_invalid_request_is_refused(self_hosted: Service, body: Any, code: str, field: str | None) -> None:
    problem = assert_problem(self_hosted.client.post("/images/lookup", json=body), 422, code)
    assert problem.get("field") == field


def test_a_body_of_another_type_or_of_any_size_is_refused(self_hosted: Service) -> None:
    answer = self_hosted.client.post("/images/lookup", content=b"{}", headers={"Content-Type": "text/plain"})
    assert_problem(answer, 415, "unsupported_body")
    problem = assert_problem(look_up(self_hosted, [hash_of(1)] * 3000), 413, "body_too_large")
    assert problem["limit_bytes"] == 128 * 1024


def test_callers_look_up_their_own_images_and_admins_those_of_each_owner(with_keys: Service) -> None:
    hers, roots = with_keys.place(seed=1, owner="ann").id, with_keys.place(seed=1, owner="root").id

    def ask(key: tuple[str, object], **body: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key[0]}"}
        return with_keys.client.post("/images/lookup", json={"sha256": [hash_of(1)], **body}, headers=headers)

    assert known(ask(ANN)) == known(ask(ANN, owner="ann")) == known(ask(ADMIN, owner="ann")) == {hash_of(1): hers}
    assert known(ask(ADMIN)) == {hash_of(1): roots}
    assert known(ask(ADMIN, owner="bob")) == {}
    assert_problem(ask(ANN, owner="root"), 403, "scope_missing")
