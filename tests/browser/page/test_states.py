"""States that change while somebody looks: processing, lost connections, toasts, the tray, and the day headings."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_gallery import expect_total, record, select, show, upload
from tests.browser.page.test_upload import file, jpeg, row
from tests.browser.waiting import stop_time, until
from tests.running_server import Server
from tests.samples import encoded
from tests.self_hosted.test_direct_upload import noise


def test_an_image_that_is_processed_has_a_placeholder_and_appears_when_it_is_ready(page: Any, server: Server) -> None:
    (image_id,) = upload(server, "slow", 1)
    ready = record(server, image_id)
    pending = ready | {"status": "pending", "variants": []}
    state = {"now": pending}
    page.route("**/images?*", lambda route: route.fulfill(json={"items": [state["now"]], "next_cursor": None}))
    page.route(f"**/images/{image_id}", lambda route: route.fulfill(json=state["now"]))
    page.goto("/?tag=slow")
    tile = page.locator(".tile.pending")
    tile.get_by_text("Processing").wait_for()
    tile.locator(".tile-bar").wait_for()
    assert tile.locator("canvas").evaluate("canvas => Math.max(canvas.width, canvas.height)") == 16
    place = tile.bounding_box()
    state["now"] = ready
    page.locator(".tile.ready.loaded").wait_for()  # without a reload
    assert page.locator(".tile").bounding_box() == place  # nothing has moved
    assert page.locator(".tile-bar").count() == 0


def test_a_page_whose_modules_do_not_arrive_says_so(page: Any, expected: list[str]) -> None:
    expected.append("Failed to load resource|ERR_FAILED")
    page.route("**/tray.js", lambda route: route.abort())
    page.goto("/")
    page.get_by_text("The page could not be loaded.").wait_for()
    page.unroute("**/tray.js")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="Menu").wait_for()


def test_the_page_works_where_the_browser_keeps_nothing(page: Any, server: Server) -> None:
    upload(server, "kept", 1)
    denied = "{get() { throw new DOMException('denied', 'SecurityError') }}"
    page.add_init_script(
        f"for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, {denied})"
    )
    page.goto("/?tag=kept")
    page.locator(".tile.loaded").wait_for()
    for theme in ("light", "dark", "system"):
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("button", name="Theme:").click()
        assert page.evaluate("document.documentElement.dataset.theme") == theme


def test_gray_boxes_are_shown_only_if_the_images_are_waited_for(page: Any, server: Server) -> None:
    upload(server, "late", 1)
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/images?*", hold)
    page.clock.install()
    stop_time(page)
    page.goto("/?tag=late")
    until(page, lambda: held)
    boxes = page.locator("#skeletons div")
    page.clock.run_for(199)
    assert boxes.count() == 0
    page.clock.run_for(1)
    assert boxes.count() > 8
    assert boxes.first.is_visible()
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    held[0].continue_()
    page.locator("#skeletons").wait_for(state="hidden")
    page.clock.resume()
    expect_total(page, 1)
    assert boxes.count() == 0


def test_a_gallery_that_cannot_be_loaded_says_so_and_is_loaded_again(
    page: Any, server: Server, expected: list[str]
) -> None:
    upload(server, "cut off", 1)
    expected.append("ERR_CONNECTION_REFUSED")
    page.route("**/images?*", lambda route: route.abort("connectionrefused"))
    page.goto("/?tag=cut+off")
    page.get_by_text("Connection lost").wait_for()
    page.unroute("**/images?*")
    page.get_by_role("button", name="Try again").click()
    expect_total(page, 1)
    page.get_by_text("Connection lost").wait_for(state="hidden")


def test_a_gallery_that_was_offline_is_loaded_when_the_connection_is_back(
    page: Any, server: Server, expected: list[str]
) -> None:
    upload(server, "offline", 1)
    page.goto("/?tag=nothing")
    page.get_by_text("No image").wait_for()
    expected.append("ERR_INTERNET_DISCONNECTED")
    page.context.set_offline(True)
    page.get_by_role("button", name="Show all images").click()
    page.get_by_text("Connection lost").wait_for()
    page.context.set_offline(False)
    page.locator(".tile").first.wait_for()
    page.get_by_text("Connection lost").wait_for(state="hidden")


def test_a_toast_stays_while_the_pointer_or_the_focus_is_on_it(new_page: Callable[..., Any], server: Server) -> None:
    upload(server, "toast", 2)
    page = new_page(keep_toasts=False)
    page.clock.install()
    show(page, "tag=toast", 2)
    select(page, "toast 1.jpg")
    stop_time(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    toast = page.locator(".toast")
    toast.get_by_text("Deleted 1 image.").wait_for()
    toast.hover()
    page.clock.run_for(20_000)
    assert toast.is_visible()
    page.mouse.move(5, 5)
    page.clock.run_for(7_000)
    assert toast.is_visible()
    toast.get_by_role("button", name="Undo").focus()
    page.clock.run_for(20_000)
    assert toast.is_visible()
    page.locator(".wordmark").focus()
    page.clock.run_for(8_100)
    toast.wait_for(state="detached")


def test_the_tray_tells_speed_and_time_left_and_folds(page: Any, server: Server) -> None:
    page.goto("/")
    page.locator(".primary").first.wait_for()
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 30_000}  # 100 s
    network.send("Network.emulateNetworkConditions", slow)
    page.locator("#files").set_input_files(
        [file(f"speed {at}.png", noise(700, 700 + at), "image/png") for at in range(2)]
    )
    tray = page.locator("#tray")
    page.wait_for_function("/[kM]B\\/s/.test(document.getElementById('tray').textContent)")
    page.wait_for_function("/\\d+ (s|min) left/.test(document.getElementById('tray').textContent)")
    assert page.evaluate("0 < document.querySelector('.tray-all').value")
    tray.get_by_role("button", name="Collapse").click()
    page.wait_for_function("document.getElementById('tray').offsetHeight <= 56")
    tray.get_by_text("Uploading").wait_for()
    tray.get_by_role("button", name="Expand").click()
    tray.get_by_role("button", name="Cancel all").click()
    tray.get_by_text("2 canceled").wait_for()


def test_images_are_found_by_title_and_tag(page: Any, server: Server) -> None:
    upload(server, "findable", 1, title="A lighthouse")
    upload(server, "other", 1, title="A pier")
    page.goto("/")
    page.locator(".tile.loaded").nth(1).wait_for()
    count = page.locator(".tile").count()
    for words in ("LIGHTH", "findab"):
        page.get_by_role("searchbox").fill(words)
        expect_total(page, 1)
        page.get_by_role("link", name="A lighthouse").wait_for()
        page.get_by_role("searchbox").fill("")
        expect_total(page, count)
    page.get_by_role("searchbox").fill("zeppelin")
    page.get_by_text("No image matches.").wait_for()


def test_days_have_headings_that_stay_in_view(page: Any, server: Server) -> None:
    (image_id,) = upload(server, "day", 1)
    page.goto("/?tag=day")
    heading = page.locator(".day-heading h2")
    heading.wait_for()
    assert heading.inner_text() == page.evaluate(
        "new Intl.DateTimeFormat(undefined, {weekday: 'short', day: 'numeric', month: 'long', year: 'numeric'})"
        f".format(new Date('{record(server, image_id)['uploaded_at']}'))"
    )
    assert page.locator(".day-heading").evaluate("element => getComputedStyle(element).position") == "sticky"


@pytest.mark.parametrize(
    ("view", "words"),
    [("failed", "No failed images."), ("trash", "The trash is empty."), ("public", "No public images.")],
)
def test_an_empty_list_says_what_is_not_there(page: Any, view: str, words: str) -> None:
    page.route("**/images?*", lambda route: route.fulfill(json={"items": [], "next_cursor": None}))
    page.goto(f"/?view={view}")
    page.get_by_text(words).wait_for()


def test_camera_and_privacy_report_tell_what_the_file_reveals(page: Any, server: Server) -> None:
    body = encoded("JPEG", 640, 480, seed=880, exif=photo_exif())
    image_id = server.client.post("/upload", files={"file": ("gps.jpg", body, "image/jpeg")}).json()["id"]
    while (found := server.client.get(f"/images/{image_id}?wait=20").json())["status"] == "pending":
        pass
    assert found["status"] == "ready"
    page.goto(f"/?image={image_id}")
    dialog = page.locator("#viewer[open]")
    dialog.get_by_text("The original contains the place where it was taken. The sizes contain none of it.").wait_for()
    assert dialog.locator(".facts dt", has_text="Camera").locator("+ dd").inner_text() == "Acme One"
    assert dialog.locator(".facts dt", has_text="Taken").count() == 1


def photo_exif() -> bytes:
    """EXIF of a camera that knows its place."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Acme", "Acme One"
    exif.get_ifd(0x8769)[0x9003] = "2026:05:04 10:11:12"
    exif.get_ifd(0x8825).update({1: "N", 2: (53.0, 30.0, 0.0), 3: "E", 4: (10.0, 0.0, 0.0)})
    return exif.tobytes()


def test_a_failure_keeps_the_tray_open(page: Any, expected: list[str]) -> None:
    expected.append("status of 415")
    page.clock.install()  # before the page starts its timers
    page.goto("/")
    page.locator(".primary").first.wait_for()
    page.locator("#files").set_input_files([file("bad.jpg", b"<svg/>"), file("good.jpg", jpeg(890))])
    row(page, "good.jpg", "done").wait_for()
    row(page, "bad.jpg", "failed").wait_for()
    page.clock.run_for(120_000)
    assert row(page, "bad.jpg", "failed").is_visible()


@pytest.mark.parametrize("width", [390, 599, 600, 1024])
def test_the_hint_of_the_search_field_is_not_cut_off(new_page: Callable[..., Any], width: int) -> None:
    page = new_page(viewport={"width": 1600, "height": 800}, has_touch=True, is_mobile=True)
    page.goto("/")
    page.get_by_role("searchbox").wait_for()
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_function(
        """() => {
          const field = document.getElementById("search"), style = getComputedStyle(field)
          const context = document.createElement("canvas").getContext("2d")
          context.font = `${style.fontSize} ${style.fontFamily}`
          const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)
          return field.placeholder && context.measureText(field.placeholder).width <= room
        }"""
    )
