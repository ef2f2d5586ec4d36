"""`IdempotencyKeys` on DynamoDB: one item for each key, which DynamoDB removes when it has expired."""

import math
from datetime import timedelta
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import Refused, call
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.keys import idempotency_key
from app.adapters.dynamodb.table import EXPIRES_AT, KEY
from app.domain.models import utcnow
from app.domain.times import CLOCK_SLACK
from app.domain.uploads.idempotency import KEY_LIFE, KeyEntry

_ATTEMPT = "attempt"
_DOCUMENT = "document"


class DynamoIdempotencyKeys:
    """Entries in the table of the records. Single writes are enough: no other item depends on them."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def create(self, entry: KeyEntry) -> KeyEntry | None:
        """See `IdempotencyKeys.create`. DynamoDB may take two days to remove an item: an expired one is replaced."""
        now = utcnow()
        values = {
            ":now": math.ceil(now.timestamp()),
            ":latest": math.ceil((now + KEY_LIFE + CLOCK_SLACK + timedelta(seconds=1)).timestamp()),
        }
        condition = f"attribute_not_exists({KEY}) OR #expires <= :now OR #expires > :latest"
        return self._put(entry, condition, {"#expires": EXPIRES_AT}, values)

    def replace(self, old: KeyEntry, new: KeyEntry) -> bool:
        """See `IdempotencyKeys.replace`."""
        condition = "#attempt = :attempt"
        return self._put(new, condition, {"#attempt": _ATTEMPT}, {":attempt": old.attempt}) is None

    def remove(self, old: KeyEntry) -> None:
        """See `IdempotencyKeys.remove`."""
        try:
            call(
                self._client.delete_item,
                TableName=self._table,
                Key=items.serialize({KEY: idempotency_key(old.owner, old.key)}),
                ConditionExpression="#attempt = :attempt",
                ExpressionAttributeNames={"#attempt": _ATTEMPT},
                ExpressionAttributeValues=items.serialize({":attempt": old.attempt}),
            )
        except Refused:  # it is gone, or another attempt has it
            return

    def _put(self, entry: KeyEntry, condition: str, names: dict[str, str], values: Item) -> KeyEntry | None:
        """Write an entry. Return the existing one, or `entry` if there is none, if the condition failed.

        If a response is lost, the SDK's retry finds what the first attempt wrote, which counts as success.
        """
        item = {
            KEY: idempotency_key(entry.owner, entry.key),
            items.KIND: "idempotency",
            _ATTEMPT: entry.attempt,
            _DOCUMENT: entry.model_dump_json(),
            EXPIRES_AT: math.ceil(entry.expires_at.timestamp()),
        }
        try:
            call(
                self._client.put_item,
                TableName=self._table,
                Item=items.serialize(item),
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=items.serialize(values),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Refused as refused:
            found = items.deserialize(refused.reasons[0] or {})
            if found == item:
                return None
            return KeyEntry.model_validate_json(found[_DOCUMENT]) if found else entry
        return None
