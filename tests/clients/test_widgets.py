"""Uppy, Dropzone and FilePond with their default options, on a page of another site in a real Chromium."""

import mimetypes
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_pages import browser  # noqa: F401 - a fixture
from tests.clients.programs import NODE_MODULES
from tests.other_site import serving_site
from tests.running_server import Server, processed, serving
from tests.samples import encoded

pytestmark = pytest.mark.clients

NAME = "Fête – 日本.png"
#: For each widget: its script, and a page that starts it and sets `window.over` at the end of the upload.
WIDGETS = {
    "uppy": (
        "uppy/dist/uppy.min.js",
        """const uppy = new Uppy.Uppy({autoProceed: true}).use(Uppy.XHRUpload, {endpoint})
           document.querySelector("input").onchange = event => {
             for (const file of event.target.files) uppy.addFile({name: file.name, type: file.type, data: file})
           }
           uppy.on("upload-success", (file, answer) => window.over = {status: answer.status, body: answer.body})
           uppy.on("upload-error", (file, error) => window.over = {error: String(error)})""",
    ),
    "dropzone": (
        "dropzone/dist/dropzone-min.js",
        """const zone = new Dropzone("#zone", {url: endpoint})
           document.querySelector("input").onchange = event => zone.addFile(event.target.files[0])
           zone.on("success", (file, body) => window.over = {status: file.xhr.status, body})
           zone.on("error", (file, error) => window.over = {error: JSON.stringify(error)})""",
    ),
    "filepond": (
        "filepond/dist/filepond.min.js",
        """const pond = FilePond.create(document.querySelector("input"), {server: endpoint})
           pond.on("processfile", (error, file) => window.over =
             error ? {error: JSON.stringify(error)} : {status: 201, body: JSON.parse(file.serverId)})""",
    ),
}


class Site(BaseHTTPRequestHandler):
    """Site with a page for each widget, which loads its script from the installed package."""

    service = ""

    def do_GET(self) -> None:
        path = self.path.removeprefix("/")
        if path in WIDGETS:
            script, program = WIDGETS[path]
            body = f"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
              <form id="zone" class="dropzone"></form><input type="file"><script src="/{script}"></script>
              <script>const endpoint = "{self.service}/upload?wait=20"; {program}</script>""".encode()
            kind = "text/html"
        else:
            body, kind = (NODE_MODULES / path).read_bytes(), mimetypes.guess_type(path)[0] or "text/plain"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Origin of the other site."""
    with serving_site(Site) as origin:
        yield origin


@pytest.fixture(scope="module")
def service(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("widgets") / "data", DARKROOM_CORS_ORIGINS=site) as running:
        Site.service = running.url
        yield running


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_with_default_options(
    widget: str,
    site: str,
    service: Server,
    browser: Any,  # noqa: F811 - a fixture's value
    tmp_path: Path,
) -> None:
    picture = tmp_path / NAME
    picture.write_bytes(encoded("PNG", seed=list(WIDGETS).index(widget)))
    tab = browser.new_page()
    tab.set_default_timeout(120_000)
    try:
        tab.goto(f"{site}/{widget}")
        tab.locator("input[type=file]").first.set_input_files(picture)
        tab.wait_for_function("window.over")
        over = tab.evaluate("window.over")
        assert over.get("status") == 201, over
        record = processed(service.client, over["body"])
        assert (record["filename"], record["status"], record["bytes"]) == (NAME, "ready", picture.stat().st_size)
        call = "async ([url, method]) => { const a = await fetch(url, {method}); return [a.status, await a.text()] }"
        assert record["id"] in tab.evaluate(call, [f"{service.url}/images", "GET"])[1]
        assert tab.evaluate(call, [f"{service.url}/images/{record['id']}", "DELETE"])[0] == 204
    finally:
        tab.close()
    assert service.client.get("/images").json()["items"] == []
