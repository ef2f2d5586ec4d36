"""The gallery on the page with 10,000 images: few elements, no layout shift, search and selection of all."""

import re
from typing import Any

import pytest

from benchmarks.gallery_records import seed_gallery
from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.running_server import Server

COUNT = 10_000

#: Scroll to the end, and return the largest number of tiles, the sum of layout shifts, and the end of the total's text.
SCROLL = """
async () => {
  let shift = 0;
  const observer = new PerformanceObserver((list) => list.getEntries().forEach((each) => (shift += each.value)));
  observer.observe({ type: "layout-shift", buffered: true });
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const gallery = document.getElementById("gallery");
  let most = 0;
  for (let still = 0; still < 3; ) {
    scrollTo(0, document.documentElement.scrollHeight);
    await frame();
    await frame();
    most = Math.max(most, document.querySelectorAll(".tile").length);
    still = gallery.getAttribute("aria-rowcount") === "-1" ? 0 : still + 1;
  }
  const total = document.querySelector(".total").textContent;
  return { most, shift, total, elements: document.querySelectorAll("#gallery *").length };
}
"""


@pytest.fixture(scope="module")
def ids(server: Server) -> list[str]:
    return seed_gallery(server.data, COUNT, with_variants=False)


def test_elements_stay_few_while_all_images_are_scrolled(page: Any, ids: list[str]) -> None:
    page.goto("/")
    page.locator(".tile").first.wait_for()
    found = page.evaluate(SCROLL)
    assert found["total"] == "10,000 images"
    assert found["most"] < 200
    assert found["elements"] < 2000
    assert found["shift"] == 0
    page.locator(f'.tile-open[href="?image={ids[-1]}"]').wait_for()


def test_search_says_that_it_looks_in_what_is_loaded(page: Any, ids: list[str]) -> None:
    page.goto("/?tag=sea")
    page.locator(".tile").first.wait_for()
    page.locator("#search").fill("IMG_0000")
    page.locator(".search-note", has_text="images loaded so far.").wait_for()
    page.locator(".tile-open[aria-label^='IMG_0000']").first.wait_for()  # also in a row that is not full
    page.locator("#search").fill("IMG_09")
    page.locator(".total", has_text=re.compile("^0 images$")).wait_for()
    page.get_by_role("button", name="Load all").click()
    page.locator(".search-note").wait_for(state="hidden")
    page.wait_for_function("document.activeElement.id === 'search'")  # the button is gone
    page.locator(".tile-open[aria-label^='IMG_09']").first.wait_for()


def test_a_page_of_the_gallery_that_cannot_be_loaded_is_reported(
    page: Any, ids: list[str], expected: list[str]
) -> None:
    page.goto("/?tag=sea")
    page.locator(".tile").first.wait_for()
    expected.append("ERR_CONNECTION_REFUSED")
    page.route("**/images?*", lambda route: route.abort("connectionrefused"))
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Select all that match").click()
    page.locator(".toast", has_text="Connection lost.").wait_for()
    assert page.locator(".tile").count()


def test_all_images_of_a_filter_can_be_selected(page: Any, server: Server, ids: list[str]) -> None:
    page.goto("/?tag=sea")
    page.locator(".tile-open").first.focus()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Select all that match").click()  # the service does not count images of a tag
    matching = count_of(server, {"tag": "sea"})
    page.locator(".bar strong", has_text=f"{matching:,} selected").wait_for()


def test_the_number_of_all_images_is_shown_before_they_are_loaded(page: Any, ids: list[str]) -> None:
    page.goto("/")
    page.locator(".total", has_text=re.compile("^10,000 images$")).wait_for()
    page.locator("#gallery[aria-rowcount='-1']").wait_for()  # not all are loaded
    page.locator(".tile-open").first.focus()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Select all 10,000 in this filter").click()
    page.locator(".bar strong", has_text="10,000 selected").wait_for()
    assert page.get_by_role("button", name="Select all").count() == 0
    page.goto("/?view=failed")
    page.locator(".total", has_text=re.compile("^0 images$")).wait_for()


#: Href and distance from the top of the window of the first tile below the header, and how far the page is scrolled.
PLACE = """
() => {
  const isBelow = (tile) => tile.getBoundingClientRect().top >= document.getElementById("header").offsetHeight;
  const tiles = [...document.querySelectorAll(".tile")].filter(isBelow);
  const first = tiles.sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)[0];
  return [first.querySelector("a").getAttribute("href"), Math.round(first.getBoundingClientRect().top), scrollY];
}
"""


def test_a_change_of_many_images_keeps_the_place(page: Any, server: Server, ids: list[str]) -> None:
    page.goto("/")
    page.locator(".tile-open").first.focus()
    row = "Number(document.activeElement.closest('.row').getAttribute('aria-rowindex'))"
    while page.evaluate(row) < 60:  # more are loaded at the end
        page.keyboard.press("End")
    page.keyboard.press("Space")
    while (selected := int(page.locator(".bar strong").inner_text().split()[0])) <= 120:
        page.keyboard.press("Shift+PageUp")
    place = page.evaluate(PLACE)
    assert place[2] > 1000
    with page.expect_response(lambda response: "/images?" in response.url) as read:
        page.get_by_role("button", name="Make private").dispatch_event("click")  # Playwright's click scrolls
    page.get_by_text(f"Made {selected} images private.").first.wait_for()
    assert read.value.ok
    page.wait_for_function("document.querySelectorAll('.tile-lock').length > 10")
    assert page.evaluate(PLACE) == place
    assert count_of(server, {"visibility": "private"}) >= selected
    page.get_by_role("button", name="Undo").dispatch_event("click")
    page.locator(".toast").get_by_text("images back.").wait_for()
    page.wait_for_function("document.querySelectorAll('.tile-lock').length < 10")
    assert page.evaluate(PLACE) == place


def test_row_numbers_count_the_headings_of_days(page: Any, ids: list[str]) -> None:
    page.goto("/")
    page.locator(".tile").first.wait_for()
    rows = page.evaluate(
        "[...document.querySelectorAll('#gallery [role=row]')].map((row) => Number(row.getAttribute('aria-rowindex')))"
    )
    assert rows[:3] == [1, 2, 3]
    assert len(set(rows)) == len(rows)
    page.goto("/?from=2020-01-01&to=2020-12-31")
    page.locator(".total", has_text=re.compile("^0 images$")).wait_for()
    page.locator("#gallery[aria-rowcount='0']").wait_for(state="attached")  # in the frame after the text


def count_of(server: Server, query: dict[str, str]) -> int:
    """Return the number of images in a list."""
    count, cursor = 0, {}
    while True:
        page = server.client.get("/images", params={"limit": "200", **query, **cursor}).json()
        count += len(page["items"])
        if not page["next_cursor"]:
            return count
        cursor = {"cursor": page["next_cursor"]}
