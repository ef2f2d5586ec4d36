"""Parts of a transaction: writes and their conditions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import Refused, call, transact
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.keys import hash_key
from app.adapters.dynamodb.pointers import POINTS_TO
from app.adapters.dynamodb.table import EXPIRES_AT, KEY
from app.domain.errors import Stale
from app.domain.models import Image, utcnow

Write = dict[str, Any]

# For tombstones without `GONE_AFTER`.
_TOMBSTONE_LIFE = timedelta(days=30)
#: Attribute of a hash pointer: the set of ids of other records with these bytes.
COPIES = "copies"


class Writes:
    """Builder of the parts for one table. Each is `{"Put" | "Update" | "Delete" | "ConditionCheck": arguments}`."""

    def __init__(self, table: str) -> None:
        self._table = table

    def put(self, item: Item) -> Write:
        """Write the item, without a condition."""
        return {"Put": {"TableName": self._table, "Item": items.serialize(item)}}

    def delete(self, key: str) -> Write:
        """Delete the item, without a condition."""
        return {"Delete": self._at(key)}

    def put_pointer(self, pointer: Item) -> Write:
        """Write the pointer item of a record. The pointer of an upload ticket is refused if it is another ticket's."""
        return self.claim_ticket(pointer, pointer[POINTS_TO]) if POINTS_TO in pointer else self.put(pointer)

    def delete_pointer(self, pointer: Item) -> Write:
        """Delete the pointer item of a record, refused like `put_pointer`."""
        if POINTS_TO not in pointer:
            return self.delete(pointer[KEY])
        return {
            "Delete": {
                **self._at(pointer[KEY]),
                "ConditionExpression": f"attribute_not_exists({KEY}) OR {POINTS_TO} = :own",
                "ExpressionAttributeValues": items.serialize({":own": pointer[POINTS_TO]}),
            }
        }

    def create(self, image: Image) -> Write:
        """Write the record if the id is free. An expired tombstone counts as absent: DynamoDB may take two days to
        remove it."""
        absent, condition = self._absent()
        put = self.put(items.image_item(image))["Put"]
        return {"Put": put | condition | {"ConditionExpression": absent}}

    def absent(self, image_id: str) -> Write:
        """Check that the id is free or has an expired tombstone."""
        absent, condition = self._absent()
        return {"ConditionCheck": self._at(image_id) | condition | {"ConditionExpression": absent}}

    def update(
        self,
        image_id: str,
        expected_version: int,
        fields: Mapping[str, Any],
        *,
        work: Mapping[str, Any] | None = None,
        seen: str | None = None,
    ) -> Write:
        """Write these fields, and these tasks of the map `work`, if the record has that version. None removes a field
        or a task. `seen` as for `while_live`."""
        tasks = work or {}
        names = {f"#{name}": name for name in fields} | {f"#task_{name}": name for name in tasks}
        paths = {f"#{name}": (f":{name}", value) for name, value in fields.items()}
        paths |= {f"#work.#task_{name}": (f":task_{name}", value) for name, value in tasks.items()}
        sets = {path: name for path, (name, value) in paths.items() if value is not None}
        removes = [path for path in paths if path not in sets]
        expression = "SET " + ", ".join(f"{path} = {name}" for path, name in sets.items())
        if removes:
            expression += " REMOVE " + ", ".join(removes)
        values = {name: value for name, value in paths.values() if value is not None}
        written = {
            **self._at(image_id),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": names | ({"#work": items.WORK} if tasks else {}),
            "ExpressionAttributeValues": items.serialize(values),
        }
        return while_live({"Update": written}, expected_version, seen)

    def is_at(self, image_id: str, expected_version: int, seen: str) -> Write:
        """Check that the record has that version. `seen` as for `while_live`."""
        return while_live({"ConditionCheck": self._at(image_id)}, expected_version, seen)

    def update_tombstone(self, item: Item, tasks: Item) -> Write:
        """Write the tasks of the tombstone that was read, if they have not changed. It expires when there is none."""
        later = math.ceil((utcnow() + _TOMBSTONE_LIFE).timestamp())
        expiry = " REMOVE #expires" if tasks else ", #expires = if_not_exists(#ends, :later)"
        names = {"#kind": items.KIND, "#work": items.WORK, "#expires": EXPIRES_AT}
        values = {":work": tasks, ":tombstone": "tombstone", ":finished": not tasks}
        unchanged = "attribute_not_exists(#work)"
        if items.WORK in item:
            unchanged, values[":seen"] = "#work = :seen", item[items.WORK]
        if not tasks:
            names["#ends"], values[":later"] = items.GONE_AFTER, later
        return {
            "Update": {
                **self._at(item[KEY]),
                "UpdateExpression": "SET #work = :work, settled = :finished" + expiry,
                "ConditionExpression": f"#kind = :tombstone AND {unchanged}",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": items.serialize(values),
            }
        }

    def claim(self, image: Image, replaces: str | None) -> Write:
        """Point the hash to the image if it is free or points to `replaces`. A refusal returns the item."""
        condition, values = "attribute_not_exists(ImageID)", {":own": image.id, ":copy": {image.id}}
        if replaces:
            condition += " OR image_id = :replaces"
            values[":replaces"] = replaces
        return self._point(image, f"SET image_id = :own DELETE {COPIES} :copy", condition, values)

    def claim_ticket(self, pointer: Item, replaces: str | None) -> Write:
        """Write the pointer of an upload ticket if there is none or it points to `replaces`. A refusal returns the
        item."""
        put = self.put(pointer)["Put"] | {
            "ConditionExpression": f"attribute_not_exists({KEY})",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if replaces:
            put["ConditionExpression"] += " OR image_id = :replaces"
            put["ExpressionAttributeValues"] = items.serialize({":replaces": replaces})
        return {"Put": put}

    def missing(self, pointers: Mapping[str, Item], present: Iterable[Item]) -> list[Write]:
        """Write the pointers, by key, that are not present as they should be. The pointer of an upload ticket may point
        to another ticket."""
        found = {item[KEY]: item for item in present}
        return [
            self.claim_ticket(pointer, None) if POINTS_TO in pointer else self.put(pointer)
            for key, pointer in pointers.items()
            if found.get(key) != pointer and not (key in found and POINTS_TO in pointer)
        ]

    def note_copy(self, image: Image, holder: str) -> Write:
        """Add the record to the copies, if the hash points to `holder`."""
        values = {":holder": holder, ":copy": {image.id}}
        return self._point(image, f"ADD {COPIES} :copy", "image_id = :holder", values)

    def forget_copy(self, image: Image, holder: str) -> Write:
        """Remove the record from the copies, if the hash points to `holder`."""
        values = {":holder": holder, ":copy": {image.id}}
        return self._point(image, f"DELETE {COPIES} :copy", "image_id = :holder", values)

    def pass_on(self, image: Image, copy: str) -> Write:
        """Point the hash of this record to one of the copies."""
        values = {":own": image.id, ":next": copy, ":copy": {copy}}
        condition = f"image_id = :own AND contains({COPIES}, :next)"
        return self._point(image, f"SET image_id = :next DELETE {COPIES} :copy", condition, values)

    def has_bytes(self, image: Image) -> Write:
        """Check that the record exists and has the hash of the image."""
        return {
            "ConditionCheck": {
                **self._at(image.id),
                "ConditionExpression": "#kind = :image AND sha256 = :sha256",
                "ExpressionAttributeNames": {"#kind": items.KIND},
                "ExpressionAttributeValues": items.serialize({":image": "image", ":sha256": image.sha256}),
            }
        }

    def release(self, image: Image) -> Write:
        """Delete the hash pointer, unless it points to another record or has copies. A refusal returns the item."""
        condition = f"attribute_not_exists(ImageID) OR (image_id = :own AND attribute_not_exists({COPIES}))"
        return {
            "Delete": {
                **self._at(hash_key(image.owner, image.sha256 or "")),
                "ConditionExpression": condition,
                "ExpressionAttributeValues": items.serialize({":own": image.id}),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def points_elsewhere(self, image: Image) -> Write:
        """Check that the hash points to another record and this one is not among its copies."""
        return {
            "ConditionCheck": {
                **self._at(hash_key(image.owner, image.sha256 or "")),
                "ConditionExpression": f"image_id <> :own AND NOT contains({COPIES}, :own)",
                "ExpressionAttributeValues": items.serialize({":own": image.id}),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _point(self, image: Image, update: str, condition: str, values: Mapping[str, Any]) -> Write:
        return {
            "Update": {
                **self._at(hash_key(image.owner, image.sha256 or "")),
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": items.serialize(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _at(self, key: str) -> Write:
        return {"TableName": self._table, "Key": items.serialize({KEY: key})}

    def _absent(self) -> tuple[str, Write]:
        return f"attribute_not_exists({KEY}) OR #expires <= :now", {
            "ExpressionAttributeNames": {"#expires": EXPIRES_AT},
            "ExpressionAttributeValues": items.serialize({":now": math.ceil(utcnow().timestamp())}),
        }


def write_record(client: Any, image_id: str, writes: Sequence[Write]) -> None:
    """Write a record and its pointers, except those that are refused. The record is the first; if it is refused, raise
    `Stale`."""
    while True:
        try:
            transact(client, writes)
        except Refused as refused:
            if refused.reasons[0] is not None:
                raise Stale(image_id) from None
            writes = accepted(writes, refused)  # fewer each time
        else:
            return


def write_alone(client: Any, image_id: str, update: Write, fields: Item) -> Image:
    """Update a record without a transaction, which costs half. A single write has no idempotency token: if a response
    is lost, the SDK's retry finds the values that the first attempt wrote, which counts as success."""
    try:
        answer = call(
            client.update_item,
            **update["Update"],
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        item = items.deserialize(answer["Attributes"])
    except Refused as refused:
        item = items.deserialize(refused.reasons[0] or {})
        if not item or any(item.get(name) != value for name, value in fields.items()):
            raise Stale(image_id) from None
    record = items.read_record(item, utcnow())
    if not isinstance(record, Image):
        raise Stale(image_id)
    return record


def accepted(writes: Sequence[Write], refused: Refused) -> list[Write]:
    """Return the writes of a refused transaction whose conditions held. Further conditions do not count."""
    return [write for write, reason in zip(writes, refused.reasons, strict=False) if reason is None]


def while_live(write: Write, expected_version: int, seen: str | None = None) -> Write:
    """Add the condition that the record exists at that version.

    `seen` is `updated_at` as it was read. It detects an id that was removed and created again with the same version:
    values derived from the removed record must not be written.
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
            "ExpressionAttributeValues": arguments.get("ExpressionAttributeValues", {}) | items.serialize(values),
        }
    }
