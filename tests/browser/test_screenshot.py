"""The screenshot of the README can be taken again."""

import pytest

from tests.browser.test_pages import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: install Debian's package `chromium`"),
]


def test_an_upload_in_swagger_ui_is_shown() -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test-browser")
    from tests.browser.screenshot import take

    assert take().startswith(b"\x89PNG")
