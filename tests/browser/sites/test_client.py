"""`/static/client.js` in Chromium, in a page of another site."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_pages import pytestmark  # noqa: F401 - when these tests can run
from tests.running_server import Server

UPLOAD = """async ([service, content]) => {
  const {upload, ready, srcset} = await import(`${service}/static/client.js`);
  const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
  const progress = [];
  const onProgress = (sent, total) => progress.push([sent, total]);
  const file = new File([bytes], "photo.png", {type: "image/png"});
  const stored = await upload(file, `${service}/upload/direct`, {onProgress, fields: {title: "Sea"}});
  const record = await ready(`${service}/images/${stored.id}`);
  const again = await upload(file, `${service}/upload/direct`);
  const image = new Image();
  Object.assign(image, {sizes: "100vw", srcset: srcset(record)});
  await new Promise((done, failed) => Object.assign(image, {onload: done, onerror: failed}));
  return {stored, again, record, progress, srcset: srcset(record), shown: image.currentSrc, width: image.naturalWidth,
          pending: srcset({embed: {srcset: null}})};
}"""

REFUSED = """async ([service, path, delays]) => {
  const {upload} = await import(`${service}/static/client.js`);
  const file = new File(["not an image"], "text.txt", {type: "text/plain"});
  try {
    return await upload(file, path.startsWith("http") ? path : service + path, {delays});
  } catch (error) {
    return {name: error.constructor.name, status: error.status, code: error.code, message: error.message};
  }
}"""


def test_upload_wait_and_show(page: Any, service: Server, photo: Path) -> None:
    content = photo.read_bytes()
    found = page.evaluate(UPLOAD, [service.url, base64.b64encode(content).decode()])
    record = found["record"]
    assert found["stored"] == {"id": record["id"], "duplicate": False}
    assert (record["status"], record["title"], record["filename"]) == ("ready", "Sea", "photo.png")
    assert (found["again"]["id"], found["again"]["duplicate"]) == (record["id"], True)
    assert found["again"]["record"]["id"] == record["id"]
    assert found["progress"][-1] == [len(content), len(content)]
    # Urls of the record are paths of the service; those of the page are absolute.
    widths = [candidate.split(" ") for candidate in found["srcset"].split(", ")]
    assert [width for _, width in widths] == ["256w", "384w", "640w", "750w", "828w", "900w"]
    assert all(url.startswith(f"{service.url}/") for url, _ in widths)
    assert found["shown"] in dict(widths)
    assert found["width"] > 0
    assert found["pending"] == ""


@pytest.mark.parametrize(
    ("path", "console", "status", "code"),
    [
        ("/upload/direct", "status of 415", 415, "unsupported_type"),
        ("/limits", "status of 405", 405, "method_not_allowed"),
        ("/nothing", "status of 404", 404, "no_such_path"),
    ],
)
def test_a_refusal_has_status_code_and_detail(
    page: Any, service: Server, expected: list[str], path: str, console: str, status: int, code: str
) -> None:
    expected.append(console)
    error = page.evaluate(REFUSED, [service.url, path, []])
    assert (error["name"], error["status"], error["code"]) == ("UploadError", status, code)
    assert len(error["message"]) > 10


def test_an_endpoint_without_an_answer_has_status_0(page: Any, service: Server, expected: list[str]) -> None:
    expected.append("net::ERR_FAILED")
    asked: list[str] = []
    page.on("request", lambda request: request.method == "POST" and asked.append(request.url))
    page.route("**/upload/direct", lambda route: route.abort())
    error = page.evaluate(REFUSED, [service.url, "/upload/direct", [0, 0]])
    assert (error["status"], error["code"], error["message"]) == (0, "", "Connection lost.")
    assert len(asked) == 3


def test_an_answer_that_is_no_ticket_is_a_refusal(page: Any, service: Server) -> None:
    page.route("**/upload/direct", lambda route: route.fulfill(
        status=200, body="<p>Sign in</p>", headers={"Access-Control-Allow-Origin": "*"}
    ))  # fmt: skip
    error = page.evaluate(REFUSED, [service.url, "/upload/direct", []])
    assert (error["name"], error["status"], error["message"]) == ("UploadError", 200, "Status 200.")


def test_the_validation_errors_of_a_fastapi_back_end_are_shown(page: Any, service: Server, expected: list[str]) -> None:
    expected.append("status of 422")
    body = '{"detail": [{"type": "missing", "loc": ["body", "album"], "msg": "Field required"}]}'
    page.route(
        "**/upload/direct",
        lambda route: route.fulfill(status=422, body=body, headers={"Access-Control-Allow-Origin": "*"}),
    )
    error = page.evaluate(REFUSED, [service.url, "/upload/direct", []])
    assert (error["status"], error["code"], error["message"]) == (422, "", "Field required")
