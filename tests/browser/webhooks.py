"""Screenshot of the webhooks on the page: endpoints, and deliveries to a receiver on this machine."""

from pathlib import Path
from typing import Any

from app.domain.access.api_keys import Scope, new_key
from tests.browser.demo import pictures
from tests.browser.hero import settle
from tests.running_server import serving, wait_for
from tests.web_server import answer, web_server

SECONDS = 120


def take(browser: Any, folder: Path) -> bytes:
    """Return the PNG of the dialog after two uploads, in the dark theme."""
    key, entry = new_key("root", [Scope.ADMIN])
    keys = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": str(entry)}
    with (
        web_server(answer("204 No Content"), names=None) as receiver,
        serving(folder / "webhooks", DARKROOM_ALLOW_PRIVATE_ADDRESSES="true", **keys) as server,
    ):
        server.client.headers["Authorization"] = f"Bearer {key}"
        shop = {"url": f"http://127.0.0.1:{receiver.port}/darkroom", "description": "web shop"}
        crm = {"url": "https://hooks.example.com/images", "owner": "ann", "events": ["image.ready"]}
        for fields in (shop, crm):
            server.client.post("/webhooks", json=fields).raise_for_status()
        for name, content in pictures(2):
            server.client.post("/upload?wait=20", files={"file": (name, content)}).raise_for_status()
        delivered = {"status": "delivered"}
        wait_for(lambda: len(server.client.get("/deliveries", params=delivered).json()["items"]) == 4, SECONDS)
        page = browser.new_page(
            base_url=server.url, viewport={"width": 1024, "height": 768}, color_scheme="dark", reduced_motion="reduce"
        )
        page.set_default_timeout(SECONDS * 1000)
        page.goto("/?webhooks=")
        page.locator("#key").fill(key)
        page.keyboard.press("Enter")
        page.get_by_role("list", name="Deliveries").get_by_text("Delivered").nth(3).wait_for()
        settle(page)
        shot: bytes = page.screenshot()
        page.close()
    return shot
