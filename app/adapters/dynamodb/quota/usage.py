"""Usage of owners: one item for each owner, changed in the transaction of the record.

A record that is written without a quota is not part of the usage, so that installations without quotas pay for no
further write, and uploads of one owner do not wait for each other. `recount_usage` adds such records later. Each record
knows whether it is part (`charged_bytes`), so that its delete frees exactly what it uses.
"""

import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import Refused, call, transact
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.keys import list_partitions, quota_key
from app.adapters.dynamodb.reading import read_item, read_records
from app.adapters.dynamodb.table import KEY
from app.adapters.dynamodb.walks import MOST, Span, Walk
from app.adapters.dynamodb.writes import Write, while_live
from app.domain.errors import KeepsChanging
from app.domain.models import Image
from app.domain.quota.usage import Quota, Usage

_BYTES, _IMAGES, _CHANGES = "used_bytes", "used_images", "changes"
_CHARGED = "charged_bytes"
_BATCH = 50  # each record is one item of a transaction, which has at most 100
_ATTEMPTS = 5
#: Time in which the index follows the table, far above what it usually takes.
_INDEX_LAG_SECONDS = 2


class UsageWrites:
    """Builder of the parts of transactions that change the usage of an owner."""

    def __init__(self, table: str) -> None:
        self._table = table

    def charge(self, image: Image, quota: Quota) -> Write | None:
        """Add the image to the usage if the quota allows it. A refusal returns the item. None if there is no quota and
        the record is not part of the usage."""
        if not (quota.is_limited or quota.is_counted) and image.charged_bytes is None:
            return None
        conditions: list[str] = []
        values: Item = {}
        bounds = (
            (_BYTES, None if quota.bytes is None else quota.bytes - image.bytes),
            (_IMAGES, None if quota.images is None else quota.images - 1),
        )
        for name, most in bounds:
            if most is not None:
                alternative = f"attribute_not_exists({name}) OR " if most >= 0 else ""
                conditions.append(f"({alternative}{name} <= :most_{name})")
                values[f":most_{name}"] = most
        change = self._add(image.owner, image.bytes, 1)["Update"]
        if conditions:
            change["ConditionExpression"] = " AND ".join(conditions)
            change["ExpressionAttributeValues"] |= items.serialize(values)
            change["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return {"Update": change}

    def frees(self, images: Sequence[Image]) -> list[Write]:
        """Free what these records use: one write for each owner."""
        sizes: Counter[str] = Counter()
        numbers: Counter[str] = Counter()
        for image in images:
            if image.charged_bytes is not None:
                sizes[image.owner] += image.charged_bytes
                numbers[image.owner] += 1
        return [self._add(owner, -sizes[owner], -number) for owner, number in numbers.items()]

    def charge_all(self, images: Sequence[Image]) -> list[Write]:
        """Add records of one owner that are not part of the usage, if they have not changed since they were read."""
        writes: list[Write] = []
        for image in images:
            update = {
                "TableName": self._table,
                "Key": items.serialize({KEY: image.id}),
                "UpdateExpression": f"SET {_CHARGED} = :charge",
                "ExpressionAttributeValues": items.serialize({":charge": image.bytes}),
            }
            writes.append(self.while_charged(while_live({"Update": update}, image.version), image))
        return [*writes, self._add(images[0].owner, sum(image.bytes for image in images), len(images))]

    def while_charged(self, write: Write, image: Image) -> Write:
        """Add the condition that the record is part of the usage as it was when it was read."""
        ((kind, arguments),) = write.items()
        unchanged = f"attribute_not_exists({_CHARGED})"
        values = arguments["ExpressionAttributeValues"]
        if image.charged_bytes is not None:
            unchanged = f"{_CHARGED} = :charged"
            values = {**values, **items.serialize({":charged": image.charged_bytes})}
        condition = f"{arguments['ConditionExpression']} AND {unchanged}"
        return {kind: {**arguments, "ConditionExpression": condition, "ExpressionAttributeValues": values}}

    def correct(self, owner: str, found: Usage, changes: int) -> Write:
        """Write the usage if it has not changed since it was read."""
        values = {":bytes": found.bytes, ":images": found.images, ":seen": changes, ":one": 1}
        unchanged = f"{_CHANGES} = :seen" + ("" if changes else f" OR attribute_not_exists({_CHANGES})")
        return {
            "Update": {
                **self._at(owner),
                "UpdateExpression": f"SET {_BYTES} = :bytes, {_IMAGES} = :images ADD {_CHANGES} :one",
                "ConditionExpression": unchanged,
                "ExpressionAttributeValues": items.serialize(values),
            }
        }

    def _add(self, owner: str, size: int, number: int) -> Write:
        return {
            "Update": {
                **self._at(owner),
                "UpdateExpression": f"ADD {_BYTES} :bytes, {_IMAGES} :images, {_CHANGES} :one",
                "ExpressionAttributeValues": items.serialize({":bytes": size, ":images": number, ":one": 1}),
            }
        }

    def _at(self, owner: str) -> dict[str, Any]:
        return {"TableName": self._table, "Key": items.serialize({KEY: quota_key(owner)})}


def read_usage(item: Item) -> Usage:
    """Return the usage in an item."""
    return Usage(max(0, item.get(_BYTES, 0)), max(0, item.get(_IMAGES, 0)))


def recount_usage(client: Any, table: str, owner: str) -> Usage:
    """Add the records that are not part of the usage yet, and correct it. See `Counters.recount_usage`."""
    writes = UsageWrites(table)
    for _ in range(_ATTEMPTS):
        before = read_item(client, table, quota_key(owner)) or {}
        time.sleep(_INDEX_LAG_SECONDS)
        found, complete = _charge_and_count(client, table, writes, owner)
        seen = read_item(client, table, quota_key(owner)) or {}
        if not complete or seen.get(_CHANGES) != before.get(_CHANGES):
            continue  # records were added here, or by other calls: count again
        if read_usage(seen) == found:
            return found
        try:
            call(client.update_item, **writes.correct(owner, found, seen.get(_CHANGES, 0))["Update"])
        except Refused:
            continue
        return found
    raise KeepsChanging(owner)


def _charge_and_count(client: Any, table: str, writes: UsageWrites, owner: str) -> tuple[Usage, bool]:
    """Return the sum of all records that are part of the usage, and False if others changed meanwhile."""
    size, number, complete = 0, 0, True
    for partition in list_partitions(owner):
        walk = Walk(client, table, partition, Span(), MOST)
        while ids := list(islice(iter(walk.take, None), _BATCH)):
            images = list(read_records(client, table, ids).values())
            size += sum(image.bytes if image.charged_bytes is None else image.charged_bytes for image in images)
            number += len(images)
            if new := [image for image in images if image.charged_bytes is None]:
                try:
                    transact(client, writes.charge_all(new))
                except Refused:
                    complete = False
    return Usage(size, number), complete
