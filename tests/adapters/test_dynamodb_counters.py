"""Counts of images in DynamoDB, which a failure leaves behind the records."""

import logging
from typing import Any

import pytest

from app.adapters.dynamodb import DynamoImages
from app.adapters.dynamodb.counters import MOST_RECIPES
from app.adapters.dynamodb.table import KEY
from app.domain.models import Image, Status
from tests.contract.records import OWNER, stored
from tests.faults.wire import Wire, refused

pytestmark = pytest.mark.moto


def counts(images: DynamoImages, owner: str = OWNER) -> dict[str, int]:
    return {name: value for name, value in images.counters.get(owner).counts.items() if value}


def ready(images: DynamoImages, recipe_id: str, **fields: Any) -> Image:
    return stored(images, claim=False, status=Status.READY, recipe_id=recipe_id, bytes=10, work={}, **fields)


def test_a_record_is_written_also_if_its_counts_are_not(
    client: Any, images: DynamoImages, caplog: pytest.LogCaptureFixture
) -> None:
    fault = refused("AccessDeniedException")
    with Wire(client).under(lambda operation: fault if operation == "UpdateItem" else None):
        image = stored(images, title="private words")
    assert images.get(image.id) == image
    assert counts(images) == {}
    assert "the next recount repairs them" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING
    assert "private" not in caplog.text


def test_edits_that_change_no_count_write_no_count(client: Any, images: DynamoImages) -> None:
    image = stored(images)
    wire = Wire(client)
    with wire.under(lambda _: None):
        images.update(image.id, 1, {"tags": ["a"]})
    assert wire.requests == ["GetItem", "TransactWriteItems"]


@pytest.mark.slow
def test_the_number_of_recipes_that_are_counted_is_bounded(client: Any, table: str, images: DynamoImages) -> None:
    made = [ready(images, f"{number:012x}") for number in range(MOST_RECIPES + 3)]
    found = counts(images)
    assert found["ready"] == len(made)
    assert found["original_bytes"] == 10 * len(made)
    assert sum(name.startswith("recipe:") for name in found) == MOST_RECIPES
    ready(images, made[0].recipe_id or "")  # a known one is counted further
    assert counts(images)[f"recipe:{made[0].recipe_id}"] == 2
    images.update(made[0].id, 1, {"recipe_id": "ffffffffffff"})
    assert "recipe:ffffffffffff" not in counts(images)
    images.remove(made[-1].id, 1)
    assert counts(images)["ready"] == len(made)
    size = len(str(client.get_item(TableName=table, Key={KEY: {"S": f"stats#{OWNER}"}})["Item"]))
    assert size < 10_000


def test_an_owner_of_older_images_is_listed_once_they_are_indexed_again(
    client: Any, table: str, images: DynamoImages
) -> None:
    image = stored(images)
    client.delete_item(TableName=table, Key={KEY: {"S": f"stats#{OWNER}"}})
    assert images.counters.list(10) == []
    images.reindex(image)
    (found,) = images.counters.list(10)
    assert (found.owner, found.counts, found.recounted_at) == (OWNER, {}, None)
