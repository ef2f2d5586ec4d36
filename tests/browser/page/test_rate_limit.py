"""The page under a rate limit: it waits, and loses nothing."""

from typing import Any

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_upload import file, jpeg
from tests.running_server import Server, wait_for

SETTINGS = {"DARKROOM_RATE_LIMIT": "1"}


def test_more_files_than_the_limit_arrive(page: Any, server: Server, expected: list[str]) -> None:
    expected.append("status of 429")
    page.goto("/")
    page.locator("input[type=file]").first.wait_for(state="attached")
    wait_for(lambda: server.client.get("/limits").status_code == 429, 120)  # the page has the same address
    page.locator("input[type=file]").first.set_input_files([file(f"{n}.jpg", jpeg(4000 + n)) for n in range(3)])
    page.wait_for_function("document.querySelectorAll('.tile.loaded').length === 3")
    assert page.locator('[data-state="failed"]').count() == 0
    refused = [line for line in server.log.read_text().splitlines() if '"rate_limited"' in line and '"POST"' in line]
    assert refused
