"""`<darkroom-upload>` in Chromium, in a page of another site that forbids inline styles and scripts."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx

from tests.browser.axe import complaints
from tests.browser.test_pages import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.waiting import until, wait_until
from tests.running_server import Server
from tests.samples import encoded


def choose(element: Any, *files: Path | dict[str, Any]) -> None:
    """Choose files, as in the dialog of the browser."""
    element.locator("input[type=file]").set_input_files(list(files))


def wait_for_state(element: Any, state: str, count: int = 1) -> None:
    """Wait until as many rows have the state."""
    element.locator(f"li[data-state={state}]").nth(count - 1).wait_for()


def events(page: Any, kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind."""
    return [event for event in page.evaluate("window.events") if event["kind"] == kind]


def ids(page: Any) -> list[str]:
    """Return the value of the form field."""
    found: list[str] = page.evaluate("new FormData(document.querySelector('form')).getAll('images')")
    return found


def store(route: Any, file: Path) -> None:
    """Send the file in place of the browser, whose bodies cannot be read."""
    sent = route.request.headers.items()
    headers = {name: value for name, value in sent if name.startswith(("content-type", "if-", "x-"))}
    assert httpx.put(route.request.url, headers=headers, content=file.read_bytes(), timeout=60).status_code == 200


def test_chosen_images_are_uploaded_and_their_ids_are_sent_with_the_form(
    page: Any, element: Any, service: Server, photo: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jpg"
    other.write_bytes(encoded("JPEG", 640, 480, seed=901))
    page.evaluate("document.querySelector('darkroom-upload').fields = {alt: 'A lighthouse', tags: ['sea']}")
    choose(element, photo, other)
    wait_for_state(element, "done", 2)
    uploaded = {event["file"]: event for event in events(page, "uploaded")}
    assert uploaded.keys() == {photo.name, other.name}
    assert sorted(ids(page)) == sorted(event["id"] for event in uploaded.values())
    record = service.client.get(f"/images/{uploaded[photo.name]['id']}").json()
    assert (record["status"], record["filename"], record["alt"], record["tags"]) == (
        "ready", photo.name, "A lighthouse", ["sea"]
    )  # fmt: skip
    assert record["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert uploaded[photo.name]["record"]["id"] == record["id"]
    sent = [event["sent"] for event in events(page, "progress") if event["file"] == photo.name]
    assert sent == sorted(sent)
    assert sent[-1] == photo.stat().st_size


def test_known_bytes_are_not_sent(page: Any, element: Any, photo: Path) -> None:
    choose(element, photo)
    wait_for_state(element, "done")
    puts: list[str] = []
    page.on("request", lambda request: request.method == "PUT" and puts.append(request.url))
    choose(element, photo)
    wait_for_state(element, "known")
    assert puts == []
    first, second = ids(page)
    assert first == second
    assert events(page, "uploaded")[1]["duplicate"] is True


def test_a_lost_connection_is_tried_again(page: Any, element: Any, photo: Path, expected: list[str]) -> None:
    expected.append("net::ERR_FAILED")
    page.route("**/files/**", lambda route: route.abort(), times=1)
    page.evaluate("document.querySelector('darkroom-upload').delays = [0]")
    choose(element, photo)
    wait_for_state(element, "done")
    assert len(ids(page)) == 1
    assert events(page, "failed") == []


def test_an_upload_whose_answer_is_lost_is_stored_once(
    page: Any, element: Any, service: Server, photo: Path, expected: list[str]
) -> None:
    expected.append("net::ERR_FAILED")

    def lose(route: Any) -> None:
        store(route, photo)
        route.abort()

    page.route("**/files/**", lose, times=1)
    page.evaluate("document.querySelector('darkroom-upload').delays = [0]")
    choose(element, photo)
    wait_for_state(element, "known")
    (image_id,) = ids(page)
    sha256 = hashlib.sha256(photo.read_bytes()).hexdigest()
    stored = [image["id"] for image in service.client.get("/images").json()["items"] if image["sha256"] == sha256]
    assert stored == [image_id]


def test_a_store_that_has_the_bytes_already_is_a_success(
    page: Any, element: Any, photo: Path, expected: list[str]
) -> None:
    expected.append("status of 412")

    def answer(route: Any) -> None:
        store(route, photo)
        route.fulfill(status=412, body="<Error/>", headers={"Access-Control-Allow-Origin": "*"})

    page.route("**/files/**", answer, times=1)
    choose(element, photo)
    wait_for_state(element, "done")
    assert len(ids(page)) == 1


def test_an_upload_that_failed_is_started_again_by_its_button(
    page: Any, element: Any, photo: Path, expected: list[str]
) -> None:
    expected.append("net::ERR_FAILED")
    page.route("**/files/**", lambda route: route.abort(), times=1)
    page.evaluate("document.querySelector('darkroom-upload').delays = []")
    choose(element, photo)
    wait_for_state(element, "failed")
    assert element.locator("li p").inner_text() == "Connection lost."
    assert ids(page) == []
    element.get_by_role("button", name=f"Try again: {photo.name}").click()
    wait_for_state(element, "done")
    assert element.locator("li p").is_hidden()
    assert len(ids(page)) == 1


def test_refusals_name_the_reason(page: Any, element: Any, tmp_path: Path, expected: list[str]) -> None:
    expected.append("status of 415")
    page.evaluate("document.querySelector('darkroom-upload').setAttribute('max-bytes', '1000000')")
    choose(
        element,
        {"name": "empty.png", "mimeType": "image/png", "buffer": b""},
        {"name": "large.png", "mimeType": "image/png", "buffer": bytes(2_500_000)},
        {"name": "text.txt", "mimeType": "text/plain", "buffer": b"no image"},
        {"name": "broken.png", "mimeType": "image/png", "buffer": b"no image, although it says so"},
    )
    wait_for_state(element, "failed", 4)
    found = {event["file"]: event for event in events(page, "failed")}
    assert found["empty.png"]["message"] == "empty.png is empty."
    assert found["large.png"]["message"] == "large.png is 2.5 MB; the limit is 1 MB."
    assert found["text.txt"]["code"] == "unsupported_type"
    assert "text/plain" in found["text.txt"]["message"]
    assert found["broken.png"]["message"]
    shown = [text for text in element.locator("li p").all_inner_texts() if text]
    assert sorted(shown) == sorted(event["message"] for event in found.values())
    assert ids(page) == []


def test_a_canceled_upload_is_not_stored(
    page: Any, element: Any, service: Server, photo: Path, expected: list[str]
) -> None:
    page.route("**/files/**", lambda route: None)  # never continued
    with page.expect_request("**/files/**"):
        choose(element, photo)
    assert page.evaluate("document.querySelector('form').checkValidity()") is False
    assert page.evaluate("document.querySelector('darkroom-upload').matches(':invalid')")
    element.get_by_role("button", name=f"Cancel: {photo.name}").click()
    wait_for_state(element, "canceled")
    assert page.evaluate("document.querySelector('form').checkValidity()") is True
    assert (ids(page), events(page, "uploaded"), events(page, "failed")) == ([], [], [])
    page.unroute("**/files/**")
    element.get_by_role("button", name=f"Try again: {photo.name}").click()
    wait_for_state(element, "done")
    image_id = ids(page)[0]
    element.get_by_role("button", name=f"Remove: {photo.name}").click()
    element.locator("li").wait_for(state="detached")
    assert ids(page) == []
    assert service.client.get(f"/images/{image_id}").status_code == 200


def test_files_are_dropped_and_pasted(page: Any, element: Any) -> None:
    prepared = """([bytes, name, kind]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
      const target = document.querySelector("darkroom-upload");
      const common = {bubbles: true, cancelable: true};
      const event = kind === "drop" ? new DragEvent("drop", {dataTransfer: data, ...common})
                                    : new ClipboardEvent("paste", {clipboardData: data, ...common});
      target.dispatchEvent(event);
      return event.defaultPrevented;
    }"""
    dropped = list(encoded("PNG", 40, 30, seed=905))
    assert page.evaluate(prepared, [dropped, "dropped.png", "drop"])
    wait_for_state(element, "done")
    pasted = list(encoded("PNG", 40, 30, seed=902))
    assert page.evaluate(prepared, [pasted, "pasted.png", "paste"])
    wait_for_state(element, "done", 2)
    assert [event["file"] for event in events(page, "uploaded")] == ["dropped.png", "pasted.png"]


def test_everything_works_by_keyboard(page: Any, element: Any, photo: Path) -> None:
    page.locator("darkroom-upload").evaluate("element => element.focus()")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.textContent") == "Choose images"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    assert chooser.value.is_multiple()
    chooser.value.set_files(photo)
    wait_for_state(element, "done")
    element.get_by_role("button", name=f"Remove: {photo.name}").wait_for()
    page.keyboard.press("Tab")
    focused = "document.activeElement.shadowRoot.activeElement"
    wait_until(page, f"{focused}?.getAttribute('aria-label') === {json.dumps(f'Remove: {photo.name}')}")
    page.keyboard.press("Enter")
    element.locator("li").wait_for(state="detached")
    wait_until(page, f"{focused}?.getAttribute('part') === 'button'")


def test_axe_finds_nothing(page: Any, element: Any, photo: Path, expected: list[str]) -> None:
    def check() -> None:
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            assert complaints(page, "darkroom-upload") == []

    check()
    expected.append("status of 415")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/files/**", hold)
    choose(element, photo)
    choose(element, {"name": "text.txt", "mimeType": "text/plain", "buffer": b"no image"})
    wait_for_state(element, "sending")
    wait_for_state(element, "failed")
    check()
    until(page, lambda: held)
    for each in held:
        each.continue_()
    wait_for_state(element, "done")
    check()


def test_file_names_are_text(page: Any, element: Any) -> None:
    name = "<img src=x onerror=alert(1)>\u202egnp.png"
    content = encoded("PNG", 40, 30, seed=903)
    choose(element, {"name": name, "mimeType": "image/png", "buffer": content})
    wait_for_state(element, "done")
    assert element.locator("bdi").inner_text() == name
    assert element.locator("li img").count() == 0
    assert name in element.locator("[role=status]").inner_text()


def test_a_single_image_replaces_the_earlier_one_and_is_required(page: Any, element: Any, photo: Path) -> None:
    page.evaluate(
        """() => {
             const element = document.querySelector("darkroom-upload");
             element.removeAttribute("multiple");
             element.setAttribute("required", "");
           }"""
    )
    valid = "document.querySelector('form').checkValidity()"
    assert page.evaluate(valid) is False
    assert element.locator("button[part=button]").inner_text() == "Choose an image"
    choose(element, photo)
    wait_for_state(element, "done")
    before = ids(page)
    assert page.evaluate(valid) is True
    choose(element, {"name": "b.png", "mimeType": "image/png", "buffer": encoded("PNG", 50, 30, seed=904)})
    element.get_by_role("button", name="Remove: b.png").wait_for()
    assert element.locator("li").count() == len(ids(page)) == 1
    assert ids(page) != before
    page.evaluate("document.querySelector('form').reset()")
    assert (ids(page), element.locator("li").count()) == ([], 0)
    page.evaluate("document.querySelector('darkroom-upload').setAttribute('disabled', '')")
    assert element.locator("button[part=button]").is_disabled()


def test_an_element_without_an_endpoint_says_so(page: Any, element: Any, photo: Path) -> None:
    page.evaluate("document.querySelector('darkroom-upload').removeAttribute('endpoint')")
    choose(element, photo)
    wait_for_state(element, "failed")
    assert element.locator("li p").inner_text() == "<darkroom-upload> has no attribute endpoint."


def test_a_removed_element_cancels_and_a_moved_one_continues(page: Any, element: Any, photo: Path) -> None:
    page.route("**/files/**", lambda route: None)  # never continued
    with page.expect_request("**/files/**"):
        choose(element, photo)
    page.evaluate("document.querySelector('form').append(window.kept = document.querySelector('darkroom-upload'))")
    assert page.evaluate("kept.uploads.map(each => each.state)") == ["sending"]
    page.evaluate("kept.remove()")
    assert page.evaluate("kept.uploads.map(each => each.state)") == ["canceled"]
