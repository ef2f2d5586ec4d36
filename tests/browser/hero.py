"""Compose the README's hero: a request, the gallery, and the sizes of one image."""

import base64
import html
import json
from string import Template
from typing import Any

from tests.browser.demo import photograph
from tests.browser.waiting import wait_until
from tests.repository.tree import ROOT
from tests.running_server import Server

TEMPLATE = ROOT / "tests" / "browser" / "hero.html"
NAME, ALT = "photo.jpg", "A lighthouse at dusk"
GALLERY = {"width": 952, "height": 562}
#: Variants that are shown, with the width in the screenshot.
SHOWN = (("w1280.webp", 390), ("w640.webp", 270), ("w320.webp", 170), ("thumb.webp", 110))
ORIGINAL_WIDTH = 450


def upload(server: Server) -> dict[str, Any]:
    """Upload the photograph as the shown request does."""
    answer = server.client.post(
        "/upload?wait=20",
        files={"file": (NAME, photograph(), "image/jpeg")},
        data={"alt": ALT, "visibility": "public"},
    )
    record: dict[str, Any] = answer.json()
    while record["status"] == "pending":
        record = server.client.get(f"/images/{record['id']}?wait=20").json()
    return record


def compose(browser: Any, server: Server, record: dict[str, Any], theme: str) -> bytes:
    """Return a PNG, light or dark, with numbers of the record."""
    tab = browser.new_page(base_url=server.url, viewport=GALLERY, color_scheme=theme)
    tab.set_default_timeout(60_000)
    tab.goto("/")
    wait_until(tab, "document.querySelectorAll('.tile.loaded').length > 4 && !document.querySelector('.pending')")
    settle(tab)
    gallery = tab.screenshot()
    tab.close()
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.set_content(
        Template(TEMPLATE.read_text()).substitute(
            theme=theme, terminal=_terminal(record), gallery=_data("image/png", gallery), sizes=_sizes(server, record)
        )
    )
    shot: bytes = page.screenshot(full_page=True)
    page.close()
    return shot


def settle(page: Any) -> None:
    """Wait until the images in the viewport are decoded and no transition runs."""
    page.evaluate(
        """async () => {
          const isNear = image => image.src && image.getBoundingClientRect().top < innerHeight
          await Promise.all([...document.images].filter(isNear).map(image => image.decode().catch(() => {})))
          await Promise.allSettled(document.getAnimations()
            .filter(each => each.effect.getTiming().iterations !== Infinity).map(each => each.finished))
        }"""
    )


def _terminal(record: dict[str, Any]) -> str:
    command = f"<b>$ curl</b> '127.0.0.1:8000/upload?wait=20' \\\n    -F file=@{NAME} \\\n    -F alt='{ALT}'"
    fields = ("status", "width", "height", "content_type", "dominant_color", "thumbhash", "visibility")
    lines = [f'"id": "{record["id"][:8]}…",', *(f'"{name}": {json.dumps(record[name])},' for name in fields)]
    lines.append(f'"variants": [ … {len(record["variants"])} … ],')
    lines.append('"embed": {"html": "&lt;picture&gt;…", … }, …')
    body = "\n".join(f"  {line}" if "&lt;" in line else f"  {html.escape(line, quote=False)}" for line in lines)
    return f"{command}\n\n<span>{{\n{body}\n}}</span>"


def _sizes(server: Server, record: dict[str, Any]) -> str:
    original = server.client.get(record["links"]["original"], follow_redirects=True)
    kind = original.headers["content-type"]
    label = f"{NAME} <span>{record['width']} × {record['height']}</span><br>{_bytes(record['bytes'])}"
    figures = [_figure(_data(kind, original.content), ORIGINAL_WIDTH, label), '<div class="arrow">→</div>']
    for variant in record["variants"]:
        name = f"{variant['name']}.{variant['format']}"
        width = dict(SHOWN).get(name)
        if width is None:
            continue
        answer = server.client.get(variant["url"], follow_redirects=True)
        saved = 100 * (1 - variant["bytes"] / record["bytes"])
        label = f"{name} <span>{variant['width']} px</span><br>{_bytes(variant['bytes'])} <em>−{saved:.1f} %</em>"
        figures.append(_figure(_data(answer.headers["content-type"], answer.content), width, label))
    return "".join(figures[:2] + figures[:1:-1])


def _figure(source: str, width: int, label: str) -> str:
    return f'<figure><img src="{source}" width="{width}" alt=""><figcaption>{label}</figcaption></figure>'


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _bytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.0f} kB"
