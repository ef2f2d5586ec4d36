"""Follow one person through the page: upload, find, set the focal point, publish, paste. Each step is a screenshot."""

from collections.abc import Callable
from typing import Any

from tests.browser.demo import pictures
from tests.browser.hero import settle
from tests.browser.waiting import KEEP_TOASTS, wait_until
from tests.running_server import Server

FOUND = "lighthouse-at-dusk"
SITE = """<!doctype html><meta charset="utf-8"><title>My site</title><style>
body { margin: 48px auto; max-width: 720px; font: 18px/28px Georgia, serif; color: #222; background: #fff }
img { width: 100%; height: auto }</style><h1>A week at the coast</h1>
<p>We arrived in the evening, just before the lamp was lit.</p>"""
TIMEOUT_MS = 120_000

Keep = Callable[[str, bytes], None]


def tell(browser: Any, server: Server, keep: Keep, number: int) -> None:
    """Go through the page with this number of images; `keep` receives the name and the PNG of each step."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(KEEP_TOASTS)
    page = context.new_page()

    def step(name: str, tab: Any = page) -> None:
        settle(tab)
        keep(name, tab.screenshot())
        tab.evaluate("for (const each of document.querySelectorAll('.toast')) each.remove()")

    page.goto("/")
    page.get_by_role("button", name="Choose files").wait_for()
    step("01-empty")

    files = [{"name": name, "mimeType": "image/jpeg", "buffer": content} for name, content in pictures(number)]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(files)
    page.mouse.move(640, 100)
    wait_until(page, f"document.querySelectorAll('.tray-row[data-state=done]').length >= {number // 2}")
    step("02-upload")
    page.locator("#tray").get_by_text(f"{number} uploads finished").wait_for()
    wait_until(page, "!document.querySelector('.tile.pending')")
    page.locator("#tray").get_by_role("button", name="Close").click()
    step("03-gallery")

    page.get_by_role("searchbox").fill(FOUND)
    wait_until(page, "document.querySelectorAll('.tile').length === 1")
    step("04-search")

    page.locator(".tile-open").click()
    dialog = page.locator("#viewer[open]")
    dialog.get_by_role("heading", name="Sizes").wait_for()
    step("05-image")

    page.keyboard.press("f")
    box = dialog.locator(".viewer-picture").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.18)
    dialog.locator(".toast").get_by_text("Saved.").wait_for()
    step("06-focal-point")
    page.keyboard.press("Escape")

    dialog.get_by_role("button", name="Make public").click()
    dialog.get_by_text("Everybody who has a URL").wait_for()
    step("07-public")

    dialog.get_by_role("button", name="Copy HTML").click()
    dialog.locator(".toast").get_by_text("HTML copied.").wait_for()
    step("08-copied")

    other = context.new_page()
    other.set_content(SITE + page.evaluate("navigator.clipboard.readText()"))
    other.wait_for_function("document.querySelector('img').naturalWidth > 0")
    step("09-pasted", other)
    context.close()
