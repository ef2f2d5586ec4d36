"""`EndpointStore` in the table `Access`: one item for each endpoint, all in one partition, which lists sort by id."""

from collections.abc import Sequence
from typing import Any

from app.adapters.dynamodb.access.table import ENDPOINT, ID, KIND
from app.adapters.dynamodb.calls import Refused, call
from app.adapters.dynamodb.items import Item, deserialize, serialize
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.errors import AlreadyExists, Missing, Stale

_DOCUMENT, _VERSION = "document", "version"


class DynamoEndpoints:
    """Webhook endpoints as JSON documents."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def create(self, endpoint: WebhookEndpoint) -> None:
        """See `EndpointStore.create`. The SDK's retry finds what the first attempt wrote, which counts as success."""
        item = _item(endpoint)
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
                raise AlreadyExists(endpoint.id) from None

    def get(self, endpoint_id: str) -> WebhookEndpoint | None:
        """See `EndpointStore.get`."""
        found = call(
            self._client.get_item, TableName=self._table, Key=serialize(_key(endpoint_id)), ConsistentRead=True
        )
        return _read(found["Item"]) if "Item" in found else None

    def list(self, limit: int, after: str | None = None) -> Sequence[WebhookEndpoint]:
        """See `EndpointStore.list`. A page of DynamoDB ends at 1 MB, which is more than `limit` endpoints have."""
        start = {} if after is None else {"ExclusiveStartKey": serialize(_key(after))}
        return [_read(item) for item in self._query(Limit=limit, **start)["Items"]]

    def all(self) -> Sequence[WebhookEndpoint]:
        """See `EndpointStore.all`."""
        found: list[WebhookEndpoint] = []
        start: dict[str, Any] = {}
        while True:
            page = self._query(**start)
            found += map(_read, page["Items"])
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def replace(self, endpoint: WebhookEndpoint) -> None:
        """See `EndpointStore.replace`. The SDK's retry finds what the first attempt wrote, which counts as success."""
        item = _item(endpoint)
        try:
            call(
                self._client.put_item,
                TableName=self._table,
                Item=serialize(item),
                ConditionExpression="#version = :before",
                ExpressionAttributeNames={"#version": _VERSION},
                ExpressionAttributeValues=serialize({":before": endpoint.version - 1}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Refused as refused:
            found = deserialize(refused.reasons[0] or {})
            if not found:
                raise Missing(endpoint.id) from None
            if found != item:
                raise Stale(endpoint.id) from None

    def delete(self, endpoint_id: str) -> bool:
        """See `EndpointStore.delete`."""
        try:
            call(
                self._client.delete_item,
                TableName=self._table,
                Key=serialize(_key(endpoint_id)),
                ConditionExpression=f"attribute_exists({ID})",
            )
        except Refused:
            return False
        return True

    def _query(self, **arguments: Any) -> Any:
        return call(
            self._client.query,
            TableName=self._table,
            KeyConditionExpression="#kind = :kind",
            ExpressionAttributeNames={"#kind": KIND},
            ExpressionAttributeValues=serialize({":kind": ENDPOINT}),
            ScanIndexForward=False,
            ConsistentRead=True,
            **arguments,
        )


def _key(endpoint_id: str) -> Item:
    return {KIND: ENDPOINT, ID: endpoint_id}


def _item(endpoint: WebhookEndpoint) -> Item:
    return {**_key(endpoint.id), _DOCUMENT: endpoint.model_dump_json(), _VERSION: endpoint.version}


def _read(item: Any) -> WebhookEndpoint:
    return WebhookEndpoint.model_validate_json(deserialize(item)[_DOCUMENT])
