"""Upload tickets over HTTP, and uploads to the store: the same responses from every store."""

import base64
import hashlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.api.routes import tickets
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.models import utcnow
from app.domain.uploads import grants
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import LIMITS, Service, service_on
from tests.contract.records import an_image
from tests.samples import encoded

BODY = encoded("JPEG", 90, 60, seed=77)
SHA256 = hashlib.sha256(BODY).hexdigest()
Send = Callable[..., httpx.Response]


def ask(service: Service, **fields: Any) -> httpx.Response:
    wanted = {"filename": "p.jpg", "content_type": "image/jpeg", "bytes": len(BODY), "sha256": SHA256} | fields
    return service.client.post("/upload/direct", json={k: v for k, v in wanted.items() if v is not None})


def ticket_of(service: Service, **fields: Any) -> dict[str, Any]:
    answer = ask(service, **fields)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].endswith(f"/images/{answer.json()['id']}")
    ticket: dict[str, Any] = answer.json()
    return ticket


@pytest.fixture
def send(service: Service) -> Send:
    """Upload the bytes of a ticket to its store. Moto checks nothing."""

    def sending(ticket: dict[str, Any], body: bytes = BODY, **changes: str | None) -> httpx.Response:
        headers = {**ticket["headers"], **{name.replace("_", "-"): value for name, value in changes.items()}}
        kept = {name: value for name, value in headers.items() if value is not None}
        if urlsplit(ticket["url"]).netloc:
            return httpx.put(ticket["url"], content=body, headers=kept)
        return service.client.put(ticket["url"], content=body, headers=kept)

    return sending


def checks_grants(service: Service) -> bool:
    """Return True if the store checks uploads against the ticket; moto does not."""
    return "amazonaws.com" not in ask(service, sha256=None).json()["url"]


def test_a_ticket_is_used_and_its_event_follows(service: Service, send: Send) -> None:
    if not checks_grants(service):
        return
    for message in service.side.queue.receive(10):
        service.side.queue.delete(message.receipt)
    ticket = ticket_of(service)
    assert ticket["method"] == "PUT"
    assert ticket["headers"] == {
        "Content-Type": "image/jpeg",
        "If-None-Match": "*",
        "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(SHA256)).decode(),
    }
    record = service.client.get(f"/images/{ticket['id']}").json()
    assert (record["status"], record["bytes"], record["filename"]) == ("pending", len(BODY), "p.jpg")
    assert record["upload_expires_at"] is not None
    assert service.client.get("/images").json()["items"] == []
    assert_problem(service.client.get(f"/images/{ticket['id']}/original"), 409, "not_ready")
    assert send(ticket).status_code == 200
    assert service.original(ticket["id"]) == BODY
    if not urlsplit(ticket["url"]).netloc:
        (message,) = service.side.queue.receive(10)
        assert original_key(ticket["id"]) in message.body


#: Changes of the upload, the status, and a part of the self-hosted server's sentence about it.
REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "longer": ({"body": BODY + b"x"}, 403, f"(found in Content-Length: '{len(BODY) + 1}')"),
    "shorter": ({"body": BODY[:-1]}, 403, f"The ticket is for {len(BODY):,} bytes "),
    "nothing": ({"body": b""}, 403, "(found in Content-Length: '0')"),
    "another type": ({"Content_Type": "text/html"}, 403, "`Content-Type: image/jpeg` (found: 'text/html')"),
    "no type": ({"Content_Type": None}, 403, "`Content-Type: image/jpeg` (found: none)"),
    "may overwrite": ({"If_None_Match": None}, 403, "`If-None-Match: *` (found: none)"),
    "no checksum": ({"x_amz_checksum_sha256": None}, 403, "`x-amz-checksum-sha256: "),
    "another checksum": ({"x_amz_checksum_sha256": base64.b64encode(b"\0" * 32).decode()}, 403, "(found: 'AAAAAAA"),
    "other bytes": ({"body": BODY[:-1] + b"x"}, 400, "Send the announced file, or request another ticket."),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_the_store_accepts_only_what_the_ticket_grants(service: Service, send: Send, what: str) -> None:
    if not checks_grants(service):
        return
    changes, status, sentence = REFUSALS[what]
    ticket = ticket_of(service)
    answer = send(ticket, **changes)
    assert answer.status_code == status
    if service.self_hosted:
        assert sentence in answer.json()["detail"]
    assert service.side.objects() == set()
    assert send(ticket).status_code == 200  # the valid request still works


def test_a_ticket_is_valid_once(service: Service, send: Send) -> None:
    if not checks_grants(service):
        return
    ticket = ticket_of(service)
    assert send(ticket).status_code == 200
    problem = assert_problem(send(ticket), 412, "already_there") if service.self_hosted else {}
    if problem:
        assert (problem["image_id"], f"GET /images/{ticket['id']}" in problem["detail"]) == (ticket["id"], True)
    assert send(ticket).status_code == 412
    other = ticket_of(service, sha256=None)
    changed = BODY[:-1] + b"x"
    assert send(other).status_code == 200
    assert send(other, body=changed).status_code == 412
    assert service.original(other["id"]) == BODY


def test_an_altered_url_and_another_images_are_refused(service: Service, send: Send) -> None:
    if not checks_grants(service):
        return
    ticket, other = ticket_of(service), ticket_of(service, title="Other")
    for url in (
        ticket["url"].replace(ticket["id"], other["id"]),
        ticket["url"].replace("originals", "processed"),
        ticket["url"][:-1] + ("A" if ticket["url"][-1] != "A" else "B"),
        ticket["url"].partition("?")[0],
    ):
        assert send({**ticket, "url": url}).status_code in {403, 404}
    assert service.side.objects() == set()


def test_an_expired_ticket_is_refused(self_hosted: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = ticket_of(self_hosted)
    later = utcnow() + grants.timedelta(seconds=301)
    monkeypatch.setattr(grants, "utcnow", lambda: later)
    answer = self_hosted.client.put(ticket["url"], content=BODY, headers=ticket["headers"])
    assert_problem(answer, 403, "url_expired")


@pytest.mark.parametrize("how", ["deleted", "given up"])
def test_a_ticket_that_has_ended_is_refused_with_410_and_stores_nothing(self_hosted: Service, how: str) -> None:
    ticket = ticket_of(self_hosted)
    if how == "deleted":
        assert self_hosted.client.delete(f"/images/{ticket['id']}").status_code == 204
    else:
        self_hosted.side.images.remove(ticket["id"], 1)
    answer = self_hosted.client.put(ticket["url"], content=BODY, headers=ticket["headers"])
    problem = assert_problem(answer, 410, "ticket_gone")
    assert "POST /upload/direct" in problem["detail"]
    assert self_hosted.side.objects() == set()
    assert self_hosted.client.get(f"/images/{ticket['id']}").status_code == 404
    assert ticket_of(self_hosted)["id"] != ticket["id"]


def test_an_owner_has_a_limited_number_of_open_tickets(side_name: str, tmp_path: Path) -> None:
    limits = LIMITS._replace(max_open_tickets=3)
    with service_on(side_name, tmp_path, limits=limits) as service:
        tickets = [ticket_of(service, sha256=None) for _ in range(3)]
        refused = ask(service, sha256=None)
        problem = assert_problem(refused, 429, "too_many_tickets")
        assert (problem["limit"], int(refused.headers["retry-after"]) > 0) == (3, True)
        assert "3 upload tickets" in problem["detail"]
        assert service.client.get("/limits").json()["max_open_tickets"] == 3
        assert set(service.side.unfinished()) == {ticket["id"] for ticket in tickets}  # nothing else
        assert service.client.post("/upload", files={"file": ("p.jpg", BODY)}).status_code == 201
        service.client.delete(f"/images/{tickets[0]['id']}")
        assert eventually_issued(service)
        assert_problem(ask(service, sha256=None), 429, "too_many_tickets")


def eventually_issued(service: Service) -> dict[str, Any]:
    """Request a ticket when the index has caught up."""
    for _ in range(100):
        answer = ask(service, sha256=None)
        if answer.status_code == 201:
            break
        time.sleep(0.05)
    assert answer.status_code == 201
    ticket: dict[str, Any] = answer.json()
    return ticket


def test_a_used_ticket_does_not_count_as_open_while_its_image_is_pending(tmp_path: Path) -> None:
    limits = LIMITS._replace(max_open_tickets=1)
    with service_on("self-hosted", tmp_path, limits=limits) as service:
        for number in range(5):
            body = encoded("JPEG", 90, 60, seed=number)
            ticket = ticket_of(service, sha256=None, bytes=len(body))
            assert service.client.put(ticket["url"], content=body, headers=ticket["headers"]).status_code == 200
        assert len(set(service.side.unfinished())) == 5


def test_open_tickets_count_per_owner(tmp_path: Path) -> None:
    limits = LIMITS._replace(max_open_tickets=1)
    with service_on("self-hosted", tmp_path, limits=limits) as service:
        other = an_image(owner="other", upload_expires_at=utcnow() + grants.timedelta(days=1))
        service.side.images.create(other, claim=False)
        ticket_of(service, sha256=None)
        assert_problem(ask(service, sha256=None), 429, "too_many_tickets")


def test_the_same_request_returns_the_open_ticket_with_a_new_url(tmp_path: Path, side_name: str) -> None:
    limits = LIMITS._replace(max_open_tickets=2)
    with service_on(side_name, tmp_path, limits=limits) as service:
        wanted: dict[str, Any] = {"title": "T", "tags": ["a"], "metadata": {"k": "v"}, "visibility": "public"}
        first = ticket_of(service, **wanted)
        again = ticket_of(service, **wanted | {"sha256": SHA256.upper(), "tags": "a", "title": " T "})
        assert {name: again[name] for name in ("id", "method", "headers")} == {
            name: first[name] for name in ("id", "method", "headers")
        }
        assert again["expires_at"] >= first["expires_at"]
        assert service.side.unfinished() == [first["id"]]
        other = ticket_of(service, **wanted | {"title": "Other"})
        assert other["id"] != first["id"]
        refused = assert_problem(eventually_refused(service), 429, "too_many_tickets")
        assert refused["limit"] == 2
        assert ticket_of(service, **wanted | {"title": "Other"})["id"] == other["id"]  # it does not count again


def eventually_refused(service: Service) -> httpx.Response:
    """Request a ticket for other bytes when the index has caught up."""
    for _ in range(100):
        answer = ask(service, sha256="ab" * 32)
        if answer.status_code != 201:
            break
        service.client.delete(f"/images/{answer.json()['id']}")
        time.sleep(0.05)
    return answer


def test_the_same_request_returns_the_record_once_the_bytes_have_arrived(service: Service) -> None:
    ticket = ticket_of(service)
    service.side.store.put(original_key(ticket["id"]), io.BytesIO(BODY), size=len(BODY), content_type="image/jpeg")
    for _ in range(2):
        answer = ask(service)
        assert (answer.status_code, answer.json()["id"], answer.json()["duplicate"]) == (200, ticket["id"], True)
        assert (answer.json()["status"], answer.headers["location"].endswith(ticket["id"])) == ("pending", True)
    assert "arrived_at" not in answer.json()
    assert ticket_of(service, title="Other")["id"] != ticket["id"]


def test_known_bytes_need_no_ticket(service: Service) -> None:
    image = service.place(seed=77)
    answer = ask(service, sha256=image.sha256)
    assert (answer.status_code, answer.json()["id"], answer.json()["duplicate"]) == (200, image.id, True)
    assert answer.headers["location"].endswith(image.id)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"bytes": LIMITS.max_direct_bytes + 1}, 413, "too_large"),
        ({"content_type": "image/svg+xml"}, 415, "unsupported_type"),
        ({"content_type": "text/html"}, 415, "unsupported_type"),
        ({"content_type": "../../x\r\n"}, 415, "unsupported_type"),
        ({"content_type": "application/pdf"}, 415, "unsupported_type"),
        ({"content_type": "", "filename": "notes.txt"}, 415, "unsupported_type"),
        ({"content_type": "application/octet-stream", "filename": None}, 415, "unsupported_type"),
        ({"bytes": 0}, 422, "out_of_range"),
        ({"bytes": -1}, 422, "out_of_range"),
        ({"bytes": -1.0}, 422, "out_of_range"),
        ({"bytes": "12"}, 422, "wrong_type"),
        ({"bytes": 1.5}, 422, "wrong_type"),
        ({"bytes": True}, 422, "wrong_type"),
        ({"bytes": [1]}, 422, "wrong_type"),
        ({"bytes": None}, 422, "missing_field"),
        ({"content_type": None, "filename": None}, 422, "missing_field"),
        ({"content_type": 5}, 422, "wrong_type"),
        ({"sha256": "ab"}, 422, "bad_sha256"),
        ({"sha256": SHA256 + "\n"}, 422, "bad_sha256"),
        ({"sha256": "\u0661" * 64}, 422, "bad_sha256"),
        ({"sha256": 5}, 422, "wrong_type"),
        ({"filename": ["a"]}, 422, "wrong_type"),
        ({"id": "mine"}, 422, "unknown_field"),
        ({"owner": "root"}, 403, "scope_missing"),
        ({"owner": "a b"}, 422, "bad_owner"),
        ({"owner": 5}, 422, "wrong_type"),
        ({"title": "x" * 201}, 422, "too_long"),
        ({"title": "a\0b"}, 422, "control_character"),
        ({"title": {}}, 422, "wrong_type"),
        ({"tags": [str(n) for n in range(21)]}, 422, "too_long"),
        ({"tags": [1]}, 422, "wrong_type"),
        ({"tags": {}}, 422, "wrong_type"),
        ({"tags": False}, 422, "wrong_type"),
    ],
)
@pytest.mark.sampled(4)
def test_invalid_ticket_requests_are_refused(service: Service, fields: dict[str, Any], status: int, code: str) -> None:
    problem = assert_problem(ask(service, **fields), status, code)
    if code == "too_large":
        assert problem["limit_bytes"] == LIMITS.max_direct_bytes
        assert problem["declared_bytes"] == LIMITS.max_direct_bytes + 1
    assert service.left_behind() == []


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"content_type": "image/jpg"}, {"content_type": "image/jpeg", "declared_content_type": "image/jpg"}),
        ({"content_type": "IMAGE/JPEG; q=1"}, {"content_type": "image/jpeg", "declared_content_type": "image/jpeg"}),
        ({"content_type": "image/pjpeg"}, {"content_type": "image/jpeg"}),
        ({"content_type": "image/x-png"}, {"content_type": "image/png"}),
        ({"content_type": "image/x-ms-bmp"}, {"content_type": "image/bmp"}),
        ({"content_type": "", "filename": "IMG_1.HEIC"}, {"content_type": "image/heic", "filename": "IMG_1.HEIC"}),
        (
            {"content_type": None, "filename": "a.tif"},
            {"content_type": "image/tiff", "declared_content_type": "image/tiff"},
        ),
        ({"content_type": "application/octet-stream"}, {"content_type": "image/jpeg"}),
        ({"bytes": float(len(BODY))}, {"bytes": len(BODY)}),
        ({"sha256": SHA256.upper()}, {"sha256": SHA256}),
        ({"tags": "sea, sky"}, {"tags": ["sea", "sky"]}),
        ({"filename": "x" * 5001 + ".jpg"}, {"title": None}),
        ({"title": " A  title\n"}, {"title": "A  title"}),
    ],
)
def test_ticket_requests_are_parsed_like_uploads(
    service: Service, fields: dict[str, Any], stored: dict[str, Any]
) -> None:
    ticket = ticket_of(service, **fields)
    record = service.client.get(f"/images/{ticket['id']}").json()
    assert {name: record[name] for name in stored} == stored
    assert ticket["headers"]["Content-Type"] == record["content_type"]


def test_null_members_count_as_absent(service: Service) -> None:
    wanted = {"bytes": 5, "content_type": "image/png"}
    nothing = dict.fromkeys(("sha256", "filename", "title", "alt", "tags"))
    answer = service.client.post("/upload/direct", json=wanted | nothing)
    record = service.client.get(f"/images/{answer.json()['id']}").json()
    assert (record["sha256"], record["filename"], record["title"], record["tags"]) == (None, None, None, [])
    body = {"image_base64": base64.b64encode(BODY).decode(), "content_type": None} | nothing
    del body["sha256"]
    assert service.client.post("/upload", json=body).status_code == 201


@pytest.mark.parametrize(
    "members",
    [
        '"owner": "root"', '"owner": 5', '"metadata": []', '"metadata": {"a b": "c"}',
        '"metadata": {"a": 1}', f'"metadata": {{"a": "{"x" * 2048}"}}', '"metadata": {"a": "\\u0000"}',
        '"metadata": {"a": "b", "a": "c"}', '"focal_point": "0.5,0.5"', '"focal_point": {"x": 0.5}',
        '"focal_point": {"x": 0.5, "y": 1.01}', '"focal_point": {"x": 0.5, "y": 1e999}', '"focal_point": {"z": 0}',
        '"focal_point": {"x": 0.5, "y": true}', '"visibility": "hidden"', '"visibility": ""', '"visibility": true',
        '"title": 5', '"title": {"a": 1}', '"alt": true', '"tags": [1]', '"tags": {}', '"tags": 0',
        '"filename": ["a"]', '"content_type": 5', f'"title": "{"x" * 201}"', '"title": "\\u0000"', '"title": "\\ud800"',
        '"title": NaN', '"title": "a", "title": "b"', '"title": ' + "[" * 40 + "]" * 40, '"title"',
        f'"tags": "{"x" * 65}"',
    ],
)  # fmt: skip
@pytest.mark.sampled(4)
def test_tickets_and_uploads_refuse_the_same_members(service: Service, members: str) -> None:
    headers = {"Content-Type": "application/json"}
    encoded_body = base64.b64encode(BODY).decode()
    ticket = f'{{"bytes": 5, "sha256": null, {members}}}'
    ticket = ticket if "content_type" in members else ticket.replace('"bytes"', '"content_type": "image/png", "bytes"')
    one = service.client.post("/upload/direct", content=ticket, headers=headers)
    two = service.client.post("/upload", content=f'{{"image_base64": "{encoded_body}", {members}}}', headers=headers)
    assert one.status_code == two.status_code >= 400
    assert one.json()["code"] == two.json()["code"]
    if one.json()["code"] not in {"unknown_field", "bad_json"}:  # whose details differ
        assert one.json()["detail"] == two.json()["detail"]
    assert service.left_behind() == []


@pytest.mark.parametrize("given", ["", "image/svg+xml", "../x"])
def test_a_type_that_is_not_accepted_is_quoted(service: Service, given: str) -> None:
    problem = assert_problem(ask(service, content_type=given, filename="x"), 415, "unsupported_type")
    assert problem["detail"].startswith(f"Unsupported image format (found: '{given}'). Accepted: JPEG, PNG, ")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty_body"),
        (b"{", 400, "bad_json"),
        (b"[" * 10_000, 400, "too_deep"),
        (b'{"tags": ' + b'["[{", ' * 8_000, 400, "too_deep"),
        (b'{"bytes": 5, "content_type": "image/jpeg", "bytes": 50}', 400, "duplicate_field"),
        (b'{"bytes": 5, "content_type": "image/jpeg", "content_t\\u0079pe": "image/png"}', 400, "duplicate_field"),
        (b'{"bytes": NaN}', 400, "bad_json"),
        (b'{"bytes": ' + b"9" * 5000 + b"}", 400, "bad_json"),
        (b'{"bytes": 1e300, "content_type": "image/jpeg"}', 413, "too_large"),
        (b'{"bytes": 1e999, "content_type": "image/jpeg"}', 422, "wrong_type"),
        (b"\xff\xfe", 400, "bad_json"),
        (b"[]", 422, "wrong_type"),
        (b'{"filename": "' + b"x" * 70_000 + b'"}', 413, "body_too_large"),
    ],
)
@pytest.mark.sampled(4)
def test_unreadable_bodies_are_refused(service: Service, body: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}
    started = time.process_time()
    assert_problem(service.client.post("/upload/direct", content=body, headers=headers), status, code)
    assert time.process_time() - started < 1
    assert_problem(service.client.post("/upload/direct", content=b"{}"), 415, "unsupported_body")
    assert service.left_behind() == []


def test_many_quotes_and_backslashes_are_parsed_fast(service: Service) -> None:
    headers = {"Content-Type": "application/json"}
    started = time.process_time()
    for body in (b'\\"' * 32_000, b'"' * 64_000, b'"' + b"\\" * 64_000):
        assert_problem(service.client.post("/upload/direct", content=body, headers=headers), 400, "bad_json")
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        ('"bytes": -1', "`bytes` must be at least 1 (found: -1)."),
        ('"bytes": "12"', '`bytes` must be a whole number (found: "12").'),
        (f'"bytes": -{"9" * 4000}', "`bytes` must be at least 1 (found: a number of many digits)."),
        ('"title": null', "`bytes` is required: the size of the image in bytes."),
        (f'"bytes": 1, "sha256": "{"X" * 200}"', f"`sha256` must be 64 hexadecimal digits (found: '{'X' * 80}')."),
        ('"bytes": 1, "password": "secret"', f"Unknown field 'password'. Accepted: {', '.join(tickets.FIELDS)}."),
        ('"bytes": 1, "tags": 7', "`tags` must be a list of strings (found: 7)."),
        ('"bytes": 1, "title": 7', "`title` must be a string (found: 7)."),
    ],
)
def test_invalid_members_are_refused_with_field_and_value(service: Service, members: str, detail: str) -> None:
    headers = {"Content-Type": "application/json"}
    body = f'{{"content_type": "image/png", {members}}}'
    answer = service.client.post("/upload/direct", content=body, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)
    assert "secret" not in answer.text


def test_an_image_too_large_for_upload_is_referred_to_tickets(service: Service) -> None:
    assert Limits().max_direct_bytes >= Limits().max_upload_bytes
    answer = service.client.post("/upload", files={"file": b"\xff\xd8\xff" + b"x" * LIMITS.max_upload_bytes})
    assert assert_problem(answer, 413, "too_large")["direct_upload"] == "/upload/direct"
