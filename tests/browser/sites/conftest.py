"""A page of another site, with a strict policy, and the service that it uploads to."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_pages import browser  # noqa: F401 - a fixture
from tests.other_site import serving_site
from tests.running_server import Server, serving
from tests.samples import encoded

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>Site</title>
<script type="module" src="{service}/static/darkroom-upload.js"></script>
<form><darkroom-upload name="images" endpoint="{service}/upload/direct" records="{service}/images" multiple>
</darkroom-upload><button>Send</button></form>
<textarea aria-label="Notes"></textarea><div id="shown"></div>"""


class Site(BaseHTTPRequestHandler):
    """Site with one page. Its policy allows scripts, calls and images of the service only, and no inline styles."""

    service = ""

    def do_GET(self) -> None:
        body = PAGE.format(service=self.service).encode()
        policy = (
            f"default-src 'none'; script-src {self.service}; connect-src {self.service}; img-src data: {self.service}"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Origin of the site."""
    with serving_site(Site) as origin:
        yield origin


@pytest.fixture(scope="module")
def service(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Service that lists the site."""
    with serving(tmp_path_factory.mktemp("sites") / "data", DARKROOM_CORS_ORIGINS=site) as running:
        Site.service = running.url
        yield running


@pytest.fixture
def expected() -> list[str]:
    """Parts of console errors that a test provokes."""
    return []


@pytest.fixture
def page(browser: Any, site: str, service: Server, expected: list[str]) -> Iterator[Any]:  # noqa: F811 - a fixture's value
    """Page of the site. It must log no errors but the expected ones."""
    complaints: list[str] = []
    tab = browser.new_page(base_url=site, viewport={"width": 800, "height": 600})
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    tab.set_default_timeout(30_000)
    # From here on tests learn of choosers. If they ask only just before a key, they may miss the first.
    tab.on("filechooser", lambda _: None)
    tab.goto("/")
    tab.evaluate("customElements.whenDefined('darkroom-upload').then(() => true)")
    tab.evaluate(
        """() => {
             window.events = [];
             for (const kind of ["progress", "uploaded", "failed"]) {
               document.addEventListener(`darkroom-${kind}`, ({detail}) => events.push(
                 {kind, ...detail, file: detail.file.name, message: detail.error?.message, code: detail.error?.code}));
             }
           }"""
    )
    yield tab
    tab.close()
    assert [text for text in complaints if not any(part in text for part in expected)] == []


@pytest.fixture
def element(page: Any) -> Any:
    """The element of the page."""
    return page.locator("darkroom-upload")


@pytest.fixture
def photo(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Image that no other test uploads."""
    path = tmp_path / "photo.png"
    path.write_bytes(encoded("PNG", 900, 600, seed=sum(request.node.name.encode())))
    return path
