"""The parts of a transaction: what is written, and what must hold for it."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.table import EXPIRES_AT, KEY
from app.domain.models import Image, utcnow

Write = dict[str, Any]

# Of tombstones that were written without `GONE_AFTER`.
_TOMBSTONE_LIFE = timedelta(days=30)
#: Of a hash pointer: the ids of further records with these bytes, as a set.
COPIES = "copies"


class Writes:
    """Builds the parts for one table. Each is `{"Put" | "Update" | "Delete" | "ConditionCheck": arguments}`."""

    def __init__(self, table: str) -> None:
        self._table = table

    def put(self, item: Item) -> Write:
        """The item, whatever is there."""
        return {"Put": {"TableName": self._table, "Item": items.write(item)}}

    def delete(self, key: str) -> Write:
        """Nothing under the key, whatever is there."""
        return {"Delete": self._at(key)}

    def create(self, image: Image) -> Write:
        """Write the record under a free id. An expired tombstone counts as absent: DynamoDB may take two days to remove
        it."""
        absent, condition = self._absent()
        put = self.put(items.image_item(image))["Put"]
        return {"Put": put | condition | {"ConditionExpression": absent}}

    def absent(self, image_id: str) -> Write:
        """Hold while there is nothing under the id, or an expired tombstone."""
        absent, condition = self._absent()
        return {"ConditionCheck": self._at(image_id) | condition | {"ConditionExpression": absent}}

    def update(self, image_id: str, expected_version: int, fields: Mapping[str, Any], seen: str | None = None) -> Write:
        """Write these fields of a record that is at that version; None removes one. `seen` as for `while_live`."""
        sets = {name: value for name, value in fields.items() if value is not None}
        removes = [name for name in fields if name not in sets]
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in sets)
        if removes:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in removes)
        written = {
            **self._at(image_id),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": {f"#{name}": name for name in fields},
            "ExpressionAttributeValues": items.write({f":{name}": value for name, value in sets.items()}),
        }
        return while_live({"Update": written}, expected_version, seen)

    def settle(self, image_id: str) -> Write:
        """Mark a tombstone as settled: from now on it expires."""
        later = math.ceil((utcnow() + _TOMBSTONE_LIFE).timestamp())
        return {
            "Update": {
                **self._at(image_id),
                "UpdateExpression": "SET settled = :yes, #expires = if_not_exists(#ends, :later)",
                "ConditionExpression": "#kind = :tombstone",
                "ExpressionAttributeNames": {"#kind": items.KIND, "#expires": EXPIRES_AT, "#ends": items.GONE_AFTER},
                "ExpressionAttributeValues": items.write({":yes": True, ":tombstone": "tombstone", ":later": later}),
            }
        }

    def claim(self, image: Image, replaces: str | None) -> Write:
        """The hash pointer, if it is free or names `replaces`. Refused, it returns what is there. Copies stay noted."""
        condition, values = "attribute_not_exists(ImageID)", {":own": image.id, ":copy": {image.id}}
        if replaces:
            condition += " OR image_id = :replaces"
            values[":replaces"] = replaces
        return self._point(image, f"SET image_id = :own DELETE {COPIES} :copy", condition, values)

    def note_copy(self, image: Image, holder: str) -> Write:
        """The record among the copies of the bytes that `holder` stands for."""
        values = {":holder": holder, ":copy": {image.id}}
        return self._point(image, f"ADD {COPIES} :copy", "image_id = :holder", values)

    def forget_copy(self, image: Image, holder: str) -> Write:
        """The record no longer among the copies of the bytes that `holder` stands for."""
        values = {":holder": holder, ":copy": {image.id}}
        return self._point(image, f"DELETE {COPIES} :copy", "image_id = :holder", values)

    def pass_on(self, image: Image, copy: str) -> Write:
        """The hash pointer of this record, naming one of the copies instead."""
        values = {":own": image.id, ":next": copy, ":copy": {copy}}
        condition = f"image_id = :own AND contains({COPIES}, :next)"
        return self._point(image, f"SET image_id = :next DELETE {COPIES} :copy", condition, values)

    def has_bytes(self, image: Image) -> Write:
        """Holds while the record is live and has the hash that the image has."""
        return {
            "ConditionCheck": {
                **self._at(image.id),
                "ConditionExpression": "#kind = :image AND sha256 = :sha256",
                "ExpressionAttributeNames": {"#kind": items.KIND},
                "ExpressionAttributeValues": items.write({":image": "image", ":sha256": image.sha256}),
            }
        }

    def release(self, image: Image) -> Write:
        """No hash pointer, unless it names another record or copies. Refused, it returns what is there."""
        condition = f"attribute_not_exists(ImageID) OR (image_id = :own AND attribute_not_exists({COPIES}))"
        return {
            "Delete": {
                **self._at(items.hash_key(image.owner, image.sha256 or "")),
                "ConditionExpression": condition,
                "ExpressionAttributeValues": items.write({":own": image.id}),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def points_elsewhere(self, image: Image) -> Write:
        """Holds while the hash pointer names another record, and this one is not among its copies."""
        return {
            "ConditionCheck": {
                **self._at(items.hash_key(image.owner, image.sha256 or "")),
                "ConditionExpression": f"image_id <> :own AND NOT contains({COPIES}, :own)",
                "ExpressionAttributeValues": items.write({":own": image.id}),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _point(self, image: Image, update: str, condition: str, values: Mapping[str, Any]) -> Write:
        return {
            "Update": {
                **self._at(items.hash_key(image.owner, image.sha256 or "")),
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": items.write(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _at(self, key: str) -> Write:
        return {"TableName": self._table, "Key": items.write({KEY: key})}

    def _absent(self) -> tuple[str, Write]:
        return f"attribute_not_exists({KEY}) OR #expires <= :now", {
            "ExpressionAttributeNames": {"#expires": EXPIRES_AT},
            "ExpressionAttributeValues": items.write({":now": math.ceil(utcnow().timestamp())}),
        }


def while_live(write: Write, expected_version: int, seen: str | None = None) -> Write:
    """The same, if the record is live and at that version.

    `seen` is the time of update as it was read: an id that was removed and made again has its old version, and what
    was derived from the record that is gone must not be written.
    """
    ((kind, arguments),) = write.items()
    condition = "#version = :expected AND #kind = :image"
    values: Item = {":expected": expected_version, ":image": "image"}
    names = {"#version": "version", "#kind": items.KIND}
    if seen is not None:
        condition += " AND #updated_at = :seen"
        values[":seen"] = seen
        names["#updated_at"] = "updated_at"
    return {
        kind: {
            **arguments,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": arguments.get("ExpressionAttributeNames", {}) | names,
            "ExpressionAttributeValues": arguments.get("ExpressionAttributeValues", {}) | items.write(values),
        }
    }
