"""`/keys`: admins create, list, rotate and revoke keys, which the service accepts at once."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.models import utcnow
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import ADMIN, ANN, KEYRING, bearer, use_stored_keys
from tests.api.service import Service, service_on
from tests.sides import side_parameters

BODY = {"name": "web shop", "owner": "ann", "scopes": ["read", "upload"]}


@pytest.fixture(params=side_parameters())
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """API that requires keys, some of which are in the store."""
    with service_on(request.param, tmp_path, keyring=KEYRING) as made:
        use_stored_keys(made)
        yield made


def post(service: Service, path: str = "/keys", body: Any = None, key: str = ADMIN[0]) -> httpx.Response:
    return service.client.post(path, json=body, headers={"X-API-Key": key})


def create(service: Service, **fields: Any) -> dict[str, Any]:
    answer = post(service, body=BODY | fields)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


def listed(service: Service, **query: Any) -> dict[str, Any]:
    answer = service.client.get("/keys", params=query, headers=bearer(ADMIN))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def status(service: Service, key: str) -> int:
    return service.client.get("/images", headers={"X-API-Key": key}).status_code


def test_a_key_from_its_creation_to_its_end(service: Service) -> None:
    expires_at = f"{utcnow().year + 1}-06-01T00:00:00Z"
    made = create(service, expires_at=expires_at)
    key = made.pop("key")
    assert made == {
        "id": made["id"], "name": "web shop", "owner": "ann", "scopes": ["upload", "read"],
        "created_at": made["created_at"], "expires_at": expires_at, "last_used": None, "rotated_at": None,
        "secrets_ending_at": [], "rate_limit": None, "quota_bytes": None, "quota_images": None,
    }  # fmt: skip
    assert listed(service)["items"] == [made]
    image = service.client.get("/images", headers={"X-API-Key": key})
    assert (image.status_code, image.json()["items"]) == (200, [])
    assert service.client.get("/limits", headers={"X-API-Key": key}).json()["scopes"] == ["upload", "read"]
    (used,) = listed(service)["items"]
    assert used == made | {"last_used": used["last_used"]}
    assert abs((utcnow().date() - date.fromisoformat(used["last_used"])).days) <= 1
    assert_problem(post(service, body=BODY, key=key), 403, "scope_missing")
    path = f"/keys/{made['id']}"
    rotated = post(service, f"{path}/rotate").json()
    assert rotated["id"] == made["id"]
    assert (len(rotated["secrets_ending_at"]), status(service, key), status(service, rotated["key"])) == (1, 200, 200)
    last = post(service, f"{path}/rotate", {"grace_seconds": 0}).json()["key"]
    assert [status(service, each) for each in (key, rotated["key"], last)] == [401, 401, 200]
    for _ in range(2):
        assert service.client.delete(path, headers=bearer(ADMIN)).status_code == 204
        assert status(service, last) == 401
    assert listed(service)["items"] == []
    assert_problem(post(service, f"{path}/rotate"), 404, "key_not_found")


def test_no_answer_but_the_first_has_the_key_or_its_hash(service: Service) -> None:
    made = create(service)
    (entry,) = service.side.key_store.list(1)
    (secret,) = entry.secrets
    for text in (str(listed(service)), str(post(service, f"/keys/{made['id']}/rotate").json())):
        assert made["key"] not in text
        assert secret.sha256 not in text


def test_a_key_of_the_store_can_create_others(service: Service) -> None:
    admin = create(service, owner="root", scopes=["admin"])["key"]
    made = post(service, body=BODY, key=admin)
    assert made.status_code == 201
    assert status(service, made.json()["key"]) == 200


def test_lists_have_pages(service: Service) -> None:
    made = [create(service, name=str(number))["id"] for number in range(5)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = listed(service, limit=2, **cursor)
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(found) == sorted(made)
    stats = service.client.get("/stats/owners", params={"cursor": cursor["cursor"]}, headers=bearer(ADMIN))
    assert_problem(stats, 400, "bad_cursor")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"name": None}, "missing_field", "name"),
        ({"name": " "}, "missing_field", "name"),
        ({"name": "x" * 101}, "too_long", "name"),
        ({"name": 5}, "wrong_type", "name"),
        ({"name": "a\x00b"}, "control_character", "name"),
        ({"owner": None}, "missing_field", "owner"),
        ({"owner": ""}, "bad_owner", "owner"),
        ({"owner": "anonymous"}, "bad_owner", "owner"),
        ({"owner": "x" * 129}, "bad_owner", "owner"),
        ({"owner": "a#b"}, "bad_owner", "owner"),
        ({"owner": ["ann"]}, "wrong_type", "owner"),
        ({"scopes": None}, "missing_field", "scopes"),
        ({"scopes": []}, "bad_scopes", "scopes"),
        ({"scopes": ["read", "write"]}, "bad_scopes", "scopes"),
        ({"scopes": "read"}, "wrong_type", "scopes"),
        ({"scopes": [1]}, "wrong_type", "scopes"),
        ({"scopes": ["read"] * 21}, "too_long", "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "bad_expiry", "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "bad_expiry", "expires_at"),
        ({"expires_at": "2027-01-01"}, "bad_expiry", "expires_at"),
        ({"expires_at": "0000-13-41T00:00:00Z"}, "bad_expiry", "expires_at"),
        ({"expires_at": 1796175487}, "wrong_type", "expires_at"),
        ({"rate_limit": "5"}, "wrong_type", "rate_limit"),
        ({"rate_limit": True}, "wrong_type", "rate_limit"),
        ({"rate_limit": -1}, "out_of_range", "rate_limit"),
        ({"rate_limit": 0.05}, "out_of_range", "rate_limit"),
        ({"rate_limit": 10_001}, "out_of_range", "rate_limit"),
        ({"rate_limit": 10**400}, "out_of_range", "rate_limit"),
        ({"quota_bytes": 1.5}, "wrong_type", "quota_bytes"),
        ({"quota_bytes": -1}, "out_of_range", "quota_bytes"),
        ({"quota_images": 2**53}, "out_of_range", "quota_images"),
    ],
)
@pytest.mark.sampled(4)
def test_a_field_that_is_wrong_is_named(service: Service, change: dict[str, Any], code: str, field: str) -> None:
    problem = assert_problem(post(service, body=BODY | change), 422, code)
    assert problem["field"] == field
    assert f"`{field}`" in problem["detail"]
    assert listed(service)["items"] == []


def patch(service: Service, key_id: str, body: Any, key: str = ADMIN[0]) -> httpx.Response:
    return service.client.patch(f"/keys/{key_id}", json=body, headers={"X-API-Key": key})


def test_name_expiry_and_limits_can_be_changed(service: Service) -> None:
    limits = {"rate_limit": 0.5, "quota_bytes": 1000, "quota_images": 0}
    made = create(service, **limits)
    key = made.pop("key")
    assert {name: made[name] for name in limits} == limits
    told = service.client.get("/limits", headers={"X-API-Key": key}).json()
    assert {name: told[name] for name in limits} == limits | {"quota_images": None}
    expires_at = f"{utcnow().year + 1}-06-01T00:00:00Z"
    changes = {"name": " shop ", "expires_at": expires_at, "rate_limit": 20, "quota_bytes": None}
    changed = patch(service, made["id"], changes)
    assert changed.status_code == 200, changed.text
    expected = made | changes | {"name": "shop"}
    assert changed.json() | {"last_used": None} == expected
    assert service.client.get("/limits", headers={"X-API-Key": key}).json()["rate_limit"] == 20  # at once
    assert patch(service, made["id"], {}).json() | {"last_used": None} == expected
    rotated = post(service, f"/keys/{made['id']}/rotate").json()
    assert {name: rotated[name] for name in ("rate_limit", "quota_bytes", "quota_images", "name")} == {
        name: expected[name] for name in ("rate_limit", "quota_bytes", "quota_images", "name")
    }
    assert patch(service, made["id"], {"expires_at": None}).json()["expires_at"] is None
    (shown,) = listed(service)["items"]
    assert (shown["id"], shown["rate_limit"]) == (made["id"], 20)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"owner": "bob"}, "unknown_field"),
        ({"scopes": ["admin"]}, "unknown_field"),
        ({"name": None}, "missing_field"),
        ({"name": ""}, "missing_field"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "bad_expiry"),
        ({"rate_limit": 1e9}, "out_of_range"),
        ({"quota_images": "1"}, "wrong_type"),
        ([], "wrong_type"),
    ],
)
def test_a_change_that_is_wrong_changes_nothing(service: Service, body: Any, code: str) -> None:
    made = create(service)
    assert_problem(patch(service, made["id"], body), 422, code)
    (entry,) = service.side.key_store.list(1)
    assert (entry.version, entry.name, entry.owner) == (1, "web shop", "ann")


def test_only_admins_change_keys_that_exist(service: Service) -> None:
    made = create(service)
    assert_problem(patch(service, made["id"], {"rate_limit": 0}, key=made["key"]), 403, "scope_missing")
    for key_id in ("0" * 20, "x", made["key"]):
        assert_problem(patch(service, key_id, {"rate_limit": 0}), 404, "key_not_found")


def test_other_bodies_are_refused(service: Service) -> None:
    assert_problem(post(service, body=BODY | {"quota": 1}), 422, "unknown_field")
    assert_problem(post(service, body=[]), 422, "wrong_type")
    path = f"/keys/{create(service)['id']}/rotate"
    for value, code in ((-1, "out_of_range"), (2_592_001, "out_of_range"), (0.5, "wrong_type"), (True, "wrong_type")):
        problem = assert_problem(post(service, path, {"grace_seconds": value}), 422, code)
        assert problem["field"] == "grace_seconds"
    assert_problem(post(service, path, {"grace": 1}), 422, "unknown_field")


def test_a_key_has_five_secrets_at_most(service: Service) -> None:
    path = f"/keys/{create(service)['id']}/rotate"
    assert [post(service, path).status_code for _ in range(4)] == [200] * 4
    problem = assert_problem(post(service, path), 409, "too_many_secrets")
    assert (problem["measured"], problem["limit"]) == (5, 5)
    assert post(service, path, {"grace_seconds": 0}).status_code == 200


def test_a_whole_key_is_no_id_and_is_not_repeated(service: Service) -> None:
    made = create(service)
    problem = assert_problem(service.client.delete(f"/keys/{made['key']}", headers=bearer(ADMIN)), 404, "key_not_found")
    assert made["key"] not in str(problem)
    assert status(service, made["key"]) == 200


def test_a_key_expires_by_the_clock_that_jumps(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    expires_at = utcnow() + timedelta(days=30)
    key = create(service, expires_at=expires_at.isoformat())["key"]
    for seconds, expected in ((0, 401), (-1, 200), (3600, 401), (-86400 * 365, 200), (86400 * 3650, 401), (-1, 200)):
        now = expires_at + timedelta(seconds=seconds)
        monkeypatch.setattr("app.domain.access.keyring.utcnow", lambda now=now: now)
        answer = service.client.get("/images", headers={"X-API-Key": key})
        assert answer.status_code == expected, seconds
        assert expected == 200 or answer.json()["code"] == "key_expired"


def test_an_expired_key_is_not_rotated(service: Service) -> None:
    made = create(service)
    entry = service.side.key_store.get(made["id"])
    assert entry is not None
    past = utcnow() - timedelta(seconds=1)
    service.side.key_store.replace(entry.model_copy(update={"expires_at": past, "version": entry.version + 1}))
    problem = assert_problem(post(service, f"/keys/{made['id']}/rotate"), 409, "expired_key")
    assert problem["expired_at"]


@pytest.mark.parametrize("key_id", ["x", "0" * 20, "é", "a%2Fb", "-", "." * 3])
def test_unknown_ids(service: Service, key_id: str) -> None:
    answer = service.client.post(f"/keys/{key_id}/rotate", headers=bearer(ADMIN))
    assert answer.status_code in {404, 405}
    assert service.client.delete(f"/keys/{key_id}", headers=bearer(ADMIN)).status_code in {204, 404}


def test_only_admins_see_keys(service: Service) -> None:
    for method, path in (("GET", "/keys"), ("POST", "/keys"), ("DELETE", "/keys/x"), ("POST", "/keys/x/rotate")):
        assert_problem(service.client.request(method, path, headers=bearer(ANN)), 403, "scope_missing")


def test_without_authentication_nobody_is_an_admin(side_name: str, tmp_path: Path) -> None:
    with service_on(side_name, tmp_path) as service:
        assert_problem(service.client.get("/keys"), 403, "scope_missing")
