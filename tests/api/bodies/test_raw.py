"""Uploads whose body is the image itself, and the names of unsupported formats."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.limits import Limits
from app.domain.media import MEDIA_TYPES
from tests.api.bodies.test_bad_input import B64, END, FILE, JPEG, assert_problem, form, part
from tests.api.service import LIMITS, Service, service_on
from tests.samples import encoded, image_file

LIMIT = LIMITS.max_upload_bytes


def send(
    service: Service, content: bytes, content_type: str | None = "image/jpeg", query: str = "", **headers: str
) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        sent["content-type"] = content_type
    return service.client.post(f"/upload{query}", content=content, headers=sent)


@pytest.mark.parametrize(
    ("content_type", "declared"),
    [
        ("image/jpeg", "image/jpeg"),
        ("image/png", "image/png"),
        ("Image/JPEG; q=1", "image/jpeg"),
        ("image/jpg", "image/jpg"),
        ("application/octet-stream", "application/octet-stream"),
        ("binary/octet-stream", "binary/octet-stream"),
        (None, None),
        ("", None),
    ],
)
def test_a_body_may_be_the_image_itself(service: Service, content_type: str | None, declared: str | None) -> None:
    answer = send(service, JPEG, content_type)
    record = answer.json()
    assert answer.status_code == 201, record
    assert (record["content_type"], record["declared_content_type"]) == ("image/jpeg", declared)
    assert (record["filename"], record["title"], record["tags"], record["ignored_fields"]) == (None, None, [], [])
    assert answer.headers["location"] == f"/images/{record['id']}"
    assert service.original(record["id"]) == JPEG
    again = send(service, JPEG, content_type)
    assert (again.status_code, again.json()["id"]) == (200, record["id"])


def test_fields_of_a_raw_body_are_query_parameters(service: Service) -> None:
    query = "?filename=a%2Fn%C3%A4ive.jpg&title=K%C3%BCste&alt=A%20coast&tags=sea,sky&tags[]=sea&tags[1]=dusk&wait=0"
    record = send(service, JPEG, query=query).json()
    assert (record["filename"], record["title"], record["alt"]) == ("näive.jpg", "Küste", "A coast")
    assert record["tags"] == ["sea", "sky", "dusk"]


@pytest.mark.parametrize(
    ("header", "query", "shown"),
    [
        ('attachment; filename="photo.jpg"', "", "photo.jpg"),
        ("attachment; filename*=UTF-8''n%C3%A4ive.jpg", "", "näive.jpg"),
        ('attachment; filename="photo.jpg"', "?filename=other.jpg", "other.jpg"),
        ("attachment", "", None),
        ("attachment;" * 400, "", None),
        ("form-data", "?filename=", None),
    ],
)
def test_a_raw_body_may_be_named_in_content_disposition(
    self_hosted: Service, header: str, query: str, shown: str
) -> None:
    answer = send(self_hosted, JPEG, query=query, content_disposition=header)
    assert (answer.status_code, answer.json()["filename"]) == (201, shown), answer.text


def test_a_raw_body_may_be_chunked(self_hosted: Service) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (JPEG[at : at + 100] for at in range(0, len(JPEG), 100))

    answer = self_hosted.client.post("/upload", content=pieces(), headers={"content-type": "image/jpeg"})
    assert (answer.status_code, answer.json()["bytes"]) == (201, len(JPEG))


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "nothing": ({"content": b""}, 400, "empty_body"),
    "a byte over the limit": ({"content": JPEG.ljust(LIMIT + 1, b"\0")}, 413, "too_large"),
    "compressed": ({"content": JPEG, "content_encoding": "gzip"}, 415, "unsupported_encoding"),
    "text": ({"content": JPEG, "content_type": "text/plain"}, 415, "unsupported_body"),
    "wget and curl without a type": (
        {"content": JPEG, "content_type": "application/x-www-form-urlencoded"}, 415, "unsupported_body"
    ),
    "a PDF that says so": ({"content": b"%PDF-1.7", "content_type": "application/pdf"}, 415, "unsupported_body"),
    "JSON without a type": ({"content": f'{{"image_base64": "{B64}"}}'.encode(), "content_type": None}, 415,
                            "unsupported_type"),
    "a form without a type": ({"content": FILE + END, "content_type": None}, 415, "unsupported_type"),
    "an unknown parameter": ({"content": JPEG, "query": "?titel=x"}, 422, "invalid_request"),
    "two names": ({"content": JPEG, "query": "?filename=a&filename=b"}, 422, "invalid_request"),
    "a long title": ({"content": JPEG, "query": f"?title={'x' * 201}"}, 422, "too_long"),
    "a control character": ({"content": JPEG, "query": "?title=a%00b"}, 422, "control_character"),
    "too many tags": ({"content": JPEG, "query": "?tags=" + ",".join(map(str, range(21)))}, 422, "too_long"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_raw_body_is_refused_and_leaves_nothing_behind(service: Service, case: str) -> None:
    request, status, code = REFUSED[case]
    assert_problem(send(service, **request), status, code)
    assert service.left_behind() == []


def test_a_raw_body_may_have_exactly_the_limit(service: Service) -> None:
    answer = send(service, JPEG.ljust(LIMIT, b"\0"))
    assert (answer.status_code, answer.json()["bytes"]) == (201, LIMIT)


def test_a_length_over_the_limit_is_refused_before_the_body(self_hosted: Service) -> None:
    problem = assert_problem(send(self_hosted, b"", content_length=str(LIMIT + 1)), 413, "too_large")
    assert (problem["limit_bytes"], problem["declared_bytes"]) == (LIMIT, LIMIT + 1)


@pytest.mark.parametrize("name", ["filename", "title", "alt", "tags", "tags[]"])
def test_fields_in_the_query_of_forms_and_json_are_refused(service: Service, name: str) -> None:
    as_json = {"content": f'{{"image_base64": "{B64}"}}', "headers": {"content-type": "application/json"}}
    for body in (form(FILE + END), as_json):
        problem = assert_problem(service.client.post(f"/upload?{name}=x", **body), 422, "invalid_request")
        assert problem["detail"] == (
            f"Invalid request: `query.{name}`: Send it in the body; only raw bodies use the query."
        )
    assert service.left_behind() == []


def test_only_post_is_accepted(service: Service) -> None:
    answer = service.client.put("/upload", content=JPEG, headers={"content-type": "image/jpeg"})
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST, OPTIONS"


# Unsupported formats.

ATOM = b"\0\0\0\x18ftyp"
OTHERS: dict[str, tuple[bytes, str | None, str]] = {
    "SVG": (image_file("corkami-mitra__svg.svg").read_bytes(), "image/svg+xml", "SVG"),
    "SVG with a prolog": (b'<?xml version="1.0"?>\n<!-- Made by hand -->\n<svg xmlns="x"/>', "image/svg+xml", "SVG"),
    "SVG in UTF-16": ("\ufeff<svg xmlns='x'/>".encode("utf-16-le"), "image/svg+xml", "SVG"),
    "PDF": (image_file("corkami-mitra__pdf.pdf").read_bytes(), "application/pdf", "PDF"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0", "application/postscript", "PostScript or EPS"),
    "PSD": (b"8BPS\0\1" + bytes(20), "image/vnd.adobe.photoshop", "Photoshop PSD"),
    "ICO": (b"\0\0\1\0\1\0" + bytes(20), "image/vnd.microsoft.icon", "Windows icon (ICO)"),
    "JPEG XL": (b"\xff\x0a" + bytes(20), "image/jxl", "JPEG XL"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "image/jp2", "JPEG 2000"),
    "RAW of Canon": (ATOM + b"crx " + bytes(12), "image/x-canon-cr3", "camera RAW (Canon CR3)"),
    "RAW of Fujifilm": (b"FUJIFILMCCD-RAW 0201", "image/x-fuji-raf", "camera RAW (Fujifilm RAF)"),
    "MP4": (ATOM + b"isom" + bytes(12), "video/mp4", "MP4 video"),
    "QuickTime": (ATOM + b"qt  " + bytes(12), "video/quicktime", "QuickTime video"),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(20), "video/matroska", "Matroska or WebM video"),
    "AVI": (b"RIFF\0\0\0\0AVI LIST", "video/vnd.avi", "AVI video"),
    "ZIP": (b"PK\3\4" + bytes(20), "application/zip", "ZIP archive"),
    "HTML": (b"<!DOCTYPE html><svg>", "text/html", "HTML"),
    "JSON": (b' {"a": 1}', "application/json", "JSON"),
    "base64": (B64.encode(), "text/plain", "base64 text"),
    "text": ("Grüße, Welt".encode(), "text/plain", "text"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_an_unsupported_format_is_named(self_hosted: Service, kind: str) -> None:
    content, media_type, name = OTHERS[kind]
    for answer in (
        send(self_hosted, content),
        self_hosted.client.post("/upload", **form(part("file", content, "a.jpg") + END)),
    ):
        problem = assert_problem(answer, 415, "unsupported_type")
        assert problem["found"] == media_type
        assert problem["detail"] == (
            f"Unsupported image format (found: {name}). Accepted: JPEG, PNG, WebP, GIF, AVIF, HEIC, HEIF, TIFF, BMP."
        )
        assert problem["accepted"] == list(MEDIA_TYPES)
    assert self_hosted.left_behind() == []


def test_an_unknown_format_is_refused_as_unknown(service: Service) -> None:
    problem = assert_problem(send(service, bytes(range(128, 256)) * 20), 415, "unsupported_type")
    assert problem["found"] is None
    assert problem["detail"].startswith("Unsupported image format (unknown format). Accepted:")


def test_a_format_that_the_settings_exclude_is_named(tmp_path: Path) -> None:
    limits = Limits(accepted_types=("image/jpeg", "image/png"))
    with service_on("self-hosted", tmp_path, limits=limits) as service:
        problem = assert_problem(send(service, encoded("GIF")), 415, "unsupported_type")
    assert problem["detail"] == "Unsupported image format (found: GIF). Accepted: JPEG, PNG."
    assert (problem["found"], problem["accepted"]) == ("image/gif", ["image/jpeg", "image/png"])
