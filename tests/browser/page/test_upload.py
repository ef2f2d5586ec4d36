"""Uploads on the page: ways in, known bytes, tickets, and what a browser sends."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.waiting import until, wait_until
from tests.running_server import Server, finished
from tests.samples import encoded
from tests.self_hosted.test_direct_upload import noise

#: Drop or paste a file of these bytes.
DROP = """([name, bytes]) => {
  const transfer = new DataTransfer()
  transfer.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/jpeg'}))
  const fire = (type) => dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: transfer}))
  fire('dragenter')
  const shown = document.getElementById('drop').matches(':popover-open')
  fire('drop')
  return [shown, document.getElementById('drop').matches(':popover-open')]
}"""
PASTE = """([name, bytes]) => {
  const transfer = new DataTransfer()
  transfer.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/jpeg'}))
  document.body.dispatchEvent(new ClipboardEvent('paste', {bubbles: true, cancelable: true, clipboardData: transfer}))
}"""
#: Note every state word of the tray from now on.
WATCH_WORDS = """() => {
  window.words = []
  new MutationObserver(() => {
    for (const each of document.querySelectorAll('.tray-word')) {
      if (words.at(-1) !== each.textContent) words.push(each.textContent)
    }
  }).observe(document.getElementById('tray'), {subtree: true, childList: true, characterData: true})
}"""
#: Count the hashes that are computed.
COUNT_HASHES = """
window.hashes = 0
const { digest } = SubtleCrypto.prototype
SubtleCrypto.prototype.digest = async function (...given) {
  const result = await digest.apply(this, given)
  window.hashes += 1
  return result
}
"""


def file(name: str, body: bytes, kind: str = "image/jpeg") -> dict[str, Any]:
    """A file as `set_input_files` takes it."""
    return {"name": name, "mimeType": kind, "buffer": body}


def jpeg(seed: int) -> bytes:
    return encoded("JPEG", 320, 200, seed=seed)


def row(page: Any, name: str, state: str = "") -> Any:
    """Row of a file in the tray, in this state."""
    chosen = f'[data-state="{state}"]' if state else ""
    return page.locator(f".tray-row{chosen}", has=page.locator(f'.tray-name[title="{name}"]'))


def filenames(server: Server) -> set[str]:
    return {item["filename"] for item in server.client.get("/images?limit=100").json()["items"]}


def hold_uploads(page: Any) -> list[Any]:
    """Return a list that gets the uploads from now on, which wait until the test continues them."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/upload?*", hold)
    return held


def record_requests(page: Any) -> list[tuple[str, str]]:
    """Return a list that gets method and path of each request from now on."""
    seen: list[tuple[str, str]] = []
    page.on("request", lambda request: seen.append((request.method, "/" + request.url.split("/", 3)[3].split("?")[0])))
    return seen


def test_picked_files_are_uploaded_and_shown(page: Any, server: Server) -> None:
    page.goto("/")
    page.get_by_role("button", name="Try a sample").click()
    row(page, "sample.jpg", "done").wait_for()
    files = [file(f"photo {seed}.jpg", jpeg(seed)) for seed in range(4)]
    page.locator("#files").set_input_files(files)
    page.locator('.tray-row[data-state="done"]').nth(4).wait_for()
    page.locator(".tile.loaded").nth(4).wait_for()
    page.get_by_text("5 uploads finished").wait_for()
    page.locator(".tray-thumb img").nth(4).wait_for()  # the thumbnail of the server
    assert filenames(server) >= {each["name"] for each in files}
    page.get_by_role("button", name="Close").click()
    page.locator("#tray").wait_for(state="hidden")


def test_files_are_dropped_pasted_and_picked_as_a_folder(page: Any, server: Server, tmp_path: Path) -> None:
    page.goto("/")
    page.locator(".primary").first.wait_for()
    assert page.evaluate(DROP, ["dropped.jpg", list(jpeg(10))]) == [True, False]  # the overlay was shown, and is gone
    row(page, "dropped.jpg", "done").wait_for()
    page.evaluate(PASTE, ["pasted.jpg", list(jpeg(11))])
    row(page, "pasted.jpg", "done").wait_for()
    folder = tmp_path / "holiday"
    for name, body in (("a.jpg", jpeg(12)), ("deep/b.jpg", jpeg(13)), (".hidden/c.jpg", jpeg(14)), ("notes.txt", b"x")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    page.locator("#folder").set_input_files(folder)
    page.get_by_text("Left out 1 file that is not an image.").first.wait_for()
    row(page, "a.jpg", "done").wait_for()
    row(page, "b.jpg", "done").wait_for()
    assert filenames(server) >= {"dropped.jpg", "pasted.jpg", "a.jpg", "b.jpg"}
    assert filenames(server).isdisjoint({"c.jpg", "notes.txt"})


def test_known_bytes_are_not_sent(page: Any, server: Server) -> None:
    body = jpeg(20)
    first = finished(server, server.client.post("/upload", files={"file": ("first.jpg", body)}).json()["id"])
    assert first["status"] == "ready"  # else its bytes must be sent again
    page.goto("/")
    page.locator(".primary").first.wait_for()
    seen = record_requests(page)
    page.locator("#files").set_input_files([file("second.jpg", body), file("new.jpg", jpeg(21))])
    row(page, "second.jpg", "known").wait_for()
    row(page, "new.jpg", "done").wait_for()
    assert row(page, "second.jpg").locator(".tray-word").inner_text() == "Already here"
    assert seen.count(("POST", "/images/lookup")) == 2
    assert seen.count(("POST", "/upload")) == 1  # the new one
    until(page, lambda: ("GET", f"/images/{first['id']}") in seen)
    assert "second.jpg" not in filenames(server)


def test_large_files_go_by_ticket_and_their_bytes_are_counted(page: Any, server: Server) -> None:
    # As on AWS, where larger images must go to the bucket.
    limits = server.client.get("/limits").json() | {"max_upload_bytes": 300_000}
    page.route("**/limits", lambda route: route.fulfill(json=limits))
    page.goto("/")
    page.locator(".primary").first.wait_for()
    page.evaluate(WATCH_WORDS)
    seen = record_requests(page)
    # So slow that the browser must report parts of the file, on any machine.
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.locator("#files").set_input_files(file("large.png", noise(600, 600), "image/png"))
    row(page, "large.png", "done").wait_for()
    assert seen.count(("POST", "/upload")) == 0
    assert seen.count(("POST", "/upload/direct")) == 1
    assert len([path for method, path in seen if method == "PUT" and path.startswith("/files/originals/")]) == 1
    shares = [int(word.removesuffix(" %")) for word in page.evaluate("words") if word.endswith("%")]
    assert shares == sorted(shares)
    assert [share for share in shares if 0 < share < 100]
    assert "large.png" in filenames(server)


def test_files_are_hashed_ahead_and_looked_up_together(page: Any, server: Server) -> None:
    page.add_init_script(COUNT_HASHES)
    page.goto("/")
    page.locator(".primary").first.wait_for()
    held = hold_uploads(page)
    asked: list[list[str]] = []
    page.on("request", lambda request: "lookup" in request.url and asked.append(request.post_data_json["sha256"]))
    names = [f"ahead {at}.jpg" for at in range(12)]
    page.locator("#files").set_input_files([file(name, jpeg(500 + at)) for at, name in enumerate(names)])
    page.locator('.tray-row[data-state="sending"]').nth(2).wait_for()
    wait_until(page, "hashes === 3 + 8")  # the three that are sent, and the next eight
    until(page, lambda: len(held) == 3)
    page.route("**/upload?*", lambda route: route.continue_())
    for each in held:
        each.continue_()
    page.get_by_text("12 uploads finished").wait_for()
    assert len(asked) <= 5  # one for each of the first three, one for the next eight, one for the last
    assert sorted(each for hashes in asked for each in hashes) == sorted(
        {sha256(jpeg(500 + at)).hexdigest() for at in range(12)}
    )
    assert page.evaluate("hashes") == 12
    assert filenames(server) >= set(names)


def test_new_images_get_their_names_and_what_the_filter_says(page: Any, server: Server) -> None:
    page.goto("/?tag=sea+%26+sky&tag=blau&view=private")
    page.get_by_role("button", name="Upload").first.wait_for()
    name = "a&b=c+d %41 #1 \u00fc \U0001f3d6.jpg"
    page.locator("#files").set_input_files(file(name, jpeg(520)))
    row(page, name, "done").wait_for()
    [image] = [each for each in server.client.get("/images?limit=100").json()["items"] if each["filename"] == name]
    assert sorted(image["tags"]) == ["blau", "sea & sky"]
    assert (image["visibility"], image["declared_content_type"]) == ("private", "image/jpeg")
