"""Memory of the page: tiles that are scrolled out of view are freed, with their images."""

from typing import Any

import pytest

from benchmarks.gallery_records import seed_gallery
from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.running_server import Server

COUNT = 600
#: Scroll to the end by less than what is kept in view, so that each image begins to load. Return the last total.
SCROLL = """
async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const gallery = document.getElementById("gallery");
  for (let still = 0; still < 3; ) {
    const before = scrollY;
    scrollBy(0, 1000);
    await frame();
    await frame();
    still = scrollY > before || gallery.getAttribute("aria-rowcount") === "-1" ? 0 : still + 1;
  }
  return document.querySelector(".total").textContent;
}
"""

#: Scroll some pages down, with other images in the tiles, back to the top, and down to a private image.
FORTH_AND_BACK = """
async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  for (const step of [1500, -1500]) {
    for (let count = 0; count < 20; count += 1) {
      scrollBy(0, step);
      await frame();
      await frame();
    }
  }
  for (let count = 0; count < 50 && !document.querySelector(".tile-lock"); count += 1) {
    scrollBy(0, 500);
    await frame();
    await frame();
  }
}
"""
TILES = """
[...document.querySelectorAll(".tile")].map((tile) => ({
  id: new URL(tile.querySelector("a").href).searchParams.get("image"),
  source: tile.querySelector("img").src,
  name: tile.querySelector(".tile-name").textContent,
  locks: tile.querySelectorAll(".tile-lock").length,
  placeholders: tile.querySelectorAll("canvas").length,
}))
"""


@pytest.fixture(scope="module")
def ids(server: Server) -> list[str]:
    return seed_gallery(server.data, COUNT)


def test_tiles_that_are_out_of_view_are_freed(page: Any, ids: list[str]) -> None:
    page.goto("/")
    page.locator(".tile.loaded").first.wait_for()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    assert page.evaluate(SCROLL) == f"{COUNT} images"
    assert page.locator(f'.tile-open[href="?image={ids[-1]}"]').count() == 1
    with_source = page.evaluate("[...document.images].filter((image) => image.hasAttribute('src')).length")
    assert 0 < with_source < 150  # images are decoded near the viewport only
    session.send("HeapProfiler.collectGarbage")
    nodes = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}["Nodes"]
    assert nodes < 2500  # each of the 600 tiles has 14


def test_a_tile_shows_its_own_image_only(page: Any, server: Server, ids: list[str]) -> None:
    page.goto("/")
    page.locator(".tile.loaded").first.wait_for()
    page.evaluate(FORTH_AND_BACK)
    page.wait_for_function(
        "document.querySelectorAll('.tile.loaded').length === document.querySelectorAll('.tile').length"
    )
    tiles = page.evaluate(TILES)
    records = {each["id"]: each for each in server.client.get("/images?limit=200").json()["items"]}
    assert {records[tile["id"]]["visibility"] for tile in tiles} == {"public", "private"}
    for tile in tiles:
        record = records[tile["id"]]
        assert record["id"] in tile["source"]
        assert tile["name"] == record["filename"]
        assert tile["locks"] == (record["visibility"] == "private")
        assert tile["placeholders"] == 1
