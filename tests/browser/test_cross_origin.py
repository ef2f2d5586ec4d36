"""Pages of other sites in Chromium: a listed one uploads with a ticket and progress, an unlisted one cannot."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_pages import browser, pytestmark  # noqa: F401 - the fixture, and when these tests can run
from tests.running_server import serving
from tests.self_hosted.test_direct_upload import noise

PAGE = b"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><input type="file"><script>
async function upload(service, file) {
  const ticket = await (await fetch(service + "/upload/direct", {
    method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({filename: file.name, content_type: file.type, bytes: file.size}),
  })).json();
  const progress = [];
  const status = await new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open(ticket.method, new URL(ticket.url, service));
    for (const [name, value] of Object.entries(ticket.headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = event => progress.push(event.loaded);
    request.onload = () => done(request.status);
    request.onerror = () => failed(new Error("the browser did not let it through"));
    request.send(file);
  });
  let record;
  do record = await (await fetch(service + "/images/" + ticket.id + "?wait=20")).json();
  while (record.status === "pending");
  return {status, progress, record};
}

// As upload widgets do that add headers of their own, in a page whose requests are traced.
async function drop(service, file) {
  const form = new FormData();
  form.append("file", file);
  const headers = {"X-Requested-With": "XMLHttpRequest", "Cache-Control": "no-cache",
                   "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
  const made = await fetch(service + "/upload", {method: "POST", headers, body: form});
  const record = await made.json();
  const part = await fetch(service + record.links.original, {headers: {...headers, "Range": "bytes=0-3"}});
  const read = names => answer => Object.fromEntries(names.map(name => [name, answer.headers.get(name)]));
  return {
    status: made.status, id: record.id,
    made: read(["Location", "ETag", "X-Request-Id"])(made),
    part: read(["Content-Range", "Content-Disposition", "Content-Length"])(part),
  };
}
</script>"""


class Site(BaseHTTPRequestHandler):
    """Site with one page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """Origin of the other site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def upload_from(
    browser: Any,  # noqa: F811 - a fixture's value
    site: str,
    service: str,
    file: Path,
    way: str = "upload",
) -> Any:
    """Choose the file in a page of the site, and upload it with a function of that page."""
    tab = browser.new_page()
    try:
        tab.goto(site)
        tab.locator("input").set_input_files(file)
        return tab.evaluate(f"service => {way}(service, document.querySelector('input').files[0])", service)
    finally:
        tab.close()


def test_a_listed_page_uploads_with_progress(browser: Any, site: str, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "large.png"
    file.write_bytes(noise(1500, 1500))
    with serving(tmp_path / "data", DARKROOM_CORS_ORIGINS=site) as server:
        result = upload_from(browser, site, server.url, file)
    assert result["status"] == 200
    assert result["record"]["status"] == "ready"
    assert result["progress"][-1] == file.stat().st_size
    assert result["progress"] == sorted(result["progress"])


def test_a_listed_page_sends_custom_headers_and_reads_exposed_ones(browser: Any, site: str, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "small.png"
    file.write_bytes(noise(10, 10))
    with serving(tmp_path / "data", DARKROOM_CORS_ORIGINS=site) as server:
        result = upload_from(browser, site, server.url, file, "drop")
    assert result["status"] == 201
    assert result["made"]["Location"] == f"/images/{result['id']}"
    assert result["made"]["ETag"]
    assert result["made"]["X-Request-Id"]
    assert result["part"]["Content-Range"] == f"bytes 0-3/{file.stat().st_size}"
    assert result["part"]["Content-Disposition"].startswith("attachment")
    assert result["part"]["Content-Length"] == "4"


def test_an_unlisted_page_cannot_call(browser: Any, site: str, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "small.png"
    file.write_bytes(noise(10, 10))
    with serving(tmp_path / "data") as server:
        with pytest.raises(Exception, match="Failed to fetch"):
            upload_from(browser, site, server.url, file)
        assert server.client.get("/images").json()["items"] == []
