"""Redirects to originals and variants, and `/files/` of the self-hosted service."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from app.api.http.accept import negotiate_format
from app.api.routes import files
from app.domain.images.urls import ServedFiles
from app.domain.models import Failure, FailureCode, Format, Status, Visibility
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import RENDERING, Service, service_on
from tests.samples import encoded

ALL = list(Format)
DAY = "public, max-age=86400"


def test_the_original_is_an_attachment_behind_a_redirect(service: Service) -> None:
    image = service.place(filename='naïve "q".jpg')
    answer = service.client.get(f"/images/{image.id}/original")
    assert answer.status_code == 307
    assert answer.headers["cache-control"] == "no-cache"
    saved = service.fetch(answer.headers["location"])
    assert saved.content == encoded()
    assert saved.headers["content-type"] == "image/jpeg"
    assert saved.headers["content-disposition"] == (
        "attachment; filename=\"na_ve _q_.jpg\"; filename*=UTF-8''na%C3%AFve%20%22q%22.jpg"
    )
    assert "private" in saved.headers["cache-control"]


def test_an_original_runs_no_scripts_if_displayed(self_hosted: Service) -> None:
    saved = self_hosted.client.get(self_hosted.side.urls.original(self_hosted.place()))
    assert saved.headers["content-disposition"].startswith("attachment")
    assert saved.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("name", "accept", "content_type"),
    [
        ("w1280.jpg", None, "image/jpeg"),
        ("w1280.jpeg", None, "image/jpeg"),
        ("w1280.webp", "image/png", "image/webp"),
        ("w1280", None, "image/jpeg"),
        ("w1280", "*/*", "image/jpeg"),
        ("w1280", "image/avif,image/webp,image/apng,image/*,*/*;q=0.8", "image/webp"),
        ("w320", "*/*", "image/webp"),
    ],
)
@pytest.mark.parametrize("visibility", Visibility)
def test_a_variant_is_behind_a_redirect(
    service: Service, visibility: Visibility, name: str, accept: str | None, content_type: str
) -> None:
    image = service.place(visibility=visibility)
    headers = {"accept": accept} if accept else {}
    answer = service.client.get(f"/images/{image.id}/variants/{name}", headers=headers)
    assert answer.status_code == 307
    cached = "public, max-age=300" if visibility is Visibility.PUBLIC else "no-cache"
    assert answer.headers["cache-control"] == cached
    assert answer.headers.get("vary") == (None if "." in name else "Accept")
    found = service.fetch(answer.headers["location"])
    assert (found.status_code, found.headers["content-type"]) == (200, content_type)
    assert "content-disposition" not in found.headers


def test_a_missing_variant_lists_the_available_ones(service: Service) -> None:
    path = f"/images/{service.place().id}/variants/"
    get = service.client.get
    assert assert_problem(get(path + "w9"), 404, "variant_not_found")["variants"] == ["thumb", "w1280", "w320"]
    assert assert_problem(get(path + "w99999.jpg"), 404, "variant_not_found")
    assert assert_problem(get(path + "w320.jpg"), 404, "format_not_found")["formats"] == ["webp"]
    assert assert_problem(get(path + "w1280.exe"), 404, "format_not_found")["formats"] == ["webp", "jpeg"]
    assert assert_problem(get(path + "w1280."), 404, "format_not_found")
    answer = get(path + "w1280", headers={"accept": "image/png, text/html"})
    assert assert_problem(answer, 406, "not_acceptable")["formats"] == ["webp", "jpeg"]


def test_a_variant_of_an_image_that_is_not_ready_is_a_conflict(service: Service) -> None:
    pending = service.place(Status.PENDING, seed=1)
    failure = Failure(code=FailureCode.CORRUPT_IMAGE, detail="It is cut short.")
    failed = service.place(Status.FAILED, seed=2, error=failure)
    problem = assert_problem(service.client.get(f"/images/{pending.id}/variants/thumb"), 409, "not_ready")
    assert problem["status_of_image"] == "pending"
    problem = assert_problem(service.client.get(f"/images/{failed.id}/variants/thumb.webp"), 409, "not_ready")
    assert problem["status_of_image"] == "failed"
    assert "cut short" in problem["detail"]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, Format.JPEG),
        ("", Format.JPEG),
        ("*/*", Format.JPEG),
        ("image/*", Format.JPEG),
        ("image/webp", Format.WEBP),
        ("image/webp, image/avif", Format.AVIF),
        ("image/webp, image/avif;q=0.5", Format.WEBP),
        ("image/jxl,image/avif,image/webp,image/apng,image/*,*/*;q=0.8", Format.JXL),
        ("image/jxl;q=0.5, image/webp", Format.WEBP),
        ("image/webp;q=0.5, image/*", Format.JPEG),
        ("image/jxl;q=0, */*", Format.JPEG),
        ("image/webp;q=0.1, */*", Format.JPEG),
        ("image/jpeg;q=0, */*", Format.PNG),
        ("image/*;q=0, */*", None),
        ("text/html", None),
        ("image/webp;q=0", None),
        ("image/webp;q=nan", None),
        ("IMAGE/WebP ; Q=1", Format.WEBP),
        (";;,,q=", None),
    ],
)
def test_the_format_is_the_best_that_is_accepted(accept: str | None, chosen: Format | None) -> None:
    assert negotiate_format(accept, ALL) is chosen


def variant(service: Service, visibility: Visibility = Visibility.PUBLIC) -> tuple[str, bytes]:
    image = service.place(visibility=visibility)
    (shown,) = [variant for variant in image.variants if variant.name == "w320"]
    return ServedFiles(service.side.seal).variant(image, shown), encoded("WEBP", 32, 24)


@pytest.mark.parametrize("visibility", Visibility)
def test_a_variant_file_can_be_cached_and_runs_no_scripts(self_hosted: Service, visibility: Visibility) -> None:
    path, content = variant(self_hosted, visibility)
    end = self_hosted.side.seal.expires() - int(self_hosted.side.clock())
    cached = DAY if visibility is Visibility.PUBLIC else f"private, max-age={end}, immutable"
    answer = self_hosted.client.get(path)
    assert (answer.status_code, answer.content) == (200, content)
    expected = {
        "cache-control": cached,
        "content-type": "image/webp",
        "content-length": str(len(content)),
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cross-origin-resource-policy": "cross-origin",
        "accept-ranges": "bytes",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    assert answer.headers["etag"].startswith('"')
    head = self_hosted.client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(content)))
    again = self_hosted.client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert again.headers["cache-control"] == cached


@pytest.mark.parametrize(
    ("wanted", "status", "start", "end"),
    [
        ("bytes=0-", 206, 0, None),
        ("bytes=0-9", 206, 0, 10),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=-5", 206, -5, None),
        ("bytes=5-999999", 206, 5, None),
        ("bytes=-999999", 206, 0, None),
        ("bytes=9-1", 200, 0, None),
        ("bytes=a-b", 200, 0, None),
        ("bytes=-", 200, 0, None),
        ("lines=0-1", 200, 0, None),
        ("bytes=" + ",".join("0-0" for _ in range(100)), 200, 0, None),
        ("bytes=0-1,3-4", 200, 0, None),
    ],
)
def test_one_range_is_served_and_invalid_ones_are_ignored(
    self_hosted: Service, wanted: str, status: int, start: int, end: int | None
) -> None:
    path, content = variant(self_hosted)
    answer = self_hosted.client.get(path, headers={"range": wanted})
    assert (answer.status_code, answer.content) == (status, content[start:end])
    assert answer.headers["content-length"] == str(len(answer.content))
    if status == 206:
        first = start if start >= 0 else len(content) + start
        expected = f"bytes {first}-{first + len(answer.content) - 1}/{len(content)}"
        assert answer.headers["content-range"] == expected


@pytest.mark.parametrize("wanted", ["bytes=999999-", "bytes=-0", "bytes=99999999999999999-"])
def test_a_range_past_the_end_is_refused_with_the_length(self_hosted: Service, wanted: str) -> None:
    path, content = variant(self_hosted)
    answer = self_hosted.client.get(path, headers={"range": wanted})
    assert_problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(content)}"


def test_if_range_with_another_etag_gets_the_whole_file(self_hosted: Service) -> None:
    path, content = variant(self_hosted)
    tag = self_hosted.client.get(path).headers["etag"]
    same = self_hosted.client.get(path, headers={"range": "bytes=0-3", "if-range": tag})
    other = self_hosted.client.get(path, headers={"range": "bytes=0-3", "if-range": '"other"'})
    past = self_hosted.client.get(path, headers={"range": "bytes=999999-", "if-range": '"other"'})
    assert (same.status_code, other.status_code, past.status_code) == (206, 200, 200)
    assert other.content == past.content == content
    none = self_hosted.client.get(path, headers={"range": "bytes=0-3", "if-range": ""})
    assert (none.status_code, none.content) == (200, content)


@pytest.mark.parametrize(
    "wanted",
    [
        ("lines", "bytes=0-3"),
        ("bytes=0-3", "lines"),
        ("bytes=5-2", "bytes=0-3"),
        ("bytes=999999-", "bytes=0-3"),
        ("bytes=0-3", "bytes=999999-"),
        ("bytes=0-1,5-6", "bytes=0-3"),
    ],
)
def test_a_duplicate_range_header_gets_the_whole_file(self_hosted: Service, wanted: tuple[str, str]) -> None:
    path, content = variant(self_hosted)
    answer = self_hosted.client.get(path, headers=[("range", header) for header in wanted])
    assert (answer.status_code, answer.content) == (200, content), answer.text
    assert answer.headers["content-type"] == "image/webp"


@pytest.mark.parametrize("headers", [{}, {"range": "bytes=0-3"}], ids=["whole", "a range"])
def test_a_file_deleted_before_it_is_opened_is_not_found(
    self_hosted: Service, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    path, content = variant(self_hosted)
    looked_at = files.not_modified

    def gone(if_none_match: str | None, tag: str) -> bool:
        for file in (self_hosted.scratch.parent / "data" / "processed").rglob("*.webp"):
            file.unlink()
        return looked_at(if_none_match, tag)

    assert self_hosted.client.get(path, headers=headers).content == content[: 4 if headers else None]
    monkeypatch.setattr(files, "not_modified", gone)
    assert_problem(self_hosted.client.get(path, headers=headers), 404, "file_not_found")


def test_other_files_cannot_be_read(self_hosted: Service) -> None:
    image = self_hosted.place(visibility=Visibility.PUBLIC)
    for folder in ("processed", "processed/public"):
        (self_hosted.scratch.parent / "data" / folder / "x.webp").write_bytes(b"x")
    public = f"processed/public/{image.id}"
    paths = [
        "darkroom.db", "../darkroom.db", "%2e%2e/darkroom.db", "processed/../darkroom.db", "secret", "tmp/", "",
        "processed/x.webp", "processed/public/x.webp", "processed/public/", f"{public}", f"{public}/{RENDERING}",
        f"{public}/{RENDERING}/", f"{public}/{RENDERING}/n.webp", f"{public}/%2e%2e/{image.id}/{RENDERING}/w320.webp",
        f"{public}/{RENDERING}/..%2f..%2f..%2f..%2fdarkroom.db", f"{public}/{RENDERING}/w320.webp%00",
        f"processed/public/..%2f{image.id}/{RENDERING}/w320.webp", f"processed/public/public/{image.id}/w320.webp",
        f"processed/{image.id}/{RENDERING}/w320.webp", f"originals/{image.id}", f"originals/{image.id}/x",
        "originals/x", "/etc/passwd", f"originals/{'a' * 5000}", f"processed/public%2f{image.id}/{RENDERING}/w9.webp",
    ]  # fmt: skip
    for path in paths:
        answer = self_hosted.client.get(f"/files/{path}")
        assert answer.status_code in {307, 403, 404}, path
        if answer.status_code == 307:
            assert answer.headers["location"].startswith(f"/files/{public}/{RENDERING}/")
        signed = self_hosted.client.get(f"/files/{path}?{self_hosted.side.seal.query(unquote(path))}")
        assert signed.status_code in {307, 403, 404} or path == f"originals/{image.id}", path


def test_deleted_files_are_not_found(self_hosted: Service) -> None:
    image = self_hosted.place(visibility=Visibility.PUBLIC)
    urls = [self_hosted.side.urls.original(image), self_hosted.side.urls.variant(image, image.variants[0])]
    assert [self_hosted.client.get(url).status_code for url in urls] == [200, 200]
    self_hosted.client.delete(f"/images/{image.id}")
    assert [self_hosted.client.get(url).status_code for url in urls] == [404, 404]


def test_there_is_no_files_route_with_another_object_store(side_name: str, tmp_path: Path) -> None:
    with service_on(side_name, tmp_path, files=None, local=None) as service:
        path, _ = variant(service)
        assert_problem(service.client.get(path), 404, "no_such_path")
