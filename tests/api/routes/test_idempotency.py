"""`Idempotency-Key` over HTTP: the same answers on every side."""

import base64
import hashlib
import io
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.access.api_keys import Scope, new_key
from app.domain.access.keyring import Keyring
from app.domain.ids import new_id
from app.domain.keys import original_key
from app.domain.models import ANONYMOUS, Image, utcnow
from app.domain.uploads.idempotency import KEY_LIFE, LEASE, KeyEntry, Operation
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import Service, service_on
from tests.contract.races import race
from tests.samples import encoded
from tests.tiers import smoke

BODY = encoded("JPEG", 90, 60, seed=78)
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def send(
    service: Service, key: str | None = KEY, body: bytes = BODY, path: str = "/upload", **data: Any
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return service.client.post(path, files={"file": ("p.jpg", body, "image/jpeg")}, data=data, headers=headers)


def ask(service: Service, key: str = KEY, **fields: Any) -> httpx.Response:
    wanted = {"filename": "p.jpg", "content_type": "image/jpeg", "bytes": len(BODY)} | fields
    return service.client.post("/upload/direct", json=wanted, headers={"Idempotency-Key": key})


def seen(answer: httpx.Response) -> tuple[int, str, bool]:
    """Status, id of the image, and True for the answer to a repetition."""
    replayed = answer.headers.get("idempotency-replayed")
    assert replayed in {None, "true"}
    return answer.status_code, answer.json()["id"], replayed is not None


def interrupt(service: Service, key: str = KEY, *, seconds: float) -> KeyEntry:
    """Make the last request with this key one in progress, whose lease ends in that many seconds."""
    now = utcnow()
    probe = KeyEntry(
        owner=ANONYMOUS, key=key, operation=Operation.UPLOAD, fingerprint="", image_id="", attempt=new_id(),
        leased_until=now + LEASE, expires_at=now + KEY_LIFE,
    )  # fmt: skip
    entry = service.side.idempotency_keys.create(probe)
    assert entry is not None
    changes = {"finished": False, "leased_until": now + timedelta(seconds=seconds)}
    assert service.side.idempotency_keys.replace(entry, entry.model_copy(update=changes))
    return entry


@pytest.mark.moto
def test_a_repeated_upload_is_answered_with_the_record_as_it_is_now(service: Service) -> None:
    first = send(service, title="T")
    assert first.status_code == 201
    image_id = first.json()["id"]
    assert "idempotency-replayed" not in first.headers
    service.client.patch(f"/images/{image_id}", json={"title": "New"})
    again = send(service, title="T")
    assert seen(again) == (201, image_id, True)
    assert (again.json()["title"], again.json()["duplicate"]) == ("New", False)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] != first.headers["etag"]
    assert service.side.objects() == {original_key(image_id)}


def test_a_repeated_upload_of_known_bytes_is_a_duplicate_again(service: Service) -> None:
    image_id = send(service, None).json()["id"]
    for repeated in (False, True):
        answer = send(service)
        assert seen(answer) == (200, image_id, repeated)
        assert answer.json()["duplicate"] is True


def test_a_repeated_upload_makes_one_copy(service: Service) -> None:
    first = send(service, None).json()["id"]
    copies = [seen(send(service, path="/upload?on_duplicate=create")) for _ in range(3)]
    image_id = copies[0][1]
    assert copies == [(201, image_id, False), (201, image_id, True), (201, image_id, True)]
    assert service.side.objects() == {original_key(first), original_key(image_id)}


def test_all_bodies_of_the_same_upload_are_the_same_request(service: Service) -> None:
    image_id = send(service, title="T", tags="a,b").json()["id"]
    headers = {"Idempotency-Key": KEY}
    fields = {"title": "T", "tags": ["a", "b"], "filename": "p.jpg"}
    in_json = {**fields, "image_base64": base64.b64encode(BODY).decode(), "content_type": "image/jpeg"}
    raw = {"params": fields, "content": BODY, "headers": headers | {"Content-Type": "image/jpeg"}}
    for answer in (
        send(service, path="/upload/form", title="T", tags=["a", "b"]),
        send(service, path="/upload?wait=0&on_duplicate=reuse", title=" T ", tags="a,b", caption="ignored"),
        service.client.post("/upload/json", json=in_json, headers=headers),
        service.client.post("/upload/raw", **raw),  # type: ignore[arg-type] # arguments by name
    ):
        assert seen(answer) == (201, image_id, True)


@pytest.mark.parametrize(
    "other", [{"title": "T"}, {"body": encoded("JPEG", 90, 60, seed=79)}, {"path": "/upload?on_duplicate=create"}]
)
def test_a_key_of_another_upload_is_refused(service: Service, other: dict[str, Any]) -> None:
    image_id = send(service).json()["id"]
    problem = assert_problem(send(service, **other), 422, "idempotency_key_reused")
    assert "new key" in problem["detail"]
    assert_problem(ask(service), 422, "idempotency_key_reused")
    assert service.side.objects() == {original_key(image_id)}
    assert seen(send(service)) == (201, image_id, True)


@pytest.mark.parametrize("spelled", [f'"{KEY}"', f"  {KEY}  "])
def test_a_quoted_key_is_the_same_key(service: Service, spelled: str) -> None:
    image_id = send(service).json()["id"]
    assert seen(send(service, spelled)) == (201, image_id, True)


def test_escaped_characters_of_a_quoted_key_count_once(service: Service) -> None:
    image_id = send(service, 'a\\"b').json()["id"]
    assert seen(send(service, '"a\\\\\\"b"')) == (201, image_id, True)
    assert send(service, '"a,b"').status_code == 200
    longest = "~" * 255
    assert [send(service, key).status_code for key in (longest, f'"{longest}"', "~")] == [200, 200, 200]


MALFORMED = ["", " ", '""', "a b", '"a b"', "a,b", '"a", "b"', '"a', '"a"b', '"a";p=1', '"\\a"', "~" * 256, "é", "\x01"]


def test_a_malformed_key_is_refused_before_the_body_is_read(service: Service) -> None:
    for key in MALFORMED:
        headers = [(b"Idempotency-Key", key.encode())]
        for answer in (
            service.client.post("/upload", content=b"\xff", headers=headers),
            service.client.post("/upload/direct", content=b"{}", headers=headers),
        ):
            assert assert_problem(answer, 400, "bad_idempotency_key")["limit"] == 255
    assert service.left_behind() == []


def test_two_keys_are_refused(service: Service) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a"), ("Content-Type", "image/jpeg")]
    assert_problem(service.client.post("/upload", content=BODY, headers=headers), 400, "bad_idempotency_key")


def test_a_refused_request_does_not_use_the_key(service: Service) -> None:
    assert_problem(send(service, body=b"no image"), 415, "unsupported_type")
    assert_problem(send(service, title="x" * 201), 422, "too_long")
    assert send(service).status_code == 201
    assert_problem(ask(service, "t", content_type="image/svg+xml"), 415, "unsupported_type")
    assert ask(service, "t").status_code == 201


def test_a_request_in_progress_is_refused_until_its_lease_ends(service: Service) -> None:
    image_id = send(service).json()["id"]
    interrupt(service, seconds=30)
    refused = send(service)
    assert_problem(refused, 409, "request_in_progress")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    interrupt(service, seconds=-1)
    assert seen(send(service)) == (201, image_id, False)
    assert seen(send(service)) == (201, image_id, True)


@pytest.mark.parametrize("left", ["nothing", "a record", "a record and bytes"])
def test_a_request_that_ended_early_is_finished_with_the_same_id(service: Service, left: str) -> None:
    image_id = send(service).json()["id"]
    if left != "a record and bytes":
        service.side.store.delete(original_key(image_id))
    if left == "nothing":
        service.side.images.remove(image_id, 1)
    interrupt(service, seconds=-1)
    assert seen(send(service)) == (201, image_id, False)
    assert service.original(image_id) == BODY
    found = service.side.images.get(image_id)
    assert isinstance(found, Image)
    assert found.version == 2  # nobody can withdraw it any more


def test_a_deleted_image_is_not_uploaded_again(service: Service) -> None:
    for make in (send, ask):
        key = make.__name__
        image_id = make(service, key).json()["id"]  # type: ignore[operator] # both take a key
        service.client.delete(f"/images/{image_id}")
        problem = assert_problem(make(service, key), 410, "idempotent_image_deleted")  # type: ignore[operator] # both take a key
        assert "new key" in problem["detail"]


@pytest.mark.parametrize("fields", [{}, {"sha256": "ab" * 32}])
def test_a_repeated_ticket_request_gets_the_ticket_and_then_the_record(
    service: Service, fields: dict[str, Any]
) -> None:
    first = ask(service, **fields)
    image_id = first.json()["id"]
    again = ask(service, **fields)
    assert seen(again) == (201, image_id, True)
    assert (again.json()["method"], again.json()["headers"]) == (first.json()["method"], first.json()["headers"])
    assert original_key(image_id) in again.json()["url"]
    assert service.side.unfinished() == [image_id]
    service.side.store.put(original_key(image_id), io.BytesIO(BODY), size=len(BODY), content_type="image/jpeg")
    arrived = ask(service, **fields)
    assert seen(arrived) == (200, image_id, True)
    assert arrived.json()["status"] == "pending"
    assert_problem(ask(service, bytes=1), 422, "idempotency_key_reused")
    assert_problem(send(service), 422, "idempotency_key_reused")


def test_a_repeated_ticket_request_is_recognized_beside_one_with_other_fields(service: Service) -> None:
    sha256 = hashlib.sha256(BODY).hexdigest()
    first = ask(service, sha256=sha256, title="one").json()["id"]
    other = ask(service, "another-key", sha256=sha256, title="two").json()["id"]
    assert other != first
    assert seen(ask(service, sha256=sha256, title="one")) == (201, first, True)
    assert seen(ask(service, "another-key", sha256=sha256, title="two")) == (201, other, True)


@pytest.mark.parametrize("racers", smoke([64], fast=0) + smoke([8]))
@pytest.mark.moto
def test_racing_uploads_with_one_key_make_one_image(service: Service, racers: int) -> None:
    answers = race(lambda _: send(service), racers=racers)
    statuses: dict[int, set[str]] = {}
    for answer in answers:
        assert isinstance(answer, httpx.Response)
        if answer.status_code == 409:
            assert_problem(answer, 409, "request_in_progress")
        statuses.setdefault(answer.status_code, set()).add(answer.json().get("id", ""))
    assert statuses.keys() <= {201, 409}
    (image_id,) = statuses[201]
    assert seen(send(service)) == (201, image_id, True)
    assert service.side.objects() == {original_key(image_id)}
    assert [image["id"] for image in service.client.get("/images").json()["items"]] == [image_id]


def test_the_log_contains_no_key(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="app")
    for _ in range(2):
        send(service)
        ask(service, f"{KEY}-t")
    send(service, title="T")
    assert "/upload" in str([record.__dict__ for record in caplog.records])
    assert KEY not in str([record.__dict__ for record in caplog.records])


ADMIN, ANN = new_key("root", [Scope.ADMIN]), new_key("ann", [Scope.UPLOAD])


@pytest.fixture
def with_keys(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """API that requires API keys."""
    with service_on(side_name, tmp_path, keyring=Keyring([ADMIN[1], ANN[1]])) as made:
        yield made


def test_an_idempotency_key_belongs_to_the_owner_of_the_image(with_keys: Service) -> None:
    def sent(key: tuple[str, object], body: bytes = BODY, **data: Any) -> httpx.Response:
        headers = {"Idempotency-Key": KEY, "Authorization": f"Bearer {key[0]}"}
        return with_keys.client.post("/upload", files={"file": ("p.jpg", body)}, data=data, headers=headers)

    hers = sent(ANN)
    assert seen(sent(ADMIN, owner="ann")) == (201, hers.json()["id"], True)
    assert seen(sent(ADMIN))[0] == 201
    other = sent(ADMIN, owner="bob", body=encoded("JPEG", 90, 60, seed=80))
    assert (other.status_code, other.json()["owner"]) == (201, "bob")
    headers = {"Idempotency-Key": "a b"}
    assert_problem(with_keys.client.post("/upload", content=BODY, headers=headers), 401, "key_missing")
