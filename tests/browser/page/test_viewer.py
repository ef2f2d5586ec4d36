"""One image on the page: look at it, move between images, edit, share, and delete."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.waiting import until
from tests.running_server import Server
from tests.samples import encoded

HOSTILE = '<img src=x onerror=alert(1)> "quoted" & שלום (see /i/1'


@pytest.fixture
def upload(server: Server) -> Callable[..., dict[str, Any]]:
    """Upload a new image and return its record when it is ready."""
    count = 0

    def send(width: int = 640, height: int = 400, picture: bytes = b"", **fields: Any) -> dict[str, Any]:
        nonlocal count
        count += 1
        picture = picture or encoded("JPEG", width, height, seed=hash((width, height, count)) % 1000 + count)
        answer = server.client.post(
            "/upload?wait=20&on_duplicate=create", files={"file": ("p.jpg", picture)}, data=fields
        )
        record: dict[str, Any] = answer.json()
        while record["status"] == "pending":
            record = server.client.get(f"/images/{record['id']}?wait=20").json()
        assert record["status"] == "ready", record
        return record

    return send


def opened(page: Any, image: dict[str, Any]) -> Any:
    """Open the image by its address and return the dialog when the image is loaded."""
    page.goto(f"/?image={image['id']}")
    dialog = page.locator("#viewer[open]")
    dialog.get_by_role("heading", name="Sizes").wait_for()
    expect_picture(page)
    return dialog


def expect_picture(page: Any) -> None:
    """Wait until the image is loaded. A request would fail if the image were moved or deleted meanwhile."""
    page.locator(".viewer-picture[src]").wait_for(state="attached")
    page.wait_for_function("document.querySelector('.viewer-picture').complete")
    assert page.evaluate("document.querySelector('.viewer-picture').naturalWidth")


def record(server: Server, image: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = server.client.get(f"/images/{image['id']}").json()
    return found


def eventually(page: Any, server: Server, image: dict[str, Any], condition: Callable[[dict[str, Any]], object]) -> None:
    """Wait until the stored record meets the condition."""
    until(page, lambda: condition(record(server, image)))


def test_an_image_opens_by_click_key_and_address_and_closes_with_its_tile_focused(
    page: Any, upload: Callable[..., dict[str, Any]]
) -> None:
    image = upload(title="First")
    page.goto("/")
    page.get_by_role("link", name="First", exact=True).click()
    page.locator("#viewer[open]").wait_for()
    assert f"image={image['id']}" in page.url
    assert page.get_by_role("heading", name="First").is_visible()
    page.keyboard.press("Escape")
    page.locator("#viewer:not([open])").wait_for(state="attached")
    until(page, lambda: "image=" not in page.url)
    until(page, lambda: page.evaluate("document.activeElement.getAttribute('aria-label')") == "First")
    page.keyboard.press("Enter")
    page.locator("#viewer[open]").wait_for()
    page.go_back()
    page.locator("#viewer:not([open])").wait_for(state="attached")
    page.goto(f"/?image={image['id']}")
    page.locator("#viewer[open]").wait_for()


def test_keys_and_filmstrip_lead_to_the_neighbors(page: Any, upload: Callable[..., dict[str, Any]]) -> None:
    images = [upload(title=f"Number {number}") for number in range(3)]
    dialog = opened(page, images[1])
    dialog.locator(".filmstrip").get_by_role("button", name="Number 2").wait_for()  # as soon as the list is loaded
    page.wait_for_function("!document.querySelector('.viewer-next').disabled")
    page.keyboard.press("ArrowRight")
    dialog.get_by_role("heading", name="Number 0").wait_for()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    dialog.get_by_role("heading", name="Number 2").wait_for()
    dialog.locator(".filmstrip").get_by_role("button", name="Number 1").click()
    dialog.get_by_role("heading", name="Number 1").wait_for()
    assert page.url.endswith(f"image={images[1]['id']}")


def test_arrows_work_after_a_click_on_the_filmstrip_and_at_its_end(
    page: Any, upload: Callable[..., dict[str, Any]]
) -> None:
    images = [upload(title=f"Along {number}") for number in range(3)]
    dialog = opened(page, images[2])
    dialog.locator(".filmstrip").get_by_role("button", name="Along 1").click()
    dialog.get_by_role("heading", name="Along 1").wait_for()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Along 1"
    page.keyboard.press("ArrowLeft")
    dialog.get_by_role("heading", name="Along 2").wait_for()
    dialog.get_by_role("button", name="Next image").click()
    dialog.get_by_role("heading", name="Along 1").wait_for()
    dialog.get_by_role("button", name="Previous image").click()  # to the first: the button is disabled
    dialog.get_by_role("heading", name="Along 2").wait_for()
    page.keyboard.press("ArrowRight")
    dialog.get_by_role("heading", name="Along 1").wait_for()


def test_an_only_image_has_no_arrows(page: Any, upload: Callable[..., dict[str, Any]]) -> None:
    images = [upload(title=f"Of two {number}", tags=f"single,only-{number}") for number in range(2)]
    page.goto(f"/?tag=only-0&image={images[0]['id']}")
    dialog = page.locator("#viewer[open]")
    dialog.locator(".filmstrip").get_by_role("button", name="Of two 0").wait_for()
    arrows = dialog.get_by_role("button", name=re.compile("(Previous|Next) image"))
    assert arrows.count() == 0
    page.goto(f"/?tag=single&image={images[0]['id']}")
    dialog.locator(".filmstrip").get_by_role("button", name="Of two 1").wait_for()
    assert arrows.count() == 2


def test_an_image_that_is_opened_by_its_address_shows_no_focus_ring(
    page: Any, upload: Callable[..., dict[str, Any]]
) -> None:
    opened(page, upload(title="By its address"))
    assert page.evaluate("document.activeElement.id") == "viewer-title"
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(ring) == "none"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Close"
    assert page.evaluate(ring) != "none"


def test_a_picture_zooms_with_keys_wheel_and_double_click(page: Any, upload: Callable[..., dict[str, Any]]) -> None:
    dialog = opened(page, upload())
    picture, well = dialog.locator(".viewer-picture"), dialog.locator(".viewer-well")

    def scale() -> float:
        found = re.search(r"scale\(([\d.]+)\)", picture.get_attribute("style") or "")
        return float(found[1]) if found else 1

    page.keyboard.press("+")
    assert scale() == 1.5
    page.keyboard.press("0")
    assert scale() == 1
    well.dblclick()
    assert scale() == 2.5
    page.keyboard.press("-")  # keys work after a click on the image
    assert scale() == pytest.approx(2.5 / 1.5, abs=0.01)
    well.dblclick()
    well.hover()
    page.mouse.wheel(0, -300)
    page.wait_for_function("document.querySelector('.viewer-picture').style.transform.includes('scale')")


def test_markup_that_is_copied_shows_the_picture_elsewhere(
    page: Any, new_page: Callable[..., Any], server: Server, upload: Callable[..., dict[str, Any]]
) -> None:
    image = upload(alt=HOSTILE, visibility="public")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    dialog = opened(page, image)

    def copied(name: str) -> str:
        dialog.get_by_role("button", name=f"Copy {name}").click()
        dialog.locator(".toast").get_by_text(f"{name} copied.").wait_for()
        text: str = page.evaluate("navigator.clipboard.readText()")
        return text

    url, html, markdown = copied("URL"), copied("HTML"), copied("Markdown")
    assert server.client.get(url).headers["content-type"] == "image/jpeg"
    assert f"/i/{image['id']}?w=" in url
    assert f"({url})" in markdown
    other = new_page()
    other.set_content(html)
    shown = other.locator("picture img")
    other.wait_for_function("document.querySelector('img').naturalWidth > 0")
    assert shown.get_attribute("alt") == HOSTILE
    assert other.locator("img").count() == 1


def test_fields_are_saved_as_they_are_left(page: Any, server: Server, upload: Callable[..., dict[str, Any]]) -> None:
    image = upload()
    dialog = opened(page, image)
    page.keyboard.press("e")
    page.keyboard.type(HOSTILE)
    page.keyboard.press("Enter")
    eventually(page, server, image, lambda found: found["title"] == HOSTILE)
    dialog.get_by_role("heading", name=HOSTILE).wait_for()
    dialog.get_by_label("Alternative text").fill("A photograph")
    dialog.get_by_label("Tags, separated by commas").fill("sea, dusk , sea")
    dialog.get_by_label("Title").focus()
    eventually(page, server, image, lambda found: (found["alt"], found["tags"]) == ("A photograph", ["sea", "dusk"]))
    dialog.get_by_text("Metadata").click()
    dialog.get_by_role("button", name="Add a field").click()
    dialog.get_by_label("Name of the field").fill("album")
    dialog.get_by_label("Value of the field").fill("7")
    page.keyboard.press("Tab")
    eventually(page, server, image, lambda found: found["metadata"] == {"album": "7"})
    dialog.get_by_label("album").fill("")
    page.keyboard.press("Tab")
    eventually(page, server, image, lambda found: found["metadata"] == {})


def test_a_field_that_was_not_saved_is_marked_until_it_is(
    page: Any, server: Server, expected: list[str], upload: Callable[..., dict[str, Any]]
) -> None:
    image = upload()
    dialog = opened(page, image)
    title = dialog.get_by_label("Title")
    expected.append("ERR_FAILED")
    page.route(f"**/images/{image['id']}", lambda route: route.abort())
    title.fill("Pier")
    title.press("Tab")
    page.wait_for_function("document.querySelector('[data-field=title]').ariaInvalid === 'true'")
    page.unroute(f"**/images/{image['id']}")
    title.fill("Lighthouse")
    title.press("Tab")
    page.wait_for_function("document.querySelector('[data-field=title]').ariaInvalid !== 'true'")
    assert record(server, image)["title"] == "Lighthouse"
    title.fill("Boat")
    title.press("Escape")
    assert title.input_value() == "Lighthouse"


def test_a_change_that_cannot_be_saved_does_not_keep_later_ones_back(
    page: Any, server: Server, expected: list[str], upload: Callable[..., dict[str, Any]]
) -> None:
    other, image = upload(), upload()
    page.goto("/")
    page.locator(".tile.loaded").first.wait_for()
    page.locator(f".tile-open[href='?image={image['id']}']").click()
    dialog = page.locator("#viewer[open]")
    expect_picture(page)
    expected.append("ERR_FAILED")
    held: list[Any] = []
    page.route(f"**/images/{image['id']}", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    dialog.get_by_label("Title").fill("Pier")
    dialog.get_by_label("Title").press("Tab")
    until(page, lambda: held)
    page.keyboard.type("A second change, which waits for the first one")
    dialog.get_by_role("button", name="Next image").click()
    page.wait_for_function(f"location.search === '?image={other['id']}'")
    held.pop().abort()
    until(page, lambda: held)  # the record is read for the second change
    held.pop().abort()
    dialog.get_by_label("Title").fill("Lighthouse")
    dialog.get_by_label("Title").press("Tab")
    eventually(page, server, other, lambda found: found["title"] == "Lighthouse")


def test_the_focus_returns_to_a_field_whose_text_is_refused(
    page: Any, upload: Callable[..., dict[str, Any]], expected: list[str]
) -> None:
    dialog = opened(page, upload())
    expected.append("status of 422")
    dialog.get_by_label("Tags").fill("x" * 65)
    dialog.get_by_label("Tags").press("Enter")
    dialog.locator(".toast", has_text="The limit is 64.").wait_for()
    page.wait_for_function("document.activeElement.dataset.field === 'tags'")


def test_an_address_without_an_id_reads_nothing_else(page: Any) -> None:
    page.goto("/?image=../stats")
    page.locator(".toast", has_text="There is no image with this id.").wait_for()
    assert not page.locator("#viewer[open]").count()


def test_a_saved_change_leaves_the_focus_and_what_is_open(page: Any, upload: Callable[..., dict[str, Any]]) -> None:
    dialog = opened(page, upload(visibility="public"))
    dialog.get_by_text("Metadata").click()
    dialog.get_by_role("button", name="Make private").focus()
    page.keyboard.press("Enter")
    dialog.get_by_text("Everybody who can open this page can see it").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Make public"
    assert dialog.get_by_role("button", name="Add a field").is_visible()
    dialog.get_by_label("Title").fill("A pier")
    dialog.get_by_label("Title").press("Shift+Tab")
    dialog.get_by_role("heading", name="A pier").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Create a link"


def test_a_toast_replaces_an_equal_one(page: Any, upload: Callable[..., dict[str, Any]]) -> None:
    dialog = opened(page, upload())
    saved = dialog.locator(".toast", has_text="Saved.")
    for title in ("One", "Two"):
        dialog.get_by_label("Title").fill(title)
        page.keyboard.press("Enter")
        dialog.locator(".toast:not([data-old])").wait_for()
        assert saved.count() == 1
        saved.evaluate("element => element.setAttribute('data-old', '')")


def test_a_change_made_elsewhere_is_kept(
    page: Any, server: Server, expected: list[str], upload: Callable[..., dict[str, Any]]
) -> None:
    image = upload()
    dialog = opened(page, image)
    server.client.patch(f"/images/{image['id']}", json={"alt": "From elsewhere"}).raise_for_status()
    expected.append("status of 412")
    dialog.get_by_label("Title").fill("From here")
    dialog.get_by_label("Title").blur()
    eventually(page, server, image, lambda found: (found["title"], found["alt"]) == ("From here", "From elsewhere"))
    dialog.get_by_label("Alternative text").and_(page.locator("[data-field=alt]")).wait_for()
    page.wait_for_function("document.querySelector('[data-field=alt]').value === 'From elsewhere'")
    server.client.patch(f"/images/{image['id']}", json={"title": "Also from elsewhere"}).raise_for_status()
    dialog.get_by_label("Title").fill("Mine")
    dialog.get_by_label("Title").blur()
    dialog.locator(".toast").get_by_text("The title has been changed elsewhere").wait_for()
    page.wait_for_function("document.querySelector('[data-field=title]').value === 'Also from elsewhere'")


def test_a_focal_point_is_set_by_pointer_and_keys_and_moves_the_crops(
    page: Any, server: Server, expected: list[str], upload: Callable[..., dict[str, Any]]
) -> None:
    expected.append("status of 412")  # the worker changes the record, too
    image = upload(width=800, height=400)
    dialog = opened(page, image)
    page.keyboard.press("f")
    picture = dialog.locator(".viewer-picture")
    box = picture.bounding_box()
    height = box["width"] / 2
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + (box["height"] - height) / 2 + height * 0.5)
    eventually(page, server, image, lambda found: found["focal_point"] and abs(found["focal_point"]["x"] - 0.8) < 0.01)
    # The square crop of an image twice as wide is half as wide, so it begins at 80 % minus a quarter, limited to half.
    left = dialog.locator(".crop img").first.evaluate("element => parseFloat(element.style.left)")
    assert left == pytest.approx(-100)
    point = record(server, image)["focal_point"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    moved = {"x": pytest.approx(point["x"] - 0.01), "y": pytest.approx(point["y"] + 0.01)}
    eventually(page, server, image, lambda found: found["focal_point"] == moved)
    eventually(page, server, image, lambda found: found["rendering_id"] != image["rendering_id"])
    page.keyboard.press("Escape")
    assert page.locator("#viewer[open]").count() == 1
    dialog.get_by_role("button", name="Move focal point").wait_for()
    dialog.get_by_role("button", name="Remove").click()
    eventually(page, server, image, lambda found: found["focal_point"] is None)


def test_visibility_is_switched_and_a_private_image_is_shared_by_a_link(
    page: Any, server: Server, upload: Callable[..., dict[str, Any]]
) -> None:
    image = upload(visibility="public")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    dialog = opened(page, image)
    dialog.get_by_role("button", name="Make private").click()
    dialog.get_by_text("Everybody who can open this page can see it").wait_for()
    assert record(server, image)["visibility"] == "private"
    page.locator(f".viewer-picture[src*='/processed/{image['id']}']").wait_for(state="attached")
    expect_picture(page)
    dialog.get_by_role("button", name="Create a link").click()
    dialog.locator(".toast").get_by_text("Link copied. It is valid until").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert server.client.get(link, follow_redirects=True).headers["content-type"].startswith("image/")
    dialog.get_by_role("button", name="Make public").click()
    dialog.get_by_text("Everybody who has a URL").wait_for()


def test_sizes_show_what_they_save_and_the_original_is_downloaded(
    page: Any, upload: Callable[..., dict[str, Any]]
) -> None:
    image = upload(width=1400, height=900)
    dialog = opened(page, image)
    rows = dialog.locator(".sizes tbody tr")
    assert rows.count() == len(image["variants"])
    assert dialog.get_by_role("columnheader", name="File size").count() == 1
    assert dialog.get_by_role("rowheader", name="w320").count() == 1
    assert re.search(
        r"w320.*webp.*320 × 206.*[kB].*q 82.*−\d+ %", rows.nth(1).inner_text().replace("\n", " ").replace("\t", " ")
    )
    assert dialog.locator(".facts dt", has_text="File name").locator("+ dd").inner_text() == "p.jpg"
    dialog.get_by_text("The original contains no private data.").wait_for()
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "p.jpg"


@pytest.mark.parametrize("width", [360, 1280])
def test_a_very_long_name_leaves_the_picture_in_its_place(
    new_page: Callable[..., Any], upload: Callable[..., dict[str, Any]], width: int
) -> None:
    page = new_page(viewport={"width": width, "height": 800})
    dialog = opened(page, upload(title="long" * 50))
    for part in (".viewer-well", "[aria-label=Close]", ".inspector"):
        box = dialog.locator(part).first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    well, inspector = (dialog.locator(part).bounding_box() for part in (".viewer-well", ".inspector"))
    assert width < 1024 or well["x"] + well["width"] <= inspector["x"]


@pytest.mark.parametrize("width", [360, 1280])
def test_storage_compares_originals_with_sizes_by_format(
    new_page: Callable[..., Any], server: Server, upload: Callable[..., dict[str, Any]], width: int
) -> None:
    page = new_page(viewport={"width": width, "height": 800})
    upload(width=1300, height=800)
    page.goto("/")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Storage").click()
    dialog = page.get_by_role("dialog", name="Storage")
    dialog.get_by_role("row").nth(2).wait_for()
    formats = server.client.get("/stats").json()["formats"]
    rows = dialog.locator("tbody tr")
    assert [rows.nth(number).locator("th").inner_text() for number in range(rows.count())] == [
        each["format"] for each in formats
    ]
    assert rows.nth(0).locator("td").nth(0).inner_text() == str(formats[0]["images"])
    assert re.search(r"[kM]B", rows.nth(0).inner_text())
    assert dialog.evaluate("(element) => element.scrollWidth <= element.clientWidth")
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="detached")


def test_look_alikes_are_found(page: Any, upload: Callable[..., dict[str, Any]]) -> None:
    picture = encoded("PNG", 500, 333, seed=777)
    first, second = (upload(picture=picture, title=name) for name in ("one.png", "two.png"))
    dialog = opened(page, first)
    dialog.get_by_text("Look-alikes").click()
    dialog.locator(".look-alikes").get_by_role("button", name="two.png").click()
    dialog.get_by_role("heading", name="two.png").wait_for()
    assert second["id"] in page.url


def test_an_image_is_processed_again_deleted_and_restored(
    page: Any, server: Server, upload: Callable[..., dict[str, Any]]
) -> None:
    image = upload(title="To delete")
    dialog = opened(page, image)
    dialog.get_by_role("button", name="Process again").click()
    dialog.locator(".toast").get_by_text("The image is processed again.").wait_for()
    eventually(page, server, image, lambda found: found["processed_at"] != image["processed_at"])
    dialog.get_by_role("button", name="Delete", exact=True).click()
    page.locator("#viewer:not([open])").wait_for(state="attached")
    assert record(server, image)["trashed_at"]
    page.get_by_role("button", name="Undo").click()
    page.locator(".toast").get_by_text("Restored 1 image.").wait_for()
    assert record(server, image)["trashed_at"] is None
    page.locator(".tile.loaded").get_by_role("link", name="To delete", exact=True).wait_for()
    server.client.delete(f"/images/{image['id']}")
    dialog = opened(page, image)
    dialog.get_by_text("In the trash").wait_for()
    assert dialog.get_by_label("Title").is_disabled()
    dialog.get_by_role("button", name="Delete for good").click()
    window = page.locator(".small-window")
    window.get_by_text("Its URLs stop working.").wait_for()
    window.get_by_role("button", name="Delete image").click()
    page.locator("#viewer:not([open])").wait_for(state="attached")
    assert server.client.get(f"/images/{image['id']}").status_code == 404


def test_a_key_that_comes_before_the_list_leads_to_the_next_image(
    page: Any, upload: Callable[..., dict[str, Any]]
) -> None:
    images = [upload(title=f"Early {number}") for number in range(3)]
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/images?*", hold)
    dialog = opened(page, images[1])
    until(page, lambda: held)
    page.keyboard.press("ArrowRight")
    held[0].continue_()
    dialog.get_by_role("heading", name="Early 0").wait_for()


def test_a_swipe_leads_to_the_next_image(new_page: Callable[..., Any], upload: Callable[..., dict[str, Any]]) -> None:
    images = [upload(title=f"Swiped {number}") for number in range(2)]
    page = new_page(viewport={"width": 390, "height": 800}, has_touch=True)
    dialog = opened(page, images[1])
    dialog.locator(".viewer-well").evaluate(
        """well => {
          const send = (type, x) => well.dispatchEvent(new PointerEvent(type, {
            pointerId: 5, pointerType: "touch", clientX: x, clientY: 300, bubbles: true, isPrimary: true}));
          well.setPointerCapture = () => {};
          send("pointerdown", 300); send("pointermove", 200); send("pointerup", 120);
        }"""
    )
    dialog.get_by_role("heading", name="Swiped 0").wait_for()
