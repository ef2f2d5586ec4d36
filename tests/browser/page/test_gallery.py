"""The gallery on the page: states of tiles, filters, selection, changes of many images, keys and touch."""

import re
from collections.abc import Callable
from typing import Any
from zlib import crc32

import pytest

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.running_server import Server, wait_for
from tests.samples import encoded


def upload(server: Server, tag: str, count: int, **fields: str) -> list[str]:
    """Upload images with a tag, wait until they are ready, and return their ids, newest first."""
    ids = []
    for number in range(count):
        name = f"{tag} {number}.jpg"
        body = encoded("JPEG", 320 + 40 * number, 240, seed=crc32(name.encode()))
        answer = server.client.post(
            "/upload", params={"wait": 20}, files={"file": (name, body)}, data={"tags": tag, **fields}
        )
        assert answer.status_code == 201, answer.text
        found = answer.json()
        while found["status"] == "pending":
            found = server.client.get(f"/images/{found['id']}?wait=20").json()
        assert found["status"] == "ready", found
        ids.append(found["id"])
    return ids[::-1]


def record(server: Server, image_id: str) -> dict[str, Any]:
    return server.client.get(f"/images/{image_id}").json()


def show(page: Any, query: str, count: int) -> None:
    """Open the page and wait until exactly this number of images is shown, and no request of theirs is left."""
    page.goto(f"/?{query}")
    expect_total(page, count)
    expect_loaded(page)


def expect_loaded(page: Any) -> None:
    """Wait until all images are loaded. A request would fail if its image were moved or deleted meanwhile."""
    page.wait_for_function(
        "[...document.querySelectorAll('.tile img[src]')].every((each) => each.complete && each.naturalWidth > 0)"
    )


def expect_total(page: Any, count: int) -> None:
    words = "1 image" if count == 1 else f"{count} images"
    page.locator(".total", has_text=re.compile(f"^{words}$")).wait_for()
    expect_count(page, ".tile", count)


def expect_count(page: Any, selector: str, count: int) -> None:
    wait_for(lambda: page.locator(selector).count() == count, 60)


def expect_selected(page: Any, count: int) -> None:
    page.locator(".bar strong", has_text=f"{count} selected").wait_for()


def select(page: Any, name: str, **options: Any) -> None:
    page.get_by_role("checkbox", name=f"Select {name}", exact=True).click(**options)


def test_a_failed_image_shows_its_reason_and_is_processed_again(page: Any, server: Server) -> None:
    page.goto("/")
    page.get_by_role("button", name="Upload").first.wait_for()
    damaged = encoded("JPEG", 640, 480, seed=1)[:400]
    page.locator("#files").set_input_files({"name": "damaged.jpg", "mimeType": "image/jpeg", "buffer": damaged})
    tile = page.locator(".tile.failed")
    tile.wait_for()
    (item,) = server.client.get("/images", params={"status": "failed"}).json()["items"]
    assert tile.locator("strong").inner_text() == "damaged.jpg"
    assert tile.locator(".tile-reason").inner_text() == item["error"]["detail"]
    reason, again = (tile.locator(name).bounding_box() for name in (".tile-state", ".tile-retry"))
    assert reason["y"] + reason["height"] <= again["y"]
    assert reason["x"] == again["x"]
    with page.expect_response("**/reprocess") as answered:
        page.get_by_role("button", name="Try again: damaged.jpg").click()
    assert answered.value.status == 202
    again = answered.value.json()
    assert (again["id"], again["status"]) == (item["id"], "pending")
    wait_for(lambda: record(server, item["id"])["status"] == "failed", 60)  # the same bytes fail again
    page.get_by_role("button", name="Try again: damaged.jpg").wait_for()
    assert page.evaluate("document.activeElement.className") == "tile-open"


def test_filters_are_in_the_address(page: Any, server: Server) -> None:
    upload(server, "harbor", 2, visibility="public")
    upload(server, "hidden", 1, visibility="private")
    show(page, "tag=harbor", 2)
    page.get_by_role("button", name="Private", exact=True).click()
    page.get_by_text("No images tagged “harbor”.").wait_for()
    assert "view=private" in page.url
    assert "tag=harbor" in page.url
    page.get_by_role("button", name="harbor").click()
    expect_total(page, 1)
    assert "tag=" not in page.url
    page.reload()
    expect_total(page, 1)
    assert page.get_by_role("button", name="Private", exact=True).get_attribute("aria-pressed") == "true"
    page.locator(".tile-lock").wait_for()
    show(page, "tag=harbor&type=image/png", 0)
    page.get_by_text("No images match these filters.").wait_for()
    page.get_by_role("button", name="Filters: 1").click()
    page.get_by_label("Type").select_option("image/jpeg")
    expect_total(page, 2)
    page.get_by_label("Status").select_option("pending")
    expect_total(page, 0)
    assert "status=pending" in page.url
    page.get_by_label("From").fill("2020-01-01")
    page.get_by_label("To").fill("2020-12-31")
    page.get_by_role("button", name="Filters: 4").wait_for()
    assert "from=2020-01-01&to=2020-12-31" in page.url
    page.get_by_role("button", name="Reset").click()
    expect_total(page, 2)
    assert page.url == f"{server.url}/?tag=harbor"
    show(page, "tag=harbor&view=failed&from=2020-01-01", 0)
    page.get_by_role("button", name="Show all images").click()
    page.locator(".tile").nth(2).wait_for()
    assert page.url == f"{server.url}/"
    assert page.evaluate("document.activeElement.textContent") == "All"


def test_malformed_filters_in_the_address_are_ignored(page: Any, server: Server) -> None:
    upload(server, "odd", 1)
    show(page, "tag=odd&view=constructor&type=x&status=y&from=2020-99-99&to=soon", 1)
    assert page.get_by_role("button", name="All", exact=True).get_attribute("aria-pressed") == "true"


def test_deleted_images_are_restored_by_undo_and_from_the_trash(page: Any, server: Server) -> None:
    first, second, _ = upload(server, "gone", 3)
    show(page, "tag=gone", 3)
    select(page, "gone 2.jpg")
    select(page, "gone 1.jpg")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("Deleted 2 images.").first.wait_for()
    expect_total(page, 1)
    assert record(server, first)["trashed_at"]
    page.get_by_role("button", name="Undo").click()
    expect_total(page, 3)
    assert [record(server, each)["trashed_at"] for each in (first, second)] == [None, None]
    select(page, "gone 2.jpg")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect_total(page, 2)
    show(page, "tag=gone&view=trash", 1)
    page.get_by_text("30 days left").wait_for()
    select(page, "gone 2.jpg")
    page.get_by_role("button", name="Restore", exact=True).click()
    page.get_by_text("Restored 1 image.").first.wait_for()
    expect_total(page, 0)
    assert record(server, first)["trashed_at"] is None


def test_images_in_the_trash_are_deleted_for_good_after_a_question(page: Any, server: Server) -> None:
    (image_id,) = upload(server, "final", 1)
    server.client.delete(f"/images/{image_id}")
    show(page, "tag=final&view=trash", 1)
    select(page, "final 0.jpg")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    page.locator("dialog[open]").wait_for(state="detached")
    assert server.client.get(f"/images/{image_id}").status_code == 200
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete image").click()
    expect_total(page, 0)
    assert server.client.get(f"/images/{image_id}").status_code == 404


def test_a_range_of_images_is_tagged_and_the_change_undone(page: Any, server: Server) -> None:
    ids = upload(server, "row", 4)
    server.client.patch(f"/images/{ids[0]}", json={"tags": ["row", "kept"]})
    show(page, "tag=row", 4)
    select(page, "row 3.jpg")
    select(page, "row 1.jpg", modifiers=["Shift"])
    expect_selected(page, 3)
    page.get_by_role("button", name="Tag", exact=True).click()
    page.locator("dialog[open] input").fill("kept, -row")
    page.locator("dialog[open]").get_by_role("button", name="Tag").click()
    page.get_by_text("Tagged 3 images.").first.wait_for()
    expect_total(page, 1)
    assert [record(server, each)["tags"] for each in ids] == [["kept"], ["kept"], ["kept"], ["row"]]
    page.get_by_role("button", name="Undo").click()
    expect_total(page, 4)
    assert [set(record(server, each)["tags"]) for each in ids] == [{"row", "kept"}, {"row"}, {"row"}, {"row"}]


def test_visibility_of_many_is_changed_and_undone(page: Any, server: Server) -> None:
    ids = upload(server, "seen", 3, visibility="public")
    server.client.patch(f"/images/{ids[2]}", json={"visibility": "private"})
    show(page, "tag=seen", 3)
    page.keyboard.press("Control+a")  # without a focus
    expect_selected(page, 3)
    page.get_by_role("button", name="Make private").click()
    page.get_by_text("Made 3 images private.").first.wait_for()
    expect_count(page, ".tile-lock", 3)
    for each in ids:
        page.locator(f".tile-open[href='?image={each}'] img[src*='/processed/{each}']").wait_for(state="attached")
    expect_loaded(page)
    page.get_by_role("button", name="Undo").click()
    expect_count(page, ".tile-lock", 1)
    assert [record(server, each)["visibility"] for each in ids] == ["public", "public", "private"]


def test_a_failing_change_keeps_the_selection(page: Any, server: Server, expected: list[str]) -> None:
    ids = upload(server, "busy", 2)
    show(page, "tag=busy", 2)
    expected.append("503")
    body = '{"type":"about:blank","title":"Unavailable","status":503,"code":"unavailable","detail":"Try later."}'
    page.route("**/images/delete", lambda route: route.fulfill(status=503, body=body))
    select(page, "busy 1.jpg")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.locator(".toast").get_by_text("Try later.").wait_for()
    expect_selected(page, 1)
    expect_total(page, 2)
    assert [record(server, each)["trashed_at"] for each in ids] == [None, None]


def test_the_gallery_is_one_tab_stop_with_keys(page: Any, server: Server) -> None:
    upload(server, "key", 5)
    show(page, "tag=key", 5)
    focused = "document.activeElement.getAttribute('aria-label')"
    page.locator(".tile-open").first.focus()
    assert page.locator(".tile-open[tabindex='0']").count() == 1
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "key 3.jpg"
    page.keyboard.press("End")
    assert page.evaluate(focused) == "key 0.jpg"
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    expect_selected(page, 2)
    page.keyboard.press("Escape")
    page.locator(".wordmark").wait_for()
    page.keyboard.press("Enter")
    page.locator("#viewer[open]").wait_for()


def focus_of(page: Any) -> str:
    """Return the name of the control that has the focus."""
    name: str = page.evaluate("document.activeElement.ariaLabel || document.activeElement.id")
    return name


def test_a_question_mark_shows_the_keys(page: Any, server: Server) -> None:
    upload(server, "help", 1)
    show(page, "tag=help", 1)
    for press in (page.keyboard.press, page.locator(".tile-open").press):
        press("?")
        page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
        page.keyboard.press("Escape")
        page.locator("dialog.small-window").wait_for(state="detached")


def test_the_focus_returns_to_the_gallery_from_a_toast_that_goes(page: Any, server: Server) -> None:
    upload(server, "toasted", 2)
    show(page, "tag=toasted", 2)
    page.locator(".tile-open").first.press("Delete")
    expect_total(page, 1)
    page.get_by_role("button", name="Undo").press("Enter")
    expect_total(page, 2)
    page.wait_for_function("document.activeElement.className === 'tile-open'")
    page.get_by_role("button", name="Dismiss").press("Enter")
    page.wait_for_function("document.activeElement.className === 'tile-open'")


def test_the_focus_moves_on_from_an_image_that_is_deleted(page: Any, server: Server) -> None:
    upload(server, "nearby", 4)
    show(page, "tag=nearby", 4)
    page.locator(".tile-open").nth(1).focus()
    page.keyboard.press("Delete")
    expect_total(page, 3)
    page.wait_for_function("document.activeElement.ariaLabel === 'nearby 1.jpg'")
    page.keyboard.press("Enter")
    page.locator("#viewer[open] .viewer-picture[src]").wait_for()
    page.keyboard.press("Delete")
    expect_total(page, 2)
    page.wait_for_function("document.activeElement.ariaLabel === 'nearby 0.jpg'")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Delete", exact=True).press("Enter")
    expect_total(page, 1)
    page.wait_for_function("document.activeElement.ariaLabel === 'nearby 3.jpg'")
    page.keyboard.press("Space")
    page.get_by_role("button", name="End the selection").press("Enter")
    page.locator(".wordmark").wait_for()
    assert focus_of(page) == "nearby 3.jpg"


def test_the_header_keeps_the_focus(page: Any, server: Server) -> None:
    show(page, "status=failed&tag=none", 0)
    page.get_by_role("button", name="Menu").press("Enter")
    page.get_by_role("button", name="Upload a folder").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert focus_of(page) == "Menu"
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Storage").press("Enter")
    page.get_by_role("heading", name="Storage").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="Storage").wait_for(state="detached")
    assert focus_of(page) == "Menu"
    page.locator("#search").focus()
    picture = encoded("JPEG", 320, 240, seed=77)
    page.locator("#files").set_input_files({"name": "other.jpg", "mimeType": "image/jpeg", "buffer": picture})
    page.locator(".tray").get_by_text("1 upload finished").wait_for()  # it is not part of this list
    assert focus_of(page).startswith("Search titles")


@pytest.fixture
def phone(new_page: Callable[..., Any]) -> Any:
    return new_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)


def test_on_a_phone_marks_are_light_and_large_enough_to_touch(phone: Any, server: Server) -> None:
    upload(server, "touch", 2)
    show(phone, "tag=touch", 2)
    mark = phone.locator(".tile-mark").first
    box = mark.bounding_box()
    assert (box["width"], box["height"]) == (44, 44)
    assert mark.evaluate("element => Number(getComputedStyle(element).opacity)") < 1
    assert phone.locator(".tile-check").first.bounding_box()["width"] == 20
    phone.touchscreen.tap(box["x"] + 40, box["y"] + 40)
    expect_selected(phone, 1)


def test_on_a_phone_a_long_press_selects(phone: Any, server: Server) -> None:
    upload(server, "press", 2)
    show(phone, "tag=press", 2)
    box = phone.locator(".tile-open").first.bounding_box()
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session = phone.context.new_cdp_session(phone)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    expect_selected(phone, 1)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    phone.locator(".tile-open").nth(1).tap()
    expect_selected(phone, 2)
    assert not phone.locator("#viewer[open]").count()
