"""Ticket back ends of `examples/`: their page in Chromium uploads to a service with keys and shows the image.

Next itself is not installed: its route handlers are functions of web standards, and run in Node without it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.access.api_keys import Scope, new_key
from tests.browser.test_pages import browser  # noqa: F401 - a fixture
from tests.clients.programs import NODE_MODULES, PROGRAMS, ROOT
from tests.running_server import Server, free_port, serving, wait_for
from tests.samples import encoded

pytestmark = pytest.mark.clients

KEY, ENTRY = new_key("site", [Scope.ADMIN])
BACK_ENDS = ("fastapi", "express", "next")
ANN = {"X-Forwarded-User": "ann"}


PORTS = {name: free_port() for name in BACK_ENDS}


@dataclass
class BackEnd:
    """A running back end."""

    url: str
    client: httpx.Client


@contextmanager
def running(name: str, port: int, service: str, folder: Path) -> Iterator[BackEnd]:
    """Start a back end from a copy of the examples, next to which the npm packages are installed."""
    examples = folder / "examples"
    if not examples.exists():
        shutil.copytree(ROOT / "examples", examples)
        (folder / "node_modules").symlink_to(NODE_MODULES)
    command = {
        "fastapi": [sys.executable, "-m", "uvicorn", "main:app", "--app-dir", "fastapi", "--port", str(port)],
        "express": ["node", "express/server.mjs"],
        "next": ["node", str(PROGRAMS / "next_routes.mjs"), str(examples), str(port)],
    }[name]
    environment = os.environ | {"DARKROOM_URL": service, "DARKROOM_API_KEY": KEY, "PORT": str(port)}
    log = folder / f"{name}.log"
    with log.open("ab") as output, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        process = subprocess.Popen(command, cwd=examples, env=environment, stdout=output, stderr=output)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return client.get("/").status_code == 200
            except httpx.TransportError:
                return False

        try:
            wait_for(answers, 90, log.read_text)
            yield BackEnd(str(client.base_url), client)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "DARKROOM_AUTH": "required",
        "DARKROOM_API_KEYS": str(ENTRY),
        "DARKROOM_CORS_ORIGINS": ",".join(f"http://127.0.0.1:{port}" for port in PORTS.values()),
    }
    with serving(tmp_path_factory.mktemp("examples") / "data", **settings) as server:
        server.client.headers["X-API-Key"] = KEY
        yield server


@pytest.fixture(scope="module", params=BACK_ENDS)
def back_end(
    request: pytest.FixtureRequest, service: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BackEnd]:
    name = request.param
    with running(name, PORTS[name], service.url, tmp_path_factory.mktemp(name)) as started:
        yield started


def ticket_request(content: bytes, **fields: Any) -> dict[str, Any]:
    return {"filename": "photo.png", "content_type": "image/png", "bytes": len(content), **fields}


def test_the_page_uploads_and_shows_an_image(
    back_end: BackEnd,
    service: Server,
    browser: Any,  # noqa: F811 - a fixture's value
    tmp_path: Path,
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(encoded("PNG", 700, 500, seed=int(back_end.url.rpartition(":")[2].strip("/"))))
    complaints: list[str] = []
    tab = browser.new_page(base_url=back_end.url)
    try:
        tab.set_default_timeout(120_000)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto("/")
        tab.locator("darkroom-upload input[type=file]").set_input_files(photo)
        tab.locator("darkroom-upload li[data-state=done]").wait_for()
        tab.wait_for_function("document.querySelector('#images img')?.naturalWidth > 0")
        ids = tab.evaluate("new FormData(document.querySelector('form')).getAll('images')")
    finally:
        tab.close()
    assert complaints == []
    record = service.client.get(f"/images/{ids[0]}").json()
    assert (len(ids), record["owner"], record["visibility"]) == (1, "guest", "private")
    assert (record["filename"], record["bytes"]) == (photo.name, photo.stat().st_size)


def test_users_do_not_see_images_of_others(back_end: BackEnd) -> None:
    content = encoded("PNG", 60, 40, seed=31)
    ticket = back_end.client.post("/api/tickets", json=ticket_request(content, owner="bob"), headers=ANN)
    assert ticket.status_code in {200, 201}, ticket.text
    wanted = ticket.json()
    if "url" in wanted:  # else the bytes are known from another back end's test
        sent = httpx.put(wanted["url"], headers=wanted["headers"], content=content, timeout=60)
        assert sent.status_code == 200, sent.text
    mine = back_end.client.get(f"/api/images/{wanted['id']}", headers=ANN)
    assert (mine.status_code, mine.json()["owner"]) == (200, "ann")
    theirs = back_end.client.get(f"/api/images/{wanted['id']}", headers={"X-Forwarded-User": "bob"})
    assert (theirs.status_code, theirs.json()) == (404, {"detail": "There is no such image."})


def test_refusals_reach_the_page(back_end: BackEnd) -> None:
    def ask(**fields: Any) -> tuple[int, Any]:
        answer = back_end.client.post("/api/tickets", json=ticket_request(b"abc", **fields))
        return answer.status_code, answer.json()

    status, problem = ask(content_type="text/plain", filename="notes.txt")
    assert (status, problem["code"]) == (415, "unsupported_type")
    status, problem = ask(bytes=10_000_001)
    assert status == 413
    assert "limit" in problem["detail"]
    unknown = back_end.client.get("/api/images/01a21211-8a9b-7bc8-801b-cadcca2023b7")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "image_not_found")


@pytest.mark.parametrize("name", BACK_ENDS)
def test_a_service_that_does_not_answer_is_a_502(name: str, tmp_path: Path) -> None:
    with running(name, free_port(), f"http://127.0.0.1:{free_port()}", tmp_path) as started:
        answer = started.client.post("/api/tickets", json=ticket_request(b"abc"))
    assert (answer.status_code, answer.json()) == (502, {"detail": "The image service does not answer."})
