"""Invalid uploads: each is refused with a reason and leaves nothing behind; none is a 500."""

import base64
import errno
import io
import json
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
from starlette.types import Message

from app.adapters.filesystem import spool as filesystem_spool
from app.api.bodies import spool
from app.api.http import body_stream
from app.api.middleware import lingering_close
from app.domain.errors import Full, Unavailable
from tests.api.service import LIMITS, Service
from tests.samples import encoded, image_file

JPEG = encoded()
B64 = base64.b64encode(JPEG).decode()
LIMIT = LIMITS.max_upload_bytes
BOUNDARY = "sep4rator"


def part(name: str, content: bytes, filename: str | None = None, *more: str) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    return "\r\n".join([f"--{BOUNDARY}", head, *more, "", ""]).encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
FILE = part("file", JPEG, "a.jpg", "Content-Type: image/jpeg")


def form(content: bytes, boundary: str = BOUNDARY) -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": f"multipart/form-data; boundary={boundary}"}}


def text(content: str | bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": "application/json"}}


def picture(value: str, more: str = "") -> dict[str, Any]:
    return text(f'{{"image_base64": "{value}"{more}}}')


def typed(content_type: str | None) -> dict[str, Any]:
    return {"content": FILE + END, "headers": {"content-type": content_type} if content_type else {}}


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    # Body types.
    "no body, no type": ({}, 415, "unsupported_body"),
    "text": (typed("text/plain"), 415, "unsupported_body"),
    "a form of the other kind": (typed("application/x-www-form-urlencoded"), 415, "unsupported_body"),
    "an unreadable type": (typed(";;;\\\\\\"), 415, "unsupported_body"),
    "gzip": ({**form(FILE + END), "headers": {**form(b"")["headers"], "content-encoding": "gzip"}}, 415,
             "unsupported_encoding"),
    "a misspelled parameter": ({**form(FILE + END), "params": {"on_duplicat": "create"}}, 422, "invalid_request"),
    "a parameter twice": ({**form(FILE + END), "params": {"on_duplicate": ["create", "reuse"]}}, 422,
                          "invalid_request"),
    "too long a wait": ({**form(FILE + END), "params": {"wait": "21"}}, 422, "invalid_request"),
    # Forms.
    "an empty form": (form(b""), 400, "empty_body"),
    "a form of nothing": (form(END), 422, "missing_file"),
    "no boundary": (typed("multipart/form-data"), 400, "bad_boundary"),
    "an empty boundary": (typed('multipart/form-data; boundary=""'), 400, "bad_boundary"),
    "a long boundary": (form(FILE + END, "x" * 71), 400, "bad_boundary"),
    "a boundary of 10 KB": (form(FILE + END, "x" * 10_000), 400, "bad_boundary"),
    "another boundary": (form(FILE + END, "other"), 400, "bad_multipart"),
    "backslashes and quotes": (typed('multipart/form-data; boundary="' + '\\"' * 4000), 400, "bad_boundary"),
    "no end": (form(FILE), 400, "unterminated"),
    "an end in the file": (form(FILE[:200]), 400, "unterminated"),
    "an end in the headers": (form(FILE[:40]), 400, "unterminated"),
    "no boundary in sight": (form(b"\r\n" * 100_000), 400, "bad_multipart"),
    "a form over 2 MiB of nothing": (form(b"\r\n" * 1_200_000), 413, "fields_too_large"),
    "two files": (form(FILE + FILE + END), 400, "two_files"),
    "ten thousand parts": (form(part("tags", b"x") * 10_000 + END), 400, "too_many_fields"),
    "the file as text": (form(part("file", JPEG) + END), 422, "missing_file"),
    "the file under another name": (form(part("photo", JPEG, "a.jpg") + END), 422, "missing_file"),
    "no file chosen": (form(part("file", b"", "") + END), 422, "missing_file"),
    "an empty file": (form(part("file", b"", "a.jpg") + END), 400, "empty_file"),
    "a field twice": (form(FILE + part("title", b"a") + part("title", b"b") + END), 400, "duplicate_field"),
    "a field not UTF-8": (form(FILE + part("title", b"\xff") + END), 400, "not_utf8"),
    "a field too large": (form(FILE + part("title", b"x" * 70_000) + END), 413, "fields_too_large"),
    "a title too long": (form(FILE + part("title", b"x" * 201) + END), 422, "too_long"),
    "a part without a name": (form(b"--sep4rator\r\nContent-Type: a/b\r\n\r\nx\r\n" + END), 400, "bad_multipart"),
    "a header of 1 MB": (form(part("file", JPEG, "a.jpg", "X: " + "y" * 1_000_000) + END), 400, "bad_multipart"),
    "a header of 9 KB": (form(part("file", JPEG, "a.jpg", "X: " + "y" * 9_000) + END), 400, "bad_multipart"),
    "headers of 9 KB": (form(part("file", JPEG, "a", "X: " + "y" * 4500, "Y: " + "y" * 4500) + END), 400,
                        "bad_multipart"),
    "many headers": (form(part("file", JPEG, "a.jpg", *["X: y"] * 10_000) + END), 400, "bad_multipart"),
    "a form in the form": (form(part("file", FILE + b"--inner--", "a", "Content-Type: multipart/mixed") + END), 415,
                           "unsupported_type"),
    # JSON.
    "an empty JSON": (text(""), 400, "empty_body"),
    "no JSON": (text("image_base64=" + B64[:100]), 400, "bad_json"),
    "half a JSON": (picture(B64[:100]) | {"content": f'{{"image_base64": "{B64[:100]}'}, 400, "bad_json"),
    "JSON and more": (text(f'{{"image_base64": "{B64}"}} {{}}'), 400, "bad_json"),
    "JSON not UTF-8": (text(b'{"title": "\xff"}'), 400, "bad_json"),
    "JSON in UTF-16": (text(f'{{"image_base64": "{B64}"}}'.encode("utf-16")), 400, "bad_json"),
    "NaN": (picture(B64, ', "title": NaN'), 400, "bad_json"),
    "a list": (text("[]"), 422, "wrong_type"),
    "a string": (text('"image_base64"'), 422, "wrong_type"),
    "no picture": (text("{}"), 422, "missing_field"),
    "a picture in a list": (text(f'[{{"image_base64": "{B64}"}}]'), 422, "wrong_type"),
    "a picture deeper down": (text(f'{{"title": {{"image_base64": "{B64}"}}}}'), 422, "missing_field"),
    "a null picture": (text('{"image_base64": null}'), 422, "missing_field"),
    "a number as picture": (text('{"image_base64": 5}'), 422, "wrong_type"),
    "a list as picture": (text('{"image_base64": ["AAAA"]}'), 422, "wrong_type"),
    "an object as picture": (text('{"image_base64": {}}'), 422, "wrong_type"),
    "an empty picture": (picture(""), 422, "missing_field"),
    "an empty data url": (picture("data:image/png;base64,"), 422, "missing_field"),
    "two pictures": (picture(B64, f', "image_base64": "{B64}"'), 400, "duplicate_field"),
    "two pictures, one disguised": (picture(B64, f', "image\\u005fbase64": "{B64}"'), 400, "duplicate_field"),
    "two titles": (picture(B64, ', "title": "a", "title": "b"'), 400, "duplicate_field"),
    "unknown fields": (picture(B64, ', "owner": "me", "s3_key": "x"'), 422, "unknown_field"),
    "an unknown field of half a character": (picture(B64, ', "\\ud800": 1'), 422, "unknown_field"),
    "a title of half a character": (picture(B64, ', "title": "\\ud800"'), 422, "control_character"),
    "a title with NUL": (picture(B64, ', "title": "a\\u0000b"'), 422, "control_character"),
    "a number as title": (picture(B64, ', "title": 5'), 422, "wrong_type"),
    "a list as file name": (picture(B64, ', "filename": ["a"]'), 422, "wrong_type"),
    "numbers as tags": (picture(B64, ', "tags": [1]'), 422, "wrong_type"),
    "an object as tags": (picture(B64, ', "tags": {"a": 1}'), 422, "wrong_type"),
    "too many tags": (picture(B64, f', "tags": "{",".join(map(str, range(21)))}"'), 422, "too_long"),
    "a tag too long": (picture(B64, f', "tags": ["{"x" * 65}"]'), 422, "too_long"),
    "an alt too long": (picture(B64, f', "alt": "{"x" * 1001}"'), 422, "too_long"),
    "10,000 deep": (text('{"title":' * 10_000), 400, "too_deep"),
    "33 deep": (picture(B64, ', "title": ' + "[" * 32 + "]" * 32), 400, "too_deep"),
    "a long number": (picture(B64, f', "title": {"9" * 10_000}'), 400, "bad_json"),
    "a number of 100 KB": (picture(B64, f', "title": {"9" * 100_000}'), 413, "fields_too_large"),
    "many keys": (text("{" + ",".join(f'"k{i}":1' for i in range(30_000)) + "}"), 413, "fields_too_large"),
    # Base64.
    "no base64": (picture("what is this?"), 422, "bad_base64"),
    "one character over": (picture("AAAAA"), 422, "bad_base64"),
    "too little padding": (picture("AA="), 422, "bad_base64"),
    "too much padding": (picture("AAA=="), 422, "bad_base64"),
    "padding for nothing": (picture("AAAA="), 422, "bad_base64"),
    "padding in the middle": (picture("AA==AAAA"), 422, "bad_base64"),
    "three paddings": (picture("A==="), 422, "bad_base64"),
    "bits of no byte": (picture("AAB="), 422, "bad_base64"),
    "more bits of no byte": (picture("AB=="), 422, "bad_base64"),
    "an accent": (picture("AAAé"), 422, "bad_base64"),
    "an escaped accent": (picture("AAA\\u00e9"), 422, "bad_base64"),
    "an escaped quote": (picture('AAA\\"'), 422, "bad_base64"),
    "an escaped backslash": (picture("AAA\\\\/"), 422, "bad_base64"),
    "half an escape": (picture("AAA\\u00"), 400, "bad_json"),
    "no such escape": (picture("AAA\\x41"), 400, "bad_json"),
    "a data url without base64": (picture("data:image/png,AAAA"), 422, "bad_base64"),
    "a data url without an end": (picture("data:image/png;base64"), 422, "bad_base64"),
    "a long data url": (picture("data:" + "x" * 1000 + ";base64,AAAA"), 422, "bad_base64"),
    # Image formats.
    "no image": (form(part("file", b"hello" * 100, "a.jpg", "Content-Type: image/jpeg") + END), 415,
                 "unsupported_type"),
    "a PDF": (form(part("file", image_file("corkami-mitra__pdf.pdf").read_bytes(), "a.png") + END), 415,
              "unsupported_type"),
    "an SVG": (form(part("file", image_file("corkami-mitra__svg.svg").read_bytes(), "a.svg") + END), 415,
               "unsupported_type"),
    "HTML": (form(part("file", b"<html><script>", "a.png", "Content-Type: image/png") + END), 415, "unsupported_type"),
    "no image in JSON": (picture("AAAA"), 415, "unsupported_type"),
    "a byte over the limit": (form(part("file", JPEG.ljust(LIMIT + 1, b"\0"), "a.jpg") + END), 413, "too_large"),
    "a byte over the limit in JSON": (picture(base64.b64encode(JPEG.ljust(LIMIT + 1, b"\0")).decode()), 413,
                                      "too_large"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.sampled(30)
def test_bad_input_is_refused_and_leaves_nothing_behind(service: Service, case: str) -> None:
    request, status, code = REFUSED[case]
    started = time.process_time()
    answer = service.client.post("/upload", **request)
    took = time.process_time() - started
    assert_problem(answer, status, code)
    assert service.left_behind() == []
    assert took < 1


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"].endswith(".")
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return problem


def test_too_large_has_the_limit_and_the_received_bytes(service: Service) -> None:
    answer = service.client.post("/upload", **form(part("file", JPEG.ljust(LIMIT + 1, b"\0"), "a.jpg") + END))
    problem = assert_problem(answer, 413, "too_large")
    assert problem["limit_bytes"] == LIMIT < problem["received_bytes"]


def test_a_declared_length_over_the_limit_is_refused(self_hosted: Service) -> None:
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", "content-length": "9" * 12}
    problem = assert_problem(self_hosted.client.post("/upload", content=b"", headers=headers), 413, "too_large")
    assert (problem["limit_bytes"], problem["declared_bytes"]) == (LIMIT, 999_999_999_999)


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_json_body_has_a_limit_of_its_own(self_hosted: Service, is_declared: bool) -> None:
    limit = self_hosted.client.get("/limits").json()["max_json_bytes"]
    length = {"content-length": str(limit + 1)} if is_declared else {}
    pieces = iter([b""] if is_declared else [b'{"image_base64": "', *[b"A" * 65536] * (limit // 65536), b'"}'])
    headers = {"content-type": "application/json", **length}
    answer = self_hosted.client.post("/upload", content=pieces, headers=headers)
    problem = assert_problem(answer, 413, "body_too_large")
    assert (problem["limit_bytes"], problem["direct_upload"]) == (limit, "/upload/direct")
    assert limit < problem["declared_bytes" if is_declared else "received_bytes"] < limit + 65536
    for remedy in ("as a form", "as the body itself", "Use an upload ticket"):
        assert remedy in problem["detail"]
    assert self_hosted.left_behind() == []


def test_an_image_of_exactly_the_limit_is_accepted(service: Service) -> None:
    content = JPEG.ljust(LIMIT, b"\0")
    answer = service.client.post("/upload", **form(part("file", content, "a.jpg") + END))
    assert answer.status_code == 201, answer.text
    again = service.client.post("/upload", **picture(base64.b64encode(content).decode()))
    assert again.json()["duplicate"] is True


def test_unsupported_body_lists_the_accepted_types(service: Service) -> None:
    problem = assert_problem(service.client.post("/upload", **typed("text/html")), 415, "unsupported_body")
    assert problem["found"] == "text/html"
    assert problem["accepted"] == ["multipart/form-data", "application/json", "image/*", "application/octet-stream"]
    assert "Content-Type: image/jpeg" in problem["detail"]


def test_invalid_request_describes_each_parameter(service: Service) -> None:
    problem = assert_problem(service.client.post("/upload?wait=21", **form(FILE + END)), 422, "invalid_request")
    assert problem["detail"] == "Invalid request: `query.wait` must be at most 20 (found: '21')."
    problem = assert_problem(service.client.get("/images?limit=0&order=up"), 422, "invalid_request")
    assert problem["detail"] == (
        "Invalid request: `query.limit` must be at least 1 (found: '0'); "
        "`query.order` must be 'desc' or 'asc' (found: 'up')."
    )
    assert (problem["field"], problem["found"], problem["minimum"]) == ("query.limit", "0", 1)
    problem = assert_problem(service.client.get("/images?limit=many"), 422, "invalid_request")
    assert problem["detail"] == "Invalid request: `query.limit` must be a whole number (found: 'many')."


def test_too_long_has_the_limit_and_the_length(service: Service) -> None:
    problem = assert_problem(
        service.client.post("/upload", **picture(B64, f', "title": "{"x" * 300}"')), 422, "too_long"
    )
    assert (problem["field"], problem["measured"], problem["limit"]) == ("title", 300, 200)


def test_missing_file_lists_the_unknown_fields(service: Service) -> None:
    named = assert_problem(
        service.client.post("/upload", **REFUSED["the file under another name"][0]), 422, "missing_file"
    )
    assert named["detail"] == (
        "The form has no file. Send the image as a file in the field `file`. Unknown fields: `photo`."
    )
    assert (named["field"], named["ignored_fields"]) == ("file", ["photo"])
    as_text = assert_problem(service.client.post("/upload", **REFUSED["the file as text"][0]), 422, "missing_file")
    assert as_text["detail"] == "The part `file` has no file name. Send the image as a file."


@pytest.mark.parametrize(
    ("case", "limit", "measured", "at_most"),
    [
        ("a field too large", "limit_bytes", "received_bytes", 70_000),
        ("many keys", "limit_bytes", "received_bytes", 90_002),
        ("33 deep", "limit", "measured", 33),
        ("ten thousand parts", "limit", "measured", 101),
    ],
)
def test_an_exceeded_limit_has_the_measured_value(
    service: Service, case: str, limit: str, measured: str, at_most: int
) -> None:
    problem = service.client.post("/upload", **REFUSED[case][0]).json()
    assert problem[limit] < problem[measured] <= at_most


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\evil.jpg": "evil.jpg",
    "C:\\photos\\a.jpg": "a.jpg",
    "nul\0in.jpg": "nulin.jpg",
    "a.png\r\nSet-Cookie: x=1": "a.pngSet-Cookie: x=1",
    'quo"te.jpg': 'quo"te.jpg',
    "семья 🌅 café.jpg": "семья 🌅 café.jpg",
    "\u202egnp.exe": "gnp.exe",
    "<img src=x onerror=alert(1)>.png": "<img src=x onerror=alert(1)>.png",
    "": None,
    "..": None,
    "x" * 5000 + ".jpg": "x" * 251 + ".jpg",
    "\U0001f305" * 255: "\U0001f305" * 63,
    "\ud800.jpg": ".jpg",
}


@pytest.mark.parametrize(("name", "shown"), NAMES.items(), ids=range(len(NAMES)))
def test_file_names_are_sanitized_and_never_used_as_paths(service: Service, name: str, shown: str | None) -> None:
    answer = service.client.post("/upload", **text(json.dumps({"image_base64": B64, "filename": name})))
    record = answer.json()
    assert answer.status_code == 201, record
    assert record["filename"] == shown
    assert service.side.objects() == {f"originals/{record['id']}"}
    saved = service.fetch(service.client.get(f"/images/{record['id']}/original").headers["location"])
    assert saved.content == JPEG
    assert saved.headers["content-disposition"].startswith("attachment")
    assert "set-cookie" not in saved.headers


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ("filename=\"plain.jpg\"; filename*=UTF-8''other.jpg", "plain.jpg"),
        ('filename*0="a"; filename*1="b.jpg"; filename="plain.jpg"', "plain.jpg"),
        ('filename="\\"q\\".jpg"', '"q".jpg'),
        ("filename=bare.jpg", "bare.jpg"),
        ('filename="é.jpg"', "é.jpg"),
    ],
)
def test_filename_wins_over_filename_star(service: Service, options: str, shown: str) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; {options}\r\n\r\n'.encode()
    answer = service.client.post("/upload", **form(head + JPEG + b"\r\n" + END))
    assert answer.status_code == 201, answer.text
    assert answer.json()["filename"] == shown


def test_a_body_in_single_bytes_is_read_alike(service: Service) -> None:
    def pieces(body: bytes) -> Iterator[bytes]:
        yield from (body[at : at + 7] for at in range(0, len(body), 7))

    request = form(FILE + part("title", "é".encode()) + END)
    answer = service.client.post("/upload", content=pieces(request["content"]), headers=request["headers"])
    assert answer.status_code == 201, answer.text
    assert answer.json()["title"] == "é"


def test_an_endless_body_without_a_length_is_cut_off(self_hosted: Service) -> None:
    def junk() -> Iterator[bytes]:
        yield from (b"\r\n" * 32_768 for _ in range(100))

    problem = assert_problem(
        self_hosted.client.post("/upload", **form(b"") | {"content": junk()}), 413, "body_too_large"
    )
    assert problem["limit_bytes"] < problem["received_bytes"]


async def _silence() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


@pytest.mark.parametrize("way", ["upload", "ticket", "sent by ticket"])
@pytest.mark.parametrize("first", [b"", b"--"], ids=["nothing came", "it began"])
@pytest.mark.slow
def test_a_client_that_stalls_gets_a_timeout(
    self_hosted: Service, monkeypatch: pytest.MonkeyPatch, way: str, first: bytes
) -> None:
    monkeypatch.setattr(body_stream, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(lingering_close, "SECONDS", 0.05)
    method, url = "POST", "/upload/direct" if way == "ticket" else "/upload"
    form = "application/json" if way == "ticket" else "multipart/form-data; boundary=x"
    headers = {"content-type": form, "content-length": "100"}
    if way == "sent by ticket":
        wanted = {"content_type": "image/jpeg", "bytes": 100}
        ticket = self_hosted.client.post("/upload/direct", json=wanted).json()
        method, url, headers = ticket["method"], ticket["url"], ticket["headers"] | {"content-length": "100"}
    before = self_hosted.left_behind()
    assert fallen_silent(self_hosted, method, url, headers, first) == (408, "request_timeout")
    assert self_hosted.left_behind() == before


def fallen_silent(service: Service, method: str, url: str, headers: dict[str, str], first: bytes) -> tuple[int, str]:
    """Return status and code for a client that sends a part of its body and then stalls."""
    sent: list[Message] = []
    begun = [{"type": "http.request", "body": first, "more_body": True}] if first else []

    async def receive() -> Message:
        return begun.pop() if begun else await _silence()

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask() -> None:
        with anyio.fail_after(5):
            await service.app(scope, receive, send)

    path, _, query = url.partition("?")
    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
             "headers": lines, "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}  # fmt: skip
    anyio.run(ask)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))["code"]


class FullFile(io.BytesIO):
    """Temporary file on a disk with limited space."""

    def __init__(self, space: int) -> None:
        super().__init__()
        self._space = space

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > self._space:
            raise Full("The data folder failed: No space left on device.")
        return super().write(data)


@pytest.mark.parametrize("space", [0, 100, len(JPEG) - 1])
@pytest.mark.parametrize("way", ["form", "json", "ticket"])
def test_a_disk_that_is_full_at_any_byte_is_a_507_and_leaves_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, way: str, space: int
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 50)
    wanted = {"content_type": "image/jpeg", "bytes": len(JPEG)}
    ticket = service.client.post("/upload/direct", json=wanted).json()
    before = service.left_behind()
    monkeypatch.setattr(service.side.store, "spool", lambda: FullFile(space))
    if way == "ticket":
        if not ticket["url"].startswith("/"):
            return  # direct uploads go to the bucket
        answer = service.client.put(ticket["url"], content=JPEG, headers=ticket["headers"])
    else:
        answer = service.client.post("/upload", **(form(FILE + END) if way == "form" else picture(B64)))
    assert "Delete images" in assert_problem(answer, 507, "storage_full")["detail"]
    assert service.left_behind() == before


def test_a_temporary_folder_that_cannot_be_used_is_a_503(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 50)
    before = service.left_behind()

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/secret/folder")

    with monkeypatch.context() as patch:
        patch.setattr(filesystem_spool, "_TMPFILE", 0)
        patch.setattr(tempfile, "TemporaryFile", refused)
        answer = service.client.post("/upload", **form(FILE + END))
    assert_problem(answer, 503, "unavailable")
    assert "secret" not in answer.text
    assert service.left_behind() == before


def test_an_unavailable_backend_is_a_503_and_leaves_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("secret-bucket-name did not answer", retry_after=7)

    monkeypatch.setattr(service.side.store, "create", refuse)
    answer = service.client.post("/upload", **form(FILE + END))
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "7"
    assert "secret" not in answer.text
    assert service.left_behind() == []


def test_an_unhandled_exception_is_a_500_without_details(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(service.side.images, "create", explode)
    answer = service.client.post(
        "/upload",
        **form(FILE + END),
    )
    problem = assert_problem(answer, 500, "internal_error")
    assert "inside" not in answer.text
    logged = [entry for entry in caplog.records if entry.levelname == "ERROR"]
    assert [entry.__dict__["request_id"] for entry in logged] == [problem["request_id"]]
    assert service.left_behind() == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('{"a": 1,}', "trailing comma at line 1 column 9"),
        ('{"a": nul}', "expected ident at line 1 column 10"),
        ('{\n"a" 1}', "expected `:` at line 2 column 5"),
        ('\ufeff{"a": 1,}', "trailing comma at line 1 column 9"),
        ('{"a": NaN}', "NaN and Infinity are not JSON"),
        (f'{{"a": {"9" * 5000}}}', "number out of range at line 1 column 4308"),
    ],
)
def test_json_errors_are_the_same_in_every_python(self_hosted: Service, body: str, fault: str) -> None:
    for path in ("/upload", "/upload/direct"):
        answer = self_hosted.client.post(path, content=body.encode(), headers={"Content-Type": "application/json"})
        assert assert_problem(answer, 400, "bad_json")["detail"] == f"The body is not JSON: {fault}."


def test_found_values_are_the_same_in_every_python(service: Service) -> None:
    image = service.place()
    new = "\U0001fae8"  # of Unicode 15, which Python 3.11 does not know
    problems = [
        assert_problem(service.client.get(f"/images?status={new}"), 422, "invalid_request"),
        assert_problem(service.client.get(f"/images/{image.id}/variants/{new}"), 404, "variant_not_found"),
    ]
    for problem in problems:
        assert r"'\U0001fae8'" in problem["detail"]
