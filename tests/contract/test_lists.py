"""Promises of `ImageRepository.list`, for every adapter."""

import itertools
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.errors import Stale
from app.domain.models import Image, Status, Visibility, utcnow
from app.domain.ports import ImageRepository
from tests.contract.conftest import Many
from tests.contract.races import eventually, race
from tests.contract.records import a_query, an_image, ids, stored, tombstone_of, walk

ORDERS = pytest.mark.parametrize("descending", [True, False], ids=["newest first", "oldest first"])
TYPES = ["image/jpeg", "image/png", "image/webp"]
TAGS = ["sea", "été", "a#b", "100%", "SEA"]


def ordered(images: list[Image], *, descending: bool) -> list[str]:
    return sorted((image.id for image in images), reverse=descending)


def a_collection(images: ImageRepository, count: int, *, trashed: bool = False) -> list[Image]:
    """Records of every status, of each type and with no, one or more tags; some of another owner."""
    dice = random.Random(7)
    for _ in range(6):
        stored(images, owner="bob", tags=["sea"])
    collection = [
        stored(
            images,
            status=dice.choice(list(Status)),
            content_type=dice.choice(TYPES),
            tags=dice.sample(TAGS, dice.choice([0, 1, 2, 5])),
            visibility=dice.choice(list(Visibility)),
            trashed_at=dice.choice([None, None, utcnow()]) if trashed else None,
        )
        for _ in range(count)
    ]
    eventually(lambda: len(ids(images)) + len(ids(images, trashed=True)), count)
    return collection


def test_a_list_without_validation_is_that_of_the_records(images: ImageRepository) -> None:
    eventually(lambda: len(ids(images)), len(a_collection(images, 12)))
    first = images.list_stored(a_query(5))
    assert first.next_after is not None
    rest = images.list_stored(a_query(100, after=first.next_after))
    assert rest.next_after is None
    assert [each.read() for each in (*first.items, *rest.items)] == walk(images, a_query())


def filters() -> Iterator[dict[str, Any]]:
    """Every combination of filters, with values that are there and some that are not."""
    statuses: list[Status | None] = [None, Status.READY, Status.FAILED]
    tags = [(), ("sea",), ("a#b", "sea"), ("sea", "été", "sea"), ("sea", "nobody's")]
    types = [None, "image/png", "image/gif"]
    for status, each, content_type, visibility, trashed in itertools.product(
        statuses, tags, types, [None, Visibility.PUBLIC], [False, True]
    ):
        yield {
            "status": status,
            "tags": each,
            "content_type": content_type,
            "visibility": visibility,
            "trashed": trashed,
        }


def matches(image: Image, wanted: dict[str, Any]) -> bool:
    return (
        wanted["status"] in (None, image.status)
        and set(wanted["tags"]) <= set(image.tags)
        and wanted["content_type"] in (None, image.content_type)
        and wanted["visibility"] in (None, image.visibility)
        and wanted["trashed"] is (image.trashed_at is not None)
    )


@pytest.mark.parametrize(
    "descending",
    [pytest.param(True, marks=pytest.mark.moto, id="newest first"), pytest.param(False, id="oldest first")],
)
def test_pages_are_full_until_the_end_and_show_everything_once(
    images: ImageRepository, many: Many, descending: bool
) -> None:
    count = many(30)
    expected = ordered(a_collection(images, count), descending=descending)
    for limit in (1, 5, count // 3, count - 1, count, count + 1, 100):
        assert ids(images, limit=limit, descending=descending) == expected


def test_an_owner_without_images_has_one_empty_page(images: ImageRepository) -> None:
    stored(images, owner="ada2")
    page = images.list(a_query())
    assert (list(page.items), page.next_after) == ([], None)


def test_owners_are_kept_apart(images: ImageRepository) -> None:
    owners = ["a", "a#b", "a%23b", "A", "a b", "ä", "status#a", "a#ready"]
    own = {owner: stored(images, owner=owner, tags=["x"], status=Status.READY).id for owner in owners}
    for owner, image_id in own.items():
        eventually(lambda owner=owner: ids(images, owner=owner), [image_id])
        eventually(lambda owner=owner: ids(images, owner=owner, tags=("x",)), [image_id])
        eventually(lambda owner=owner: ids(images, owner=owner, status=Status.READY), [image_id])


@ORDERS
def test_filters_alone_and_together_show_what_matches_on_full_pages(
    images: ImageRepository, many: Many, descending: bool
) -> None:
    collection = a_collection(images, many(60), trashed=True)
    for wanted in filters():
        expected = ordered([image for image in collection if matches(image, wanted)], descending=descending)
        eventually(lambda wanted=wanted: ids(images, limit=4, descending=descending, **wanted), expected)


@ORDERS
def test_since_is_inclusive_and_until_exclusive(images: ImageRepository, descending: bool) -> None:
    collection = a_collection(images, 20)
    own = [image.id for image in collection]
    for low, high in [(0, 20), (3, 9), (19, 20), (5, 5), (9, 3)]:
        bounds = {"since": own[low], "until": own[high] if high < 20 else None}
        for tags in ((), ("sea",)):
            expected = [image for image in collection[low:high] if set(tags) <= set(image.tags)]
            assert ids(images, limit=3, descending=descending, tags=tags, **bounds) == ordered(
                expected, descending=descending
            )
    assert ids(images, descending=descending, until=own[4]) == ordered(collection[:4], descending=descending)


@ORDERS
def test_a_page_goes_on_after_the_last_id_seen_within_the_bounds(images: ImageRepository, descending: bool) -> None:
    own = [image.id for image in a_collection(images, 12)]
    bounds = {"since": own[2], "until": own[10], "descending": descending}
    for after in range(12):
        rest = own[2 : min(after, 10)][::-1] if descending else own[max(after + 1, 2) : 10]
        assert ids(images, after=own[after], limit=5, **bounds) == rest


def test_rare_matches_among_many_fill_their_pages(images: ImageRepository, many: Many) -> None:
    step = many(20)
    rare = [stored(images, tags=["rare"] if number % step == 0 else ["common"]) for number in range(6 * step)][::step]
    eventually(lambda: ids(images, limit=3, tags=("rare",)), ordered(rare, descending=True))
    eventually(lambda: ids(images, limit=3, tags=("rare",), status=Status.PENDING), ordered(rare, descending=True))


@pytest.mark.moto
def test_index_entries_follow_updates(images: ImageRepository) -> None:
    image = stored(images, tags=["a", "b"])
    images.update(image.id, 1, {"status": Status.READY, "tags": ["b", "c"], "content_type": "image/png"})
    assert (
        ids(images, status=Status.PENDING) == ids(images, tags=("a",)) == ids(images, content_type="image/jpeg") == []
    )
    for wanted in ({"status": Status.READY}, {"tags": ("b",)}, {"tags": ("c",)}, {"content_type": "image/png"}, {}):
        eventually(lambda wanted=wanted: ids(images, **wanted), [image.id])
    images.update(image.id, 2, {"tags": []})
    assert ids(images, tags=("b",)) == ids(images, tags=("c",)) == []
    eventually(lambda: ids(images), [image.id])


def test_a_tag_given_twice_is_listed_once(images: ImageRepository) -> None:
    image = stored(images, tags=["a", "a"])
    eventually(lambda: ids(images, tags=("a",)), [image.id])
    images.update(image.id, 1, {"tags": ["a", "b", "a"]})
    eventually(lambda: ids(images, tags=("b",)), [image.id])
    assert ids(images, tags=("a",)) == [image.id]


def test_items_are_whole_and_current(images: ImageRepository) -> None:
    first, second = stored(images, title="first"), stored(images, tags=["x"])
    first = images.update(first.id, 1, {"title": "changed"})
    eventually(lambda: walk(images, a_query()), [second, first])


@ORDERS
@pytest.mark.parametrize("wanted", [{}, {"tags": ("kept",)}, {"tags": ("kept",), "status": Status.PENDING}], ids=str)
def test_inserts_and_deletes_while_paging_skip_and_double_no_survivor(
    images: ImageRepository, many: Many, descending: bool, wanted: dict[str, Any]
) -> None:
    dice = random.Random(3)
    alive = {image.id: image for image in (stored(images, tags=["kept"]) for _ in range(many(50)))}
    survivors = set(alive)
    eventually(lambda: len(ids(images, **wanted)), many(50))
    query = a_query(limit=6, descending=descending, **wanted)
    seen: list[str] = []
    while True:
        page = images.list(query)
        assert all(item.id in alive for item in page.items), "a deleted image was shown"
        seen += [item.id for item in page.items]
        if page.next_after is None:
            break
        # The image that the next page goes on after, one that was seen, and two of any kind.
        for image_id in {page.next_after, seen[0], *dice.sample(sorted(alive), 2)} & set(alive):
            image = alive.pop(image_id)
            images.delete(image_id, image.version, tombstone_of(image))
            survivors.discard(image_id)
        new = stored(images, tags=["kept"])
        alive[new.id] = new
        query = query._replace(after=page.next_after)
    assert len(seen) == len(set(seen))
    assert survivors <= set(seen)
    assert seen == sorted(seen, reverse=descending)


def test_lists_never_show_what_is_deleted_or_does_not_match_while_others_write(
    images: ImageRepository, many: Many
) -> None:
    count = many(30)
    written = [stored(images, tags=["old"]) for _ in range(count)]
    eventually(lambda: len(ids(images, tags=("old",))), count)
    gone: set[str] = set()
    done = threading.Event()

    def write() -> None:
        try:
            for number, image in enumerate(written):
                if number % 3 == 0:
                    images.delete(image.id, 1, tombstone_of(image))
                    gone.add(image.id)
                else:
                    images.update(image.id, 1, {"status": Status.READY, "tags": ["new"]})
        finally:
            done.set()

    def look() -> None:
        finished = False
        while not finished:
            finished = done.is_set()
            for wanted in (
                {"status": Status.PENDING},
                {"tags": ("old",)},
                {"tags": ("old",), "status": Status.PENDING},
            ):
                before = set(gone)
                items = walk(images, a_query(limit=9, **wanted))
                assert all(item.status is Status.PENDING and item.tags == ["old"] for item in items)
                assert not before & {item.id for item in items}

    race(lambda number: write() if number == 0 else look(), racers=3)
    assert len(gone) == count // 3
    assert ids(images, tags=("old",)) == ids(images, status=Status.PENDING) == []
    eventually(lambda: len(ids(images, tags=("new",))), count - count // 3)


def test_writers_at_once_lose_no_entry(images: ImageRepository) -> None:
    def work(number: int) -> str:
        image = an_image(tags=[f"mine{number}"])
        images.create(image, claim=True)
        version = image.version
        while True:
            try:
                images.update(image.id, version, {"status": Status.READY, "tags": ["all", f"t{number}"]})
            except Stale:
                version += 1
            else:
                return image.id

    made = sorted(str(each) for each in race(work, racers=12))
    eventually(lambda: ids(images, tags=("all",), descending=False), made)
    eventually(lambda: ids(images, status=Status.READY, descending=False), made)
    assert ids(images, status=Status.PENDING) == []
