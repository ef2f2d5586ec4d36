"""Log of the server and its worker: a line for each request and each image, without personal data."""

import io
import socket
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from app import __version__
from app.domain.access.api_keys import Scope, new_key
from tests.log_lines import lines_of, of_images, of_metrics, of_requests
from tests.running_server import Server, finished, serving, wait_for
from tests.samples import encoded, image_file

pytestmark = pytest.mark.slow

KEY, ENTRY = new_key("jane.doe@example.org", [Scope.UPLOAD, Scope.READ, Scope.DELETE])
HEADERS = {
    "Authorization": f"Bearer {KEY}", "User-Agent": "JaneBrowser/1.0", "Referer": "https://jane.example/passport",
    "Cookie": "session=jane", "X-Forwarded-For": "203.0.113.80",
}  # fmt: skip
SECRETS = (
    KEY, KEY[:20], ENTRY.sha256, "jane", "Jane", "passport", "203.0.113.80", "signature=", "session=", "Bearer",
    "Bergstrasse",
)  # fmt: skip


def photograph_of_jane() -> bytes:
    with Image.open(io.BytesIO(encoded(seed=91))) as picture:
        exif = Image.Exif()
        exif[0x013B] = "Jane Doe, Bergstrasse 7"
        out = io.BytesIO()
        picture.save(out, "JPEG", exif=exif, comment=b"Jane's passport")
        return out.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server started with uvicorn's access log, against the docs."""
    settings = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": str(ENTRY), "DARKROOM_LOG_LEVEL": "DEBUG"}
    with serving(tmp_path_factory.mktemp("sight") / "data", **settings) as running:
        running.client.headers.update(HEADERS)
        yield running


def test_a_line_for_each_request_and_each_image_and_no_personal_data(server: Server) -> None:
    content = photograph_of_jane()
    fields = {"title": "Jane's passport", "tags": "jane"}
    sent = server.client.post("/upload?wait=20", files={"file": ("Jane Doe's passport.jpg", content)}, data=fields)
    record = finished(server, sent.json()["id"])
    assert record["status"] == "ready", record
    broken = image_file("pillow-tests__truncated_image.png").read_bytes()
    failed = finished(server, server.client.post("/upload", files={"file": ("Jane.png", broken)}).json()["id"])
    assert failed["status"] == "failed"
    ticket = server.client.post(
        "/upload/direct",
        json={"filename": "Jane.jpg", "content_type": "image/jpeg", "bytes": len(broken), "title": "Jane"},
    ).json()
    assert "signature=" in ticket["url"]
    server.client.put(ticket["url"], content=broken, headers=ticket["headers"])
    signed = record["variants"][0]["url"]
    assert server.client.get(signed).status_code == 200
    for path in (f"{signed}jane", "/Jane/passport.jpg?jane=1", "/images/Jane%20passport", "/images?cursor=Jane&x=Jane",
                 f"/images/{record['id']}/variants/Jane.webp", f"/images/{record['id']}/original"):  # fmt: skip
        server.client.get(path)
    server.client.post("/upload", json={"Jane": "passport"})
    server.client.request("JANE", "/images")
    stranger = httpx.get(f"{server.url}/images", headers={"X-API-Key": "dk_jane"}, timeout=60)
    assert stranger.status_code == 401
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as garbage:
        garbage.sendall(b"Jane's passport\r\n\r\n")
        assert b" 400 " in garbage.recv(1000)

    def is_logged() -> bool:
        lines = lines_of(server.log.read_text())
        return bool(of_images(lines, image_id=ticket["id"]) and of_requests(lines, status=401))

    wait_for(is_logged, 60, server.log.read_text)
    text = server.log.read_text()
    assert [secret for secret in SECRETS if secret in text] == [], text
    lines = lines_of(text)
    assert of_metrics(lines) == [], "nobody here reads CloudWatch's format; the figures are in the lines"
    assert not any("cold_start" in line for line in lines)
    (upload,) = of_requests(lines, image_id=record["id"], route="/upload")
    assert (upload["status"], upload["image_bytes"], upload["duplicate"]) == (201, len(content), False)
    assert upload["phases"].keys() == {"receive", "store", "wait"}
    assert len(of_requests(lines, route="/upload/direct", image_id=ticket["id"])) == 1
    assert len(of_requests(lines, method="PUT", image_id=ticket["id"])) == 1
    assert len(of_requests(lines, status=401)) == 1
    # The reconcile at the worker's start may have sent any of the events again.
    (ready,) = of_images(lines, image_id=record["id"], outcome="ready")
    assert (ready["outcome"], ready["width"], ready["height"], ready["direct"]) == ("ready", 64, 48, False)
    assert ready["phases"].keys() >= {"fetch", "process", "decode", "encode", "store", "record"}
    (corrupt,) = of_images(lines, image_id=failed["id"], outcome="failed")
    assert (corrupt["outcome"], corrupt["code"], corrupt["level"]) == ("failed", "corrupt_image", "WARNING")
    (direct,) = of_images(lines, image_id=ticket["id"], outcome="failed")
    assert (direct["direct"], direct["bytes"]) == (True, len(broken))


def test_its_last_words_are_lines_too(server: Server) -> None:
    assert server.stop() == 0
    lines = lines_of(server.log.read_text())
    assert lines[0]["message"].startswith(f"Darkroom {__version__} serves {server.url} ")
    assert lines[-1]["message"] == "stopped"
    assert {line["name"].partition(".")[0] for line in lines} == {"app"}
