"""`EndpointStore` in the table `Access`."""

from collections.abc import Sequence
from typing import Any

from app.adapters.dynamodb.access.entries import DOCUMENT, VERSION, Entries
from app.adapters.dynamodb.access.table import ENDPOINT
from app.adapters.dynamodb.calls import Refused
from app.adapters.dynamodb.items import Item, deserialize, serialize
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.errors import Missing, Stale


class DynamoEndpoints:
    """Webhook endpoints as JSON documents."""

    def __init__(self, client: Any, table: str) -> None:
        self._entries = Entries(client, table, ENDPOINT)

    def create(self, endpoint: WebhookEndpoint) -> None:
        """See `EndpointStore.create`."""
        self._entries.create(self._item(endpoint))

    def get(self, endpoint_id: str) -> WebhookEndpoint | None:
        """See `EndpointStore.get`."""
        found = self._entries.get(endpoint_id)
        return None if found is None else _read(found)

    def list(self, limit: int, after: str | None = None) -> Sequence[WebhookEndpoint]:
        """See `EndpointStore.list`."""
        return [_read(item) for item in self._entries.list(limit, after)]

    def all(self) -> Sequence[WebhookEndpoint]:
        """See `EndpointStore.all`."""
        return [_read(item) for item in self._entries.all()]

    def replace(self, endpoint: WebhookEndpoint) -> None:
        """See `EndpointStore.replace`."""
        item = self._item(endpoint)
        try:
            self._entries.put(
                item,
                ConditionExpression="#version = :before",
                ExpressionAttributeNames={"#version": VERSION},
                ExpressionAttributeValues=serialize({":before": endpoint.version - 1}),
            )
        except Refused as refused:
            found = deserialize(refused.reasons[0] or {})
            if not found:
                raise Missing(endpoint.id) from None
            if found != item:
                raise Stale(endpoint.id) from None

    def delete(self, endpoint_id: str) -> bool:
        """See `EndpointStore.delete`."""
        return self._entries.delete(endpoint_id)

    def _item(self, endpoint: WebhookEndpoint) -> Item:
        return self._entries.item(endpoint.id, endpoint.model_dump_json(), endpoint.version)


def _read(item: Item) -> WebhookEndpoint:
    return WebhookEndpoint.model_validate_json(item[DOCUMENT])
