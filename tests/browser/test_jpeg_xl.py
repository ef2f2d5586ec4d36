"""JPEG XL in Chromium: it names the format in `Accept`, gets it, and shows it."""

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops, ImageDraw

from tests.browser.test_pages import CHROMIUM, browser  # noqa: F401 - a fixture
from tests.running_server import Server, serving, wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: install Debian's package `chromium`"),
]

RECIPE = {"variants": [{"name": "page", "width": 600, "formats": ["webp", "jxl", "jpeg"]}]}


def picture() -> bytes:
    """Noisy halves in red and lime over a transparent half, with a circle. Without the noise it would be a WebP."""
    image = Image.new("RGBA", (600, 400), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 299, 199), fill="red")
    draw.rectangle((300, 0, 599, 199), fill="lime")
    draw.ellipse((250, 150, 350, 250), fill="blue")
    noise = ImageChops.subtract(Image.effect_noise((600, 400), 3), Image.new("L", (600, 400), 124))
    noisy = ImageChops.add(image.convert("RGB"), noise.convert("RGB"))
    image.paste(noisy, (0, 0), image.getchannel("A"))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module", params=["sizes on demand", "variants"])
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Any]]:
    """A server and the record of an image on it, whose markup has sizes on demand or variants."""
    settings = (
        {"DARKROOM_ON_DEMAND_JXL": "true"} if request.param == "sizes on demand" else {"DARKROOM_ON_DEMAND": "off"}
    )
    with serving(tmp_path_factory.mktemp("jxl") / "data", DARKROOM_RECIPE=json.dumps(RECIPE), **settings) as running:
        image_id = httpx.post(f"{running.url}/upload", files={"file": ("a.png", picture())}, timeout=120).json()["id"]

        def read() -> Any:
            return httpx.get(f"{running.url}/images/{image_id}", timeout=60).json()

        wait_for(lambda: read()["status"] != "pending", 120)
        assert read()["status"] == "ready"
        yield running, read()


def test_chromium_shows_the_first_source(browser: Any, shown: tuple[Server, Any]) -> None:  # noqa: F811
    server, record = shown
    tab = browser.new_page(base_url=server.url, viewport={"width": 800, "height": 600})
    tab.set_default_timeout(60_000)
    tab.goto("/docs")
    lasting = f"/images/{record['id']}/variants/page"
    tab.set_content(f'<base href="{server.url}/">{record["embed"]["html"]}<img id="plain" src="{lasting}">')
    tab.wait_for_function("[...document.images].every(image => { image.loading = 'eager'; return image.complete })")
    found = tab.evaluate(
        """async () => Promise.all([...document.images].map(async image => {
            const canvas = document.createElement('canvas'), context = canvas.getContext('2d')
            canvas.width = 600
            canvas.height = 400
            context.drawImage(image, 0, 0, 600, 400)
            const at = (x, y) => [...context.getImageData(x, y, 1, 1).data]
            const answer = await fetch(image.currentSrc, {headers: {Accept: 'image/jxl,image/*'}})
            return {type: answer.headers.get('content-type'), width: image.naturalWidth,
                pixels: [at(100, 100), at(500, 100), at(100, 300), at(300, 200)]}
        }))"""
    )
    tab.close()
    assert len(found) == 2
    for image in found:
        assert (image["type"], image["width"]) == ("image/jxl", 600)
        for pixel, color in zip(
            image["pixels"], [(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 0, 0), (0, 0, 255, 255)], strict=True
        ):
            assert color[3] == pixel[3]
            assert pixel[3] == 0 or max(abs(one - other) for one, other in zip(pixel, color, strict=True)) < 24


def test_without_naming_the_format_nobody_gets_it(shown: tuple[Server, Any]) -> None:
    server, record = shown
    for accept in ("*/*", "image/*", "image/avif,image/webp,image/*;q=0.8"):
        url = f"{server.url}/images/{record['id']}/variants/page"
        answer = httpx.get(url, headers={"Accept": accept}, follow_redirects=True, timeout=60)
        assert answer.headers["content-type"] in {"image/webp", "image/png"}
