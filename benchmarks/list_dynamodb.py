"""Time and capacity units of the first, middle and last page of long lists on DynamoDB Local.

    .venv/bin/python -m benchmarks.list_dynamodb [number of images]

Needs `make engines`. Every page is checked against what it must show; the figures go to `results/list_dynamodb.json`.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from app.adapters.dynamodb import DynamoIdempotencyKeys, DynamoImages, items
from app.adapters.dynamodb.pointers import build_pointers
from app.adapters.filesystem import FilesystemStore
from app.api.app import create_app
from app.domain.access.signing import Cursors
from app.domain.models import ANONYMOUS, Image, Status
from app.domain.ports import ListQuery
from benchmarks.list_sqlite import a_record
from benchmarks.meter import Meter
from benchmarks.results_file import save
from tests import aws
from tests.api.client import self_hosted_client
from tests.api.service import make_services
from tests.engines import dynamodb_local, missing
from tests.sides import SIGNER, Side

LIMIT = 50
ROUNDS = 15
WRITERS = 4
SEED_SECONDS = 235
LISTS: dict[str, dict[str, Any]] = {
    "all": {},
    "tag (10 %)": {"tags": ("tag3",)},
    "status ready (90 %)": {"status": Status.READY},
    "status failed (5 %)": {"status": Status.FAILED},
    "tag and failed": {"tags": ("tag3",), "status": Status.FAILED},
    "tag, failed and type": {"tags": ("tag3",), "status": Status.FAILED, "content_type": "image/png"},
}
Page = Callable[[str | None], list[str]]


def seed(client: Any, table: str, count: int) -> list[Image]:
    """Write `count` images with their pointers, 25 items at once; fewer if `SEED_SECONDS` pass."""
    dice = random.Random(1)
    end = time.monotonic() + SEED_SECONDS
    made: list[Image] = []

    def write(batch: list[dict[str, Any]]) -> None:
        while batch:
            batch = client.batch_write_item(RequestItems={table: batch})["UnprocessedItems"].get(table, [])

    with ThreadPoolExecutor(WRITERS) as pool:
        while len(made) < count and time.monotonic() < end:
            fresh = [a_record(dice) for _ in range(min(2000, count - len(made)))]
            fresh = [image.model_copy(update={"tags": ["tag3"] if dice.random() < 0.1 else []}) for image in fresh]
            waiting = (
                {"PutRequest": {"Item": items.serialize(item)}}
                for image in fresh
                for item in (items.image_item(image), *build_pointers(image).values())
            )
            list(pool.map(write, iter(lambda: list(islice(waiting, 25)), [])))  # noqa: B023 - emptied in this turn
            made += fresh
    return made


def by_repository(images: DynamoImages, filters: dict[str, Any]) -> Page:
    """Return a function that reads pages through the port."""

    def page(after: str | None) -> list[str]:
        return [image.id for image in images.list(ListQuery(ANONYMOUS, LIMIT, after=after, **filters)).items]

    return page


def by_route(client: httpx.Client, cursors: Cursors, filters: dict[str, Any]) -> Page:
    """Return a function that reads pages by `GET /images`, in this process."""
    plain = {name: str(value) for name, value in filters.items()}

    def page(after: str | None) -> list[str]:
        bound = {"owner": ANONYMOUS, "order": "desc", **plain}
        at = {"cursor": cursors.write(after, bound)} if after else {}
        answer = client.get("/images", params={**plain, "limit": LIMIT, **at})
        if answer.status_code != 200:
            raise SystemExit(f"the list was refused: {answer.text}")
        return [item["id"] for item in answer.json()["items"]]

    return page


def places(expected: Sequence[str]) -> dict[str, str | None]:
    """Return the ids after which the first, middle and last page begin."""
    last = len(expected) - LIMIT - 1
    middle = len(expected) // 2
    return {
        "first": None,
        "middle": expected[middle] if last > 0 else None,
        "last": expected[last] if last >= 0 else None,
    }


def measure(page: Page, expected: list[str], meter: Meter) -> dict[str, Any]:
    """Measure the median milliseconds of each place, in turns, and the requests and units of one call."""
    times: dict[str, list[float]] = {place: [] for place in ("first", "middle", "last")}
    units: dict[str, float] = {}
    calls: dict[str, int] = {}
    for _ in range(ROUNDS):
        for place, after in places(expected).items():
            with meter.metered() as use:
                start = time.perf_counter()
                shown = page(after)
                times[place].append((time.perf_counter() - start) * 1000)
            start_at = expected.index(after) + 1 if after else 0
            if shown != expected[start_at : start_at + LIMIT]:
                raise SystemExit(f"the {place} page shows other images than it should")
            units[place], calls[place] = use.read, use.of("dynamodb")
    middle = {place: median(taken) for place, taken in times.items()}
    return {
        "images": len(expected),
        "milliseconds": {place: round(value, 2) for place, value in middle.items()},
        "last_to_first": round(middle["last"] / middle["first"], 3),
        "read_units": units,
        "requests": calls,
    }


def matches(image: Image, filters: dict[str, Any]) -> bool:
    """Return True if the list should contain the image."""
    return (
        filters.get("status", image.status) == image.status
        and set(filters.get("tags", ())) <= set(image.tags)
        and filters.get("content_type", image.content_type) == image.content_type
    )


def rows(side: Side, made: list[Image], meter: Meter) -> Iterator[dict[str, Any]]:
    """Yield a row for each list, through the port and through the route."""
    parts = make_services(side, urls=_NoUrls(), files=None)
    client = self_hosted_client(create_app(parts))
    cursors = Cursors(SIGNER)
    for name, filters in LISTS.items():
        expected = sorted((image.id for image in made if matches(image, filters)), reverse=True)
        assert isinstance(side.images, DynamoImages)
        for way, page in (
            ("repository", by_repository(side.images, filters)),
            ("route", by_route(client, cursors, filters)),
        ):
            yield {"list": name, "by": way, **measure(page, expected, meter)}


class _NoUrls:
    """Urls of a CDN, which take no time to make."""

    def variant(self, image: Image, variant: Any) -> str:
        return f"https://cdn.example.org/{image.id}/{variant.file}"

    def original(self, image: Image) -> str:
        return f"https://cdn.example.org/{image.id}"


def main() -> None:
    """Seed, measure, print, save."""
    if why := missing():
        raise SystemExit(why)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with dynamodb_local() as endpoint, TemporaryDirectory() as folder:
        client = aws.clients(dynamodb=endpoint).dynamodb
        meter = Meter(client, dynamodb=client)
        with aws.table(client) as table:
            start = time.perf_counter()
            made = seed(client, table, count)
            seeding = time.perf_counter() - start
            print(f"{len(made)} images with their pointers seeded in {seeding:.0f} s", flush=True)
            images, keys = DynamoImages(client, table), DynamoIdempotencyKeys(client, table)
            side = Side(FilesystemStore(Path(folder)), images, keys, None)  # type: ignore[arg-type] # no events here
            print(
                f"{'milliseconds a page of ' + str(LIMIT):24}by           images   first  middle    last   ratio  units"
            )
            measured = []
            for row in rows(side, made, meter):
                measured.append(row)
                ms = row["milliseconds"]
                print(
                    f"{row['list']:24}{row['by']:12}{row['images']:7d} {ms['first']:7.1f} {ms['middle']:7.1f} "
                    f"{ms['last']:7.1f} {row['last_to_first']:7.2f} {row['read_units']['last']:6.1f}"
                )
    first = {(row["list"], row["by"]): row["milliseconds"]["first"] for row in measured}
    summary = {
        f"{way}_{name}": value
        for way in ("repository", "route")
        for name, value in {
            "last_to_first": next(r["last_to_first"] for r in measured if (r["list"], r["by"]) == ("all", way)),
            "tag_to_all": round(first["tag (10 %)", way] / first["all", way], 3),
            "status_to_all": round(first["status ready (90 %)", way] / first["all", way], 3),
        }.items()
    }
    print(*(f"{name}: {value}" for name, value in summary.items()), sep="\n")
    content = {"engine": "DynamoDB Local, in memory", "images": len(made), "seeding_seconds": round(seeding, 1)}
    save("list_dynamodb", ["boto3"], **content, limit=LIMIT, rows=measured, summary=summary)


if __name__ == "__main__":
    main()
