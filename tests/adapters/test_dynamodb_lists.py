"""Lists by several filters in DynamoDB: which partitions and records a page reads."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from app.adapters.dynamodb import DynamoImages, items, joins
from app.adapters.dynamodb.pointers import build_pointers
from app.domain.models import Image, Status, Visibility, utcnow
from tests.contract.records import a_query, an_image, ids
from tests.contract.test_lists import ORDERS, matches, ordered
from tests.faults.wire import Wire

TYPES = ["image/jpeg", "image/jpeg", "image/png"]
NO_FILTER: dict[str, Any] = {
    "status": None, "tags": (), "content_type": None, "visibility": None, "trashed": False
}  # fmt: skip


def place(client: Any, table: str, made: list[Image]) -> None:
    """Write records with their pointers, 25 items at once."""
    puts = (
        {"PutRequest": {"Item": items.serialize(item)}}
        for image in made
        for item in (items.image_item(image), *build_pointers(image).values())
    )
    while batch := list(itertools.islice(puts, 25)):
        assert not client.batch_write_item(RequestItems={table: batch})["UnprocessedItems"]


def records(count: int, *, seed: int = 5) -> list[Image]:
    """Make records of every status, type and visibility. Some tags are spread evenly, `album` is on neighbors only."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        tags = [tag for tag, share in (("sea", 0.4), ("dusk", 0.3), ("rare", 0.1)) if dice.random() < share]
        made.append(
            an_image(
                status=dice.choices([Status.READY, Status.FAILED], [4, 1])[0],
                content_type=dice.choice(TYPES),
                tags=[*tags, *(["album"] if count // 3 < number < count // 2 else [])],
                visibility=dice.choices([Visibility.PRIVATE, Visibility.PUBLIC], [4, 1])[0],
                work={},
            )
        )
    return made


def filters() -> Iterator[dict[str, Any]]:
    """Every combination of filters."""
    tags = [
        (),
        ("sea",),
        ("album", "sea"),
        ("sea", "dusk"),
        ("rare", "album"),
        ("sea", "dusk", "rare"),
        ("none", "sea"),
    ]
    for wanted, status, content_type, visibility in itertools.product(
        tags, [None, Status.READY, Status.FAILED], [None, "image/png"], [None, *Visibility]
    ):
        yield NO_FILTER | {
            "status": status, "tags": wanted, "content_type": content_type, "visibility": visibility
        }  # fmt: skip


@ORDERS
@pytest.mark.parametrize("worth", [1, 1000], ids=["partitions given up are compared again", "and are not"])
@pytest.mark.slow
def test_pages_are_right_wherever_the_pages_of_the_partitions_end(
    client: Any,
    table: str,
    images: DynamoImages,
    monkeypatch: pytest.MonkeyPatch,
    descending: bool,
    worth: int,
) -> None:
    for name, value in {"FIRST_PAGE": 2, "GROWTH": 2, "_QUERY": 0, "_WORTH_COMPARING": worth}.items():
        monkeypatch.setattr(joins, name, value)
    monkeypatch.setattr("app.adapters.dynamodb.listing.FIRST_PAGE", 2)
    made = records(60)
    place(client, table, made)
    for wanted in filters():
        expected = ordered([image for image in made if matches(image, wanted)], descending=descending)
        assert ids(images, limit=3, descending=descending, **wanted) == expected


def read_for(client: Any, images: DynamoImages, limit: int, **wanted: Any) -> tuple[list[str], int, list[str]]:
    """Read the first page. Return its ids, the number of records that were read, and the requests."""
    looked_at = []
    note = lambda params, **_: looked_at.extend(next(iter(params["RequestItems"].values()))["Keys"])  # noqa: E731 - a word for the test
    client.meta.events.register("before-parameter-build.dynamodb.BatchGetItem", note, "records")
    wire = Wire(client)
    try:
        with wire.under(lambda _: None):
            page = images.list(a_query(limit, **wanted))
    finally:
        client.meta.events.unregister("before-parameter-build.dynamodb.BatchGetItem", unique_id="records")
    return [image.id for image in page.items], len(looked_at), wire.requests


@pytest.mark.parametrize(
    "wanted",
    [
        {"tags": ("sea", "dusk")},
        {"tags": ("sea",), "content_type": "image/png"},
        {"visibility": Visibility.PUBLIC, "content_type": "image/png"},
        {"tags": ("sea",), "status": Status.FAILED, "visibility": Visibility.PUBLIC},
    ],
    ids=str,
)
@pytest.mark.slow
def test_no_records_are_read_that_comparable_partitions_rule_out(
    client: Any, table: str, images: DynamoImages, wanted: dict[str, Any]
) -> None:
    made = records(400)
    place(client, table, made)
    expected = ordered([image for image in made if matches(image, NO_FILTER | wanted)], descending=True)
    shown, looked_at, requests = read_for(client, images, 9, **wanted)
    assert shown == expected[:9]
    assert looked_at == min(10, len(expected))
    assert requests.count("BatchGetItem") == 1
    assert len(requests) <= 7


@pytest.mark.slow
def test_a_partition_of_most_images_is_not_read_to_its_end(client: Any, table: str, images: DynamoImages) -> None:
    """Its entries would cost more than the records that it rules out."""
    made = [
        an_image(
            tags=["rare"] if number % 50 == 0 else [],
            visibility=Visibility.PUBLIC if number == 100 else Visibility.PRIVATE,
            work={},
        )
        for number in range(1500)
    ]
    place(client, table, made)
    wanted = {"tags": ("rare",), "visibility": Visibility.PRIVATE}
    expected = ordered([image for image in made if matches(image, NO_FILTER | wanted)], descending=True)
    shown, looked_at, requests = read_for(client, images, 40, **wanted)
    assert shown == expected
    assert looked_at <= 30
    assert requests.count("Query") == 2


def test_a_page_ends_when_many_records_were_read_for_it(
    client: Any, table: str, images: DynamoImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trash has no index for filters."""
    monkeypatch.setattr("app.adapters.dynamodb.listing._MOST_READ", 10)
    monkeypatch.setattr("app.adapters.dynamodb.listing.BATCH", 5)
    made = [an_image(trashed_at=utcnow(), tags=["rare"] if number == 25 else [], work={}) for number in range(30)]
    place(client, table, made)
    wanted = {"tags": ("rare",), "trashed": True, "descending": False}
    shown, looked_at, _ = read_for(client, images, 3, **wanted)
    assert (shown, looked_at) == ([], 10)
    pages, after = [], None
    while not pages or after is not None:
        page = images.list(a_query(3, after=after, **wanted))
        pages.append([image.id for image in page.items])
        after = page.next_after
    assert pages == [[], [], [made[25].id], []]  # the third one has read its ten records, too
