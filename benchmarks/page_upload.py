"""Upload of 200 photographs of 3 MB: the page in Chromium against curl, over loopback to the same server.

    .venv/bin/python -m benchmarks.page_upload [rounds]

curl sends forms, three at a time, as the page does: once by one process for all files, and once by a process for each
file, as `xargs` starts them in a shell. No tool watches the requests of the page: that takes processor time which no
user spends. Every upload starts with an empty data folder. `benchmarks.page` runs this too, and saves the figures. On a
machine with other load, start it by `chrt -r 1`.
"""

import fcntl
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from PIL import Image as Picture

from benchmarks.devtools import Chromium, Tab
from benchmarks.render.images import add_grain
from tests.browser.test_pages import CHROMIUM, QUIET
from tests.running_server import Server, serving
from tests.samples import photograph

COUNT = 200
ROUNDS = 3
AT_ONCE = 3
_QUALITY = 94  # 3 MB for 12 megapixels
_SECONDS = 600

#: Note when files are chosen, in the clock of resource timings.
_START = """
performance.setResourceTimingBufferSize(100000);
performance.onresourcetimingbufferfull = null;
addEventListener("change", () => (window.chosenAt ??= performance.now()), { capture: true });
window.uploadEnds = () => performance.getEntriesByType("resource")
  .filter((each) => new URL(each.name).pathname.endsWith("/upload")).map((each) => each.responseEnd);
true
"""
#: True when the page offers to choose files.
_READY = "document.body.innerText.includes('Choose files')"


def make_photographs(folder: Path, count: int = COUNT) -> list[Path]:
    """Write JPEGs that differ in a comment. Each is the photograph of the tests with the grain of a small sensor."""
    output = io.BytesIO()
    with Picture.open(io.BytesIO(photograph("photo-12mp.jpg"))) as original:
        add_grain(original.convert("RGB")).save(output, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    body = output.getvalue()
    paths = [folder / f"photo {number:03}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        comment = f"photograph {number:06}".encode()
        path.write_bytes(body[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + body[2:])
    return paths


def send_with_curl(server: Server, paths: list[Path]) -> float:
    """Upload the files by one curl, a form each. Returns the seconds."""
    command = ["curl", "--no-progress-meter", "--parallel", "--parallel-max", str(AT_ONCE)]
    for path in paths:
        if path != paths[0]:
            command.append("--next")
        command += ["--fail", "--form", f"file=@{path}", "--output", os.devnull, f"{server.url}/upload"]
    started = perf_counter()
    subprocess.run(command, check=True, timeout=_SECONDS)
    return perf_counter() - started


def send_with_curls(server: Server, paths: list[Path]) -> float:
    """Upload the files by a curl for each. Returns the seconds."""
    curl = [
        "curl",
        "--no-progress-meter",
        "--fail",
        "--output",
        os.devnull,
        "--form",
        "file=@{}",
        f"{server.url}/upload",
    ]
    names = "\0".join(map(str, paths)).encode()
    started = perf_counter()
    subprocess.run(["xargs", "-0", "-P", str(AT_ONCE), "-I{}", *curl], input=names, check=True, timeout=_SECONDS)
    return perf_counter() - started


def send_with_page(browser: Chromium, server: Server, paths: list[Path]) -> float:
    """Choose the files in the page. Returns the seconds from then until the answer to the last one."""
    tab = Tab(browser, server.url)
    try:
        tab.wait_until(_READY)
        tab.evaluate(_START)
        tab.choose_files("#files", paths)
        tab.wait_until(f"uploadEnds().length >= {len(paths)}")
        return float(tab.evaluate("Math.max(...uploadEnds()) - chosenAt")) / 1000
    finally:
        tab.close()


@contextmanager
def _new_server(folder: Path, *, processing: bool) -> Iterator[Server]:
    """Start a server with an empty data folder. Without processing, its worker waits for the lock of another."""
    data = folder / "data"
    data.mkdir()
    try:
        with (data / "worker.lock").open("a") as lock, ExitStack() as stack:
            if not processing:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield stack.enter_context(serving(data))
    finally:
        shutil.rmtree(data)


def measure(rounds: int = ROUNDS, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Upload by both in turns, with processing and without. Returns megabytes a second: each round and the median."""
    if CHROMIUM is None:
        raise SystemExit("there is no Chromium here")
    figures: dict[str, Any] = {}
    load = os.getloadavg()[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_photographs(folder)
        total = sum(path.stat().st_size for path in paths) / 1e6
        with Chromium(CHROMIUM, QUIET, folder / "profile") as browser:
            ways: dict[str, Callable[[Server, list[Path]], float]] = {
                "curl": send_with_curl,
                "curls": send_with_curls,
                "page": partial(send_with_page, browser),
            }
            for kind, processing in (("worker_paused", False), ("worker_running", True)):
                rates: dict[str, list[float]] = {way: [] for way in ways}
                for _ in range(rounds):
                    for way, send in ways.items():
                        with _new_server(folder, processing=processing) as server:
                            rate = total / send(server, paths)
                            _check(server, len(paths))
                        report(f"{kind:15} {way:6} {rate:6.1f} MB/s")
                        rates[way].append(round(rate, 1))
                medians = {way: median(each) for way, each in rates.items()}
                ratios = {way: round(medians["page"] / medians[way], 2) for way in ways if way != "page"}
                figures[kind] = {"rates": rates, **medians, "page_against": ratios}
    shape = {"files": COUNT, "megabytes": round(total), "at_once": AT_ONCE}
    return {**shape, "load_average_5_minutes": round(load, 1), "real_time_priority": _is_real_time(), **figures}


def _is_real_time() -> bool:
    """Return True under `chrt -r 1`, which keeps the processors for the benchmark on a machine with other load."""
    return os.sched_getscheduler(0) == os.SCHED_RR


def _check(server: Server, count: int) -> None:
    found = server.client.get("/stats").json()["images"]
    if found != count:
        raise SystemExit(f"{found} images are stored, not {count}")


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    for name, value in measure(rounds).items():
        print(f"{name:15} {value}")


if __name__ == "__main__":
    main()
