"""Processor time of the first, middle and last page of long lists on SQLite, compared with the list of all images.

    .venv/bin/python -m benchmarks.list_sqlite [number of records]

Every page is checked against what it must show, and the list of all images is read to its end. The figures go to
`results/list_sqlite.json`.
"""

import gc
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.adapters.sqlite import Database, SqliteImages
from app.adapters.sqlite.images import insert
from app.domain.models import Image
from benchmarks.long_list import ALL, LIMIT, LISTS, ReadPage, a_record, compare, expected_ids, query_of
from benchmarks.results_file import save

ROUNDS = 101


def seed(database: Database, count: int) -> list[Image]:
    """Insert `count` records, in transactions of a thousand."""
    dice = random.Random(1)
    made = [a_record(dice) for _ in range(count)]
    for start in range(0, count, 1000):
        with database.writing() as connection:
            for image in made[start : start + 1000]:
                insert(connection, image)
    return made


def reader(images: SqliteImages, filters: Mapping[str, Any]) -> ReadPage:
    """Return a function that reads pages."""
    return lambda after: [image.id for image in images.list(query_of(filters, after)).items]


def check_whole(page: ReadPage, expected: list[str]) -> None:
    """Read a list to its end. Ends the program unless it shows each image exactly once, on full pages."""
    seen: list[str] = []
    while shown := page(seen[-1] if seen else None):
        seen += shown
        if len(shown) < LIMIT:
            break
    if seen != expected:
        raise SystemExit("the list does not show every image exactly once, in order, on full pages")


def main() -> None:
    """Seed, measure, print, save."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "darkroom.db")
        database = Database(path)
        start = time.perf_counter()
        made = seed(database, count)
        mebibytes = path.stat().st_size / 2**20
        print(f"{count} records seeded in {time.perf_counter() - start:.1f} s, {mebibytes:.0f} MiB", flush=True)
        gc.freeze()  # a full collection over the seeded records would slow down some page
        images = SqliteImages(database)
        every, ids = reader(images, {}), expected_ids(made, {})
        check_whole(every, ids)
        title = f"milliseconds a page of {LIMIT}"
        print(f"{title:42} images   first  middle    last   times those of the list of all")
        for name, filters in LISTS.items():
            row = compare(reader(images, filters), expected_ids(made, filters), every, ids, ROUNDS, time.thread_time)
            rows.append({"list": name, **row})
            times = " ".join(f"{value:7.2f}" for value in (*row["milliseconds"].values(), *row["times_all"].values()))
            print(f"{name:42}{row['images']:7d} {times}", flush=True)
        database.close()
        start = time.perf_counter()
        Database(path).close()
        print(f"opening the database, with its check: {(time.perf_counter() - start) * 1000:.0f} ms")
    slowest = max(max(row["times_all"].values()) for row in rows if row["list"] != ALL)
    summary = {"slowest_times_all": slowest}
    save("list_sqlite", [], records=count, mebibytes=round(mebibytes), limit=LIMIT, rows=rows, summary=summary)


if __name__ == "__main__":
    main()
