"""Commands of README.md and docs/, and calls of examples/requests.http, run as they are written.

`SERVED_URL` is the address of a running server; without it one is started.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.repository.tree import README, ROOT
from tests.running_server import processed, serving
from tests.samples import encoded, image_file

pytestmark = pytest.mark.slow

ADDRESS = "http://127.0.0.1:8000"
REQUESTS = ROOT / "examples" / "requests.http"

KEY = {"X-API-Key": "a key of the tests"}
_HASH = hashlib.sha256(KEY["X-API-Key"].encode()).hexdigest()
#: Time for a request, or for the commands of one block, on a busy machine.
SECONDS = 120
KEYED = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": f"ann:read+upload:{_HASH}"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as ends:
        url = os.environ.get("SERVED_URL")
        if not url:
            url = ends.enter_context(serving(tmp_path_factory.mktemp("served") / "data")).url
        client = ends.enter_context(httpx.Client(base_url=url, timeout=SECONDS))
        # The commands wait for 20 seconds. The worker may take as long to start on a busy machine.
        first = client.post("/upload", files={"file": encoded("PNG", 8, 8, seed=os.getpid())}).raise_for_status()
        record = processed(client, first.json())
        client.delete(f"/images/{record['id']}").raise_for_status()
        yield url


def shell_blocks() -> list[str]:
    """Return the README's shell commands, without those that start or test the service."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [block for block in blocks if not block.startswith("make ")]


def run_in_shell(script: str, folder: Path, address: str) -> str:
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace(ADDRESS, address)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert run.returncode == 0, f"{script}\n{run.stdout}\n{run.stderr}"
    return run.stdout


def test_the_commands_of_the_readme_work_in_their_order(address: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encoded("JPEG", 1600, 1200, seed=os.getpid()))
    form, raw, as_json, rest = shell_blocks()

    first = json.loads(run_in_shell(form, tmp_path, address))
    assert first["status"] == "ready", first
    assert (first["alt"], first["tags"]) == ("A lighthouse at dusk", ["sea", "evening"])
    assert (first["width"], first["height"], first["duplicate"]) == (1600, 1200, False)

    for again in (raw, as_json):
        second = json.loads(run_in_shell(again, tmp_path, address))
        assert (second["id"], second["duplicate"]) == (first["id"], True)

    said = run_in_shell(rest, tmp_path, address)
    assert said.count(first["id"]) >= 2  # listed, then looked at
    assert (tmp_path / "original.jpg").read_bytes() == (tmp_path / "photo.jpg").read_bytes()
    assert (tmp_path / "w640.webp").read_bytes()[8:12] == b"WEBP"
    assert httpx.get(f"{address}/images/{first['id']}", timeout=SECONDS).status_code == 404


def test_the_back_end_of_the_readme_uploads_an_image(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    monkeypatch.setenv("DARKROOM_URL", address)
    monkeypatch.setenv("DARKROOM_API_KEY", "none")
    names: dict[str, Any] = {}
    exec(block, names)
    photo = encoded("JPEG", 320, 240, seed=os.getpid() + 7)
    ticket = names["request_ticket"]("photo.jpg", "image/jpeg", len(photo))
    sent = httpx.request(
        ticket["method"], httpx.URL(address).join(ticket["url"]), headers=ticket["headers"], content=photo,
        timeout=SECONDS,
    )  # fmt: skip
    assert sent.is_success, sent.text
    record = names["wait_for_image"](ticket["id"])
    assert (record["status"], record["width"]) == ("ready", 320)
    names["darkroom"].delete(f"/images/{ticket['id']}")
    names["darkroom"].close()


def test_the_commands_of_the_page_on_uploading_work(address: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "uploading.md").read_text()
    blocks = re.findall(r"^```shell\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        (tmp_path / "photo.jpg").write_bytes(encoded("JPEG", 640, 480, seed=os.getpid() + number))
        record = json.loads(run_in_shell(block, tmp_path, address))
        assert (record["status"], record["filename"]) == ("ready", "photo.jpg")
        assert (record["title"], record["tags"]) == ("Lighthouse", ["sea", "evening"])


def test_the_commands_on_editing_work_in_their_order(address: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    (section,) = re.findall(r"^## Edit images\n(.*?)^## ", page, re.DOTALL | re.MULTILINE)
    one, conditional, many = re.findall(r"^```shell\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    sent = {"file": ("photo.jpg", encoded("JPEG", 640, 480, seed=os.getpid() + 9), "image/jpeg")}
    image_id = httpx.post(f"{address}/upload?wait=20", files=sent, timeout=SECONDS).json()["id"]
    first, second, third = (
        json.loads(run_in_shell(f"id={image_id}\n{block}", tmp_path, address)) for block in (one, conditional, many)
    )
    assert (first["title"], first["tags"]) == ("Lighthouse", ["sea", "evening"])
    assert (first["metadata"], first["visibility"]) == ({"album": "7"}, "public")
    assert (second["title"], second["alt"]) == ("Lighthouse", "A lighthouse at dusk")
    assert [(result["id"], result["status"]) for result in third["results"]] == [(image_id, 200), ("no-id", 404)]


def test_a_backup_of_a_running_server_is_complete(tmp_path: Path) -> None:
    """Run the page's commands on the folder of a running server, and start another server on the restored folder."""
    page = (ROOT / "docs" / "server.md").read_text()
    (backup,) = re.findall(r"^## Backup\n.*?^```shell\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "darkroom").symlink_to(Path(sys.executable).with_name("darkroom"))
    (restore,) = re.findall(r"^## Restore\n.*?^```shell\n(.*?)^make run", page, re.DOTALL | re.MULTILINE)
    with serving(tmp_path / "data", **KEYED) as server:
        sent = {"file": ("photo.jpg", encoded("JPEG", 640, 480, seed=3), "image/jpeg")}
        server.client.headers.update(KEY)
        made = processed(server.client, server.client.post("/upload", files=sent).json())
        run_in_shell(backup, tmp_path, server.url)
    run_in_shell(restore, tmp_path, server.url)
    with serving(tmp_path / "restored", **KEYED) as server:
        (found,) = server.client.get("/images", headers=KEY).json()["items"]
        assert found["id"] == made["id"]
        # Existing signed urls work, because the secret was copied too.
        variants = [server.client.get(variant["url"]).status_code for variant in made["variants"]]
        assert variants == [200] * len(made["variants"])
        original = server.client.get(f"/images/{made['id']}/original", headers=KEY, follow_redirects=True)
        assert original.content == sent["file"][1]


@dataclass(frozen=True)
class Call:
    title: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def expected(self) -> int:
        return int(re.search(r"\((\d{3})\)$", self.title)[1])  # type: ignore[index]  # each title ends in its status


def calls() -> list[Call]:
    """Parse the file's requests like its two clients; `{{id}}` stays in the url."""
    head, *parts = re.split(r"^### ", REQUESTS.read_text(), flags=re.MULTILINE)
    assert f"@host = {ADDRESS}" in head
    found = []
    for part in parts:
        title, request, *lines = part.strip().splitlines()
        method, url = request.split(" ", 1)
        blank = lines.index("") if "" in lines else len(lines)
        headers = dict(line.split(": ", 1) for line in lines[:blank])
        found.append(Call(title, method, url, headers, build_body(lines[blank + 1 :], headers)))
    return found


def build_body(lines: list[str], headers: dict[str, str]) -> bytes:
    """Build a body. A line `< path` means that file's bytes; the lines of a form end in CR LF."""
    form = headers.get("Content-Type", "").startswith("multipart/")
    pieces = [(REQUESTS.parent / line[2:]).read_bytes() if line.startswith("< ") else line.encode() for line in lines]
    return (b"\r\n" if form else b"\n").join(pieces) + (b"\r\n" if form and pieces else b"")


def test_the_calls_for_rest_clients_have_the_status_of_their_titles(address: str) -> None:
    image_id = ""
    answers = []
    with httpx.Client(timeout=SECONDS) as client:
        for call in calls():
            url = call.url.replace("{{host}}", address).replace("{{id}}", image_id)
            answer = client.request(
                call.method, url, headers=call.headers, content=call.body.replace(b"{{id}}", image_id.encode())
            )
            answers.append((call.title, answer.status_code))
            if not image_id:
                image_id = answer.json()["id"]
                assert answer.json()["sha256"], answer.text
        for image in client.get(f"{address}/images").json()["items"]:
            client.delete(f"{address}/images/{image['id']}")
    assert answers == [(call.title, call.expected) for call in calls()]


def test_the_calls_for_rest_clients_cover_every_route(address: str) -> None:
    paths = httpx.get(f"{address}/openapi.json", timeout=SECONDS).json()["paths"]
    routes = {(method.upper(), path) for path, item in paths.items() for method in item}
    covered = set()
    for call in calls():
        path = re.sub(r"\?.*", "", call.url.replace("{{host}}", ""))
        for method, route in routes:
            if method == call.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), path):
                covered.add((method, route))
    assert covered == routes


def test_the_base64_of_the_calls_is_an_image() -> None:
    text = next(call.body for call in calls() if b"dot.png" in call.body)
    assert base64.b64decode(json.loads(text)["image_base64"]).startswith(b"\x89PNG")
    assert image_file("pillow-tests__hopper_orientation_6.jpg").exists()
    assert shutil.which("curl"), "the README's commands need curl"
