"""The screenshots of the README and of docs/page.md are repeatable, by going through the page as a person does."""

from pathlib import Path

import pytest

from tests.browser.test_pages import pytestmark  # noqa: F401 - when these tests can run
from tests.repository.tree import ROOT

PNG = b"\x89PNG"


def test_an_upload_in_swagger_ui_is_shown() -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test-browser")
    from tests.browser.swagger import take

    assert take().startswith(PNG)


def test_one_uploads_finds_and_publishes_an_image_and_pastes_its_html(tmp_path: Path) -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test-browser")
    from tests.browser.screenshots import opened, take_page
    from tests.browser.story import FOUND

    shots: dict[str, bytes] = {}
    with opened(tmp_path) as (browser, server):
        take_page(browser, server, shots.__setitem__, number=5)
        items = server.client.get("/images").json()["items"]
    assert all(shot.startswith(PNG) for shot in shots.values())
    committed = [*(ROOT / "docs").glob("hero-*.webp"), *(ROOT / "docs" / "page").iterdir()]
    assert sorted(shots) == sorted(path.stem for path in committed)
    assert len(items) == 6
    found = next(item for item in items if item["filename"].startswith(FOUND))
    assert found["focal_point"] == pytest.approx({"x": 0.5, "y": 0.18}, abs=0.02)
    assert found["visibility"] == "public"
