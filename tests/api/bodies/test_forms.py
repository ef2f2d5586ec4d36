"""Forms as libraries and browsers build them: names, lists, charsets, transfer encodings and text around the parts.

The parser is the same on every side, so most of these run self-hosted only; `EVERYTHING` runs on each side.
"""

import base64
import quopri
import time
from typing import Any

import httpx
import pytest

from tests.api.bodies.test_bad_input import BOUNDARY, END, FILE, JPEG, assert_problem, form, part
from tests.api.service import LIMITS, Service
from tests.samples import encoded

OCTETS = "Content-Type: application/octet-stream"


def accepted(service: Service, content: bytes) -> dict[str, Any]:
    answer = service.client.post("/upload", **form(content))
    assert answer.status_code == 201, answer.text
    record: dict[str, Any] = answer.json()
    assert service.original(record["id"]) == JPEG
    return record


def refused(service: Service, content: bytes, status: int, code: str) -> dict[str, Any]:
    problem = assert_problem(service.client.post("/upload", **form(content)), status, code)
    assert service.left_behind() == []
    return problem


# Unknown fields, and parts that are not files.

UNKNOWN: dict[str, tuple[bytes, list[str]]] = {
    "Uppy": (part("relativePath", b"null") + part("name", b"a.jpg") + part("type", b"image/jpeg") + FILE,
             ["relativePath", "name", "type"]),
    "Uppy with bundle": (part("name", b"a.jpg") + part("files[]", JPEG, "a.jpg"), ["name"]),
    "Dropzone": (FILE, []),
    "Dropzone with uploadMultiple": (part("file[0]", JPEG, "a.jpg"), []),
    "FilePond": (part("filepond", b"{}") + part("filepond", JPEG, "a.jpg"), ["filepond"]),
    "FilePond with a name": (part("file", b"{}") + FILE, ["file"]),
    "jQuery File Upload": (part("files[]", JPEG, "a.jpg"), []),
    "a submit button": (FILE + part("send", b"Send"), ["send"]),
    "a CSRF token": (part("_csrf", b"\xff") + FILE, ["_csrf"]),
    "a field twice": (FILE + part("x", b"1") + part("x", b"2"), ["x"]),
    "an empty second file": (FILE + part("file2", b"", "", OCTETS), ["file2"]),
    "an empty file before": (part("file", b"", "", OCTETS) + FILE, []),
    "an empty file behind": (FILE + part("file", b"", "", OCTETS), []),
    "an empty file with a name": (part("file", b"", "empty.jpg") + FILE, []),
    "text behind the file": (FILE + part("file", b"{}"), ["file"]),
    "another file": (part("avatar", encoded(seed=5), "b.jpg", "Content-Type: image/jpeg") + FILE, ["avatar"]),
    "a field of 100 KB": (FILE + part("preview", b"x" * 100_000), ["preview"]),
    "a list where none is": (FILE + part("title[]", b"x"), ["title[]"]),
    "a nested name": (FILE + part("image[title]", b"x"), ["image[title]"]),
    "a name to hide in": (FILE + part("a\u202e\u200bb\tc", b"x"), ["abc"]),
    "a long name": (FILE + part("x" * 5000, b"x"), ["x" * 100]),
    "an unknown encoding": (FILE + part("x", b"x", None, "Content-Transfer-Encoding: x-uuencode"), ["x"]),
    "an unknown charset": (FILE + part("x", b"x", None, "Content-Type: text/plain; charset=klingon"), ["x"]),
}  # fmt: skip


@pytest.mark.parametrize("client", UNKNOWN)
def test_unknown_fields_are_ignored_and_named(self_hosted: Service, client: str) -> None:
    body, ignored = UNKNOWN[client]
    record = accepted(self_hosted, body + END)
    assert record["ignored_fields"] == ignored
    assert record["filename"] == "a.jpg"
    assert (record["title"], record["tags"]) == (None, [])
    again = self_hosted.client.post("/upload", **form(body + END))
    assert (again.status_code, again.json()["ignored_fields"]) == (200, ignored)
    assert self_hosted.client.get(f"/images/{record['id']}").json()["ignored_fields"] == []


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream"])
def test_a_file_without_a_name_is_recognized_by_its_type(self_hosted: Service, content_type: str) -> None:
    record = accepted(self_hosted, part("file", JPEG, None, f"Content-Type: {content_type}") + END)
    assert (record["filename"], record["declared_content_type"]) == (None, content_type)


def test_two_files_are_refused_under_all_names(self_hosted: Service) -> None:
    other = part("filepond", encoded(seed=5), "b.jpg")
    for body in (FILE + other, other + FILE, part("file", b"", "") + FILE + part("file", b"", "") + other):
        problem = refused(self_hosted, body + END, 400, "two_files")
        assert problem["field"] == "file"


def test_ignored_fields_have_a_total_limit(self_hosted: Service) -> None:
    many = b"".join(part(f"x{number}", b"x" * 60_000) for number in range(40))
    problem = refused(self_hosted, FILE + many + END, 413, "fields_too_large")
    assert problem["limit_bytes"] == 2 * 1024 * 1024 < problem["received_bytes"]
    problem = refused(self_hosted, FILE + part("avatar", b"x" * 2_200_000, "b.jpg") + END, 413, "fields_too_large")
    assert problem["limit_bytes"] == 2 * 1024 * 1024


# Lists.


@pytest.mark.parametrize(
    "names",
    [
        ("tags", "tags"),
        ("tags[]", "tags[]"),
        ("tags[0]", "tags[1]"),
        ("tags.0", "tags.1"),
        ("tags[7]", "tags[]"),
        ("tags", "tags[]"),
    ],
)
def test_tags_accept_the_list_names_of_forms(self_hosted: Service, names: tuple[str, str]) -> None:
    record = accepted(self_hosted, FILE + part(names[0], b"sea") + part(names[1], b"sky, evening") + END)
    assert (record["tags"], record["ignored_fields"]) == (["sea", "sky", "evening"], [])


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (b"sea,sky", ["sea", "sky"]),
        (b'["sea", "sky"]', ["sea", "sky"]),
        (b' ["a,b"] ', ["a", "b"]),
        (b"[]", []),
        (b"[1, 2]", ["[1", "2]"]),
        (b"[draft]", ["[draft]"]),
        (b"[" * 5, ["[" * 5]),
        (b"", []),
        (b" , ", []),
    ],
)
def test_tags_may_be_one_text(self_hosted: Service, value: bytes, tags: list[str]) -> None:
    assert accepted(self_hosted, FILE + part("tags", value) + END)["tags"] == tags


def test_a_deep_list_is_a_tag_that_is_too_long(self_hosted: Service) -> None:
    assert refused(self_hosted, FILE + part("tags", b"[" * 50_000) + END, 422, "too_long")["field"] == "tags"


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8"])
def test_fields_may_be_json(self_hosted: Service, content_type: str) -> None:
    typed = f"Content-Type: {content_type}"
    body = part("title", '"Überschrift"'.encode(), None, typed) + part("tags", b'["a", "b"]', None, typed)
    body += part("alt", b"null", None, typed)
    record = accepted(self_hosted, FILE + body + END)
    assert (record["title"], record["alt"], record["tags"]) == ("Überschrift", None, ["a", "b"])
    other = part("file", encoded(seed=5), "b.jpg")
    blob = self_hosted.client.post("/upload", **form(other + part("title", b'"T"', "blob", typed) + END)).json()
    assert (blob["title"], blob["ignored_fields"]) == ("T", [])
    for value, status, code in ((b"{", 400, "bad_json"), (b"5", 422, "wrong_type"), (b'["a"]', 422, "wrong_type")):
        problem = assert_problem(
            self_hosted.client.post("/upload", **form(FILE + part("title", value, None, typed) + END)), status, code
        )
        assert problem["field"] == "title"


# File names.

DISPOSITIONS: dict[str, tuple[str | bytes, str | None]] = {
    ".NET": ("name=file; filename=\"=?utf-8?B?w6kgeC5qcGc=?=\"; filename*=utf-8''%C3%A9%20x.jpg", "é x.jpg"),
    "Spring": ('name="file"; filename="=?UTF-8?Q?na=C3=AFve_x.jpg?="', "naïve x.jpg"),
    "Spring, newer": ("name=\"file\"; filename=\"=?UTF-8?Q?na=C3=AFve.jpg?=\"; filename*=UTF-8''na%C3%AFve.jpg",
                      "naïve.jpg"),
    "an encoded word": ('name="file"; filename="=?utf-8?B?w6kuanBn?="', "é.jpg"),
    "words in Latin-1": ('name="file"; filename="=?ISO-8859-1?Q?na=EFve.jpg?="', "naïve.jpg"),
    "words in GBK": ('name="file"; filename="=?GBK?B?1tDOxC5qcGc=?="', "中文.jpg"),
    "a character over two words": ('name="file"; filename="=?utf-8?B?w6k=?= =?utf-8?B?4oI=?= =?utf-8?B?rC5qcGc=?="',
                                   "é€.jpg"),
    "a word of no charset": ('name="file"; filename="=?klingon?B?w6k=?="', "=?klingon?B?w6k=?="),
    "a word that is not base64": ('name="file"; filename="=?utf-8?B?w?="', "=?utf-8?B?w?="),
    "half a word": ('name="file"; filename="=?utf-8?B?w6k"', "=?utf-8?B?w6k"),
    "extended alone": ("name=\"file\"; filename*=UTF-8''%e2%82%ac%20rates.jpg", "€ rates.jpg"),
    "extended in quotes": ("name=\"file\"; filename*=\"UTF-8''%e2%82%ac.jpg\"", "€.jpg"),
    "extended in Latin-1": ("name=file; filename*=iso-8859-1'en'%A3.jpg", "£.jpg"),
    "extended without a charset": ("name=file; filename*=plain.jpg", "plain.jpg"),
    "extended of no charset": ("name=file; filename*=klingon''x.jpg", None),
    "extended and not text": ("name=file; filename*=UTF-8''%FF.jpg", None),
    "extended in pieces": ("name=file; filename*0*=UTF-8''a%C3; filename*1*=%A9b; filename*2=.jpg", "aéb.jpg"),
    "extended beside an empty one": ("name=file; filename=\"\"; filename*=UTF-8''%C3%A9.jpg", "é.jpg"),
    "plain beside extended": ("name=\"file\"; filename=\"plain.jpg\"; filename*=UTF-8''other.jpg", "plain.jpg"),
    "a browser's quotes": ('name="file"; filename="a%22b%22.jpg"', 'a"b".jpg'),
    "a browser's line break": ('name="file"; filename="a%0D%0Ab.jpg"', "ab.jpg"),
    "RFC 7578": ('name="file"; filename="h%C3%A9llo.jpg"', "héllo.jpg"),
    "encoded as a whole": ('name="file"; filename="F%C3%AAte%20%E2%80%93%2050%25.jpg"', "Fête – 50%.jpg"),
    "encoded as a whole, in ASCII": ('name="file"; filename="my%20photo.jpg"', "my photo.jpg"),
    "a percent sign": ('name="file"; filename="100%25 %2e%41.jpg"', "100%25 %2e%41.jpg"),
    "escapes that are no text": ('name="file"; filename="%E9%22.jpg"', '%E9".jpg'),
    "backslashes": ('name="file"; filename="\\"q\\" x.jpg"', '"q" x.jpg'),
    "bare": ("name=file; filename=bare.jpg", "bare.jpg"),
    "raw UTF-8": ('name="file"; filename="é.jpg"', "é.jpg"),
    "raw Latin-1": (b'name="file"; filename="na\xefve.jpg"', "naïve.jpg"),
    "a fake path": ('name="file"; filename="C:\\fakepath\\x.jpg"', "x.jpg"),
    "a field's name in words": ('name="=?utf-8?B?ZmlsZQ==?="; filename="x.jpg"', "x.jpg"),
}  # fmt: skip


@pytest.mark.parametrize("client", DISPOSITIONS)
def test_file_names_are_decoded_as_clients_encode_them(self_hosted: Service, client: str) -> None:
    line, shown = DISPOSITIONS[client]
    line = line.encode() if isinstance(line, str) else line
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode() + line + b"\r\n\r\n"
    assert accepted(self_hosted, head + JPEG + b"\r\n" + END)["filename"] == shown


def test_headers_of_many_parameters_are_refused_at_once(self_hosted: Service) -> None:
    many = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; {";" * 7000}\r\n\r\n\r\n'.encode()
    started = time.process_time()
    refused(self_hosted, many * 90 + END, 400, "bad_multipart")
    assert time.process_time() - started < 1
    assert accepted(self_hosted, part("file", JPEG, ";" * 255) + END)["filename"] == ";" * 255


# Transfer encodings.


def lines(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


def transferred(name: str, content: bytes, encoding: str, filename: str | None = None) -> bytes:
    return part(name, content, filename, f"Content-Transfer-Encoding: {encoding}")


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "BINARY", " binary "])
def test_plain_transfer_encodings_change_nothing(self_hosted: Service, encoding: str) -> None:
    title = transferred("title", "é=20".encode(), encoding)
    assert accepted(self_hosted, transferred("file", JPEG, encoding, "a.jpg") + title + END)["title"] == "é=20"


@pytest.mark.parametrize("encoding", ["base64", "Base64"])
@pytest.mark.parametrize("encode", [base64.b64encode, lambda raw: lines(base64.encodebytes(raw))], ids=["one", "many"])
def test_base64_parts_are_decoded(self_hosted: Service, encoding: str, encode: Any) -> None:
    body = transferred("file", encode(JPEG), encoding, "a.jpg") + transferred("title", encode("é".encode()), encoding)
    assert accepted(self_hosted, body + END)["title"] == "é"


def test_quoted_printable_parts_are_decoded(self_hosted: Service) -> None:
    title = transferred("title", lines(quopri.encodestring(("é" * 60).encode())), "quoted-printable")
    content = quopri.encodestring(JPEG, quotetabs=True).replace(b"=\n", b"=\r\n")
    content = content.replace(b"\r\n", b"\0").replace(b"\r", b"=0D").replace(b"\n", b"=0A").replace(b"\0", b"\r\n")
    body = transferred("file", content, "quoted-printable", "a.jpg")
    assert accepted(self_hosted, body + title + END)["title"] == "é" * 60


def test_an_encoded_file_has_the_same_size_limit(self_hosted: Service) -> None:
    content = JPEG.ljust(LIMITS.max_upload_bytes, b"\0")
    written = lines(base64.encodebytes(content))
    answer = self_hosted.client.post("/upload", **form(transferred("file", written, "base64", "a.jpg") + END))
    assert (answer.status_code, answer.json()["bytes"]) == (201, len(content)), answer.text
    more = lines(base64.encodebytes(content + b"x"))
    problem = assert_problem(
        self_hosted.client.post("/upload", **form(transferred("file", more, "base64", "a.jpg") + END)), 413, "too_large"
    )
    assert problem["limit_bytes"] == len(content)


@pytest.mark.parametrize(
    ("name", "content", "encoding", "status", "code"),
    [
        ("file", JPEG, "x-uuencode", 415, "unsupported_encoding"),
        ("file", JPEG, "gzip", 415, "unsupported_encoding"),
        ("title", b"x", "uuencode", 415, "unsupported_encoding"),
        ("file", b"no base64!", "base64", 422, "bad_base64"),
        ("title", b"AAAAA", "base64", 422, "bad_base64"),
    ],
)
def test_unsupported_transfer_encodings_are_refused(
    self_hosted: Service, name: str, content: bytes, encoding: str, status: int, code: str
) -> None:
    body = transferred(name, content, encoding, "a.jpg" if name == "file" else None)
    body = body if name == "file" else FILE + body
    problem = refused(self_hosted, body + END, status, code)
    assert problem["field"] == name
    assert f"`{name}`" in problem["detail"]
    if code == "unsupported_encoding":
        assert problem["found"] == encoding
        assert problem["accepted"] == ["7bit", "8bit", "binary", "base64", "quoted-printable"]


# Charsets.


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UTF-8", "utf-8"),
        ('"utf8"', "utf-8"),
        ("ISO-8859-1", "latin-1"),
        ("latin1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("US-ASCII", "utf-8"),
        ("utf-16", "utf-16"),
        ("UTF-16LE", "utf-16-le"),
        ("utf-16be", "utf-16-be"),
    ],
)
def test_the_charset_of_a_text_part_is_honored(self_hosted: Service, charset: str, codec: str) -> None:
    typed = f"Content-Type: text/plain; charset={charset}"
    body = part("title", "Küste".encode(codec), None, typed) + part("tags[]", "Süden, Öl".encode(codec), None, typed)
    record = accepted(self_hosted, FILE + body + END)
    assert (record["title"], record["tags"]) == ("Küste", ["Süden", "Öl"])


@pytest.mark.parametrize("first", [True, False])
def test_a_form_may_declare_its_charset(self_hosted: Service, first: bool) -> None:
    name = b'Content-Disposition: form-data; name="file"; filename="K\xfcste.jpg"'
    file = f"--{BOUNDARY}\r\n".encode() + name + b"\r\n\r\n" + JPEG + b"\r\n"
    charset, title = part("_charset_", b"iso-8859-1"), part("title", b"K\xfcste")
    own = part("alt", "Küste".encode(), None, "Content-Type: text/plain; charset=utf-8")
    body = charset + title + file + own if first else file + title + own + charset
    record = accepted(self_hosted, body + END)
    assert (record["title"], record["alt"], record["filename"]) == ("Küste", "Küste", "Küste.jpg")
    assert record["ignored_fields"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (part("title", b"\x83", None, "Content-Type: text/plain; charset=Shift_JIS"), "title"),
        (part("tags", b"x", None, "Content-Type: text/plain; charset=klingon"), "tags"),
        (part("_charset_", b"klingon") + part("title", b"x"), "_charset_"),
        (part("_charset_", b"hex"), "_charset_"),
    ],
)
def test_unsupported_charsets_are_refused(self_hosted: Service, body: bytes, field: str) -> None:
    problem = refused(self_hosted, FILE + body + END, 415, "unsupported_charset")
    assert problem["field"] == field
    assert problem["accepted"] == ["utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16"]


def test_text_that_is_not_in_its_charset_is_refused(self_hosted: Service) -> None:
    half = part("title", b"\0", None, "Content-Type: text/plain; charset=utf-16le")
    assert refused(self_hosted, FILE + half + END, 400, "bad_charset")["field"] == "title"
    ascii_only = part("title", b"\xff", None, "Content-Type: text/plain; charset=us-ascii")
    assert refused(self_hosted, FILE + ascii_only + END, 400, "not_utf8")["field"] == "title"


# Around the parts.

AROUND: dict[str, bytes] = {
    "a preamble": b"This is a message with multiple parts.\r\n" + FILE + END,
    "blank lines before": b"\r\n\r\n" + FILE + END,
    "dashes before": b"-- \r\n--sep\r\n--sep4rato\r\n--sep4ratorX\r\n" + FILE + END,
    "an epilogue": FILE + END + b"This is the end.\r\n--sep4rator\r\n",
    "no line break at the end": FILE + END.rstrip(),
    "blanks after each boundary": (FILE + part("title", b"x")).replace(b"r\r\n", b"r \t\r\n")
    + END.replace(b"--\r", b"--  \r"),
    "a preamble, blanks and an epilogue": b"Hello.\r\n" + FILE.replace(b"r\r\n", b"r  \r\n", 1) + END + b"Goodbye.",
}  # fmt: skip


@pytest.mark.parametrize("what", AROUND)
@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_text_around_the_parts_is_ignored(self_hosted: Service, what: str, pieces: int) -> None:
    body = AROUND[what]
    chunks = (body[at : at + pieces] for at in range(0, len(body), pieces))
    answer = self_hosted.client.post("/upload", content=chunks, headers=form(b"")["headers"])
    assert answer.status_code == 201, answer.text
    assert self_hosted.original(answer.json()["id"]) == JPEG
    assert answer.json()["ignored_fields"] == []


def test_line_ends_without_cr_are_refused(self_hosted: Service) -> None:
    problem = refused(self_hosted, (FILE + END).replace(b"\r\n", b"\n"), 400, "bad_multipart")
    assert "CRLF" in problem["detail"]


def test_a_form_with_all_of_these_is_read_on_every_side(service: Service) -> None:
    typed = "Content-Type: text/plain; charset=ISO-8859-1"
    body = b"Hello.\r\n" + part("name", b"a.jpg") + part("file", b"{}") + part("file", b"", "", OCTETS)
    body += part("title", b"K\xfcste", None, typed) + part("tags[0]", b"sea") + part("tags[]", b"sky")
    encodings = ("Content-Transfer-Encoding: base64", "Content-Type: image/jpeg")
    body += part("filepond", base64.encodebytes(JPEG).replace(b"\n", b"\r\n"), "=?utf-8?B?w6kuanBn?=", *encodings)
    record = accepted(service, body.replace(b"r\r\n", b"r \r\n", 1) + END + b"Goodbye.")
    assert record["ignored_fields"] == ["name", "file"]
    assert (record["filename"], record["declared_content_type"]) == ("é.jpg", "image/jpeg")
    assert (record["title"], record["tags"]) == ("Küste", ["sea", "sky"])


def test_a_form_of_httpx_is_read(service: Service) -> None:
    answer: httpx.Response = service.client.post(
        "/upload", files={"file": ("é\"'.jpg", JPEG, "image/jpeg")}, data={"tags": ["a", "b"], "x": "1"}
    )
    record = answer.json()
    assert (record["filename"], record["tags"], record["ignored_fields"]) == ("é\"'.jpg", ["a", "b"], ["x"])
