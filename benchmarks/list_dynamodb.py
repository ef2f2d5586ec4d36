"""Time, requests and read units of the first, middle and last page of long lists on DynamoDB Local.

    .venv/bin/python -m benchmarks.list_dynamodb [number of images]

Needs `make engines`. Every page is checked against what it must show, and compared with the list of all images. The
figures go to `results/list_dynamodb.json`.
"""

import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from app.adapters.dynamodb import DynamoImages, items
from app.adapters.dynamodb.pointers import build_pointers
from app.domain.models import Image
from benchmarks.long_list import (
    ALL,
    LIMIT,
    LISTS,
    ReadPage,
    a_record,
    check_page,
    compare,
    expected_ids,
    places,
    query_of,
)
from benchmarks.meter import Meter
from benchmarks.results_file import save
from tests import aws
from tests.engines import dynamodb_local, missing

WRITERS = 4
ROUNDS = 15


def seed(client: Any, table: str, count: int) -> list[Image]:
    """Write `count` images with their pointers, 25 items at once."""
    dice = random.Random(1)
    made: list[Image] = []

    def write(batch: list[dict[str, Any]]) -> None:
        while batch:
            batch = client.batch_write_item(RequestItems={table: batch})["UnprocessedItems"].get(table, [])

    with ThreadPoolExecutor(WRITERS) as pool:
        while len(made) < count:
            fresh = [a_record(dice) for _ in range(min(2000, count - len(made)))]
            waiting = (
                {"PutRequest": {"Item": items.serialize(item)}}
                for image in fresh
                for item in (items.image_item(image), *build_pointers(image).values())
            )
            list(pool.map(write, iter(lambda: list(islice(waiting, 25)), [])))  # noqa: B023 - emptied in this turn
            made += fresh
    return made


def reader(images: DynamoImages, filters: Mapping[str, Any]) -> ReadPage:
    """Return a function that reads pages."""
    return lambda after: [image.id for image in images.list(query_of(filters, after)).items]


def count_use(page: ReadPage, expected: Sequence[str], meter: Meter) -> dict[str, dict[str, float]]:
    """Count read units and requests of the first, middle and last page. The last one reads to the end."""
    units: dict[str, float] = {}
    requests: dict[str, float] = {}
    for place, after in places(expected).items():
        with meter.metered() as use:
            check_page(page, expected, after)
        units[place], requests[place] = use.read, use.of("dynamodb")
    return {"read_units": units, "requests": requests}


def measure(images: DynamoImages, made: Sequence[Image], meter: Meter) -> Iterator[dict[str, Any]]:
    """Yield a row for each list."""
    every, ids = reader(images, {}), expected_ids(made, {})
    for name, filters in LISTS.items():
        page, expected = reader(images, filters), expected_ids(made, filters)
        yield {"list": name, **count_use(page, expected, meter), **compare(page, expected, every, ids, ROUNDS)}


def main() -> None:
    """Seed, measure, print, save."""
    if why := missing():
        raise SystemExit(why)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rows = []
    with dynamodb_local() as endpoint:
        client = aws.clients(dynamodb=endpoint).dynamodb
        meter = Meter(client, dynamodb=client)
        with aws.table(client) as table:
            start = time.perf_counter()
            made = seed(client, table, count)
            seconds = time.perf_counter() - start
            print(f"{len(made)} images with their pointers seeded in {seconds:.0f} s", flush=True)
            print(f"{'a page of ' + str(LIMIT):42} images   units (first, middle, last)    requests       times all")
            for row in measure(DynamoImages(client, table), made, meter):
                rows.append(row)
                units = " ".join(f"{value:7.1f}" for value in row["read_units"].values())
                requests = " ".join(f"{value:4d}" for value in row["requests"].values())
                times = " ".join(f"{value:5.2f}" for value in row["times_all"].values())
                print(f"{row['list']:42}{row['images']:7d} {units}   {requests}   {times}", flush=True)
    every = next(row for row in rows if row["list"] == ALL)
    tag = next(row for row in rows if row["list"] == "tag (1 %)")
    summary = {
        "all_units": every["read_units"]["middle"],
        "all_last_to_first": round(every["milliseconds"]["last"] / every["milliseconds"]["first"], 2),
        "tag_units": tag["read_units"]["middle"],
        "most_units": max(row["read_units"]["middle"] for row in rows),
        "most_requests": max(row["requests"]["middle"] for row in rows),
    }
    content = {"engine": "DynamoDB Local, in memory", "images": len(made), "seeding_seconds": round(seconds, 1)}
    save("list_dynamodb", ["boto3"], **content, limit=LIMIT, rows=rows, summary=summary)


if __name__ == "__main__":
    main()
