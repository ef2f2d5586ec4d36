"""Editing one image: `PATCH /images/{id}`."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.app import create_app
from app.api.middleware.gateway import Gateway
from app.api.routes.edits import PATCH_TYPES
from app.domain.images.renderings import Renderings
from app.domain.limits import Limits
from app.domain.models import Failure, FailureCode, Image, Status, Tombstone, Visibility
from app.domain.recipe import Recipe, VariantSpec
from app.domain.uploads.requests import Upload
from app.domain.uploads.service import Uploads
from app.domain.work import Task
from app.worker.process import Worker
from app.worker.sandbox.parent import Sandbox
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.client import lambda_client, self_hosted_client
from tests.api.service import Service, make_services
from tests.contract.races import race
from tests.samples import encoded
from tests.sides import Interposed, once

UNKNOWN = "019a9d1c-7c1e-7a3b-9f60-3d2b5a1c8e47"
FIELDS = ("title", "alt", "tags", "metadata", "focal_point", "visibility", "filename")
PATCH: dict[str, Any] = {
    "title": "  Lighthouse ",
    "alt": "A lighthouse\nat dusk",
    "tags": ["sea", "evening", "sea"],
    "metadata": {"album": "7", "Source.Id": "été"},
    "focal_point": {"x": 0.25, "y": 1},
    "visibility": "public",
    "filename": "dir/Ä.jpg",
}
EDITED: dict[str, Any] = {
    "title": "Lighthouse",
    "alt": "A lighthouse at dusk",
    "tags": ["sea", "evening"],
    "metadata": {"album": "7", "Source.Id": "été"},
    "focal_point": {"x": 0.25, "y": 1.0},
    "visibility": "public",
    "filename": "Ä.jpg",
}
CLEARED: dict[str, Any] = {
    "title": None,
    "alt": None,
    "tags": [],
    "metadata": {},
    "focal_point": None,
    "visibility": "private",
    "filename": None,
}


def edit(service: Service, image: Image | str, members: Any, **headers: str) -> httpx.Response:
    image_id = image if isinstance(image, str) else image.id
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.client.patch(f"/images/{image_id}", json=members, headers=named)


def stored(service: Service, image: Image) -> Image:
    found = service.side.images.get(image.id)
    assert isinstance(found, Image)
    return found


def view(service: Service, image: Image) -> dict[str, Any]:
    answer = service.client.get(f"/images/{image.id}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("content_type", [*PATCH_TYPES, "Application/JSON; charset=utf-8"])
def test_every_field_can_be_changed_and_removed(service: Service, status: Status, content_type: str) -> None:
    error = Failure(code=FailureCode.TIMEOUT, detail="Too slow.") if status is Status.FAILED else None
    image = service.place(status, error=error)
    headers = {"Content-Type": content_type}
    answer = service.client.patch(f"/images/{image.id}", content=json.dumps(PATCH), headers=headers)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert {name: shown[name] for name in FIELDS} == EDITED
    assert shown["version"] > image.version
    assert shown["updated_at"] > image.updated_at.isoformat()
    assert answer.headers["etag"] == service.client.get(f"/images/{image.id}").headers["etag"]
    assert answer.headers["cache-control"] == "private, no-cache"
    assert view(service, image) == shown
    removed = edit(service, image, dict.fromkeys(FIELDS) | {"visibility": "private"})
    assert removed.status_code == 200, removed.text
    assert {name: removed.json()[name] for name in FIELDS} == CLEARED


@pytest.mark.parametrize("field", FIELDS)
def test_a_patch_changes_the_named_field_only(service: Service, field: str) -> None:
    image = service.place()
    before = view(service, image)
    after = edit(service, image, {field: PATCH[field]}).json()
    assert after[field] == EDITED[field]
    # A published image has other urls.
    follows = {"version", "updated_at", field} | ({"variants", "embed", "urls_expire_at"} & set(after))
    assert {name: value for name, value in after.items() if name not in follows} == {
        name: value for name, value in before.items() if name not in follows
    }


@pytest.mark.moto
def test_objects_are_merged_by_member(service: Service) -> None:
    image = service.place()
    edit(service, image, {"metadata": {"a": "1", "b": "2"}, "focal_point": {"x": 0.1, "y": 0.2}})
    shown = edit(service, image, {"metadata": {"b": None, "c": "3"}, "focal_point": {"y": 0.9}}).json()
    assert (shown["metadata"], shown["focal_point"]) == ({"a": "1", "c": "3"}, {"x": 0.1, "y": 0.9})


@pytest.mark.moto
def test_a_changed_tag_moves_the_image_in_the_lists(service: Service) -> None:
    image = service.place(tags=["old", "kept"])
    assert edit(service, image, {"tags": ["new", "kept"]}).status_code == 200
    listed = {
        tag: [item["id"] for item in service.client.get("/images", params={"tag": tag}).json()["items"]]
        for tag in ("old", "kept", "new")
    }
    assert listed == {"old": [], "kept": [image.id], "new": [image.id]}


@pytest.mark.parametrize("members", [{}, {"title": None}, {"tags": []}, {"metadata": {"absent": None}}])
def test_a_patch_that_changes_nothing_writes_nothing(service: Service, members: dict[str, Any]) -> None:
    image = service.place()
    answer = edit(service, image, members)
    assert (answer.status_code, answer.json()["version"]) == (200, image.version)
    assert stored(service, image) == image


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"titel": "x"}, "unknown_field", None),
        ({"status": "failed"}, "unknown_field", None),
        ({"owner": "me"}, "unknown_field", None),
        ({"title": 5}, "wrong_type", "title"),
        ({"title": "x" * 201}, "too_long", "title"),
        ({"alt": "a\0b"}, "control_character", "alt"),
        ({"tags": [str(number) for number in range(21)]}, "too_long", "tags"),
        ({"metadata": {"a": "x" * 2048}}, "too_long", "metadata"),
        ({"metadata": {f"k{number}": "" for number in range(33)}}, "too_long", "metadata"),
        ({"metadata": {"a b": "x"}}, "bad_metadata_key", "metadata"),
        ({"metadata": {"a": 1}}, "wrong_type", "metadata.a"),
        ({"metadata": "a=b"}, "wrong_type", "metadata"),
        ({"focal_point": {"x": 0.5}}, "missing_field", "focal_point.y"),
        ({"focal_point": {"x": 0.5, "y": 1.5}}, "out_of_range", "focal_point.y"),
        ({"focal_point": {"x": -0.01, "y": 0.5}}, "out_of_range", "focal_point.x"),
        ({"focal_point": {"x": None, "y": 0.5}}, "missing_field", "focal_point.x"),
        ({"focal_point": "0.5,0.5"}, "wrong_type", "focal_point"),
        ({"visibility": None}, "bad_visibility", "visibility"),
        ({"visibility": "hidden"}, "bad_visibility", "visibility"),
        ({"filename": {}}, "wrong_type", "filename"),
        ([], "wrong_type", None),
        ("title", "wrong_type", None),
        (5, "wrong_type", None),
    ],
)
@pytest.mark.sampled(4)
def test_invalid_patches_are_refused_and_change_nothing(
    service: Service, members: Any, code: str, field: str | None
) -> None:
    image = service.place()
    both = {"title": "changed", **members} if isinstance(members, dict) else members
    problem = assert_problem(edit(service, image, both), 422, code)
    assert problem.get("field") == field
    assert code != "unknown_field" or problem["found"] == list(members)
    assert stored(service, image) == image


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "empty_body"),
        (b"{", "application/json", 400, "bad_json"),
        (b"\xff", "application/json", 400, "bad_json"),
        (b'{"focal_point": {"x": NaN, "y": 0}}', "application/json", 400, "bad_json"),
        (b'{"focal_point": {"x": 1e999, "y": 0}}', "application/json", 422, "out_of_range"),
        (b'{"title": "a", "title": "b"}', "application/json", 400, "duplicate_field"),
        (b'{"metadata": {"a": "b", "a": "c"}}', "application/json", 400, "duplicate_field"),
        (b"[" * 1000, "application/json", 400, "too_deep"),
        (b'{"title": "' + b"x" * 70_000 + b'"}', "application/json", 413, "body_too_large"),
        (b'{"title": "x"}', "application/json-patch+json", 415, "unsupported_body"),
        (b'{"title": "x"}', "text/plain", 415, "unsupported_body"),
        (b'{"title": "x"}', "", 415, "unsupported_body"),
        (b"title=x", "application/x-www-form-urlencoded", 415, "unsupported_body"),
    ],
)
@pytest.mark.sampled(4)
def test_unreadable_bodies_are_refused(
    service: Service, body: bytes, content_type: str, status: int, code: str
) -> None:
    image = service.place()
    answer = service.client.patch(f"/images/{image.id}", content=body, headers={"Content-Type": content_type})
    assert_problem(answer, status, code)
    if status == 415:
        assert answer.headers["accept-patch"] == "application/json, application/merge-patch+json"
        assert answer.json()["accepted"] == list(PATCH_TYPES)
    assert stored(service, image) == image


@pytest.mark.parametrize("image_id", [UNKNOWN, "no-id", "%00", UNKNOWN.upper()])
def test_an_unknown_image_is_not_found(service: Service, image_id: str) -> None:
    for headers in ({}, {"if_match": "*"}, {"if_match": '"v1"'}, {"if_match": '"v1", "v2"'}):
        assert_problem(edit(service, image_id, {"title": "x"}, **headers), 404, "image_not_found")


def matching(image: Image) -> list[str]:
    this, other = f'"v{image.version}"', f'"v{image.version + 1}"'
    return [
        this,
        f'"v{image.version}-abc123"',
        f'"v{image.version}-"',
        f"{other},{this}",
        f'  {this} , "x", W/{other},, ',
        "*",
        " * ",
    ]


def test_a_matching_condition_lets_a_change_through(service: Service) -> None:
    for number in range(len(matching(service.place()))):
        image = service.place(seed=number + 1)
        answer = edit(service, image, {"title": "x"}, if_match=matching(image)[number])
        assert answer.status_code == 200, (matching(image)[number], answer.text)


def test_the_etag_of_a_record_is_a_condition_for_its_version(service: Service) -> None:
    image = service.place()
    tag = service.client.get(f"/images/{image.id}").headers["etag"]
    answer = edit(service, image, {"title": "x"}, if_match=tag)
    assert answer.status_code == 200, answer.text
    assert edit(service, image, {"alt": "x"}, if_match=answer.headers["etag"]).status_code == 200
    for members in ({"title": "y"}, {}):
        problem = assert_problem(edit(service, image, members, if_match=tag), 412, "version_mismatch")
        assert problem["version"] == stored(service, image).version
    assert view(service, image)["title"] == "x"


@pytest.mark.parametrize(
    "condition",
    ['"v1"', '"v99"', 'W/"{now}"', '"x"', '""', '"{now}x"', '"{now}', '"v1","v99"', '"v{huge}"', '"V2"', '"v-2"'],
)
def test_other_tags_never_match(service: Service, condition: str) -> None:
    image = service.place()
    condition = condition.replace("{now}", f"v{image.version}").replace("{huge}", "9" * 5000)
    answer = edit(service, image, {"title": "x"}, if_match=condition)
    if condition.count('"') % 2:
        assert_problem(answer, 400, "bad_if_match")
    else:
        assert assert_problem(answer, 412, "version_mismatch")["version"] == image.version
    assert stored(service, image) == image


@pytest.mark.parametrize(
    "condition", ["v2", "", " ", ",", '"v2', 'v2"', '"v2" "v3"', '*, "v2"', "**", 'w/"v2"', '"v 2"', "2"]
)
@pytest.mark.sampled(4)
def test_a_malformed_condition_is_refused(service: Service, condition: str) -> None:
    image = service.place()
    problem = assert_problem(edit(service, image, {"title": "x"}, if_match=condition), 400, "bad_if_match")
    assert problem["found"] == condition.strip()
    assert stored(service, image) == image


def test_several_condition_headers_are_one_list(service: Service) -> None:
    image = service.place()
    headers = [("If-Match", '"v99"'), ("If-Match", f'"v{image.version}"')]
    assert service.client.patch(f"/images/{image.id}", json={"title": "x"}, headers=headers).status_code == 200


def test_an_open_ticket_can_be_edited_before_its_bytes_arrive(service: Service) -> None:
    wanted = {"bytes": 5, "content_type": "image/jpeg", "title": "T", "visibility": "public"}
    ticket = service.client.post("/upload/direct", json=wanted).json()
    answer = edit(service, ticket["id"], {"title": None, "visibility": "private", "metadata": {"a": "b"}})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["status"], shown["title"], shown["visibility"], shown["metadata"]) == (
        "pending", None, "private", {"a": "b"}
    )  # fmt: skip
    assert shown["upload_expires_at"] is not None
    assert service.client.get("/images").json()["items"] == []


def numbered(service: Service, image: Image, condition: str | None) -> list[int]:
    """Make 32 changes at once, each with a metadata key of its own; return the numbers of those that were made."""
    headers = {} if condition is None else {"if_match": condition}
    answers = race(lambda number: edit(service, image, {"metadata": {f"k{number}": "x"}}, **headers), racers=32)
    made = []
    for number, answer in enumerate(answers):
        assert isinstance(answer, httpx.Response)
        if answer.status_code == 200:
            made.append(number)
        else:
            assert condition is not None, answer.text
            assert_problem(answer, 412, "version_mismatch")
    return made


def test_of_32_changes_at_once_all_are_kept(service: Service) -> None:
    image = service.place()
    assert numbered(service, image, None) == list(range(32))
    assert set(stored(service, image).metadata) == {f"k{number}" for number in range(32)}
    assert stored(service, image).version == image.version + 32


def test_of_32_changes_to_one_version_one_is_made(service: Service) -> None:
    image = service.place()
    (winner,) = numbered(service, image, f'"v{image.version}"')
    assert set(stored(service, image).metadata) == {f"k{winner}"}


def test_a_change_races_with_a_delete(service: Service) -> None:
    for round_ in range(4):
        image = service.place(seed=round_)

        def act(number: int, image: Image = image) -> httpx.Response:
            if number == 3:
                return service.client.delete(f"/images/{image.id}")
            return edit(service, image, {"title": str(number), "visibility": "public"})

        *edits, deleted = race(act, racers=4)
        assert isinstance(deleted, httpx.Response)
        assert deleted.status_code == 204
        for answer in edits:
            assert isinstance(answer, httpx.Response)
            assert answer.status_code in {200, 404}, answer.text
        assert isinstance(service.side.images.get(image.id), Tombstone)
        assert_problem(edit(service, image, {"title": "late"}), 404, "image_not_found")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(60, 1024)
    made.start()
    yield made
    made.close()


def start_worker(service: Service, sandbox: Sandbox, images: Any) -> Worker:
    return Worker(
        service.side.store,
        images,
        Renderings(service.side.store, images),
        sandbox,
        recipe=Recipe(variants=(VariantSpec(name="w16", width=16),)),
        limits=Limits(),
        adopt=False,
        scratch=service.scratch,
        max_attempts=3,
    )


def uploaded(service: Service) -> Image:
    body = encoded(width=40, height=30)
    upload = Upload(io.BytesIO(body), len(body), hashlib.sha256(body).hexdigest(), "image/jpeg")
    return Uploads(service.side.store, service.side.images).accept("anonymous", upload).image


@pytest.mark.parametrize("method", ["get", "update"])
def test_a_change_while_the_image_is_processed_is_kept(service: Service, sandbox: Sandbox, method: str) -> None:
    image = uploaded(service)
    patch = {"title": "T", "tags": ["x"], "visibility": "public", "focal_point": {"x": 0, "y": 0}}
    hook = once(lambda: edit(service, image, patch).raise_for_status())
    images = Interposed(service.side.images, **{"after" if method == "get" else "before": {method: hook}})
    start_worker(service, sandbox, images).handle(image.id)
    found = stored(service, image)
    assert (found.status, found.title, found.tags) == (Status.READY, "T", ["x"])
    assert found.focal_point is not None
    shown = view(service, image)
    (variant,) = shown["variants"]
    assert service.show(variant["url"]).status_code == 200
    assert found.placed is Visibility.PUBLIC
    assert Task.PROCESS not in found.work


def test_an_image_processed_while_it_is_changed_keeps_both(service: Service, sandbox: Sandbox, tmp_path: Path) -> None:
    image = uploaded(service)
    worker = start_worker(service, sandbox, service.side.images)
    slow = Interposed(service.side.images, before={"update": once(lambda: worker.handle(image.id))})
    app = create_app(make_services(service.side.having(images=slow)))
    client = self_hosted_client(app) if service.self_hosted else lambda_client(Gateway(app))
    with client:
        answer = client.patch(f"/images/{image.id}", json={"title": "T", "visibility": "public"})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["status"], shown["title"], shown["visibility"]) == ("ready", "T", "public")
    (variant,) = shown["variants"]
    assert service.show(variant["url"]).status_code == 200
    assert view(service, image)["variants"] == shown["variants"]
