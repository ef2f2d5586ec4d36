"""The page under a rate limit: it waits, and loses nothing."""

from typing import Any

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_upload import file, jpeg
from tests.running_server import Server

SETTINGS = {"DARKROOM_RATE_LIMIT": "1"}


def test_more_files_than_the_limit_arrive(page: Any, server: Server, expected: list[str]) -> None:
    expected.append("status of 429")
    page.goto("/")
    page.locator("input[type=file]").first.set_input_files([file(f"{n}.jpg", jpeg(4000 + n)) for n in range(6)])
    page.wait_for_function("document.querySelectorAll('.tile.loaded').length === 6")
    assert page.locator('[data-state="failed"]').count() == 0
    refused = [line for line in server.log.read_text().splitlines() if '"rate_limited"' in line]
    assert refused
