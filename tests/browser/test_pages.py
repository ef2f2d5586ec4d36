"""Swagger UI and ReDoc in Chromium: they load from this server only, and "Try it out" uploads."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running_server import Server, serving
from tests.samples import encoded

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: install Debian's package `chromium`"),
]

#: Options that keep Chromium from making requests of its own.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("browser") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test-browser")
    with playwright.sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """Page that must make requests to the server only, and log no errors, until the test ends."""
    strangers: list[str] = []
    complaints: list[str] = []
    tab = browser.new_page(base_url=server.url, viewport={"width": 1280, "height": 1600})

    def asked(request: Any) -> None:
        if not request.url.startswith((server.url, "data:", "blob:")):
            strangers.append(request.url)

    tab.on("request", asked)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    tab.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    tab.set_default_timeout(60_000)
    yield tab
    tab.close()
    assert strangers == []
    assert complaints == []


def keep(page: Any, tmp_path: Path, name: str) -> None:
    """Save a screenshot in `SCREENSHOTS`, or else in the folder of the test."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    page.screenshot(path=folder / f"{name}.png")


def open_upload(page: Any) -> Any:
    page.goto("/docs")
    block = page.locator(".opblock-post", has=page.locator('[data-path="/upload"]'))
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Execute").wait_for()  # "Try it out" is enabled by default
    return block


def test_try_it_out_uploads_a_real_file_and_shows_the_record(page: Any, server: Server, tmp_path: Path) -> None:
    photo = tmp_path / "from the browser.jpg"
    photo.write_bytes(encoded("JPEG", 800, 600, seed=11))
    block = open_upload(page)
    block.locator('input[type="file"]').set_input_files(photo)
    block.get_by_role("button", name="Execute").click()
    live = block.locator(".live-responses-table")
    live.locator(".response-col_status", has_text="201").first.wait_for()
    keep(page, tmp_path, "swagger-upload")
    live.get_by_text(f'"{photo.name}"').first.wait_for()
    items = server.client.get("/images").json()["items"]
    assert [(item["filename"], item["bytes"]) for item in items] == [(photo.name, photo.stat().st_size)]
    assert (items[0]["title"], items[0]["alt"], items[0]["tags"]) == (None, None, [])  # no placeholder texts
    # `wait` is filled in, so that the first response has the variants.
    assert "wait=20" in block.locator(".request-url").inner_text()
    assert items[0]["status"] == "ready"


@pytest.mark.parametrize("kind", ["image/*", "application/octet-stream"])
def test_try_it_out_sends_a_raw_body(page: Any, server: Server, tmp_path: Path, kind: str) -> None:
    photo = tmp_path / "raw.jpg"
    photo.write_bytes(encoded("JPEG", 320, 240, seed=len(kind)))
    block = open_upload(page)
    block.locator(".opblock-section-request-body select.content-type").select_option(kind)
    block.locator('tr[data-param-name="filename"] input').fill("raw.jpg")
    block.locator('input[type="file"]').set_input_files(photo)
    block.get_by_role("button", name="Execute").click()
    live = block.locator(".live-responses-table")
    live.locator(".response-col_status", has_text="201").first.wait_for()
    live.get_by_text('"raw.jpg"').first.wait_for()


def test_try_it_out_offers_the_json_body_too(page: Any, server: Server, tmp_path: Path) -> None:
    block = open_upload(page)
    kinds = block.locator(".opblock-section-request-body select.content-type")
    assert kinds.locator("option").all_inner_texts() == [
        "multipart/form-data", "application/json", "image/*", "application/octet-stream"
    ]  # fmt: skip
    kinds.select_option("application/json")
    block.locator("textarea.body-param__text").fill(
        '{"filename": "dot.gif", "image_base64": "R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="}'
    )
    block.get_by_role("button", name="Execute").click()
    live = block.locator(".live-responses-table")
    live.locator(".response-col_status", has_text="201").first.wait_for()
    keep(page, tmp_path, "swagger-json")
    assert "dot.gif" in {item["filename"] for item in server.client.get("/images").json()["items"]}


def test_redoc_shows_the_operations(page: Any, tmp_path: Path) -> None:
    page.goto("/redoc")
    page.get_by_role("heading", name="Darkroom").first.wait_for()
    page.locator('[data-section-id]:has-text("/upload")').first.wait_for()
    keep(page, tmp_path, "redoc")
