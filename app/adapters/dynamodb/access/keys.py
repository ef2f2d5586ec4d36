"""`KeyStore` in the table `Access`."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from app.adapters.dynamodb.access.entries import DOCUMENT, VERSION, Entries
from app.adapters.dynamodb.access.table import API_KEY, ID
from app.adapters.dynamodb.calls import Refused, call
from app.adapters.dynamodb.items import Item, deserialize, serialize
from app.domain.access.stored_keys import StoredKey
from app.domain.errors import Missing, Stale

_LAST_USED = "last_used"


class DynamoKeys:
    """API keys as JSON documents. `last_used` is an attribute of its own, which has no version."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._entries = Entries(client, table, API_KEY)

    def create(self, key: StoredKey) -> None:
        """See `KeyStore.create`."""
        self._entries.create(self._entries.item(key.id, _document(key), key.version))

    def get(self, key_id: str) -> StoredKey | None:
        """See `KeyStore.get`."""
        found = self._entries.get(key_id)
        return None if found is None else _read(found)

    def list(self, limit: int, after: str | None = None) -> Sequence[StoredKey]:
        """See `KeyStore.list`."""
        return [_read(item) for item in self._entries.list(limit, after)]

    def replace(self, key: StoredKey) -> None:
        """See `KeyStore.replace`. The SDK's retry finds what the first attempt wrote, which counts as success."""
        document = _document(key)
        try:
            call(
                self._client.update_item,
                **self._entries.at(key.id),
                UpdateExpression="SET #document = :document, #version = :version",
                ConditionExpression="#version = :before",
                ExpressionAttributeNames={"#document": DOCUMENT, "#version": VERSION},
                ExpressionAttributeValues=serialize(
                    {":document": document, ":version": key.version, ":before": key.version - 1}
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Refused as refused:
            found = deserialize(refused.reasons[0] or {})
            if not found:
                raise Missing(key.id) from None
            if found[DOCUMENT] != document:
                raise Stale(key.id) from None

    def touch(self, key_id: str, day: date) -> None:
        """See `KeyStore.touch`."""
        with suppress(Refused):  # it is gone, or has the day
            call(
                self._client.update_item,
                **self._entries.at(key_id),
                UpdateExpression="SET #used = :day",
                ConditionExpression=f"attribute_exists({ID}) AND (attribute_not_exists(#used) OR #used <> :day)",
                ExpressionAttributeNames={"#used": _LAST_USED},
                ExpressionAttributeValues=serialize({":day": day.isoformat()}),
            )

    def delete(self, key_id: str) -> bool:
        """See `KeyStore.delete`."""
        return self._entries.delete(key_id)


def _document(key: StoredKey) -> str:
    return key.model_dump_json(exclude={"last_used"})


def _read(item: Item) -> StoredKey:
    key = StoredKey.model_validate_json(item[DOCUMENT])
    used = item.get(_LAST_USED)
    return key if used is None else key.model_copy(update={"last_used": date.fromisoformat(used)})
