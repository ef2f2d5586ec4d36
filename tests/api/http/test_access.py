"""Authentication: every route checks key and scope first, and callers see only their own images."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Mount

from app.api.http.access import ScopedRoute
from app.api.services import Services
from app.domain.access.api_keys import Scope, new_key
from app.domain.access.key_admin import KeyAdmin
from app.domain.access.key_cache import StoredKeys
from app.domain.access.keyring import Keyring
from app.domain.access.stored_keys import StoredKey, new_key_id, new_secret
from app.domain.models import utcnow
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import Service, service_on
from tests.samples import encoded
from tests.sides import side_parameters

KEYS = {name: new_key("ann", [Scope(name)]) for name in ("upload", "read", "edit", "delete")}
ANN = new_key("ann", [Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE])
BOB = new_key("bob", [Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE])
ADMIN = new_key("root", [Scope.ADMIN])
KEYRING = Keyring([entry for _, entry in (*KEYS.values(), ANN, BOB, ADMIN)])
#: Paths that need no key.
OPEN = {"/healthz", "/readyz", "/limits"}


@pytest.fixture(params=side_parameters())
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """API that requires keys."""
    with service_on(request.param, tmp_path, keyring=KEYRING) as made:
        yield made


def bearer(key: tuple[str, object]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key[0]}"}


def upload(service: Service, key: tuple[str, object], seed: int = 1) -> dict[str, Any]:
    answer = service.client.post("/upload", files={"file": ("p.jpg", encoded(seed=seed))}, headers=bearer(key))
    assert answer.status_code in {200, 201}, answer.text
    record: dict[str, Any] = answer.json()
    return record


def use_stored_keys(service: Service) -> KeyAdmin:
    """Have a running service accept keys of the store too."""
    stored = StoredKeys(service.side.key_store)
    services: Services = service.app.state.services
    keyring = Keyring([entry for _, entry in (*KEYS.values(), ANN, BOB, ADMIN)], stored)
    service.app.state.services = services._replace(stored_keys=stored, keyring=keyring)
    return KeyAdmin(service.side.key_store, stored)


def create_key(admin: KeyAdmin, owner: str, *scopes: str) -> tuple[str, StoredKey]:
    return admin.create(name="test", owner=owner, scopes=scopes)


def walk(service: Service) -> list[tuple[str, str, str | None]]:
    """Return method, path and required scope of every described operation."""
    found = []
    for path, operations in service.client.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            says = operation["description"].rpartition("scope `")[2].rstrip("`.") if operation["security"] else None
            found.append((method.upper(), path, says))
    return found


def call(service: Service, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    """Send a request that is invalid in every other respect: callers without access must not learn that."""
    path = path.replace("{image_id}", "no-id").replace("{name}", "no-variant").replace("{key_id}", "no-key")
    return service.client.request(method, path, params={"limit": "x"}, content=b"\xff", headers=headers)


@pytest.mark.moto
def test_every_operation_checks_the_key_first(service: Service) -> None:
    operations = walk(service)
    assert {path for _, path, scope in operations if scope is None} == OPEN
    for method, path, scope in operations:
        wrong = {"Authorization": "Bearer dk_wrong"}, {"X-API-Key": ANN[1].sha256}, {"Authorization": ANN[0]}
        for headers in ({}, *wrong):
            answer = call(service, method, path, headers)
            if scope is None:
                assert answer.status_code not in {401, 403}, path
                continue
            given = "dk_wrong" in str(headers) or "X-API-Key" in headers
            problem = assert_problem(answer, 401, "key_unknown" if given else "key_missing")
            assert answer.headers["www-authenticate"].startswith("Bearer"), path
            assert "dk_" not in str({**problem, "request_id": ""})  # which is random


@pytest.mark.moto
def test_every_operation_refuses_keys_of_the_store_that_are_not_valid(service: Service) -> None:
    admin = use_stored_keys(service)
    valid, entry = create_key(admin, "root", "admin")
    revoked, gone = create_key(admin, "root", "admin")
    admin.revoke(gone.id)
    replaced, old = create_key(admin, "root", "admin")
    admin.rotate(old.id, timedelta(0))
    expired, late = new_secret(key_id := new_key_id())
    past = utcnow() - timedelta(seconds=1)
    service.side.key_store.create(entry.model_copy(update={"id": key_id, "secrets": (late,), "expires_at": past}))
    unknown, guessed = new_secret(new_key_id())[0], new_secret(entry.id)[0]
    malformed = (valid[:-1], f"{valid}x", valid.upper(), f"dk_{entry.id}_", entry.secrets[0].sha256, entry.id)
    codes = {expired: "key_expired"} | dict.fromkeys((revoked, replaced, unknown, guessed, *malformed), "key_unknown")
    for method, path, scope in walk(service):
        for key, code in codes.items() if scope else ():
            answer = call(service, method, path, {"Authorization": f"Bearer {key}"})
            problem = assert_problem(answer, 401, code)
            assert answer.headers["www-authenticate"].startswith("Bearer"), path
            assert "dk_" not in str({**problem, "request_id": ""})  # which is random
        if scope:
            assert call(service, method, path, {"X-API-Key": valid}).status_code not in {401, 403}, path


@pytest.mark.parametrize("kind", ["settings", "store"])
def test_every_operation_checks_the_scope_first(service: Service, kind: str) -> None:
    keys: dict[str, tuple[str, object]] = {**KEYS}
    if kind == "store":
        admin = use_stored_keys(service)
        keys = {name: create_key(admin, "ann", name) for name in KEYS}
    for method, path, scope in walk(service):
        if scope is None:
            continue
        for name, key in keys.items():
            for headers in (bearer(key), {"X-API-Key": key[0]}):
                answer = call(service, method, path, headers)
                if name == scope:
                    assert answer.status_code not in {401, 403}, (method, path, answer.text)
                else:
                    assert assert_problem(answer, 403, "scope_missing")["scope"] == scope
        assert call(service, method, path, bearer(ADMIN)).status_code not in {401, 403}


def every_route(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Yield the routes, also those of included routers."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is None:
            yield route
        else:
            yield from every_route(router.routes)


def test_only_the_listed_routes_need_no_key(service: Service) -> None:
    routes = [*every_route(service.app.routes)]
    assert {route.path for route in routes if isinstance(route, Mount)} == {"/static"}
    keyed = [route for route in routes if not isinstance(route, Mount)]
    assert [route for route in keyed if not isinstance(route, ScopedRoute)] == []
    opened = {
        (method, route.path)
        for route in keyed
        if isinstance(route, ScopedRoute) and route.required_scope is None
        for method in route.methods
    }
    pages = {("GET", path) for path in ("/", "/docs", "/redoc", "/openapi.json", *OPEN)}
    files = {(method, "/files/{key:path}") for method in ("GET", "HEAD", "PUT")}  # their urls are signed
    shared = {("GET", "/shared/{file}"), ("GET", "/shared/{image_id}/{name}")}
    assert opened == pages | shared | (files if service.self_hosted else set())


def test_another_owners_images_do_not_exist(service: Service) -> None:
    hers = service.place(seed=1, owner="ann").id
    operations = [(method, path) for method, path, _ in walk(service) if "{image_id}" in path]
    assert {method for method, _ in operations} >= {"GET", "DELETE"}
    # Deleting comes last, so that the other operations find an image.
    for method, path in sorted(operations, key=lambda operation: operation[0] == "DELETE"):

        def ask(key: tuple[str, object], image_id: str) -> httpx.Response:
            filled = path.replace("{image_id}", image_id).replace("{name}", "w320")  # noqa: B023
            body = {"json": {"title": "T"}} if method == "PATCH" else {}  # noqa: B023
            return service.client.request(method, filled, headers=bearer(key), **body)  # noqa: B023

        foreign, unknown = ask(BOB, hers), ask(BOB, f"{hers[:-2]}00")
        if method == "DELETE":
            assert (foreign.status_code, unknown.status_code) == (204, 204)
            assert service.client.get(f"/images/{hers}", headers=bearer(ANN)).status_code == 200
            listed = service.client.get("/images", headers=bearer(ANN)).json()["items"]
            assert [item["id"] for item in listed] == [hers]
        else:
            told, same = (assert_problem(answer, 404, "image_not_found") for answer in (foreign, unknown))
            assert told | {"request_id": ""} == same | {"request_id": ""}
        assert ask(ANN, hers).status_code < 400, (method, path)
    assert service.client.get("/images", headers=bearer(BOB)).json()["items"] == []


def test_the_same_bytes_of_two_owners_are_two_images(service: Service) -> None:
    hers, his = upload(service, ANN), upload(service, BOB)
    assert hers["id"] != his["id"]
    assert not his["duplicate"]
    again = upload(service, ANN)
    assert (again["id"], again["duplicate"]) == (hers["id"], True)


def test_tickets_belong_to_their_owner(service: Service) -> None:
    body = {"content_type": "image/jpeg", "bytes": 5}
    ticket = service.client.post("/upload/direct", json=body, headers=bearer(ANN)).json()
    assert service.client.get(f"/images/{ticket['id']}", headers=bearer(ANN)).json()["owner"] == "ann"
    assert service.client.get(f"/images/{ticket['id']}", headers=bearer(BOB)).status_code == 404
    assert service.client.delete(f"/images/{ticket['id']}", headers=bearer(BOB)).status_code == 204
    assert service.client.get(f"/images/{ticket['id']}", headers=bearer(ANN)).status_code == 200


def test_a_cursor_of_another_owner_is_refused(service: Service) -> None:
    for seed in (1, 2):
        upload(service, ANN, seed)
    cursor = service.client.get("/images", params={"limit": 1}, headers=bearer(ANN)).json()["next_cursor"]
    answer = service.client.get("/images", params={"limit": 1, "cursor": cursor}, headers=bearer(BOB))
    assert_problem(answer, 400, "bad_cursor")


def test_edits_are_made_to_the_images_of_the_caller_only(service: Service) -> None:
    hers, his = (service.place(seed=1, owner=owner).id for owner in ("ann", "bob"))

    def edit(key: tuple[str, object]) -> list[int]:
        body = {"ids": [hers, his], "add_tags": [str(key[1])[:8]]}
        answer = service.client.post("/images/edit", json=body, headers=bearer(key))
        return [result["status"] for result in answer.json()["results"]]

    assert (edit(ANN), edit(BOB), edit(ADMIN), edit(KEYS["edit"])) == ([200, 404], [404, 200], [200, 200], [200, 404])
    for key, image, status in ((ANN, hers, 200), (BOB, hers, 404), (KEYS["edit"], hers, 200), (ADMIN, his, 200)):
        answer = service.client.patch(f"/images/{image}", json={"title": "T"}, headers=bearer(key))
        assert answer.status_code == status, (key[1], answer.text)


def test_an_admin_acts_for_every_owner(service: Service) -> None:
    hers = upload(service, ANN)
    assert service.client.get(f"/images/{hers['id']}", headers=bearer(ADMIN)).json()["owner"] == "ann"
    assert service.client.delete(f"/images/{hers['id']}", headers=bearer(ADMIN)).status_code == 204
    assert service.client.get(f"/images/{hers['id']}", headers=bearer(ANN)).status_code == 404


def listed(service: Service, key: tuple[str, object], **query: str) -> httpx.Response:
    return service.client.get("/images", params=query, headers=bearer(key))


def test_an_admin_lists_one_owners_images(service: Service) -> None:
    hers = [service.place(seed=seed, owner="ann").id for seed in (1, 2, 3)][::-1]
    his = service.place(seed=1, owner="bob").id
    own = upload(service, ADMIN)["id"]
    nobodys = service.place(seed=4).id
    for owner, expected in (("ann", hers), ("bob", [his]), ("root", [own]), ("anonymous", [nobodys]), ("zoe", [])):
        page = listed(service, ADMIN, owner=owner).json()
        assert [item["id"] for item in page["items"]] == expected
        assert {item["owner"] for item in page["items"]} <= {owner}
    assert [item["id"] for item in listed(service, ADMIN).json()["items"]] == [own]
    first = listed(service, ADMIN, owner="ann", limit="2", status="ready")
    following = service.client.get(first.links["next"]["url"], headers=bearer(ADMIN))
    assert [item["id"] for answer in (first, following) for item in answer.json()["items"]] == hers
    cursor = first.json()["next_cursor"]
    for other in ({}, {"owner": "bob"}, {"owner": "root"}):
        assert_problem(listed(service, ADMIN, cursor=cursor, status="ready", **other), 400, "bad_cursor")


def test_callers_without_admin_list_only_their_own_images(service: Service) -> None:
    hers = upload(service, ANN)["id"]
    assert [item["id"] for item in listed(service, ANN, owner="ann").json()["items"]] == [hers]
    answers = [assert_problem(listed(service, BOB, owner=o), 403, "scope_missing") for o in ("ann", "zoe", "anonymous")]
    assert {told["scope"] for told in answers} == {"admin"}
    assert len({told["detail"] for told in answers}) == 1, "it tells who has images here"
    assert_problem(listed(service, KEYS["upload"], owner="ann"), 403, "scope_missing")


@pytest.mark.parametrize("owner", ["", "a b", "-", "a#b", "é", "x" * 129, "a\n", "ann/../bob"])
def test_invalid_owners_are_refused(service: Service, owner: str) -> None:
    problem = assert_problem(listed(service, ADMIN, owner=owner), 422, "invalid_request")
    assert problem["errors"][0]["field"] == "query.owner"


def test_without_keys_there_is_one_owner(side_name: str, tmp_path: Path) -> None:
    with service_on(side_name, tmp_path) as service:
        image = service.place().id
        service.place(seed=1, owner="ann")
        for query in ({}, {"owner": "anonymous"}):
            assert [item["id"] for item in service.client.get("/images", params=query).json()["items"]] == [image]
        for owner in ("ann", "zoe"):
            assert_problem(service.client.get("/images", params={"owner": owner}), 403, "scope_missing")


def test_blanks_around_a_key_are_ignored(service: Service) -> None:
    for headers in (
        {"X-API-Key": f" {ANN[0]} "},
        {"Authorization": f"Bearer  {ANN[0]} "},
        {"Authorization": f"bearer {ANN[0]}"},
    ):
        assert service.client.get("/images", headers=headers).status_code == 200, headers
    assert_problem(service.client.get("/images", headers={"X-API-Key": "  "}), 401, "key_missing")


def test_the_pages_and_the_openapi_document_need_no_key(service: Service) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/static/docs.js", "/healthz", "/readyz", "/limits"):
        assert service.client.get(path).status_code == 200, path
    assert service.client.get("/").status_code in {200, 302, 307}


def test_limits_name_the_scopes_of_a_key(service: Service) -> None:
    everything = [scope.value for scope in Scope]
    wrong = {"Authorization": "Bearer dk_wrong"}
    for headers, scopes in (
        ({}, []), (wrong, []), ({"X-API-Key": KEYS["read"][0]}, ["read"]), (bearer(KEYS["delete"]), ["delete"]),
        (bearer(ANN), everything[:4]), (bearer(ADMIN), everything),
    ):  # fmt: skip
        answer = service.client.get("/limits", headers=headers)
        told = answer.json()
        assert (answer.status_code, told["authentication"], told["scopes"]) == (200, "required", scopes)
        assert answer.headers["cache-control"] == "private, no-cache"  # it depends on the key


def test_a_signed_url_is_valid_for_its_file_only(service: Service) -> None:
    if service.app.state.services.local is None:
        return  # signed urls of the bucket are tested elsewhere
    image, other = (service.place(seed=seed, owner="ann") for seed in (1, 2))
    record = service.client.get(f"/images/{image.id}", headers=bearer(ADMIN)).json()
    original = service.client.get(record["links"]["original"], headers=bearer(ADMIN)).headers["location"]
    for url in (record["variants"][0]["url"], original):
        path, _, query = url.partition("?")
        answer = service.client.get(url)
        assert answer.status_code == 200
        assert "private" in answer.headers["cache-control"]
        assert service.client.head(url).status_code == 200
        moved = path.replace(image.id, other.id)
        altered = query.replace("signature=", "signature=A")
        later = query.replace("expires=1", "expires=2")
        for wrong in (path, f"{moved}?{query}", f"{path}?{altered}", f"{path}?{later}"):
            assert_problem(service.client.get(wrong), 403, "bad_signature")
        assert service.client.get(path, headers=bearer(ADMIN)).status_code == 403
