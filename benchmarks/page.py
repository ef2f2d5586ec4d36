"""Transfer size, first paint, layout shift, scrolling and memory of the page with 10,000 images, and its uploads.

    .venv/bin/python -m benchmarks.page

Needs Chromium and Playwright: `make test-browser` installs the latter. Tasks are measured in processor time, because
other load on the machine does not change it. Uploads are measured in seconds of the clock, by `benchmarks.page_upload`:
the machine should have nothing else to do. The figures go to `results/page.json`.
"""

import gzip
import importlib
import json
import tempfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks import page_upload
from benchmarks.gallery_records import seed_gallery
from benchmarks.results_file import save
from tests.browser.test_pages import CHROMIUM, QUIET
from tests.running_server import serving

COUNT = 10_000
STEP = 1600
PAGE = Path(__file__).parents[1] / "app" / "api" / "static" / "page"

OBSERVE = """
window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((each) => (window.shift += each.value)))
  .observe({ type: "layout-shift", buffered: true });
"""
SCROLL = """
async (step) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const gallery = document.getElementById("gallery");
  let most = 0;
  let steps = 0;
  for (let still = 0; still < 3; ) {
    const before = scrollY;
    scrollBy(0, step);
    await frame();
    await frame();
    steps += 1;
    most = Math.max(most, document.querySelectorAll(".tile").length);
    still = scrollY > before || gallery.getAttribute("aria-rowcount") === "-1" ? 0 : still + 1;
  }
  return { most, steps, total: document.querySelector(".total").textContent };
}
"""


def longest_task(trace: bytes) -> float:
    """Return the longest task of the page's main thread, in milliseconds of processor time."""
    events = json.loads(trace)["traceEvents"]
    threads = {(each["pid"], each["tid"]) for each in events if _is_main_thread(each)}
    tasks = [
        each["tdur"]
        for each in events
        if (each["pid"], each["tid"]) in threads
        and each["name"] == "ThreadControllerImpl::RunTask"
        and each.get("args", {}).get("src_func") != "FinishAsyncProcessDump"  # of the tracing itself
        and "tdur" in each
    ]
    return float(max(tasks)) / 1000


def _is_main_thread(event: Any) -> bool:
    return bool(event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain")


def compressed_size(url: str) -> int:
    """Return the size of the page's modules, style and HTML as they are sent, compressed by gzip."""
    names = ["", *(f"static/page/{file.name}" for file in PAGE.iterdir() if file.suffix in {".js", ".css"})]
    return sum(len(gzip.compress(httpx.get(f"{url}/{name}").content)) for name in names)


def measure(page: Any, browser: Any, url: str) -> dict[str, Any]:
    """Load the page, scroll through all images, and return the figures."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.add_init_script(OBSERVE)
    page.goto(url)
    page.locator(".tile.loaded").first.wait_for()
    page.wait_for_load_state("networkidle")
    first_load = sum(received)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    browser.start_tracing(page=page, categories=["toplevel"])
    scrolled = page.evaluate(SCROLL, STEP)
    longest = longest_task(browser.stop_tracing())
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    if scrolled["total"] != f"{COUNT:,} images":
        raise SystemExit(f"not every image was loaded: {scrolled['total']}")
    return {
        "code_kilobytes_gzip": round(compressed_size(url) / 1000, 1),
        "first_load_kilobytes": round(first_load / 1000),
        "first_contentful_paint_ms": round(paint),
        "layout_shift": page.evaluate("window.shift"),
        "scroll_steps": scrolled["steps"],
        "most_tiles": scrolled["most"],
        "longest_task_ms": round(longest, 1),
        "script_heap_megabytes": round(metrics["JSHeapUsedSize"] / 1e6, 1),
    }


def main() -> None:
    """Seed, measure, print, save."""
    playwright = importlib.import_module("playwright.sync_api")  # not among the packages of `make .venv`
    with tempfile.TemporaryDirectory() as folder, playwright.sync_playwright() as tool:
        data = Path(folder, "data")
        data.mkdir()
        seed_gallery(data, COUNT)
        with serving(data) as server:
            browser = tool.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            figures = measure(page, browser, server.url)
            page.close()
        version = browser.version
        browser.close()
    figures["upload"] = page_upload.measure()
    for name, value in figures.items():
        print(f"{name:28} {value}")
    save("page", ["playwright"], chromium=version, images=COUNT, viewport=[1280, 800], **figures)


if __name__ == "__main__":
    main()
