"""Urls of sizes that front ends build: the server answers them with the right size and format."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from app.domain.access.signing import Signer
from app.domain.models import Format
from app.domain.sizes.query import parse_query
from app.domain.sizes.signatures import SizeSignatures
from app.domain.sizes.snapping import Ladder
from tests.clients.programs import PROGRAMS, ROOT, run
from tests.running_server import Server, processed, serving
from tests.samples import encoded

pytestmark = pytest.mark.clients

WIDTH, HEIGHT = 2000, 1500
BROWSER = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
Urls = dict[str, list[tuple[str, str | None]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("sizes") / "data", DARKROOM_DEFAULT_VISIBILITY="public") as made:
        yield made


@pytest.fixture(scope="module")
def image_id(server: Server) -> str:
    files = {"file": ("photo.jpg", encoded("JPEG", WIDTH, HEIGHT))}
    record = processed(server.client, server.client.post("/upload", files=files).json())
    assert record["status"] == "ready", record
    return str(record["id"])


@pytest.fixture(scope="module")
def urls(server: Server, image_id: str) -> Urls:
    """Urls and descriptors (`640w`) by front end."""
    found: Urls = run("node", str(PROGRAMS / "sizes.mjs"), str(ROOT / "examples"), server.url, image_id)
    return found


def snapped(url: str) -> tuple[int, int]:
    """Return the size of the image that the server makes for a url."""
    query = parse_query(httpx.URL(url).params.multi_items())
    operation = Ladder().snap(query, Format.WEBP, (WIDTH, HEIGHT))
    assert operation is not None
    assert operation.width is not None
    if operation.height is not None:
        return operation.width, operation.height
    width = min(WIDTH, operation.width)
    return width, round(HEIGHT * width / WIDTH)


@pytest.mark.parametrize("name", ["next", "unpic", "nuxt", "astro", "plain"])
@pytest.mark.parametrize("accept", [BROWSER, {"Accept": "*/*"}], ids=["browser", "old"])
def test_the_server_answers_with_size_and_format(urls: Urls, name: str, accept: dict[str, str]) -> None:
    assert len(urls[name]) >= 3
    for url, descriptor in urls[name]:
        answer = httpx.get(url, headers=accept, timeout=60, follow_redirects=True)
        assert answer.status_code == 200, (url, answer.text)
        with Image.open(io.BytesIO(answer.content), formats=["WEBP", "JPEG"]) as shown:
            size, form = shown.size, shown.format
        explicit = httpx.URL(url).params.get("format") or httpx.URL(url).params.get("fm")
        assert form == ("WEBP" if explicit == "webp" or accept is BROWSER else "JPEG"), url
        assert answer.headers["content-type"] == f"image/{form.lower()}"
        if "?" not in url:
            continue  # the largest variant
        assert size == snapped(url), url
        if descriptor is not None:
            assert size[0] >= min(WIDTH, int(descriptor.rstrip("w"))), url


def test_stock_widths_of_next_are_exact(urls: Urls) -> None:
    widths = {snapped(url)[0]: descriptor for url, descriptor in urls["next"] if descriptor}
    assert {f"{width}w" for width in widths} - {f"{WIDTH}w"} == {*widths.values()} - {"2048w", "3840w"}


def test_the_signer_of_the_documentation(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```js\n(.*?)^```", (ROOT / "docs" / "sizes.md").read_text(), re.DOTALL | re.MULTILINE)
    module = tmp_path / "signer.mjs"
    module.write_text(code)
    signatures = SizeSignatures(Signer(b"a secret of this test"))
    sizes: list[dict[str, Any]] = [
        {"width": 500, "height": 200, "fit": "cover", "fm": "webp"}, {"width": 641}, {"height": 99, "quality": 33},
    ]  # fmt: skip
    image_id = "01a21211-8a9b-7bc8-801b-cadcca2023b7"
    signed = run(
        "node", str(PROGRAMS / "sign_sizes.mjs"), str(module), signatures.key.hex(), image_id, json.dumps(sizes)
    )
    assert len(set(signed)) == len(sizes)
    for url in map(httpx.URL, signed):
        text = parse_query(url.params.multi_items()).text
        assert url.path == f"/i/{image_id}"
        assert signatures.verify(image_id, text, url.params["s"])
