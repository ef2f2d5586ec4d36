"""Recounts in pieces, and when they are due."""

from datetime import timedelta
from typing import Any

import pytest

from app.adapters.dynamodb import DynamoImages
from app.adapters.dynamodb.counters import MOST_RECIPES
from app.adapters.dynamodb.recount import Recounts
from app.adapters.dynamodb.table import KEY
from app.domain.images.stats import add_up
from app.domain.models import Image, Status, utcnow
from tests.contract.records import OWNER, PROCESSED, stored
from tests.faults.wire import Wire

pytestmark = pytest.mark.moto

WEEK = timedelta(days=7, hours=1)


@pytest.fixture
def recounts(client: Any, table: str) -> Recounts:
    return Recounts(client, table)


def counts(images: DynamoImages, owner: str = OWNER) -> dict[str, int]:
    return {name: value for name, value in images.counters.get(owner).counts.items() if value}


def forget(client: Any, table: str, owner: str = OWNER) -> None:
    """Lose the counts of an owner, as if its images were older than them."""
    key = {KEY: {"S": f"stats#{owner}"}}
    item = client.get_item(TableName=table, Key=key)["Item"]
    kept = (KEY, "index_key", "index_sort", "recounted_at")
    client.put_item(TableName=table, Item={name: item[name] for name in kept if name in item})


def always() -> bool:
    return True


def test_new_owners_are_recounted_in_the_next_run_and_all_others_each_week(
    client: Any, table: str, images: DynamoImages, recounts: Recounts
) -> None:
    now = utcnow()
    image = stored(images)
    forget(client, table)
    assert recounts.run(always, now=now) == 1
    assert counts(images) == {"pending": 1, "original_bytes": image.bytes}
    assert images.counters.get(OWNER).recounted_at == now
    forget(client, table)
    for later in (timedelta(hours=1), timedelta(days=6)):
        assert recounts.run(always, now=now + later) == 0
    assert counts(images) == {}
    stored(images, owner="bob")
    forget(client, table, "bob")
    assert recounts.run(always, now=now + timedelta(days=6, hours=9)) == 1
    assert counts(images, "bob")["pending"] == 1
    assert recounts.run(always, now=now + WEEK) == 1  # not bob again
    assert counts(images)["pending"] == 1
    assert recounts.run(always, now=now + 2 * WEEK) == 2


@pytest.mark.slow
def test_an_owner_is_recounted_on_request(client: Any, table: str, images: DynamoImages, recounts: Recounts) -> None:
    image = stored(images)
    images.update(image.id, 1, PROCESSED)
    now = utcnow()
    assert recounts.run(always, now=now) == 1
    expected = counts(images)
    forget(client, table)
    images.counters.recount_usage("nobody")
    assert recounts.run(always, now=now + timedelta(hours=1)) == 0
    images.counters.recount_usage(OWNER)
    assert recounts.run(always, now=now + timedelta(hours=2)) == 1
    assert counts(images) == expected


def test_a_run_without_work_reads_one_item_and_queries_once(
    client: Any, images: DynamoImages, recounts: Recounts
) -> None:
    stored(images)
    recounts.run(always)
    wire = Wire(client)
    with wire.under(lambda _: None):
        assert recounts.run(always) == 0
    assert wire.requests == ["GetItem", "Query"]
    with wire.under(lambda _: None):
        assert recounts.run(lambda: False) == 0
    assert wire.requests == []


@pytest.mark.slow
def test_a_recount_goes_on_where_the_time_ran_out(
    client: Any, table: str, images: DynamoImages, recounts: Recounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.adapters.dynamodb.recount.BATCH", 3)
    now = utcnow()
    made: list[Image] = []
    for owner in ("ann", "bob", "carl"):
        for number in range(7):
            trashed = {"trashed_at": now} if number % 3 == 0 else {}
            made.append(stored(images, owner=owner, claim=False, **trashed))
        made.append(stored(images, owner=owner, claim=False, upload_expires_at=now, arrived_at=now))
        stored(images, owner=owner, claim=False, upload_expires_at=now)
        forget(client, table, owner)
    runs, finished = 0, 0
    while finished < 3:
        runs += 1
        assert runs < 30
        left = iter([True, True, True])  # one piece of three records, or one owner
        finished += recounts.run(lambda: next(left, False), now=now + timedelta(hours=runs))  # noqa: B023
    assert runs > 6
    expected = add_up((None, image) for image in made)
    assert {owner: counts(images, owner) for owner in expected} == expected
    assert recounts.run(always, now=now + timedelta(hours=30)) == 0


def test_a_change_during_a_recount_in_pieces_stays(
    client: Any, table: str, images: DynamoImages, recounts: Recounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.adapters.dynamodb.recount.BATCH", 2)
    made = [stored(images, claim=False) for _ in range(5)]
    forget(client, table)
    left = iter([True, True, True])
    assert recounts.run(lambda: next(left, False)) == 0
    images.update(made[0].id, 1, PROCESSED)  # its record has been counted
    images.remove(made[1].id, 1)
    stored(images, claim=False)
    assert recounts.run(always) == 1
    assert counts(images) == {"pending": 4, "ready": 1, "original_bytes": 5 * made[0].bytes}


def test_an_owner_without_images_leaves_the_list(images: DynamoImages, recounts: Recounts) -> None:
    image = stored(images)
    images.remove(image.id, 1)
    assert [each.owner for each in images.counters.list(9)] == [OWNER]
    assert recounts.run(always) == 1
    assert images.counters.list(9) == []
    stored(images)
    assert [each.counts["pending"] for each in images.counters.list(9)] == [1]


@pytest.mark.slow
def test_a_recount_drops_the_counters_of_recipes_that_no_image_has(images: DynamoImages, recounts: Recounts) -> None:
    def ready(recipe_id: str) -> Image:
        return stored(images, claim=False, status=Status.READY, recipe_id=recipe_id, work={})

    old = [ready(f"{number:012x}") for number in range(MOST_RECIPES)]
    new = ready("ffffffffffff")
    assert "recipe:ffffffffffff" not in counts(images)
    for image in old[:20]:
        images.update(image.id, 1, {"recipe_id": new.recipe_id})
    now = utcnow()
    recounts.run(always, now=now)
    found = counts(images)
    assert found["recipe:ffffffffffff"] == 21
    assert sum(name.startswith("recipe:") for name in images.counters.get(OWNER).counts) == MOST_RECIPES - 19
    ready("eeeeeeeeeeee")
    assert counts(images)["recipe:eeeeeeeeeeee"] == 1
    more = [ready(f"aaaaaaa{number:05x}") for number in range(MOST_RECIPES)]
    recounts.run(always, now=now + WEEK)
    found = counts(images)
    assert sum(name.startswith("recipe:") for name in found) == MOST_RECIPES
    assert (found["recipe:ffffffffffff"], found["ready"]) == (21, len(old) + 2 + len(more))
