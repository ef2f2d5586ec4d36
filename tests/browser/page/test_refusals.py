"""Refused uploads on the page: what was found, the limit, and what to do."""

import json
from typing import Any

import pytest

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_upload import file, filenames, jpeg, row
from tests.browser.waiting import stop_time, until
from tests.running_server import Server
from tests.samples import encoded

SETTINGS = {"DARKROOM_MAX_UPLOAD_BYTES": "300000", "DARKROOM_MAX_PIXELS": "1000000"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
ACCEPTED = "Accepted: JPEG, PNG, WebP, GIF, AVIF, HEIC, TIFF, BMP."


def refusal(page: Any, name: str, body: bytes, kind: str = "image/jpeg") -> str:
    """Upload a file that fails; the sentence in its row."""
    page.locator("#files").set_input_files(file(name, body, kind))
    row(page, name, "failed").wait_for()
    text: str = row(page, name).locator(".tray-error").inner_text()
    return text


def test_files_are_refused_before_they_are_sent(page: Any) -> None:
    page.goto("/")
    page.locator(".primary").first.wait_for()
    sent: list[str] = []
    page.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    assert refusal(page, "logo.svg", SVG, "image/svg+xml") == f"logo.svg is an SVG. {ACCEPTED}"
    assert refusal(page, "film.mp4", b"x", "video/mp4") == f"film.mp4 is an MP4. {ACCEPTED}"
    assert refusal(page, "empty.jpg", b"") == "empty.jpg is empty."
    assert refusal(page, "scan.tif", b"x" * 720_000, "image/tiff") == "scan.tif is 0.7 MB; the limit is 0.3 MB."
    assert refusal(page, "near.tif", b"x" * 300_400, "image/tiff") == "near.tif is 0.3004 MB; the limit is 0.3 MB."
    long = f"{'x' * 60}.svg"
    assert refusal(page, long, SVG, "image/svg+xml") == f"{'x' * 27}…{'x' * 8}.svg is an SVG. {ACCEPTED}"
    # The sentence runs from left to right, and the name within it the other way.
    assert refusal(page, "قارب.svg", SVG, "image/svg+xml") == f"\u2068قارب.svg\u2069 is an SVG. {ACCEPTED}"
    assert row(page, "قارب.svg").locator(".tray-error").evaluate("(each) => each.matches(':dir(ltr)')")
    assert sent == []
    page.get_by_text("7 of 7 uploads failed").wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0  # it would be the same again


def test_the_server_recognizes_what_the_name_hides(page: Any, expected: list[str]) -> None:
    expected.append("status of 415")
    page.goto("/")
    page.locator(".primary").first.wait_for()
    assert refusal(page, "renamed.jpg", SVG) == f"renamed.jpg is an SVG. {ACCEPTED}"


def test_images_that_cannot_be_processed_keep_their_original(page: Any, server: Server) -> None:
    page.goto("/")
    page.locator(".primary").first.wait_for()
    text = refusal(page, "photo.jpg", encoded("JPEG", 640, 480, seed=50)[:3000])
    assert text.startswith("photo.jpg is damaged. The JPEG")
    assert text.endswith("The original is kept.")
    again = refusal(page, "copy.jpg", encoded("JPEG", 640, 480, seed=50)[:3000])  # known, but not a success
    assert again.replace("copy.jpg", "photo.jpg") == text
    text = refusal(page, "pano.png", encoded("PNG", 2000, 1000, seed=51)[:250_000], "image/png")
    assert text == "pano.png has 2 megapixels; the limit is 1. The original is kept."
    with page.expect_download() as download:
        page.get_by_role("link", name="Download photo.jpg").click()
    assert download.value.suggested_filename == "photo.jpg"
    assert filenames(server) >= {"photo.jpg", "pano.png"}
    page.get_by_role("button", name="photo.jpg", exact=True).click()
    page.locator("#viewer[open]").wait_for()


def problem(status: int, code: str, **members: Any) -> dict[str, Any]:
    """Answer of the server, as `Route.fulfill` takes it."""
    document = {"status": status, "code": code, "detail": "A sentence of the server.", **members}
    return {"status": status, "content_type": "application/problem+json", "body": json.dumps(document)}


def test_a_full_server_says_so_and_the_upload_can_be_tried_again(page: Any, expected: list[str]) -> None:
    expected.append("status of 507")
    page.goto("/")
    page.locator(".primary").first.wait_for()
    page.route("**/upload?*", lambda route: route.fulfill(**problem(507, "storage_full")))
    text = refusal(page, "full.jpg", jpeg(60))
    assert text == "The server is full. Delete images or ask its operator."
    page.unroute("**/upload?*")
    page.get_by_role("button", name="Try full.jpg again").click()
    row(page, "full.jpg", "done").wait_for()
    page.get_by_text("1 upload finished").wait_for()


@pytest.mark.parametrize("path", ["**/images/lookup", "**/upload?*"])
def test_a_lost_connection_is_tried_again(page: Any, expected: list[str], path: str) -> None:
    expected.append("ERR_CONNECTION_REFUSED")
    page.clock.install()
    page.goto("/")
    page.locator(".primary").first.wait_for()
    stop_time(page)  # it is not tried again by itself
    page.route(path, lambda route: route.abort("connectionrefused"))
    name = f"lost {len(path)}.jpg"
    page.locator("#files").set_input_files(file(name, jpeg(60 + len(path))))
    waiting = row(page, name, "waiting").get_by_text("Connection lost. Retrying in ")

    def passes() -> bool:
        page.clock.run_for(200)
        return waiting.is_visible()

    until(page, passes)
    page.unroute(path)
    row(page, name, "waiting").get_by_role("button", name="Retry now").click()
    page.clock.resume()
    row(page, name, "done").wait_for()
    assert row(page, name).locator(".tray-error").is_hidden()


def test_uploads_go_on_when_the_browser_is_online_again(page: Any, expected: list[str]) -> None:
    expected.append("ERR_INTERNET_DISCONNECTED")
    page.goto("/")
    page.locator(".primary").first.wait_for()
    page.context.set_offline(True)
    page.locator("#files").set_input_files([file(f"tunnel {at}.jpg", jpeg(90 + at)) for at in range(4)])
    page.get_by_text("Waiting for the connection").wait_for()
    page.context.set_offline(False)
    for at in range(4):
        row(page, f"tunnel {at}.jpg", "done").wait_for()


def test_a_busy_server_is_asked_again_after_the_time_that_it_names(page: Any, expected: list[str]) -> None:
    expected.append("status of 503")
    page.goto("/")
    page.locator(".primary").first.wait_for()
    answer = problem(503, "too_many_uploads") | {"headers": {"Retry-After": "90"}}
    page.route("**/upload?*", lambda route: route.fulfill(**answer))
    page.locator("#files").set_input_files(file("busy.jpg", jpeg(70)))
    row(page, "busy.jpg", "waiting").get_by_text("The server is busy. Retrying in ").wait_for()
    assert int(row(page, "busy.jpg").locator(".tray-error").inner_text().split()[-2]) > 30
    page.unroute("**/upload?*")
    page.get_by_role("button", name="Retry now").click()
    row(page, "busy.jpg", "done").wait_for()
