"""Records of a long list, and the lists that are measured: filters that one record in a hundred matches.

Every filter is compared with the list of all images. Their pages are read in turns, so that other load on the machine
changes both alike.
"""

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from app.domain.ids import new_id
from app.domain.models import ANONYMOUS, Format, Image, Status, Variant, Visibility, utcnow
from app.domain.ports import ListQuery

LIMIT = 50
ALL = "all"
#: Filters, and the share of the records that match.
LISTS: Mapping[str, Mapping[str, Any]] = {
    ALL: {},
    "tag (1 %)": {"tags": ("rare",)},
    "visibility (1 %)": {"visibility": Visibility.PUBLIC},
    "type (1 %)": {"content_type": "image/webp"},
    "status (1 %)": {"status": Status.FAILED},
    "two tags of 10 %": {"tags": ("sea", "dusk")},
    "two tags of the same 1 %": {"tags": ("rare", "twin")},
    "tag of 10 % and type of 10 %": {"tags": ("sea",), "content_type": "image/png"},
    "tag (1 %) and status (98 %)": {"tags": ("rare",), "status": Status.READY},
    "tag (1 %) and visibility (99 %)": {"tags": ("rare",), "visibility": Visibility.PRIVATE},
    "type (1 %) and visibility (99 %)": {"content_type": "image/webp", "visibility": Visibility.PRIVATE},
    "two tags of 10 %, status and visibility": {
        "tags": ("sea", "dusk"), "status": Status.READY, "visibility": Visibility.PRIVATE
    },
}  # fmt: skip
#: Reads a page of a list, after an id. Returns ids.
ReadPage = Callable[[str | None], list[str]]


def a_record(dice: random.Random) -> Image:
    """Make a record of the usual size, about 1.5 KiB."""
    now = utcnow()
    image_id = new_id()
    tags = [tag for tag, share in (("rare", 0.01), ("sea", 0.1), ("dusk", 0.1)) if dice.random() < share]
    return Image(
        id=image_id,
        owner=ANONYMOUS,
        status=dice.choices([Status.READY, Status.FAILED, Status.PENDING], [98, 1, 1])[0],
        filename="IMG_2041.jpg",
        content_type=dice.choices(["image/jpeg", "image/png", "image/webp"], [89, 10, 1])[0],
        bytes=dice.randrange(10_000, 9_000_000),
        sha256=hashlib.sha256(image_id.encode()).hexdigest(),
        width=4000,
        height=3000,
        uploaded_at=now,
        processed_at=now,
        updated_at=now,
        exif={"Make": "Camera", "Model": "Model 7", "FNumber": 2.8, "ISOSpeedRatings": 100},
        tags=[*tags, "twin"] if "rare" in tags else tags,
        visibility=Visibility.PUBLIC if dice.random() < 0.01 else Visibility.PRIVATE,
        rendering_id="ab12cd34",
        variants=[
            Variant(name=name, format=Format.WEBP, width=320, height=240, bytes=20_000, file=f"{name}.webp")
            for name in ("thumb", "w320", "w640", "w1280", "w1920")
        ],
    )


def query_of(filters: Mapping[str, Any], after: str | None = None) -> ListQuery:
    """Build the query of a page, newest first."""
    return ListQuery(owner=ANONYMOUS, limit=LIMIT, after=after, **filters)


def expected_ids(made: Sequence[Image], filters: Mapping[str, Any]) -> list[str]:
    """Return the ids that a list must contain, newest first."""
    return sorted((image.id for image in made if _matches(image, filters)), reverse=True)


def _matches(image: Image, filters: Mapping[str, Any]) -> bool:
    return set(filters.get("tags", ())) <= set(image.tags) and all(
        getattr(image, name) == value for name, value in filters.items() if name != "tags"
    )


def places(expected: Sequence[str]) -> dict[str, str | None]:
    """Return the ids after which the first, middle and last page begin."""
    last = len(expected) - LIMIT - 1
    return {
        "first": None,
        "middle": expected[len(expected) // 2] if last > 0 else None,
        "last": expected[last] if last >= 0 else None,
    }


def check_page(
    page: ReadPage, expected: Sequence[str], after: str | None, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Read a page. Return the milliseconds, and end the program if it shows other images than it should."""
    start = clock()
    shown = page(after)
    taken = (clock() - start) * 1000
    begin = expected.index(after) + 1 if after else 0
    if shown != expected[begin : begin + LIMIT]:
        raise SystemExit(f"a page shows other images than it should, after {after}")
    return taken


def compare(
    page: ReadPage,
    expected: Sequence[str],
    every: ReadPage,
    ids: Sequence[str],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Measure the first, middle and last page of a list, in turns with those of the list of all images, `every`."""
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        for place, after in places(expected).items():
            taken.setdefault(place, []).append(check_page(page, expected, after, clock))
        for place, after in places(ids).items():
            taken.setdefault(f"all, {place}", []).append(check_page(every, ids, after, clock))
    middle = {place: median(times) for place, times in taken.items()}
    found = [place for place in middle if not place.startswith("all")]
    return {
        "images": len(expected),
        "milliseconds": {place: round(middle[place], 2) for place in found},
        "times_all": {place: round(middle[place] / middle[f"all, {place}"], 2) for place in found},
    }
