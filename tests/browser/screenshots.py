"""Take the screenshots of the README and of docs/page.md again: `python -m tests.browser.screenshots`."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser import hero, story, swagger, webhooks
from tests.browser.test_pages import CHROMIUM, QUIET
from tests.repository.tree import ROOT
from tests.running_server import Server, serving

DOCS = ROOT / "docs"
STORY = DOCS / "page"
PICTURES = 30
MOST_BYTES = 150_000
THEMES = ("light", "dark")
#: Views of the page on other screens: width, height, theme.
SCREENS = {"10-phone": (390, 844, "light"), "11-tablet-dark": (1024, 768, "dark")}


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Any, Server]]:
    """Start a server whose images are private until they are published, and Chromium."""
    settings = {"DARKROOM_DEFAULT_VISIBILITY": "private", "DARKROOM_TRASH_DAYS": "30"}
    with serving(folder / "data", **settings) as server, sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser, server
        browser.close()


def take_page(browser: Any, server: Server, keep: story.Keep, number: int = PICTURES) -> None:
    """Take the screenshots of the page, in their order."""
    story.tell(browser, server, keep, number)
    ids = [item["id"] for item in server.client.get("/images?limit=100").json()["items"]]
    server.client.post("/images/edit", json={"ids": ids, "visibility": "public"}).raise_for_status()
    for name, (width, height, theme) in SCREENS.items():
        page = browser.new_page(
            base_url=server.url, viewport={"width": width, "height": height}, color_scheme=theme, has_touch=width < 600
        )
        page.set_default_timeout(60_000)
        page.goto("/")
        page.locator(".tile.loaded").first.wait_for()
        hero.settle(page)
        keep(name, page.screenshot())
        page.close()
    record = hero.upload(server)
    for theme in THEMES:
        keep(f"hero-{theme}", hero.compose(browser, server, record, theme))
    keep("12-webhooks", webhooks.take(browser, server.data.parent))


def save(target: Path, shot: bytes) -> None:
    """Write the screenshot, as WebP unless its name says PNG."""
    with Image.open(io.BytesIO(shot), formats=["PNG"]) as picture:
        if target.suffix == ".png":
            picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
        else:
            picture.convert("RGB").save(target, quality=80, method=6)
    size = target.stat().st_size
    print(f"{target.relative_to(ROOT)}: {size:,} bytes", flush=True)
    if size > MOST_BYTES:
        raise SystemExit(f"more than {MOST_BYTES:,} bytes")


def main() -> None:
    STORY.mkdir(exist_ok=True)

    def keep(name: str, shot: bytes) -> None:
        save((DOCS if name.startswith("hero") else STORY) / f"{name}.webp", shot)

    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as (browser, server):
        take_page(browser, server, keep)
    save(DOCS / "swagger.png", swagger.take())


if __name__ == "__main__":
    main()
