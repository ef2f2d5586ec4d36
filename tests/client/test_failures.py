"""Failures of the network and of the service: further attempts, none that doubles, and an error for each."""

import gzip
import hashlib
import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import darkroom
from darkroom import Client, DarkroomError, connection
from darkroom.records import Image

URL = "http://images.test"
KEY = "dk_not_to_be_seen"
LIMITS = {"max_upload_bytes": 100, "max_direct_bytes": 10_000}
RECORD = {"id": "01a2", "status": "ready"}

Answer = Callable[[httpx.Request], httpx.Response]


class Service(httpx.BaseTransport):
    """Transport with an answer for each request, in their order; the last one is given again."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(request)
        status, document, *headers = answer if isinstance(answer, tuple) else (200, answer)
        problem = {"content-type": "application/problem+json"} if status >= 400 else {}
        return httpx.Response(status, json=document, headers={**problem, **(headers[0] if headers else {})})

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses that the client makes, which take no time."""
    made: list[float] = []
    monkeypatch.setattr(connection.Connection, "pause", lambda _, seconds: made.append(seconds))
    return made


def client_of(*answers: Any, **options: Any) -> tuple[Client, Service]:
    service = Service(*answers)
    return Client(URL, KEY, transport=service, **options), service


def problem(status: int, code: str, **members: Any) -> tuple[int, dict[str, Any]]:
    return status, {"status": status, "code": code, "detail": f"It is {code}.", "title": "-", **members}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "bad_cursor", darkroom.Refused),
        (401, "key_unknown", darkroom.NotAllowed),
        (403, "scope_missing", darkroom.NotAllowed),
        (404, "image_not_found", darkroom.NotFound),
        (409, "not_ready", darkroom.Conflict),
        (410, "image_deleted", darkroom.NotFound),
        (412, "version_mismatch", darkroom.Conflict),
        (413, "too_large", darkroom.Refused),
        (415, "unsupported_type", darkroom.Refused),
        (422, "too_long", darkroom.Refused),
        (429, "too_many_tickets", darkroom.ServerError),
        (507, "storage_full", darkroom.ServerError),
    ],
)
def test_each_refusal_is_an_error_of_its_kind_at_once(
    status: int, code: str, kind: type[DarkroomError], pauses: list[float]
) -> None:
    client, service = client_of(problem(status, code, field="title", measured=300, limit=200, request_id="r-1"))
    with pytest.raises(kind) as found:
        client.get("01a2")
    error = found.value
    assert type(error) is kind
    assert (error.status, error.code, error.field, error.value, error.limit) == (status, code, "title", 300, 200)
    assert (str(error), error.detail, error.request_id, error.title) == (f"It is {code}.", f"It is {code}.", "r-1", "-")
    assert error.problem["measured"] == 300
    assert (len(service.requests), pauses) == (1, [])


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_service_is_asked_again_after_a_growing_pause(status: int, pauses: list[float]) -> None:
    client, service = client_of(problem(status, "overloaded"), attempts=4)
    with pytest.raises(DarkroomError) as found:
        client.get("01a2")
    assert found.value.status == status
    assert len(service.requests) == 4
    assert len(pauses) == 3
    assert pauses[0] < pauses[1] < pauses[2] <= connection.LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(("given", "pause"), [("7", 7), ("86400", 60), ("soon", 0), ("-1", 0), ("١", 0)])
def test_retry_after_is_honored_within_bounds(given: str, pause: float, pauses: list[float]) -> None:
    headers = {"retry-after": given.encode()}
    client, _ = client_of((503, {"code": "unavailable"}, headers), RECORD)
    assert client.get("01a2").id == "01a2"
    assert max(pauses[0], 1) == max(pause, 1)


def test_a_lost_connection_is_no_error_if_a_later_attempt_succeeds() -> None:
    client, service = client_of(httpx.ReadError("reset"), httpx.RemoteProtocolError("ended"), RECORD)
    assert client.get("01a2").status == "ready"
    assert len(service.requests) == 3


def test_a_wait_may_have_no_end() -> None:
    pending = {**RECORD, "status": "pending"}
    client, service = client_of(pending, pending, RECORD)
    assert client.get("01a2", wait=math.inf).status == "ready"
    assert [request.url.params["wait"] for request in service.requests] == ["20"] * 3


def test_a_server_that_never_answered_is_given_up_soon(pauses: list[float]) -> None:
    refused = httpx.ConnectError("refused")
    refused.__cause__ = ConnectionRefusedError(111, "Connection refused")
    client, service = client_of(refused)
    with pytest.raises(darkroom.Unreachable) as found:
        client.limits()
    assert (found.value.address, found.value.cause) == (URL, "Connection refused")
    assert len(service.requests) == 2
    assert KEY not in str(found.value)


def test_a_server_that_has_answered_is_waited_for(pauses: list[float]) -> None:
    client, service = client_of(RECORD, *[httpx.ConnectError("refused")] * 3, RECORD)
    client.get("01a2")
    assert client.get("01a2").id == "01a2"
    assert len(service.requests) == 5


def test_a_conditional_edit_is_not_repeated_after_a_lost_answer() -> None:
    client, service = client_of(httpx.ReadError("reset"), RECORD)
    with pytest.raises(darkroom.Unreachable):
        client.edit("01a2", if_match=7, title="a")
    assert len(service.requests) == 1
    assert service.requests[0].headers["if-match"] == '"v7"'
    client, service = client_of(httpx.ConnectError("refused"), RECORD)
    client.edit("01a2", if_match=7, title="a")  # it has not arrived
    assert len(service.requests) == 2
    client, service = client_of(problem(503, "overloaded"), RECORD)
    client.edit("01a2", if_match=7, title="a")  # it was not begun
    assert len(service.requests) == 2
    client, service = client_of(problem(504, "-"), RECORD)
    with pytest.raises(darkroom.ServerError):
        client.edit("01a2", if_match=7, title="a")
    assert len(service.requests) == 1


def test_attempts_of_an_upload_have_the_same_key_and_body() -> None:
    client, service = client_of(
        {"known": {}}, LIMITS, httpx.ReadError("reset"), problem(503, "unavailable"), (201, RECORD), {"known": {}},
        (201, RECORD),
    )  # fmt: skip
    assert client.upload(b"GIF89a", title="a").id == "01a2"
    sent = service.requests[2:]
    assert [request.url.path for request in sent] == ["/upload"] * 3
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    assert client.upload(b"GIF89a", title="a").id == "01a2"
    assert service.requests[-1].headers["idempotency-key"] != sent[0].headers["idempotency-key"]


def test_an_upload_whose_first_attempt_is_still_running_waits_for_it(pauses: list[float]) -> None:
    running = problem(409, "request_in_progress")
    client, _ = client_of({"known": {}}, LIMITS, *[running] * 20, (201, RECORD))
    assert client.upload(b"GIF89a").id == "01a2"
    assert len(pauses) == 20


def large(*answers: Any) -> tuple[Client, Service]:
    return client_of({"known": {}}, LIMITS, *answers)


TICKET = (
    201,
    {
        "id": "01a2",
        "method": "PUT",
        "url": "http://bucket.test/originals/01a2",
        "headers": {"Content-Type": "image/gif"},
    },
)
STORED: tuple[int, dict[str, str]] = (200, {})
BYTES = b"GIF89a" + bytes(200)
SHA_OF_BYTES = hashlib.sha256(BYTES).hexdigest()


def test_a_large_image_goes_to_the_store_without_the_key() -> None:
    client, service = large(TICKET, STORED, RECORD)
    image = client.upload(BYTES, tags=["a"])
    assert (image.id, image.duplicate) == ("01a2", False)
    assert service.asked == [
        "POST /images/lookup",
        "GET /limits",
        "POST /upload/direct",
        "PUT /originals/01a2",
        "GET /images/01a2",
    ]
    put = service.requests[3]
    assert (put.url.host, put.headers["content-length"], put.read()) == ("bucket.test", "206", BYTES)
    assert [request.method for request in service.requests if "authorization" not in request.headers] == ["PUT"]


@pytest.mark.parametrize(
    ("answers", "duplicate"),
    [
        ([httpx.WriteError("reset"), (412, {}), RECORD], False),  # the first attempt had arrived
        ([problem(503, "unavailable"), STORED, RECORD], False),
        ([(412, {}), RECORD], True),  # another client's had
        ([problem(410, "ticket_gone"), TICKET, STORED, RECORD], False),
        ([(409, {}), TICKET, (412, {}), RECORD], True),
        ([(409, {}), (200, {**RECORD, "duplicate": True})], True),
        ([httpx.ReadError("reset"), (403, {}), (200, {**RECORD, "duplicate": True})], False),
    ],
)  # fmt: skip
def test_a_ticket_is_never_used_twice(answers: list[Any], duplicate: bool) -> None:
    client, _ = large(TICKET, *answers)
    image = client.upload(BYTES)
    assert (image.id, image.status, image.duplicate) == ("01a2", "ready", duplicate)


def test_with_a_key_that_cannot_read_an_upload_returns_what_is_known() -> None:
    client, _ = large(TICKET, STORED, problem(403, "scope_missing"))
    image = client.upload(BYTES, wait=60)
    assert image == Image(id="01a2", status="pending", bytes=206, sha256=image.sha256)
    client, _ = client_of(
        lambda request: httpx.Response(200, json={"known": {SHA_OF_BYTES: "01a2"}}), problem(403, "scope_missing")
    )
    assert client.upload(BYTES) == Image(id="01a2", status="ready", bytes=206, sha256=SHA_OF_BYTES, duplicate=True)


def test_an_image_that_is_deleted_after_the_lookup_is_sent() -> None:
    client, service = client_of(
        {"known": {SHA_OF_BYTES: "01a2"}},
        problem(404, "image_not_found"),
        {"max_upload_bytes": 1000, "max_direct_bytes": 1},
        (201, RECORD),
    )
    assert client.upload(BYTES).id == "01a2"
    assert service.asked[-1] == "POST /upload"


@pytest.mark.parametrize("change", ["changed", "longer"])
def test_a_file_that_changes_while_it_is_sent_is_not_sent_in_full(change: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.gif"
    path.write_bytes(b"GIF89a" + bytes(90))
    received: list[bytes] = []

    def receive(request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        received.extend(request.stream)
        return httpx.Response(201, json=RECORD)

    def write(_: httpx.Request) -> httpx.Response:
        with path.open("r+b") as file:
            file.seek(50 if change == "changed" else 96)
            file.write(b"other")
        return httpx.Response(200, json=LIMITS)

    client, _ = client_of({"known": {}}, write, receive)
    with pytest.raises(darkroom.FileError, match=r"photo\.gif changed while it was sent"):
        client.upload(path)
    assert not b"".join(received).endswith(b"--\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(200, text="<html>", headers={"content-type": "text/html"}),
        lambda _: httpx.Response(200, json=[]),
        lambda _: httpx.Response(200, json={"name": "another service"}),
        lambda _: httpx.Response(200, text="{", headers={"content-type": "application/json"}),
        lambda _: httpx.Response(302, headers={"location": "http://elsewhere.test/"}),
        lambda _: httpx.Response(200, json={"id": "1", "status": "ready", "variants": [1]}),
        lambda _: httpx.Response(200, json={"id": "1", "status": "ready", "uploaded_at": "yesterday"}),
    ],
)
def test_another_server_is_recognized(answer: Answer) -> None:
    client, service = client_of(answer)
    with pytest.raises(darkroom.NotDarkroom, match=URL):
        client.get("01a2")
    assert len(service.requests) == 1


def test_a_failure_without_a_problem_document_has_a_sentence() -> None:
    client, _ = client_of(lambda _: httpx.Response(418, text="<h1>Teapot</h1>"))
    with pytest.raises(darkroom.Refused, match=f"{URL} answered 418 I'm a teapot") as found:
        client.get("01a2")
    assert (found.value.status, found.value.code, found.value.field) == (418, None, None)


@pytest.mark.parametrize(
    "url", ["", "images.test", "ftp://images.test", "http://", "http://[::1", "http://a:99999", "file:///a"]
)
def test_an_address_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(darkroom.InvalidArgument, match="Invalid address"):
        Client(url)


@pytest.mark.parametrize("key", ["schlüssel", "a\nb", "a\0"])
def test_a_key_that_is_no_header_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(darkroom.InvalidArgument) as found:
        Client(URL, key)
    assert key not in str(found.value)


def test_the_key_is_in_no_text_of_the_client() -> None:
    client, service = client_of(RECORD)
    assert KEY not in repr(client)
    client.get("01a2")
    assert service.requests[0].headers["authorization"] == f"Bearer {KEY}"
    service = Service(RECORD)
    Client("http://ann:secret@images.test/below/", KEY, transport=service).get("01a2")
    assert service.requests[0].headers["x-api-key"] == KEY
    assert service.requests[0].headers["authorization"].startswith("Basic ")
    assert service.requests[0].url.path == "/below/images/01a2"
    client = Client("http://ann:secret@images.test/below/", transport=service)
    assert client.url("01a2") == "http://images.test/below/i/01a2"
    assert client.public_url == "http://images.test/below"


@pytest.mark.parametrize("image_id", ["", None, 7])
def test_a_value_that_is_no_id_is_refused_before_a_request(image_id: Any) -> None:
    client, service = client_of(RECORD)
    for call in (client.get, client.delete, client.restore, client.similar):
        with pytest.raises(darkroom.InvalidArgument):
            call(image_id)
    assert service.requests == []


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    client, service = client_of(RECORD)
    client.get("../limits?a=b")
    assert service.requests[0].url.raw_path == b"/images/..%2Flimits%3Fa%3Db"


def test_a_closed_client_ends_calls_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    client, service = client_of(lambda _: client.close() or httpx.Response(503))  # type: ignore[func-returns-value]
    with pytest.raises(DarkroomError, match="closed"):
        client.get("01a2")
    assert len(service.requests) == 1


def test_unknown_members_are_ignored_and_kept() -> None:
    client, _ = client_of(
        {**RECORD, "new_member": 1, "taken_at": "2026-01-02T03:04:05", "updated_at": "2026-01-02T03:04:05Z"}
    )
    image = client.get("01a2")
    assert image.raw["new_member"] == 1
    assert image.taken_at is not None
    assert image.taken_at.tzinfo is None
    assert image.updated_at is not None
    assert image.updated_at.tzinfo is not None


def pages() -> Iterator[Any]:
    yield {"items": [RECORD, RECORD], "next_cursor": "c1"}
    yield {"items": [], "next_cursor": "c2"}
    yield {"items": [RECORD], "next_cursor": None}


def test_pages_are_requested_as_they_are_needed() -> None:
    client, service = client_of(*pages())
    images = client.images(tag=["a", "b"], trashed=True, page_size=2)
    next(images)
    assert len(service.requests) == 1
    assert len(list(images)) == 2
    assert [str(request.url.params) for request in service.requests] == [
        "tag=a&tag=b&trashed=true&limit=2",
        "tag=a&tag=b&trashed=true&limit=2&cursor=c1",
        "tag=a&tag=b&trashed=true&limit=2&cursor=c2",
    ]


def test_a_proxy_that_compresses_leaves_the_bytes_of_a_download() -> None:
    def compress(request: httpx.Request) -> httpx.Response:
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return httpx.Response(200, stream=httpx.ByteStream(b"the original"))
        packed = httpx.ByteStream(gzip.compress(b"the original"))
        return httpx.Response(200, stream=packed, headers={"content-encoding": "gzip"})

    client, _ = client_of((307, None, {"location": "https://store.test/original"}), compress)
    file = io.BytesIO()
    assert client.download("01a2", file) == len(b"the original")
    assert file.getvalue() == b"the original"
