"""Strongly consistent reads of items by key."""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import call, pause
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.keys import hash_key
from app.adapters.dynamodb.pointers import POINTS_TO
from app.adapters.dynamodb.table import KEY
from app.domain.errors import Stale, Unavailable
from app.domain.models import Image, utcnow

#: Maximum number of items of BatchGetItem.
BATCH = 100
_ATTEMPTS = 8  # one after the other that bring nothing
_SECONDS = 10  # for all of one batch, within the time that a request has


def read_item(client: Any, table: str, key: str) -> Item | None:
    """Return the item with this key, as plain values."""
    if not key:  # DynamoDB refuses to look under no key at all
        return None
    found = call(client.get_item, TableName=table, Key=items.serialize({KEY: key}), ConsistentRead=True)
    return items.deserialize(found["Item"]) if "Item" in found else None


def read_live(client: Any, table: str, image_id: str, expected_version: int) -> tuple[Image, Item]:
    """Return the record at that version, and its item. Raises `Stale`."""
    item = read_item(client, table, image_id)
    record = items.read_record(item, utcnow()) if item else None
    if item is None or not isinstance(record, Image) or record.version != expected_version:
        raise Stale(image_id)
    return record, item


def read_records(client: Any, table: str, image_ids: Collection[str]) -> dict[str, Image]:
    """Return those records that exist, by id."""
    now = utcnow()
    found: dict[str, Image] = {}
    for item in read_items(client, table, image_ids):
        record = items.read_record(item, now)
        if isinstance(record, Image):
            found[record.id] = record
    return found


def read_hashes(client: Any, table: str, owner: str, wanted: Collection[str]) -> dict[str, str]:
    """Return the ids in the owner's pointers for these bytes, by hash."""
    by_key = {hash_key(owner, sha256): sha256 for sha256 in wanted}
    return {by_key[item[KEY]]: str(item[POINTS_TO]) for item in read_items(client, table, by_key)}


def read_items(client: Any, table: str, keys: Collection[str], wanted: Item | None = None) -> Iterator[Item]:
    """Yield the items with these keys that exist, in any order."""
    ordered = sorted(filter(None, set(keys)))
    for start in range(0, len(ordered), BATCH):
        for typed in _batch_get(client, table, ordered[start : start + BATCH], wanted):
            yield items.deserialize(typed)


def _batch_get(client: Any, table: str, ids: Sequence[str], wanted: Item | None = None) -> Iterator[Item]:
    """Yield the items with these keys, or the projection of them that `wanted` describes."""
    keys = [items.serialize({KEY: image_id}) for image_id in ids]
    until = time.monotonic() + _SECONDS
    idle = 0
    while True:
        answer = call(
            client.batch_get_item, RequestItems={table: {"Keys": keys, "ConsistentRead": True, **(wanted or {})}}
        )
        yield from answer["Responses"].get(table, [])
        left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        if not left:
            return
        idle = 0 if len(left) < len(keys) else idle + 1
        if idle == _ATTEMPTS or time.monotonic() >= until:
            raise Unavailable("The database is busy.")
        keys = left
        pause(idle)  # after some progress too: what was left is what was throttled


def read_versions(client: Any, table: str, image_ids: Collection[str]) -> dict[str, int]:
    """Return the versions of those records that exist."""
    names = {"#id": KEY, "#kind": items.KIND, "#version": "version"}
    wanted = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
    found = read_items(client, table, image_ids, wanted)
    return {str(item[KEY]): int(item["version"]) for item in found if item[items.KIND] == "image"}
