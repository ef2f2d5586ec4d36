"""The page under a rate limit: it waits, and loses nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_upload import file, jpeg
from tests.running_server import Server, wait_for

SETTINGS = {"DARKROOM_RATE_LIMIT": "1"}


@contextmanager
def used_up(server: Server) -> Iterator[None]:
    """Send more requests than the limit allows meanwhile. The page has the same address."""
    ended = Event()

    def send() -> None:
        while not ended.wait(0.02):
            server.client.get("/limits")

    sending = Thread(target=send)
    sending.start()
    try:
        wait_for(lambda: server.client.get("/limits").status_code == 429, 120)
        yield
    finally:
        ended.set()
        sending.join()


def refused_posts(server: Server) -> list[str]:
    """Lines of the log about POST requests that the limit has refused: of the page alone."""
    return [line for line in server.log.read_text().splitlines() if '"rate_limited"' in line and '"POST"' in line]


def test_more_files_than_the_limit_arrive(page: Any, server: Server, expected: list[str]) -> None:
    expected.append("status of 429")
    page.goto("/")
    page.locator("input[type=file]").first.wait_for(state="attached")
    with used_up(server):
        page.locator("input[type=file]").first.set_input_files([file(f"{n}.jpg", jpeg(4000 + n)) for n in range(3)])
        wait_for(lambda: refused_posts(server), 120)
    page.wait_for_function("document.querySelectorAll('.tile.loaded').length === 3")
    assert page.locator('[data-state="failed"]').count() == 0
