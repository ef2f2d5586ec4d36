"""Design of the page: sizes on a phone and on a desk, themes, and motion."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.browser.page.conftest import TIMEOUT_MS, pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_gallery import upload
from tests.browser.page.test_upload import file, filenames, jpeg, row
from tests.browser.waiting import wait_until
from tests.running_server import Server

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
#: Note which images each view transition from now on begins and ends with.
WATCH_TRANSITIONS = """
() => {
  window.transitions = [];
  const start = document.startViewTransition.bind(document);
  const isMoving = (image) => image.style.viewTransitionName === "opened";
  const moving = () => [...document.images].filter(isMoving).map((image) => image.className || "tile").join();
  document.startViewTransition = (change) => {
    const from = moving();
    const transition = start(change);
    transition.updateCallbackDone.then(() => transitions.push(`${from} to ${moving()}`));
    return transition;
  };
}
"""


@pytest.fixture(scope="module")
def images(server: Server) -> list[str]:
    return upload(server, "design", 6)


def opened(page: Any) -> Any:
    page.goto("/")
    page.locator(".tile.loaded").nth(4).wait_for()
    return page


def style(page: Any, selector: str, name: str) -> str:
    found: str = page.locator(selector).first.evaluate("(element, name) => getComputedStyle(element)[name]", name)
    return found


@pytest.mark.parametrize(("width", "height", "padding"), [(390, 120, 8), (800, 180, 16), (1600, 220, 24)])
def test_rows_and_margins_follow_the_width(
    new_page: Callable[..., Any], images: list[str], width: int, height: int, padding: int
) -> None:
    page = opened(new_page(viewport={"width": width, "height": 900}))
    heights = page.evaluate("[...document.querySelectorAll('.row')].map((row) => row.offsetHeight)")
    assert heights[-1] == height  # the last row is not stretched
    assert all(height * 0.6 < each < height * 1.34 for each in heights)
    assert page.locator(".tile").first.bounding_box()["x"] == padding
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_phone_what_can_be_done_with_a_selection_is_in_one_row(
    new_page: Callable[..., Any], images: list[str]
) -> None:
    page = opened(new_page(**PHONE))
    page.locator(".tile-mark").first.tap()
    page.get_by_text("1 selected").wait_for()
    buttons = [each.bounding_box() for each in page.locator(".bar > button:not(.select-all)").all()]
    assert len(buttons) == 5
    assert {each["height"] for each in buttons} == {44}
    assert len({each["y"] for each in buttons}) == 1
    assert all(each["x"] >= 0 and each["x"] + each["width"] <= 390 for each in buttons)
    count = page.locator(".bar strong").bounding_box()
    assert count["height"] < 24  # one line
    assert count["x"] + count["width"] < buttons[0]["x"]
    select_all = page.get_by_role("button", name="Select all 6")
    assert select_all.bounding_box()["height"] >= 44
    select_all.tap()
    page.get_by_text("6 selected").wait_for()
    assert page.locator(".chips").is_visible()


@pytest.mark.parametrize("width", [600, 640, 899, 900])
def test_the_bar_of_a_selection_fits_narrow_windows_and_zoomed_pages(
    new_page: Callable[..., Any], images: list[str], width: int
) -> None:
    page = opened(new_page(viewport={"width": width, "height": 400}))
    page.locator(".tile-open").first.focus()
    page.keyboard.press("Space")
    page.get_by_text("1 selected").wait_for()
    page.evaluate("document.querySelector('.select-all').textContent = 'Select all 12,345 in this filter'")
    boxes = [each.bounding_box() for each in page.locator(".bar > strong, .bar > button").all()]
    assert len(boxes) == 7
    assert all(left["x"] + left["width"] <= right["x"] for left, right in pairwise(boxes))
    assert boxes[-1]["x"] + boxes[-1]["width"] <= width
    assert boxes[1]["height"] < 36  # one line


def test_on_a_phone_controls_are_large_and_do_not_zoom_the_page(
    new_page: Callable[..., Any], images: list[str]
) -> None:
    page = opened(new_page(**PHONE))
    for name in ("Upload", "Menu"):
        assert page.get_by_role("button", name=name, exact=True).bounding_box()["height"] >= 44
    assert style(page, "#search", "fontSize") == "16px"  # iOS zooms into smaller ones
    page.goto(f"/?image={images[0]}")
    page.locator("#viewer[open]").get_by_role("heading", name="Sizes").wait_for()
    well, inspector = page.locator(".viewer-well").bounding_box(), page.locator(".inspector").bounding_box()
    assert inspector["y"] >= well["y"] + well["height"]
    assert inspector["width"] == 390


def test_on_a_phone_a_photo_is_taken_with_the_camera(
    new_page: Callable[..., Any], server: Server, images: list[str]
) -> None:
    page = opened(new_page(**PHONE))
    page.get_by_role("button", name="Menu").tap()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(file("taken.jpg", jpeg(700)))
    row(page, "taken.jpg", "done").wait_for()
    assert "taken.jpg" in filenames(server)
    tray = page.locator("#tray").bounding_box()
    assert (tray["x"], tray["width"], tray["y"] + tray["height"]) == (0, 390, 844)  # a sheet at the bottom


def test_a_desk_has_no_camera_to_offer(page: Any, images: list[str]) -> None:
    opened(page).get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Upload a folder").wait_for()
    assert page.get_by_role("button", name="Take a photo").count() == 0


def test_the_theme_follows_the_system_until_it_is_chosen(new_page: Callable[..., Any], images: list[str]) -> None:
    light, dark = "rgb(250, 250, 250)", "rgb(18, 18, 18)"
    page = opened(new_page(color_scheme="dark"))
    assert style(page, "body", "backgroundColor") == dark
    page.emulate_media(color_scheme="light")
    assert style(page, "body", "backgroundColor") == light
    for wanted in ("light", "dark"):
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("button", name="Theme: ").click()
        assert page.evaluate("document.documentElement.dataset.theme") == wanted
    opened(page)
    assert style(page, "body", "backgroundColor") == dark
    page.emulate_media(color_scheme="dark")
    page.evaluate("localStorage.setItem('darkroom.theme', 'light')")
    page.goto(f"/?image={images[0]}")
    page.locator("#viewer[open]").wait_for()
    assert style(page, "body", "backgroundColor") == light
    assert style(page, "#viewer", "backgroundColor") == "rgb(10, 10, 10)"  # dark in both


def test_an_image_grows_out_of_its_tile_and_returns_to_it(page: Any, images: list[str]) -> None:
    opened(page).evaluate(WATCH_TRANSITIONS)
    page.locator(".tile-open").nth(2).click()
    page.locator("#viewer[open]").wait_for()
    page.locator(".viewer-preview").wait_for(state="detached")  # the larger image is shown instead
    assert page.evaluate("document.querySelector('.viewer-picture').naturalWidth > 0")
    page.keyboard.press("Escape")
    page.locator("#viewer:not([open])").wait_for(state="attached")
    page.wait_for_function("transitions.length === 2")
    assert page.evaluate("transitions") == ["tile to viewer-preview", "viewer-preview to tile"]
    page.wait_for_function("[...document.images].every((image) => !image.style.viewTransitionName)")


def test_an_image_opens_at_once_with_reduced_motion(new_page: Callable[..., Any], images: list[str]) -> None:
    page = opened(new_page(reduced_motion="reduce"))
    page.evaluate(WATCH_TRANSITIONS)
    page.locator(".tile-open").nth(2).click()
    page.locator("#viewer[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("#viewer:not([open])").wait_for(state="attached")
    assert page.evaluate("transitions") == []


def test_an_image_that_is_opened_while_another_closes_stays(new_page: Callable[..., Any], images: list[str]) -> None:
    page = opened(new_page(reduced_motion="reduce"))
    page.locator(".tile-open").nth(1).click()
    page.locator("#viewer[open]").get_by_role("heading", name="Sizes").wait_for()
    address = page.evaluate("""async () => {
      const tile = document.querySelectorAll(".tile-open")[2];
      document.querySelector("#viewer [aria-label=Close]").click();
      tile.click();
      await new Promise((resolve) => document.getElementById("viewer").addEventListener("close", resolve));
      return tile.href;
    }""")
    assert page.url == address
    page.wait_for_function("document.querySelector('.viewer-picture').naturalWidth > 0")
    page.keyboard.press("Escape")
    page.locator("#viewer:not([open])").wait_for(state="attached")
    assert page.evaluate("document.activeElement.href") == address


def test_an_image_fades_in_unless_the_browser_had_it(browser: Any, server: Server, images: list[str]) -> None:
    context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(
        """
        window.fades = 0;
        addEventListener("transitionrun", (event) => (window.fades += event.target.matches(".tile img")), true);
        """
    )
    first = opened(context.new_page())
    count = first.locator(".tile").count()
    wait_until(first, f"fades === {count}")
    second = context.new_page()  # in a process of its own, which has no decoded images
    for page in (second, second, first):
        opened(page)
        wait_until(page, f"document.querySelectorAll('.tile.loaded').length === {count}")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("fades") == 0
    context.close()


@pytest.mark.parametrize("width", [800, 1280])
def test_the_filters_open_below_their_button(new_page: Callable[..., Any], images: list[str], width: int) -> None:
    page = opened(new_page(viewport={"width": width, "height": 800}))
    button = page.get_by_role("button", name="Filters")
    button.click()
    panel = page.locator("#more-filters:popover-open")
    panel.wait_for()
    page.wait_for_function("!document.getElementById('more-filters').getAnimations().length")
    assert panel.bounding_box()["x"] == button.bounding_box()["x"]


def test_arrows_are_at_the_middle_of_the_image(page: Any, images: list[str]) -> None:
    page.goto(f"/?image={images[1]}")
    page.locator(".viewer-next").wait_for()
    arrow, well = page.locator(".viewer-next").bounding_box(), page.locator(".viewer-well").bounding_box()
    assert arrow["y"] + arrow["height"] / 2 == pytest.approx(well["y"] + well["height"] / 2, abs=1)
