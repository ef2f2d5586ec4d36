"""Pointer items, written together with their record."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.adapters.dynamodb.items import Item, stored_work
from app.adapters.dynamodb.keys import (
    DISTANT,
    band_key,
    due_text,
    expected_key,
    hash_key,
    open_key,
    open_partition,
    pointer_key,
    quota_key,
)
from app.adapters.dynamodb.table import INDEX_KEY, INDEX_SORT, KEY
from app.domain.images.similar import bands
from app.domain.models import Image
from app.domain.work import Work

#: Attribute of the pointer items that are looked up by key: the id of the record.
POINTS_TO = "image_id"
_TRANSACTION_ITEMS = 100  # TransactWriteItems' own limit


def build_pointers(image: Image, tasks: Item | None = None) -> dict[str, Item]:
    """Return the pointer items of a record, by key. `tasks` as in `stored_work`; default: those of the record."""
    unfinished = open_item(image.id, (stored_work({}, image) if tasks is None else tasks).values())
    items = [*_list_items(image), *([unfinished] if unfinished else [])]
    return {item[KEY]: item for item in items}


def _list_items(image: Image) -> list[Item]:
    """Return the pointers that make a record found. A trashed one has none."""
    if image.trashed_at is not None:
        return []
    if image.upload_expires_at is not None:
        return [{KEY: expected_key(image.owner, image.sha256), POINTS_TO: image.id}] if image.sha256 else []
    partitions = [
        pointer_key("status", image.owner, image.status),
        pointer_key("type", image.owner, image.content_type),
        *(pointer_key("tag", image.owner, tag) for tag in image.tags),
    ]
    if "visibility" in image.model_fields_set:  # else 0.1.0 wrote it, and `migrate` adds the pointer
        partitions.append(pointer_key("visibility", image.owner, image.visibility))
    items = [{KEY: f"{partition}#{image.id}", INDEX_KEY: partition, INDEX_SORT: image.id} for partition in partitions]
    for band in bands(image.phash):
        partition = band_key(image.owner, band)
        # The key holds the whole hash, so that the index alone tells the distance.
        items.append({KEY: f"{partition}#{image.phash}#{image.id}", INDEX_KEY: partition, INDEX_SORT: image.id})
    return items


def open_item(image_id: str, tasks: Iterable[Mapping[str, Any]]) -> Item | None:
    """Return the pointer item of an id with these tasks, as plain values; None if there is none.

    It is sorted by the time at which the first task is due. Distant work is sorted separately if there is no other, so
    that a search for implausible times does not meet it. The pointers of 0.1.0 are sorted by the id alone.
    """
    work = [Work.model_validate(task) for task in tasks]
    if not work:
        return None
    moment = f"{due_text(min(task.due for task in work))}#{image_id}"
    sort = DISTANT + moment if all(task.is_distant for task in work) else moment
    return {KEY: open_key(image_id), INDEX_KEY: open_partition(image_id[-1]), INDEX_SORT: sort}


def group_images(images: Sequence[Image]) -> Iterator[Sequence[Image]]:
    """Split the records into groups that fit into one transaction each, with their pointers. A transaction may contain
    an item once only, so records with the same bytes are in different groups."""
    group: list[Image] = []
    keys: set[str] = set()
    for image in images:
        own = {image.id, *build_pointers(image)}
        if image.sha256:
            own.add(hash_key(image.owner, image.sha256))
        if image.charged_bytes is not None:
            own.add(f"{quota_key(image.owner)}#{image.id}")  # at most one further item for each image
        if group and (own & keys or len(own) + len(keys) > _TRANSACTION_ITEMS):
            yield group
            group, keys = [], set()
        group.append(image)
        keys |= own
    if group:
        yield group
