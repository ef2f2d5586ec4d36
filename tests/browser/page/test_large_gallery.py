"""The gallery on the page with 10,000 images: few elements, no layout shift, search and selection of all."""

import re
from typing import Any

import pytest

from benchmarks.gallery_records import seed_gallery
from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.running_server import Server

COUNT = 10_000

#: Scroll to the end, and return the largest number of tiles, the sum of layout shifts, and the last words of the total.
SCROLL = """
async () => {
  let shift = 0;
  const observer = new PerformanceObserver((list) => list.getEntries().forEach((each) => (shift += each.value)));
  observer.observe({ type: "layout-shift", buffered: true });
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const total = document.querySelector(".total");
  let most = 0;
  for (let still = 0; still < 3; ) {
    scrollTo(0, document.documentElement.scrollHeight);
    await frame();
    await frame();
    most = Math.max(most, document.querySelectorAll(".tile").length);
    still = total.textContent.endsWith("+ images") ? 0 : still + 1;
  }
  return { most, shift, total: total.textContent, elements: document.querySelectorAll("#gallery *").length };
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
    page.locator(".tile-open[aria-label^='IMG_09']").first.wait_for()


def test_all_images_of_a_filter_can_be_selected(page: Any, server: Server, ids: list[str]) -> None:
    page.goto("/?tag=sea")
    page.locator(".tile-open").first.focus()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Select all in this filter").click()
    matching = count_of(server, {"tag": "sea"})
    page.locator(".bar strong", has_text=f"{matching:,} selected").wait_for()


def count_of(server: Server, query: dict[str, str]) -> int:
    """Return the number of images in a list."""
    count, cursor = 0, {}
    while True:
        page = server.client.get("/images", params={"limit": "200", **query, **cursor}).json()
        count += len(page["items"])
        if not page["next_cursor"]:
            return count
        cursor = {"cursor": page["next_cursor"]}
