"""Time of the first, middle and last pages of long lists on SQLite.

    .venv/bin/python -m benchmarks.list_sqlite [number of records]

Reads every list to its end, checks that each id appears exactly once, and prints the median milliseconds per page.
"""

import gc
import hashlib
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from app.adapters.sqlite import Database, SqliteImages
from app.adapters.sqlite.images import insert
from app.domain.ids import new_id
from app.domain.models import Format, Image, Status, Variant, utcnow
from app.domain.ports import ListQuery

LIMIT = 100
SAMPLE = 20  # pages that stand for the beginning, the middle and the end
LISTS: dict[str, dict[str, object]] = {
    "all": {},
    "all, oldest first": {"descending": False},
    "status ready (90 %)": {"status": Status.READY},
    "status failed (5 %)": {"status": Status.FAILED},
    "tag (10 %)": {"tags": ("tag3",)},
    "ready and tag": {"status": Status.READY, "tags": ("tag3",)},
    "failed, tag and type": {"status": Status.FAILED, "tags": ("tag3",), "content_type": "image/png"},
}


def a_record(dice: random.Random) -> Image:
    """Make a record of the usual size, about 1.5 KiB."""
    now = utcnow()
    image_id = new_id()
    return Image(
        id=image_id,
        owner="anonymous",
        status=dice.choices([Status.READY, Status.FAILED, Status.PENDING], [90, 5, 5])[0],
        filename="IMG_2041.jpg",
        content_type=dice.choice(["image/jpeg", "image/jpeg", "image/jpeg", "image/png"]),
        bytes=dice.randrange(10_000, 9_000_000),
        sha256=hashlib.sha256(image_id.encode()).hexdigest(),
        width=4000,
        height=3000,
        uploaded_at=now,
        processed_at=now,
        updated_at=now,
        exif={"Make": "Camera", "Model": "Model 7", "FNumber": 2.8, "ISOSpeedRatings": 100},
        tags=[f"tag{dice.randrange(10)}"],
        rendering_id="ab12cd34",
        variants=[
            Variant(name=name, format=Format.WEBP, width=320, height=240, bytes=20_000, file=f"{name}.webp")
            for name in ("thumb", "w320", "w640", "w1280", "w1920")
        ],
    )


def seed(database: Database, count: int) -> list[Image]:
    """Insert `count` records, in transactions of a thousand."""
    dice = random.Random(1)
    made = [a_record(dice) for _ in range(count)]
    for start in range(0, count, 1000):
        with database.writing() as connection:
            for image in made[start : start + 1000]:
                insert(connection, image)
    return made


def measure(images: SqliteImages, query: ListQuery, expected: list[str]) -> str:
    """Read the list to its end; return a line of figures."""
    seen: list[str] = []
    times: list[float] = []
    while True:
        start = time.perf_counter()
        page = images.list(query)
        times.append((time.perf_counter() - start) * 1000)
        seen += [image.id for image in page.items]
        if page.next_after is None:
            break
        if len(page.items) != LIMIT:
            raise SystemExit("a page before the last one was not full")
        query = replace(query, after=page.next_after)
    if seen != sorted(expected, reverse=query.descending):
        raise SystemExit("the list does not show every id exactly once, in order")
    full = times[:-1] or times
    sample = min(SAMPLE, max(len(full) // 3, 1))
    middle = len(full) // 2 - sample // 2
    first, mid, last = median(full[:sample]), median(full[middle : middle + sample]), median(full[-sample:])
    figures = f"{first:7.2f} {mid:7.2f} {last:7.2f} {last / first:6.2f} {max(times):7.2f}"
    return f"{len(seen):7d} {len(times):6d} {figures}"


def matches(image: Image, filters: dict[str, object]) -> bool:
    """Return True if the list should contain the image."""
    return (
        filters.get("status", image.status) == image.status
        and set(filters.get("tags", ())) <= set(image.tags)
        and filters.get("content_type", image.content_type) == image.content_type
    )


def main() -> None:
    """Seed, read, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "darkroom.db")
        database = Database(path)
        start = time.perf_counter()
        made = seed(database, count)
        print(f"{count} records seeded in {time.perf_counter() - start:.1f} s, {path.stat().st_size / 2**20:.0f} MiB")
        gc.freeze()  # a full collection over the seeded records would slow down some page
        images = SqliteImages(database)
        print(f"{'milliseconds a page of ' + str(LIMIT):24}  items  pages   first  middle    last  ratio   worst")
        for name, filters in LISTS.items():
            query = ListQuery(owner="anonymous", limit=LIMIT, **filters)  # type: ignore[arg-type] # values of any field
            wanted = {key: value for key, value in filters.items() if key != "descending"}
            print(f"{name:23}", measure(images, query, [image.id for image in made if matches(image, wanted)]))
        database.close()
        start = time.perf_counter()
        Database(path).close()
        print(f"opening the database, with its check: {(time.perf_counter() - start) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
