"""Accessibility of the page: axe-core, keyboard, texts of strangers, motion, and screen readers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.access.api_keys import Scope, new_key
from tests.browser.axe import complaints
from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.waiting import wait_until
from tests.running_server import Server, serving
from tests.samples import encoded

MARKUP = '<img src=x onerror="window.attacked = true"><script>window.attacked = true</script>'
BIDI = "\u202egpj.exe\u202c \u2067שלום\u2069 שמש בים"
EMOJI = "👩‍👩‍👧‍👦" * 25
ONE_REFUSED = [
    {"name": "logo.svg", "mimeType": "image/svg+xml", "buffer": b"<svg xmlns='http://www.w3.org/2000/svg'/>"},
    {"name": "fine.jpg", "mimeType": "image/jpeg", "buffer": encoded("JPEG", 64, 48, seed=77)},
]


def upload(server: Server, seed: int, **fields: Any) -> dict[str, Any]:
    """Upload a new image and return its record when it is ready."""
    answer = server.client.post(
        "/upload?wait=20&on_duplicate=create",
        files={"file": (fields.pop("name", "p.jpg"), encoded("JPEG", 320, 240, seed=seed), "image/jpeg")},
        data=fields,
    )
    record: dict[str, Any] = answer.json()
    while record["status"] == "pending":
        record = server.client.get(f"/images/{record['id']}?wait=20").json()
    return record


@pytest.fixture(scope="module")
def images(server: Server) -> list[dict[str, Any]]:
    """Images with harmless and with hostile texts, one that failed and one in the trash."""
    damaged = encoded("PNG", 64, 48, seed=5)[:80]
    server.client.post("/upload?wait=20", files={"file": ("damaged.png", damaged, "image/png")})
    trashed = upload(server, 901, title="In the trash")
    server.client.delete(f"/images/{trashed['id']}")
    texts = ("Harbor", "Pier", MARKUP, BIDI, EMOJI)
    return [
        upload(server, 910 + number, title=text, alt=text, tags=f"sea,{text[:20].replace(',', ' ')}")
        for number, text in enumerate(texts)
    ]


def opened(page: Any, address: str = "/") -> Any:
    page.goto(address)
    page.locator(".tile.loaded").first.wait_for()
    return page


def show_image(page: Any, image: dict[str, Any]) -> None:
    opened(page, f"/?image={image['id']}")
    page.locator("#viewer[open]").get_by_role("heading", name="Sizes").wait_for()


def show_focal_point(page: Any, image: dict[str, Any]) -> None:
    show_image(page, image)
    page.keyboard.press("f")
    page.get_by_role("slider").wait_for()


def show_selection(page: Any, _: dict[str, Any]) -> None:
    opened(page).locator(".tile-check").first.check()
    page.get_by_text("1 selected").wait_for()


def show_toast(page: Any, image: dict[str, Any]) -> None:
    show_selection(page, image)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    page.locator(".toast").get_by_text("Restored 1 image.").wait_for()


def show_filters(page: Any, _: dict[str, Any]) -> None:
    opened(page).get_by_role("button", name="Filters").click()
    page.get_by_label("Type").wait_for()


def show_menu(page: Any, _: dict[str, Any]) -> None:
    opened(page).get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Keyboard shortcuts").wait_for()


def show_keys(page: Any, image: dict[str, Any]) -> None:
    show_menu(page, image)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.locator(".small-window[open]").wait_for()


def show_tray(page: Any, _: dict[str, Any]) -> None:
    opened(page).locator("#files").set_input_files(ONE_REFUSED)
    page.locator("#tray").get_by_text("1 of 2 uploads failed").wait_for()


VIEWS: dict[str, Callable[[Any, dict[str, Any]], object]] = {
    "gallery": lambda page, _: opened(page),
    "trash": lambda page, _: opened(page, "/?view=trash"),
    "selection": show_selection,
    "toast": show_toast,
    "filters": show_filters,
    "menu": show_menu,
    "keys": show_keys,
    "image": show_image,
    "focal point": show_focal_point,
    "tray": show_tray,
}


@pytest.mark.parametrize("view", [*VIEWS])
def test_axe_finds_nothing(page: Any, images: list[dict[str, Any]], expected: list[str], view: str) -> None:
    expected.append("status of 4")  # the refused file of the tray
    VIEWS[view](page, images[0])
    assert complaints(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    assert complaints(page) == []


def test_axe_finds_nothing_on_empty_lists(page: Any) -> None:
    page.goto("/?tag=nothing-has-this-tag")
    page.get_by_text("No images tagged").wait_for()
    assert complaints(page) == []


def test_axe_finds_nothing_on_the_first_visit(browser: Any, tmp_path: Path) -> None:
    with serving(tmp_path / "data") as other:
        tab = browser.new_page(base_url=other.url)
        tab.goto("/")
        tab.get_by_role("button", name="Try a sample").wait_for()
        assert complaints(tab) == []
        tab.set_viewport_size({"width": 390, "height": 800})
        tab.emulate_media(color_scheme="dark")
        assert complaints(tab) == []
        tab.close()


def test_axe_finds_nothing_where_a_key_is_asked_for(browser: Any, tmp_path: Path) -> None:
    _, entry = new_key("ann", [Scope.READ])
    with serving(tmp_path / "data", DARKROOM_AUTH="required", DARKROOM_API_KEYS=str(entry)) as other:
        tab = browser.new_page(base_url=other.url)
        tab.goto("/")
        tab.locator(".small-window[open]").wait_for()
        assert complaints(tab) == []
        tab.close()


def test_texts_of_strangers_are_texts(page: Any, images: list[dict[str, Any]]) -> None:
    opened(page)
    for image in images[2:]:
        tile = page.locator(f".tile-open[href*='{image['id']}']")
        assert tile.locator(".tile-name").text_content() == image["title"]
        assert tile.get_attribute("aria-label") == image["alt"]
        tile.focus()
        page.keyboard.press("Enter")
        dialog = page.locator("#viewer[open]")
        dialog.get_by_role("heading", name="Sizes").wait_for()
        assert dialog.locator("#viewer-title").text_content() == image["title"]
        assert dialog.locator("[data-field=alt]").input_value() == image["alt"]
        page.keyboard.press("Escape")
        # The tile has the focus again only after the dialog is closed, which would take it from the next one.
        wait_until(page, f"document.activeElement.getAttribute('href') === '?image={image['id']}'")
    assert page.evaluate("window.attacked") is None
    assert page.locator("[src='x']").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_right_to_left_names_keep_their_direction(page: Any, images: list[dict[str, Any]]) -> None:
    opened(page, f"/?image={images[3]['id']}")
    page.locator("#viewer[open]").get_by_role("heading", name="Sizes").wait_for()
    title = page.locator("#viewer-title")
    assert title.get_attribute("dir") == "auto"
    assert title.evaluate("element => getComputedStyle(element).unicodeBidi") == "isolate"
    assert page.locator("html").evaluate("element => getComputedStyle(element).direction") == "ltr"


def test_the_gallery_is_one_tab_stop_and_arrows_move_in_it(page: Any, images: list[dict[str, Any]]) -> None:
    opened(page)
    tiles = page.locator(".tile-open")
    assert page.locator(".tile-open[tabindex='0']").count() == 1
    focused = "document.activeElement.getAttribute('href')"
    tiles.first.focus()
    order = [tiles.nth(number).get_attribute("href") for number in range(tiles.count())]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == order[1]
    page.keyboard.press("End")
    assert page.evaluate(focused) == order[-1]
    page.keyboard.press("Home")
    assert page.evaluate(focused) == order[0]
    page.keyboard.press(" ")
    page.get_by_text("1 selected").wait_for()
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_text("2 selected").wait_for()
    assert page.evaluate(focused) == order[1]
    assert page.locator(".tile-open[tabindex='0']").count() == 1
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").wait_for()
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.matches('.tile-open')")


def test_every_control_is_reached_by_keyboard_and_shows_its_focus(page: Any, images: list[dict[str, Any]]) -> None:
    opened(page)
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, has_ring = page.evaluate(
            """() => {
              const element = document.activeElement, style = getComputedStyle(element)
              return [element.getAttribute("aria-label") || element.textContent,
                style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2]
            }"""
        )
        if name in seen or page.evaluate("document.activeElement.matches('.tile-open')"):
            assert has_ring
            break
        assert has_ring, name
        seen.append(name)
    assert {"Darkroom", "Upload", "Menu", "All", "Public", "Private", "Failed", "Trash", "Filters"} <= set(seen)


def test_the_menu_and_a_window_give_the_focus_back(page: Any, images: list[dict[str, Any]]) -> None:
    opened(page)
    menu = page.get_by_role("button", name="Menu")
    menu.focus()
    page.keyboard.press("Enter")
    page.locator("#menu:popover-open").wait_for()
    page.keyboard.press("Escape")
    page.locator("#menu:not(:popover-open)").wait_for(state="attached")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Menu"
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Keyboard shortcuts").focus()
    page.keyboard.press("Enter")
    window = page.locator(".small-window[open]")
    window.wait_for()
    assert page.evaluate("document.activeElement.closest('.small-window') !== null")
    page.keyboard.press("Escape")
    window.wait_for(state="detached")


def test_screen_readers_are_told_of_uploads_selections_and_failures(
    page: Any, images: list[dict[str, Any]], expected: list[str]
) -> None:
    opened(page)
    page.evaluate(
        """() => {
          window.told = []
          const keep = () => told.push(document.getElementById("live").textContent)
          new MutationObserver(keep).observe(document.getElementById("live"), { childList: true, subtree: true })
        }"""
    )
    assert page.locator("#live").get_attribute("aria-live") == "polite"
    expected.append("status of 4")
    page.locator("#files").set_input_files(ONE_REFUSED)
    wait_until(page, "told.includes('2 files added')")
    wait_until(page, "told.some(text => text === '1 image uploaded, 1 failed')")
    assert page.locator("#tray progress").first.get_attribute("aria-label")
    page.locator(".tile-open").first.focus()
    page.keyboard.press("Control+a")
    wait_until(page, "told.some(text => / selected$/.test(text))")


def test_nothing_moves_where_motion_is_reduced(new_page: Callable[..., Any], images: list[dict[str, Any]]) -> None:
    page = new_page(reduced_motion="reduce")
    opened(page, f"/?image={images[0]['id']}")
    page.locator("#viewer[open]").get_by_role("heading", name="Sizes").wait_for()
    assert page.evaluate(
        """[...document.querySelectorAll("*")].every(element => ["", "::before", "::after"].every(pseudo => {
          const style = getComputedStyle(element, pseudo || null)
          const isShort = style.transitionDuration.split(",").every(each => parseFloat(each) <= .08)
          return isShort && style.animationName === "none"
        }))"""
    )
