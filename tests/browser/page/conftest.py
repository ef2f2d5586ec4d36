"""A server for each module, and tabs that must not complain.

A module imports `pytestmark` from here. It may have `SETTINGS`, with which its server is started.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from tests.browser.test_pages import CHROMIUM, QUIET, pytestmark
from tests.browser.waiting import KEEP_TOASTS, wait_until
from tests.running_server import Server, serving

__all__ = ["CHROMIUM", "TIMEOUT_MS", "pytestmark"]

#: Time for a slow machine. Tests wait for what they look for, never for a fixed time.
TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Server of the module, with its `SETTINGS`."""
    settings = {"DARKROOM_TRASH_DAYS": "30", **getattr(request.module, "SETTINGS", {})}
    with serving(tmp_path_factory.mktemp("page") / "data", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium of the module: a second one of the session would need Playwright a second time in one thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test-browser")
    with playwright.sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def expected() -> list[str]:
    """Patterns of complaints that a test provokes: append to it, for example `"status of 415"`."""
    return []


@pytest.fixture
def new_page(browser: Any, server: Server, expected: list[str]) -> Iterator[Callable[..., Any]]:
    """Open tabs with options of Playwright's `new_page`, each with a session of its own. Toasts stay in them.

    The test fails if a tab logged an error, had an uncaught exception, requested another site, or had a request fail.
    """
    complaints: list[str] = []

    def complain(text: str) -> None:
        if not any(re.search(pattern, text) for pattern in expected):
            complaints.append(text)

    def check_address(request: Any) -> None:
        if not request.url.startswith((f"{server.url}/", "data:", "blob:")):
            complain(f"requested: {request.url}")

    def failed(request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page has ended it: a canceled upload, an image out of view
            complain(f"{request.url}: {request.failure}")

    with ExitStack() as tabs:

        def new(keep_toasts: bool = True, **options: Any) -> Any:
            tab = browser.new_page(**{"base_url": server.url, "viewport": {"width": 1280, "height": 800}, **options})
            tabs.callback(tab.close)
            tab.set_default_timeout(TIMEOUT_MS)
            tab.wait_for_function = partial(wait_until, tab)
            if keep_toasts:
                tab.add_init_script(KEEP_TOASTS)
            tab.on("request", check_address)
            tab.on("pageerror", lambda error: complain(str(error)))
            tab.on("console", lambda message: message.type == "error" and complain(message.text))
            tab.on("requestfailed", failed)
            return tab

        yield new
    assert complaints == []


@pytest.fixture
def page(new_page: Callable[..., Any]) -> Any:
    """Tab of 1280 x 800 px that must not complain. It is not at `/` yet: call `page.goto("/")`."""
    return new_page()
