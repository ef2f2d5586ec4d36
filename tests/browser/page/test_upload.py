"""Uploads on the page: the tray, known bytes, refusals, and lost connections."""

from typing import Any

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.running_server import Server
from tests.samples import encoded


def test_picked_files_are_uploaded_and_shown(page: Any, server: Server) -> None:
    page.goto("/")
    page.get_by_text("No images yet").wait_for()
    files = [
        {"name": f"photo {seed}.jpg", "mimeType": "image/jpeg", "buffer": encoded("JPEG", 320, 200, seed=seed)}
        for seed in range(4)
    ]
    page.locator("#files").set_input_files(files)
    page.locator('.tray-row[data-state="done"]').nth(3).wait_for()
    page.locator(".tile.loaded").nth(3).wait_for()
    items = server.client.get("/images").json()["items"]
    assert {item["filename"] for item in items} == {file["name"] for file in files}
