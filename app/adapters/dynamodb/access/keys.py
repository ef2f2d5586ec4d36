"""`KeyStore` in the table `Access`: one item for each API key, all in one partition, which lists sort by id."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from app.adapters.dynamodb.access.table import API_KEY, ID, KIND
from app.adapters.dynamodb.calls import Refused, call
from app.adapters.dynamodb.items import Item, deserialize, serialize
from app.domain.access.stored_keys import StoredKey
from app.domain.errors import AlreadyExists, Missing, Stale

_DOCUMENT, _LAST_USED, _VERSION = "document", "last_used", "version"


class DynamoKeys:
    """API keys as JSON documents. `last_used` is an attribute of its own, which has no version."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def create(self, key: StoredKey) -> None:
        """See `KeyStore.create`. The SDK's retry finds what the first attempt wrote, which counts as success."""
        item = {**_key(key.id), _DOCUMENT: _document(key), _VERSION: key.version}
        try:
            call(
                self._client.put_item,
                TableName=self._table,
                Item=serialize(item),
                ConditionExpression=f"attribute_not_exists({ID})",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Refused as refused:
            if deserialize(refused.reasons[0] or {}) != item:
                raise AlreadyExists(key.id) from None

    def get(self, key_id: str) -> StoredKey | None:
        """See `KeyStore.get`."""
        found = call(self._client.get_item, TableName=self._table, Key=serialize(_key(key_id)), ConsistentRead=True)
        return _read(deserialize(found["Item"])) if "Item" in found else None

    def list(self, limit: int, after: str | None = None) -> Sequence[StoredKey]:
        """See `KeyStore.list`. A page of DynamoDB ends at 1 MB, which is more than `limit` entries have."""
        start = {} if after is None else {"ExclusiveStartKey": serialize(_key(after))}
        found = call(
            self._client.query,
            TableName=self._table,
            KeyConditionExpression="#kind = :kind",
            ExpressionAttributeNames={"#kind": KIND},
            ExpressionAttributeValues=serialize({":kind": API_KEY}),
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit,
            **start,
        )
        return [_read(deserialize(item)) for item in found["Items"]]

    def replace(self, key: StoredKey) -> None:
        """See `KeyStore.replace`. The SDK's retry finds what the first attempt wrote, which counts as success."""
        document = _document(key)
        try:
            call(
                self._client.update_item,
                TableName=self._table,
                Key=serialize(_key(key.id)),
                UpdateExpression="SET #document = :document, #version = :version",
                ConditionExpression="#version = :before",
                ExpressionAttributeNames={"#document": _DOCUMENT, "#version": _VERSION},
                ExpressionAttributeValues=serialize(
                    {":document": document, ":version": key.version, ":before": key.version - 1}
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Refused as refused:
            found = deserialize(refused.reasons[0] or {})
            if not found:
                raise Missing(key.id) from None
            if found[_DOCUMENT] != document:
                raise Stale(key.id) from None

    def touch(self, key_id: str, day: date) -> None:
        """See `KeyStore.touch`."""
        with suppress(Refused):  # it is gone, or has the day
            call(
                self._client.update_item,
                TableName=self._table,
                Key=serialize(_key(key_id)),
                UpdateExpression="SET #used = :day",
                ConditionExpression=f"attribute_exists({ID}) AND (attribute_not_exists(#used) OR #used <> :day)",
                ExpressionAttributeNames={"#used": _LAST_USED},
                ExpressionAttributeValues=serialize({":day": day.isoformat()}),
            )

    def delete(self, key_id: str) -> bool:
        """See `KeyStore.delete`."""
        try:
            call(
                self._client.delete_item,
                TableName=self._table,
                Key=serialize(_key(key_id)),
                ConditionExpression=f"attribute_exists({ID})",
            )
        except Refused:
            return False
        return True


def _key(key_id: str) -> Item:
    return {KIND: API_KEY, ID: key_id}


def _document(key: StoredKey) -> str:
    return key.model_dump_json(exclude={"last_used"})


def _read(item: Item) -> StoredKey:
    key = StoredKey.model_validate_json(item[_DOCUMENT])
    used = item.get(_LAST_USED)
    return key if used is None else key.model_copy(update={"last_used": date.fromisoformat(used)})
