"""Large images by upload ticket, with and without keys, through the real server and the command line."""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pillow_heif
import pytest
from PIL import Image

from app.domain.access.api_keys import Scope, new_key
from darkroom.cli.direct import FileClient
from darkroom.cli.image_file import ImageFile, UploadError
from tests.running_server import Server, serving
from tests.samples import encoded, image_file, photo, photograph

MEGABYTE = 1_000_000
KEY, ENTRY = new_key("ann", [Scope.UPLOAD, Scope.READ, Scope.DELETE])
READ_ONLY, READ_ENTRY = new_key("ann", [Scope.READ])
UPLOAD_ONLY, UPLOAD_ENTRY = new_key("ann", [Scope.UPLOAD])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys. It may have logged none of them, and no hash, when these tests have run."""
    settings = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": f"{ENTRY},{READ_ENTRY},{UPLOAD_ENTRY}"}
    with serving(tmp_path_factory.mktemp("direct") / "data", **settings) as running:
        yield running
        log = running.log.read_text()
        for secret in (KEY, READ_ONLY, ENTRY.sha256, READ_ENTRY.sha256, "signature="):
            assert secret not in log


def noise(width: int, height: int) -> bytes:
    """A PNG of about three bytes a pixel."""
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), random.Random(3).randbytes(3 * width * height)).save(
        out, "PNG", compress_level=0
    )
    return out.getvalue()


def memory_mb(server: Server, field: str) -> float:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


def darkroom(server: Server, *arguments: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    own = {"DARKROOM_URL": server.url, "DARKROOM_API_KEY": key}
    environment = {**os.environ, **own}
    command = [sys.executable, "-m", "darkroom", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.slow
def test_a_forty_megabyte_image_is_uploaded_by_ticket_with_flat_memory(server: Server, tmp_path: Path) -> None:
    body = noise(3700, 3650)
    assert 40 * MEGABYTE < len(body) < 42 * MEGABYTE
    path = tmp_path / "large.png"
    path.write_bytes(body)
    before = memory_mb(server, "VmRSS")
    seen: list[int] = []
    with FileClient(server.url, KEY) as client:
        record = client.send(ImageFile.read(path), seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == len(body)
        assert len(seen) > 100
        record = client.wait_until_processed(record, 300)
    assert record["status"] == "ready", record
    assert record["sha256"] == hashlib.sha256(body).hexdigest()
    assert memory_mb(server, "VmHWM") - before < 20


@pytest.mark.slow
def test_a_48_megapixel_heic_of_a_phone_is_sent_and_processed(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "IMG_4800.HEIC"
    smooth = pillow_heif.from_pillow(photo(8064, 6048, seed=54))
    smooth.save(path, quality=40, enc_params={"preset": "ultrafast"})
    done = darkroom(server, "upload", str(path), "--json", "--wait", "300")
    assert done.returncode == 0, done.stderr + done.stdout
    record = json.loads(done.stdout)
    assert (record["status"], record["content_type"]) == ("ready", "image/heic")
    assert (record["width"], record["height"]) == (8064, 6048)
    assert {variant["name"] for variant in record["variants"]} == {"thumb", "w320", "w640", "w1280", "w1920"}


@pytest.mark.slow
def test_the_command_sends_files_and_says_what_became_of_them(server: Server, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(photograph("photo-12mp.jpg"))
    small = tmp_path / "small.png"
    small.write_bytes(encoded("PNG", 200, 100, seed=50))
    done = darkroom(server, "upload", str(photo), str(small), "--tag", "sea", "--tag", "dusk", "--json")
    assert done.returncode == 0, done.stderr
    records: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["status"] for record in records] == ["ready", "ready"]
    assert [record["filename"] for record in records] == ["photo.jpg", "small.png"]
    assert records[0]["tags"] == ["sea", "dusk"]
    again = darkroom(server, "upload", str(photo))
    assert again.returncode == 0
    assert again.stdout.startswith("known ")
    assert again.stderr == "1 file: 1 known\n"


@pytest.mark.slow
def test_the_command_reports_files_that_it_could_not_send(server: Server, tmp_path: Path) -> None:
    page = tmp_path / "page.jpg"
    page.write_text("<html>")
    broken = image_file("pillow-tests__truncated_image.png")
    done = darkroom(server, "upload", str(page), str(broken), str(tmp_path / "nowhere.png"))
    assert done.returncode == 1
    assert "page.jpg  HTML is not supported. Accepted: JPEG, " in done.stderr
    assert "failed" in done.stderr
    assert "nowhere.png" in done.stderr
    assert "Traceback" not in done.stderr
    refused = darkroom(server, "upload", str(broken), str(broken), key=READ_ONLY)
    assert refused.returncode == 4
    error, cause, remedy, counts = refused.stderr.splitlines()
    assert error == f"error: {server.url} does not allow this"
    assert "scope `upload`" in cause
    assert remedy == "try: set DARKROOM_API_KEY to a key that may do it"
    assert counts == "2 files: 2 not sent"
    assert READ_ONLY not in refused.stderr + refused.stdout
    assert darkroom(server, "upload").returncode == 2


@pytest.mark.slow
def test_a_key_that_may_send_and_not_look_sends(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded("PNG", 90, 60, seed=53))
    done = darkroom(server, "upload", str(path), "--json", key=UPLOAD_ONLY)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "sent"
    record = server.client.get(f"/images/{told['id']}", headers={"Authorization": f"Bearer {READ_ONLY}"}).json()
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_key_is_made_and_shown_once() -> None:
    command = [sys.executable, "-m", "darkroom", "key", "entry", "create", "--owner"]
    made = subprocess.run([*command, "bob", "--scope", "read"], capture_output=True, text=True, check=True)
    key, entry = (line.partition(":")[2].strip() for line in made.stdout.splitlines())
    assert entry == f"bob:read:{hashlib.sha256(key.encode()).hexdigest()}"
    for wrong in (["anonymous", "--scope", "read"], ["bob", "--scope", "write"], ["bob"]):
        assert subprocess.run([*command, *wrong], capture_output=True, check=False).returncode == 2


@pytest.mark.slow
def test_a_send_that_breaks_is_begun_again(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded("PNG", 700, 500, seed=51))
    with httpx.HTTPTransport() as network, FileClient(server.url, KEY, transport=Flaky(network)) as client:
        record = client.wait_until_processed(client.send(ImageFile.read(path)), 300)
    assert record["status"] == "ready"


@pytest.mark.slow
def test_a_refusal_is_reported_and_not_retried(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded("PNG", 70, 50, seed=52))
    with (
        FileClient(server.url, "dk_unknown") as client,
        pytest.raises(UploadError, match="Unknown API key") as refusal,
    ):
        client.send(ImageFile.read(path))
    assert refusal.value.problem["code"] == "key_unknown"


class Flaky(httpx.BaseTransport):
    """A network on which the first ticket is lost, then the first send breaks, then an answer is lost."""

    def __init__(self, network: httpx.BaseTransport) -> None:
        self._network = network
        self._faults = {"POST": 1, "PUT": 2}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        left = self._faults.get(request.method, 0)
        self._faults[request.method] = left - 1
        if left == 2 or (left == 1 and request.method == "POST"):
            raise httpx.ConnectError("no route", request=request)
        answer = self._network.handle_request(request)
        if left == 1:
            answer.read()
            raise httpx.ReadError("the answer is lost", request=request)
        return answer
