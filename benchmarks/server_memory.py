"""Memory of the server over 2,000 uploads and 20,000 reads.

    .venv/bin/python -m benchmarks.server_memory

Needs Linux; takes half a minute. The server has one core and no worker. One upload of 20 has 5 MB, the others have 200
kB; one read of 10 is a page of 50 records. The growth is that since the first 200 uploads and 200 reads, and the slope
that of a line through the samples. The figures go to `results/server_memory.json`.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import linear_regression
from typing import Any

from benchmarks.results_file import save
from benchmarks.upload import CLIENT_CORE, COMMANDS, SIZE, Target, new_form, running

UPLOADS, READS = 2000, 20_000
#: Uploads between two samples, and the uploads and reads before the first one.
UPLOADS_A_SAMPLE = WARM = 200
SMALL = 200_000
READS_A_SAMPLE = 2000
#: Most megabytes by which the memory may differ from that after the first uploads.
MUST = 10


def measure(target: Target) -> dict[str, Any]:
    """Upload and read many times, and return the memory along the way, in megabytes."""
    ids = []
    uploads: list[float] = []
    reads: list[float] = []
    for number in range(1, UPLOADS + 1):
        ids.append(target.call("POST", "/upload", new_form(SIZE if number % 20 == 0 else SMALL))["id"])
        if number == WARM:
            _read(target, ids, range(1, WARM + 1))
        if number % UPLOADS_A_SAMPLE == 0:
            uploads.append(_sample(target, f"{number} uploads"))
    for number in range(0, READS, READS_A_SAMPLE):
        _read(target, ids, range(number + 1, number + READS_A_SAMPLE + 1))
        reads.append(_sample(target, f"{number + READS_A_SAMPLE} reads"))
    start, *later = [*uploads, *reads]
    return {
        "after_uploads": uploads,
        "after_reads": reads,
        "peak": round(target.resident_megabytes(peak=True), 1),
        "growth": round(max(later) - start, 1),
        "slope_a_1000_uploads": _slope(uploads, UPLOADS_A_SAMPLE),
        "slope_a_1000_reads": _slope(reads, READS_A_SAMPLE),
    }


def _read(target: Target, ids: Sequence[str], numbers: Iterable[int]) -> None:
    for number in numbers:
        target.call("GET", "/images?limit=50" if number % 10 == 0 else f"/images/{ids[number % len(ids)]}")


def _sample(target: Target, when: str) -> float:
    found = round(target.resident_megabytes(), 1)
    print(f"{when}: {found} MB", flush=True)
    return found


def _slope(samples: Sequence[float], step: int) -> float:
    """Return the megabytes by which a line through the samples rises in 1,000 requests."""
    return round(linear_regression(range(len(samples)), samples).slope * 1000 / step, 2)


def main() -> None:
    """Measure, print, save."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd() / ".cache") as folder,
        running("darkroom", COMMANDS["darkroom"], Path(folder, "darkroom")) as target,
    ):
        found = measure(target)
    print(found)
    packages = ["starlette", "uvicorn", "h11", "python-multipart"]
    save("server_memory", packages, uploads=UPLOADS, reads=READS, must_megabytes=MUST, megabytes=found)


if __name__ == "__main__":
    main()
