"""Limits, health, pages, headers and the log."""

import asyncio
import gzip
import logging
import posixpath
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace

from app.domain.errors import Unavailable
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import LIMITS, Service, service_on
from tests.repository.tree import ROOT
from tests.samples import encoded

PAGE = ROOT / "app" / "api" / "static" / "page"


def test_limits_are_public(service: Service) -> None:
    told = service.client.get("/limits").json()
    assert told["max_upload_bytes"] == LIMITS.max_upload_bytes
    assert told["accepted_types"] == list(LIMITS.accepted_types)
    assert (told["authentication"], told["scopes"]) == ("none", ["upload", "read", "edit", "delete"])
    assert {spec["name"] for spec in told["recipe"]["variants"]} == {"thumb", "w320", "w640", "w1280", "w1920"}
    assert set(told) == {
        "max_upload_bytes", "max_json_bytes", "max_direct_bytes", "max_open_tickets", "trash_days", "max_pixels",
        "max_frames", "url_uploads", "accepted_types", "recipe", "authentication", "scopes", "quota_bytes",
        "quota_images", "rate_limit",
    }  # fmt: skip


def test_health_checks_return_200(service: Service) -> None:
    assert service.client.get("/healthz").json() == {"status": "ok"}
    assert service.client.get("/readyz").json() == {"status": "ok"}


def test_opentelemetry_learns_nothing_of_requests(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI would hand urls with their signatures, and the texts of errors, to providers that it finds."""
    asked: list[str] = []

    class Tracers(trace.TracerProvider):
        def get_tracer(self, name: str, *_: object, **__: object) -> trace.Tracer:
            asked.append(name)
            return trace.NoOpTracer()

    monkeypatch.setattr(trace, "get_tracer_provider", Tracers)

    async def get_from_a_bare_application() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(FastAPI()), base_url="http://x") as client:
            await client.get("/")

    asyncio.run(get_from_a_bare_application())
    assert asked == ["fastapi"]
    asked.clear()
    service.client.get("/limits")
    assert asked == []


def test_not_ready_names_the_backend_without_details(side_name: str, tmp_path: Path) -> None:
    def broken() -> None:
        raise Unavailable("secret-table is away")

    def crashing() -> None:
        raise ValueError("secret")

    checks = {"storage": lambda: None, "records": broken, "worker": crashing}
    with service_on(side_name, tmp_path, checks=checks) as service:
        answer = service.client.get("/readyz")
        problem = assert_problem(answer, 503, "not_reachable")
        assert problem["failed"] == ["records", "worker"]
        assert "secret" not in answer.text
        assert answer.headers["retry-after"]
        assert service.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_pages_load_local_files_only_and_have_no_inline_scripts(service: Service, path: str) -> None:
    page = service.client.get(path)
    assert page.status_code == 200
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", page.text)
    addresses = re.findall(r'(?:src|href|spec-url)="([^"]*)"', page.text)
    assert len(addresses) >= 4
    for address in addresses:
        assert not address.startswith(("/", "http")), "an address must work below any prefix"
        found = service.client.get(f"/{address}")
        assert (found.status_code, len(found.content) > 10) == (200, True), address
    types = {a.rpartition(".")[2]: service.client.get(f"/{a}").headers["content-type"] for a in addresses}
    assert types["js"].startswith("text/javascript")
    assert types["css"].startswith("text/css")


@pytest.mark.parametrize("wanted", ["lines", "bytes=5-2", "bytes=999999999-", "bytes=0-3", "bytes=0-1,3-4"])
def test_static_files_ignore_ranges(service: Service, wanted: str) -> None:
    whole = service.client.get("/static/docs.js")
    answer = service.client.get("/static/docs.js", headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, whole.content)
    assert (whole.headers["accept-ranges"], "content-range" in answer.headers) == ("none", False)


def test_modules_of_the_page_are_small_and_load_from_this_server_only(service: Service) -> None:
    """The page is below 60 kB after compression, and contains no markup in scripts nor code from text."""
    files = [file for file in sorted(PAGE.rglob("*")) if file.suffix in {".js", ".css", ".html"}]
    texts = {file.relative_to(PAGE).as_posix(): file.read_text() for file in files}
    sent = {name: service.client.get("/" if name == "index.html" else f"/static/page/{name}") for name in texts}
    sizes = {name: len(gzip.compress(answer.content)) for name, answer in sent.items()}
    assert sum(size for name, size in sizes.items() if "/" not in name) < 60_000
    assert (
        sum(size for name, size in sizes.items() if name.startswith("webhooks/")) < 8_000
    )  # loaded when they are opened
    for name, text in texts.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )
        for imported in re.findall(r'^import .* from "([^"]+)"', text, re.MULTILINE):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(name), imported)) in texts, (name, imported)


def test_modules_of_the_page_are_sent_without_comments(service: Service) -> None:
    """Only lines of comments are empty, so that the lines of errors are those of the file."""
    for file in (each for each in PAGE.rglob("*") if each.suffix in {".js", ".css"}):
        path = f"/static/page/{file.relative_to(PAGE).as_posix()}"
        answer = service.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/")
        inside = False
        for line, sent in zip(file.read_text().split("\n"), answer.text.split("\n"), strict=True):
            assert line.count("`") % 2 == 0, line  # a text of several lines could contain what looks like a comment
            starts = line.lstrip().startswith(("/*", "//"))
            inside = inside or starts
            assert sent == ("" if inside and not (starts and "*/" in line and not line.endswith("*/")) else line)
            if inside and ("*/" in line or line.lstrip().startswith("//")):
                inside = False
        assert "/**" not in answer.text
        again = service.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = service.client.head(path)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(answer.content)))


def test_links_are_below_a_path_prefix(service: Service) -> None:
    image = service.place()
    service.place(seed=2)
    with service.below("/prod") as client:
        record = client.get(f"/prod/images/{image.id}").json()
        assert record["links"]["self"] == f"/prod/images/{image.id}"
        located = client.get(f"/prod/images/{image.id}/variants/thumb.webp").headers["location"]
        assert located == next(variant["url"] for variant in record["variants"] if variant["name"] == "thumb")
        assert client.get("/prod/images?limit=1").links["next"]["url"].startswith("/prod/images?")
        origin = "" if service.self_hosted else str(client.base_url).rstrip("/")  # a gateway reports its own host
        assert client.get("/prod/openapi.json").json()["servers"] == [{"url": f"{origin}/prod"}]
        made = client.post("/prod/upload", files={"file": ("a.jpg", encoded(seed=3))})
        assert made.headers["location"] == f"/prod/images/{made.json()['id']}"


def test_files_are_below_a_path_prefix(self_hosted: Service) -> None:
    image = self_hosted.place()
    with self_hosted.below("/prod") as client:
        urls = [variant["url"] for variant in client.get(f"/images/{image.id}").json()["variants"]]
        assert all(url.startswith("/prod/files/") for url in urls)
        assert client.head(urls[0]).status_code == client.get(urls[0]).status_code == 200


def test_the_host_header_changes_no_response(service: Service) -> None:
    image = service.place()
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
    for path in ("/", "/docs", "/openapi.json", "/images", f"/images/{image.id}", f"/images/{image.id}/original",
                 f"/images/{image.id}/variants/thumb", "/images/", "/images?limit=1"):  # fmt: skip
        answer = service.client.get(path, headers=evil)
        assert "evil" not in answer.text + str(answer.headers), path


def test_every_response_has_the_security_headers(service: Service) -> None:
    for path in ("/healthz", "/images", "/docs", "/nothing", "/static/docs.js", "/openapi.json", "/images?limit=0"):
        headers = service.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("good", ["abc-1.2:3_4", "x" * 128])
def test_a_valid_request_id_is_used(service: Service, good: str) -> None:
    assert service.client.get("/nothing", headers={"x-request-id": good}).json()["request_id"] == good


@pytest.mark.parametrize("bad", ["x" * 129, "a b", "<script>", "", 'a"b', "é"])
def test_an_invalid_request_id_is_replaced(service: Service, bad: str) -> None:
    answer = service.client.get("/nothing", headers={"x-request-id": bad.encode()})
    made = answer.headers["x-request-id"]
    assert made == answer.json()["request_id"] != bad
    assert re.fullmatch(r"[0-9a-f]{32}" if service.self_hosted else r"[\w-]{15}=", made)  # or the gateway's


def test_each_request_is_one_line_in_the_log_without_secrets(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.request")
    headers = {"x-request-id": "mine", "authorization": "Bearer hidden"}
    service.client.get("/images?cursor=hidden", headers=headers)
    service.client.get("/hidden%0d%0aERROR%20forged%20%e2%80%ae")
    service.client.get("/images/hidden.jpg/variants/hidden.png")
    service.client.request("HIDDEN", "/images")
    lines = [entry.__dict__ for entry in caplog.records if entry.name == "app.request"]
    assert [line["status"] for line in lines] == [400, 404, 404, 405]
    assert [line["code"] for line in lines] == [
        "bad_cursor", "no_such_path", "image_not_found", "method_not_allowed"
    ]  # fmt: skip
    assert [line.get("route") for line in lines[:3]] == ["/images", None, "/images/{image_id}/variants/{name}"]
    assert lines[0]["request_id"] == "mine"
    assert "hidden" not in str(lines).lower()
    assert [entry.getMessage() for entry in caplog.records if entry.name == "app.request"][::3] == [
        "GET /images 400", f"other {lines[3].get('route', '(no route)')} 405"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/", "/"),
        ("GET", "/docs", "/docs"),
        ("GET", "/openapi.json", "/openapi.json"),
        ("GET", "/static/favicon.png", "/static"),
        ("GET", "/static/hidden.png", "/static"),
        ("GET", "/limits", "/limits"),
        ("HEAD", "/images", "/images"),
        ("DELETE", "/images/hidden", "/images/{image_id}"),
    ],
)
def test_the_log_line_has_the_route_and_never_the_path(
    service: Service, caplog: pytest.LogCaptureFixture, method: str, path: str, route: str
) -> None:
    caplog.set_level(logging.INFO, "app.request")
    service.client.request(method, path)
    (line,) = (entry.__dict__ for entry in caplog.records if entry.name == "app.request")
    assert (line["method"], line["route"]) == (method, route)
    assert "image_id" not in line


def test_the_log_line_of_an_upload_has_its_size_and_phases(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app.request")
    content = encoded(seed=3)
    sent = [service.client.post("/upload?wait=1", files={"file": ("a.jpg", content)}) for _ in range(2)]
    image_id = sent[0].json()["id"]
    first, again = (entry.__dict__ for entry in caplog.records if entry.name == "app.request")
    assert (first["image_id"], first["image_bytes"], first["duplicate"]) == (image_id, len(content), False)
    assert (again["image_id"], again["image_bytes"], again["duplicate"]) == (image_id, len(content), True)
    assert first["bytes_in"] > len(content)
    assert first["bytes_out"] == len(sent[0].content)
    assert first["phases"].keys() == {"receive", "store", "wait"}
    assert first["phases"]["wait"] >= 900
    assert sum(first["phases"].values()) <= first["ms"] + 1
    ticket = {"content_type": "image/jpeg", "bytes": 70_000, "filename": "hidden.jpg"}
    image_id = service.client.post("/upload/direct", json=ticket).json()["id"]
    line = caplog.records[-1].__dict__
    assert (line["route"], line["image_id"]) == ("/upload/direct", image_id)
    assert "image_bytes" not in line
