"""Take a screenshot of Swagger UI after an upload."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.test_pages import CHROMIUM, QUIET
from tests.running_server import serving
from tests.samples import image_file

WIDTH, HEIGHT = 1280, 790
PHOTO = "libavif-tests__paris_exif_xmp_icc.jpg"
#: Replaces one text by another in the whole page.
SHOW_USUAL_PORT = """([found, shown]) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(found, shown)
}"""


def take() -> bytes:
    """Upload a photograph with "Try it out" and return a PNG of the route and its record."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "data") as server, sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(base_url=server.url, viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(60_000)
        page.goto("/docs")
        block = page.locator(".opblock-post", has=page.locator('[data-path="/upload"]'))
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Execute").wait_for()
        block.locator('input[type="file"]').set_input_files(
            {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": image_file(PHOTO).read_bytes()}
        )
        block.get_by_role("button", name="Execute").click()
        answer = block.locator(".live-responses-table .response .highlight-code").first
        answer.get_by_text("variants").first.wait_for()
        block.locator(".responses-wrapper").evaluate("element => element.scrollIntoView()")
        page.evaluate(SHOW_USUAL_PORT, [str(server.port), "8000"])
        shot = page.screenshot()
        browser.close()
    return shot
