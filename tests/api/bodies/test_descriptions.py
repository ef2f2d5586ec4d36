"""Fields that describe an uploaded image: metadata, focal point, visibility and owner, in every kind of body."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.models import Image, Visibility
from tests.api.bodies.test_bad_input import END, FILE, assert_problem, form, part
from tests.api.http.test_access import ADMIN, ANN, KEYRING, KEYS, bearer
from tests.api.service import Service, service_on
from tests.samples import encoded

JPEG = encoded()
GIVEN: dict[str, Any] = {
    "metadata": {"album": " 7 ", "Source:Id": "e\u0301"},
    "focal_point": {"x": 0.25, "y": 1},
    "visibility": "public",
}
STORED = {
    "metadata": {"album": "7", "Source:Id": "é"},
    "focal_point": {"x": 0.25, "y": 1.0},
    "visibility": "public",
}
Send = Callable[..., httpx.Response]


def texts(fields: dict[str, Any]) -> dict[str, str]:
    """Return fields as forms and queries have them: objects are JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


def send_form(service: Service, fields: dict[str, Any], **options: Any) -> httpx.Response:
    return service.client.post("/upload", files={"file": ("a.jpg", JPEG)}, data=texts(fields), **options)


def send_json(service: Service, fields: dict[str, Any], **options: Any) -> httpx.Response:
    body = {"image_base64": base64.b64encode(JPEG).decode(), **fields}
    return service.client.post("/upload", json=body, **options)


def send_raw(service: Service, fields: dict[str, Any], **options: Any) -> httpx.Response:
    headers = {"Content-Type": "image/jpeg", **options.pop("headers", {})}
    return service.client.post("/upload", content=JPEG, params=texts(fields), headers=headers, **options)


def send_ticket(service: Service, fields: dict[str, Any], **options: Any) -> httpx.Response:
    body = {"bytes": len(JPEG), "content_type": "image/jpeg", **fields}
    return service.client.post("/upload/direct", json=body, **options)


SENDERS = [send_form, send_json, send_raw, send_ticket]


def record(service: Service, answer: httpx.Response) -> Image:
    assert answer.status_code == 201, answer.text
    found = service.side.images.get(answer.json()["id"])
    assert isinstance(found, Image)
    return found


def shown(service: Service, answer: httpx.Response) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(record(service, answer).model_dump_json())
    return {name: fields[name] for name in STORED}


@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.moto
def test_every_body_describes_the_image(service: Service, send: Send) -> None:
    assert shown(service, send(service, GIVEN)) == STORED


@pytest.mark.parametrize("send", SENDERS)
def test_absent_fields_have_defaults(service: Service, send: Send) -> None:
    assert shown(service, send(service, {})) == {"metadata": {}, "focal_point": None, "visibility": "private"}


@pytest.mark.parametrize("send", [send_json, send_ticket])
def test_null_counts_as_absent(service: Service, send: Send) -> None:
    fields = {**dict.fromkeys([*GIVEN, "owner"]), "metadata": {"a": None, "b": "c"}}
    assert shown(service, send(service, fields)) == {
        "metadata": {"b": "c"}, "focal_point": None, "visibility": "private"
    }  # fmt: skip


@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.parametrize(
    ("fields", "expected"), [({}, Visibility.PUBLIC), ({"visibility": "private"}, Visibility.PRIVATE)]
)
def test_the_default_visibility_is_that_of_the_service(
    side_name: str, tmp_path: Path, send: Send, fields: dict[str, Any], expected: Visibility
) -> None:
    with service_on(side_name, tmp_path, default_visibility=Visibility.PUBLIC) as service:
        assert record(service, send(service, fields)).visibility is expected


def test_known_bytes_keep_their_record(service: Service) -> None:
    first = record(service, send_json(service, GIVEN))
    again = send_json(service, {"metadata": {"other": "x"}, "visibility": "private", "focal_point": {"x": 0, "y": 0}})
    assert (again.status_code, again.json()["duplicate"], again.json()["id"]) == (200, True, first.id)
    found = service.side.images.get(first.id)
    assert isinstance(found, Image)
    assert (found.metadata, found.focal_point, found.visibility) == (
        first.metadata, first.focal_point, first.visibility
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "metadata", "focal_point"),
    [
        ([("metadata[album]", "7"), ("metadata[Source:Id]", " x ")], {"album": "7", "Source:Id": "x"}, None),
        ([("metadata", '{"a": "1"}'), ("metadata[b]", "2")], {"a": "1", "b": "2"}, None),
        ([("metadata[b]", ""), ("metadata", " "), ("focal_point", " ")], {"b": ""}, None),
        ([("metadata[0]", "x")], {"0": "x"}, None),
        ([("focal_point", "0.25,1")], {}, (0.25, 1)),
        ([("focal_point", " .5 , 1e-1 ")], {}, (0.5, 0.1)),
        ([("focal_point", '{"x": 0.5, "y": 0}')], {}, (0.5, 0)),
        ([("focal_point[x]", "0.5"), ("focal_point[y]", "-0")], {}, (0.5, 0)),
        ([("visibility", "")], {}, None),
    ],
)
def test_spellings_of_objects_in_forms(
    service: Service, parts: list[tuple[str, str]], metadata: dict[str, str], focal_point: tuple[float, float] | None
) -> None:
    body = FILE + b"".join(part(name, value.encode()) for name, value in parts) + END
    answer = service.client.post("/upload", **form(body))
    image = record(service, answer)
    found = image.focal_point and (image.focal_point.x, image.focal_point.y)
    assert (image.metadata, found) == (metadata, focal_point)
    assert answer.json()["ignored_fields"] == []


def test_parts_may_declare_json(service: Service) -> None:
    declared = "Content-Type: application/json"
    pieces = [part(name, json.dumps(value).encode(), None, declared) for name, value in GIVEN.items()]
    assert shown(service, service.client.post("/upload", **form(FILE + b"".join(pieces) + END))) == STORED
    pieces = [part(name, b"null", None, declared) for name in (*GIVEN, "owner")]
    answer = service.client.post("/upload", params={"on_duplicate": "create"}, **form(FILE + b"".join(pieces) + END))
    assert shown(service, answer) == {"metadata": {}, "focal_point": None, "visibility": "private"}


def test_metadata_may_have_a_charset(service: Service) -> None:
    value = part("metadata[ort]", "Zürich".encode("latin-1"), None, "Content-Type: text/plain; charset=iso-8859-1")
    assert record(service, service.client.post("/upload", **form(FILE + value + END))).metadata == {"ort": "Zürich"}


@pytest.mark.parametrize(
    ("parts", "status", "code", "field"),
    [
        ([("metadata", "a=b")], 400, "bad_json", "metadata"),
        ([("metadata", '{"a": NaN}')], 400, "bad_json", "metadata"),
        ([("metadata", "[" * 100)], 400, "too_deep", None),
        ([("metadata", '{"a": "b", "a": "c"}')], 400, "duplicate_field", "a"),
        ([("metadata", "[]")], 422, "wrong_type", "metadata"),
        ([("metadata", '{"a": 5}')], 422, "wrong_type", "metadata.a"),
        ([("metadata", '{"a": "1"}'), ("metadata", '{"a": "2"}')], 400, "duplicate_field", "metadata"),
        ([("metadata[a]", "1"), ("metadata[a]", "2")], 400, "duplicate_field", "metadata"),
        ([("metadata", '{"a": "1"}'), ("metadata[a]", "2")], 400, "duplicate_field", "metadata"),
        ([("metadata", "[]"), ("metadata[a]", "2")], 400, "duplicate_field", "metadata"),
        ([("metadata[]", "1")], 422, "bad_metadata_key", "metadata"),
        ([("metadata[a b]", "1")], 422, "bad_metadata_key", "metadata"),
        ([(f"metadata[{'k' * 65}]", "1")], 422, "bad_metadata_key", "metadata"),
        ([(f"metadata[{'k' * 2000}]", "1")], 422, "bad_metadata_key", "metadata"),
        ([(f"metadata[k{number}]", "") for number in range(33)], 422, "too_long", "metadata"),
        ([("metadata[a]", "x" * 2048)], 422, "too_long", "metadata"),
        ([("metadata[a]", "x" * 65_537)], 413, "fields_too_large", "metadata[a]"),
        ([("metadata[a]", "\0")], 422, "control_character", "metadata.a"),
        ([("focal_point", "center")], 400, "bad_json", "focal_point"),
        ([("focal_point", "0.5")], 422, "wrong_type", "focal_point"),
        ([("focal_point", "0.5,0.5,0.5")], 400, "bad_json", "focal_point"),
        ([("focal_point", "50%,50%")], 400, "bad_json", "focal_point"),
        ([("focal_point", "0.5,1.5")], 422, "out_of_range", "focal_point.y"),
        ([("focal_point", "1e999,0")], 422, "out_of_range", "focal_point.x"),
        ([("focal_point", "nan,0")], 400, "bad_json", "focal_point"),
        ([("focal_point", '{"x": 0.5}')], 422, "missing_field", "focal_point.y"),
        ([("focal_point[x]", "0.5")], 422, "missing_field", "focal_point.y"),
        ([("focal_point[x]", "left"), ("focal_point[y]", "0")], 422, "wrong_type", "focal_point.x"),
        ([("focal_point[z]", "0")], 422, "unknown_field", None),
        ([("focal_point", "0,0"), ("focal_point", "1,1")], 400, "duplicate_field", "focal_point"),
        ([("visibility", "hidden")], 422, "bad_visibility", "visibility"),
        ([("visibility", "public"), ("visibility", "public")], 400, "duplicate_field", "visibility"),
        ([("owner", "a b")], 422, "bad_owner", "owner"),
        ([("owner", "ann")], 403, "scope_missing", None),
    ],
)
@pytest.mark.sampled(4)
def test_invalid_fields_of_forms_are_refused(
    service: Service, parts: list[tuple[str, str]], status: int, code: str, field: str | None
) -> None:
    body = FILE + b"".join(part(name, value.encode()) for name, value in parts) + END
    problem = assert_problem(service.client.post("/upload", **form(body)), status, code)
    assert problem.get("field") == field
    assert service.left_behind() == []


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"metadata": "x"}, 400, "bad_json"),
        ({"metadata": '{"a b": "c"}'}, 422, "bad_metadata_key"),
        ({"focal_point": "2,0"}, 422, "out_of_range"),
        ({"visibility": "hidden"}, 422, "bad_visibility"),
        ({"owner": "a b"}, 422, "bad_owner"),
        ({"owner": "ann"}, 403, "scope_missing"),
        ({"metadata[a]": "b"}, 422, "invalid_request"),
        ({"visibility": ["public", "public"]}, 422, "invalid_request"),
    ],
)
def test_invalid_fields_of_the_query_are_refused(
    service: Service, params: dict[str, Any], status: int, code: str
) -> None:
    answer = service.client.post("/upload", content=JPEG, params=params, headers={"Content-Type": "image/jpeg"})
    assert_problem(answer, status, code)
    assert service.left_behind() == []


@pytest.mark.parametrize("name", [*GIVEN, "owner"])
def test_forms_and_json_have_no_fields_in_the_query(service: Service, name: str) -> None:
    for send in (send_form, send_json):
        problem = assert_problem(send(service, {}, params={name: "x"}), 422, "invalid_request")
        assert problem["errors"][0]["field"] == f"query.{name}"
    assert service.left_behind() == []


@pytest.fixture
def keyed(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """Service with API keys."""
    with service_on(side_name, tmp_path, keyring=KEYRING) as made:
        yield made


@pytest.mark.parametrize("send", SENDERS)
def test_an_admin_names_the_owner(keyed: Service, send: Send) -> None:
    for owner in ("ann", "user-17@example.org", "anonymous"):
        answer = send(keyed, {"owner": owner}, headers=bearer(ADMIN))
        assert record(keyed, answer).owner == owner
    assert record(keyed, send(keyed, {"owner": "root"}, headers=bearer(ADMIN))).owner == "root"
    if send is not send_ticket:
        again = send(keyed, {"owner": "ann"}, headers=bearer(ADMIN))
        assert (again.status_code, again.json()["owner"], again.json()["duplicate"]) == (200, "ann", True)
        listed = keyed.client.get("/images", headers=bearer(ANN)).json()["items"]
        assert [item["id"] for item in listed] == [again.json()["id"]]


def test_an_admin_waits_for_the_image_of_another_owner(keyed: Service) -> None:
    answer = send_json(keyed, {"owner": "ann"}, headers=bearer(ADMIN), params={"wait": 1})
    assert (answer.status_code, answer.json()["owner"], answer.json()["status"]) == (201, "ann", "pending")


@pytest.mark.parametrize("send", SENDERS)
def test_others_upload_for_themselves_only(keyed: Service, send: Send) -> None:
    for key in (ANN, KEYS["upload"]):
        answers = [send(keyed, {"owner": owner}, headers=bearer(key)) for owner in ("bob", "root", "anonymous", "zoe")]
        problems = [assert_problem(answer, 403, "scope_missing") for answer in answers]
        assert {problem["scope"] for problem in problems} == {"admin"}
        assert len({problem["detail"] for problem in problems}) == 1
    assert keyed.side.objects() == set()
    assert record(keyed, send(keyed, {"owner": "ann"}, headers=bearer(ANN))).owner == "ann"


@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.parametrize("owner", ["", " ", "a b", "-a", "a#b", "é", "x" * 129, "ann\n"])
@pytest.mark.sampled(4)
def test_names_that_no_owner_can_have_are_refused(keyed: Service, send: Send, owner: str) -> None:
    for key in (ADMIN, ANN) if owner else (ADMIN,):
        problem = assert_problem(send(keyed, {"owner": owner}, headers=bearer(key)), 422, "bad_owner")
        assert problem["found"] == owner[:80]
    assert keyed.side.objects() == set()


@pytest.mark.parametrize("send", SENDERS)
def test_an_empty_owner_is_the_caller_unless_that_is_an_admin(keyed: Service, send: Send) -> None:
    """Forms send a field that nobody has filled in."""
    assert record(keyed, send(keyed, {"owner": ""}, headers=bearer(ANN))).owner == "ann"
