"""Items of one kind in the table: all in one partition, which lists sort by id."""

from collections.abc import Sequence
from typing import Any

from app.adapters.dynamodb.access.table import ID, KIND
from app.adapters.dynamodb.calls import Refused, call
from app.adapters.dynamodb.items import Item, deserialize, serialize
from app.domain.errors import AlreadyExists

#: Attributes of every item: its entry as JSON, and the version of it.
DOCUMENT, VERSION = "document", "version"


class Entries:
    """Entries by id. `kind` is their partition.

    Conditional writes are repeatable: the SDK's retry finds what the first attempt wrote, which counts as success.
    """

    def __init__(self, client: Any, table: str, kind: str) -> None:
        self._client = client
        self._table = table
        self._kind = kind

    def item(self, entry_id: str, document: str, version: int) -> Item:
        """Return the item of an entry."""
        return {KIND: self._kind, ID: entry_id, DOCUMENT: document, VERSION: version}

    def at(self, entry_id: str) -> dict[str, Any]:
        """Return the arguments that name the item of an entry."""
        return {"TableName": self._table, "Key": serialize(self._key(entry_id))}

    def create(self, item: Item) -> None:
        """Write a new item. Raises `AlreadyExists`."""
        try:
            self.put(item, ConditionExpression=f"attribute_not_exists({ID})")
        except Refused as refused:
            if deserialize(refused.reasons[0] or {}) != item:
                raise AlreadyExists(item[ID]) from None

    def put(self, item: Item, **condition: Any) -> None:
        """Write an item under a condition. A refusal returns the stored one."""
        call(
            self._client.put_item,
            TableName=self._table,
            Item=serialize(item),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **condition,
        )

    def get(self, entry_id: str) -> Item | None:
        """Return the item of an entry, or None."""
        found = call(self._client.get_item, **self.at(entry_id), ConsistentRead=True)
        return deserialize(found["Item"]) if "Item" in found else None

    def list(self, limit: int, after: str | None = None) -> Sequence[Item]:
        """Return at most `limit` items, newest first. A page of DynamoDB ends at 1 MB, which is more than they have."""
        start = {} if after is None else {"ExclusiveStartKey": serialize(self._key(after))}
        return [deserialize(item) for item in self._query(Limit=limit, **start)["Items"]]

    def all(self) -> Sequence[Item]:
        """Return every item, newest first."""
        found: list[Item] = []
        start: dict[str, Any] = {}
        while True:
            page = self._query(**start)
            found += map(deserialize, page["Items"])
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def delete(self, entry_id: str) -> bool:
        """Remove an item. Return False if there is none."""
        try:
            call(self._client.delete_item, **self.at(entry_id), ConditionExpression=f"attribute_exists({ID})")
        except Refused:
            return False
        return True

    def _key(self, entry_id: str) -> Item:
        return {KIND: self._kind, ID: entry_id}

    def _query(self, **arguments: Any) -> Any:
        return call(
            self._client.query,
            TableName=self._table,
            KeyConditionExpression="#kind = :kind",
            ExpressionAttributeNames={"#kind": KIND},
            ExpressionAttributeValues=serialize({":kind": self._kind}),
            ScanIndexForward=False,
            ConsistentRead=True,
            **arguments,
        )
