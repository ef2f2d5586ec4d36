"""The page in a function behind an HTTP API, below the name of its stage."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.models import Status
from tests.api.service import service_on
from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.samples import encoded

STAGE = "/prod"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[str]:
    """Address of the stage: a server that passes requests of a browser on to the function."""
    with service_on("moto", tmp_path) as service, service.below(STAGE) as client:
        service.place(Status.PENDING, filename="here.jpg")

        class Bridge(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = [(name, value) for name, value in self.headers.items() if name.lower() != "host"]
                answer: httpx.Response = client.request(self.command, self.path, headers=headers, content=body)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name not in ("content-length", "content-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.answer()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Bridge)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{STAGE}/"
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_page_lists_and_uploads_below_the_stage(browser: Any, stage: str) -> None:
    tab = browser.new_page()
    asked: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(stage)
    tab.get_by_role("link", name="here.jpg").wait_for()
    tab.locator("#files").set_input_files(
        {"name": "sent.jpg", "mimeType": "image/jpeg", "buffer": encoded("JPEG", 64, 48, seed=99)}
    )
    tab.get_by_role("link", name="sent.jpg").wait_for()
    tab.close()
    assert errors == []
    assert [url for url in asked if not url.startswith((stage, "blob:", "data:"))] == []
