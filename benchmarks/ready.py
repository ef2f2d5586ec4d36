"""Time from the first byte of an upload to `ready`, on the server as `make run` starts it.

    .venv/bin/python -m benchmarks.ready [rounds]

One upload at a time over loopback, the images in turns. Medians go to `results/ready.json`, with the load average of
the last five minutes: server, worker and this program cause about 1.5, so more means other load on the machine.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.render import images
from benchmarks.results_file import save
from darkroom.cli.direct import FileClient
from darkroom.cli.image_file import ImageFile
from tests.running_server import Server, serving
from tests.samples import encoded

ROUNDS = 9
STATISTICS = (("median", median), ("fastest", min), ("slowest", max))
#: Files of the benchmark of rendering, with descriptions.
LARGE = {
    "phone.jpg": "JPEG, 12 megapixels",
    "phone.heic": "HEIC, 12 megapixels",
    "phone24.jpg": "JPEG, 24 megapixels",
    "phone48.jpg": "JPEG, 48 megapixels",
}


def form(server: Server, path: Path) -> float:
    """Upload a form; return the seconds until the answer with a `ready` record."""
    start = time.perf_counter()
    with path.open("rb") as file:
        query = {"wait": 20, "on_duplicate": "create"}
        record = server.client.post("/upload", params=query, files={"file": file}).json()
    return _seconds(start, server, record)


def ticket(server: Server, path: Path) -> float:
    """Upload with the client of `darkroom upload`; return the seconds until the `ready` record."""
    start = time.perf_counter()
    with FileClient(server.url) as client:
        record = client.wait_until_processed(client.send(ImageFile.read(path)), 20)
    return _seconds(start, server, record)


def _seconds(start: float, server: Server, record: dict[str, Any]) -> float:
    seconds = time.perf_counter() - start
    if record["status"] != "ready" or record.get("duplicate"):
        raise SystemExit(f"the image is not ready: {record}")
    server.client.delete(f"/images/{record['id']}")
    return seconds


@contextmanager
def _files() -> Iterator[dict[str, Path]]:
    images.make()
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.jpg")
        small.write_bytes(encoded("JPEG", 1280, 960, seed=7, quality=90))
        yield {"JPEG, 1.2 megapixels": small} | {what: images.FOLDER / name for name, what in LARGE.items()}


def main() -> None:
    """Warm up, measure, save, print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    ways = {"form": form, "ticket": ticket}
    with _files() as files, tempfile.TemporaryDirectory() as folder, serving(Path(folder, "data")) as server:
        taken: dict[str, dict[str, list[float]]] = {what: {way: [] for way in ways} for what in files}
        for turn in range(rounds + 1):
            for what, path in files.items():
                for way, send in ways.items():
                    seconds = send(server, path)
                    if turn:  # the first round warms up
                        taken[what][way].append(seconds)
        rows = [
            {"image": what, "bytes": files[what].stat().st_size}
            | {f"{way}_{name}_ms": round(1000 * of(times)) for way, times in by_way.items() for name, of in STATISTICS}
            for what, by_way in taken.items()
        ]
    for row in rows:
        print(row)
    print(save("ready", ("pillow", "pillow-heif"), rounds=rounds, load_average=os.getloadavg()[1], rows=rows))


if __name__ == "__main__":
    main()
