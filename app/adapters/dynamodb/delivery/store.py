"""`DeliveryStore` in the table of the records."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.adapters.dynamodb.calls import Refused, call, transact
from app.adapters.dynamodb.delivery.entries import (
    DELIVERIES,
    DOCUMENT,
    STATUS,
    VERSION,
    delivery_item,
    delivery_key,
    event_key,
    health_item,
    health_key,
)
from app.adapters.dynamodb.delivery.outbox import Outbox
from app.adapters.dynamodb.items import Item, deserialize, serialize
from app.adapters.dynamodb.reading import BATCH, read_item, read_items
from app.adapters.dynamodb.table import KEY
from app.adapters.dynamodb.walks import HIGHEST, LOWEST, MOST, Span, Walk
from app.domain.delivery.deliveries import Delivery, DeliveryStatus, EndpointHealth
from app.domain.delivery.events import Event
from app.domain.errors import Stale, Unavailable
from app.domain.ids import first_id_at
from app.domain.ports.delivery_store import DeliveryQuery
from app.domain.ports.outbox import Unfinished
from app.domain.ports.repository import Page
from app.domain.times import CLOCK_SLACK

#: Entries that one page of a list looks at, whether they match or not.
_LOOKED_AT = 2 * MOST
_TRIES = 4


class DynamoDeliveries:
    """Events, deliveries and health as JSON documents. Conditional writes are repeatable: the SDK's retry finds what
    the first attempt wrote, which counts as success."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._outbox = Outbox(client, table)

    def add(self, event: Event, deliveries: Sequence[Delivery]) -> None:
        """See `DeliveryStore.add`. The event names its deliveries before they exist, so that a search of the outbox
        finds those that are missing after a crash. An event without deliveries is removed."""
        endpoints = {delivery.endpoint_id for delivery in deliveries}
        pending = self._outbox.open(event, endpoints) if deliveries else self._outbox.remove(event.id)
        for endpoint_id in pending - endpoints:  # an earlier dispatch named it
            if self.get(f"{event.id}.{endpoint_id}") is None:
                self._outbox.close(event.id, endpoint_id)
        for delivery in deliveries:
            try:
                self._put(delivery_item(delivery), f"attribute_not_exists({KEY})")
            except Refused as refused:
                if _status(refused) is not DeliveryStatus.PENDING:
                    self._outbox.close(event.id, delivery.endpoint_id)

    def get(self, delivery_id: str) -> Delivery | None:
        """See `DeliveryStore.get`."""
        item = read_item(self._client, self._table, delivery_key(delivery_id))
        return Delivery.model_validate_json(item[DOCUMENT]) if item else None

    def get_event(self, event_id: str) -> Event | None:
        """See `DeliveryStore.get_event`."""
        item = read_item(self._client, self._table, event_key(event_id))
        return Event.model_validate_json(item[DOCUMENT]) if item else None

    def replace(self, delivery: Delivery) -> None:
        """See `DeliveryStore.replace`. A finished delivery becomes pending again together with its event's entry."""
        is_finished = delivery.status is not DeliveryStatus.PENDING
        for _ in range(_TRIES):
            try:
                self._replace(delivery, "" if is_finished else "#status = :pending AND ")
            except Refused as refused:
                found = deserialize(refused.reasons[0] or {})
                if found != delivery_item(delivery):
                    if found.get(VERSION) != delivery.version - 1:
                        raise Stale(delivery.id) from None
                    if not self._reopen(delivery):
                        continue
            if is_finished:
                self._outbox.close(delivery.event_id, delivery.endpoint_id)
            return
        raise Unavailable("The delivery is changing too often.")

    def list(self, query: DeliveryQuery) -> Page[Delivery]:
        """See `DeliveryStore.list`. Endpoint and event are known from the index alone."""
        walk = Walk(self._client, self._table, DELIVERIES, _span(query), min(query.limit, MOST))
        found: list[Delivery] = []
        last: str | None = None
        while len(found) <= query.limit:
            if walk.passed >= _LOOKED_AT:
                return Page(found, last)
            ids: list[str] = []
            while len(ids) < min(query.limit + 1 - len(found), BATCH) and walk.passed < _LOOKED_AT:
                last = walk.take() or None
                if last is None:
                    break
                if query.endpoint_id is None or last.endswith(f".{query.endpoint_id}"):
                    ids.append(last)
            stored = self._read(ids)
            found += [each for name in ids if (each := stored.get(name)) and _matches(each, query)]
            if last is None:
                break
        shown = found[: query.limit]
        return Page(shown, shown[-1].id if len(found) > query.limit else None)

    def due(self, now: datetime, each: int, without: Collection[str] = ()) -> Sequence[Delivery]:
        """See `DeliveryStore.due`. Reads all pending deliveries: the queue holds them, and tells when they are due."""
        pending = [delivery for entry in self.unfinished(now + CLOCK_SLACK) for delivery in entry.deliveries]
        health = self.health({delivery.endpoint_id for delivery in pending})
        taken: Counter[str] = Counter()
        found = []
        for delivery in sorted(pending, key=_due):
            endpoint = delivery.endpoint_id
            waits = endpoint in health and health[endpoint].wait(now)
            if endpoint not in without and not waits and not delivery.wait(now) and taken[endpoint] < each:
                taken[endpoint] += 1
                found.append(delivery)
        return found

    def unfinished(self, before: datetime) -> Iterator[Unfinished]:
        """See `Outbox.unfinished` of the port."""
        return self._outbox.unfinished(before)

    def health(self, endpoint_ids: Collection[str]) -> Mapping[str, EndpointHealth]:
        """See `DeliveryStore.health`. One endpoint is read by itself, which needs no right to batches."""
        keys = [health_key(each) for each in endpoint_ids]
        if len(keys) == 1:
            item = read_item(self._client, self._table, keys[0])
            found = iter([item] if item else [])
        else:
            found = read_items(self._client, self._table, keys)
        read = [EndpointHealth.model_validate_json(item[DOCUMENT]) for item in found]
        return {health.endpoint_id: health for health in read}

    def replace_health(self, health: EndpointHealth) -> None:
        """See `DeliveryStore.replace_health`."""
        condition: Item = {"ConditionExpression": f"attribute_not_exists({KEY})"}
        if health.version > 1:
            condition = _is_version(health.version - 1)
        put = {"TableName": self._table, "Item": serialize(health_item(health)), **condition}
        try:
            transact(self._client, [{"Put": put}])
        except Refused:
            raise Stale(health.endpoint_id) from None

    def resume(self, endpoint_id: str, now: datetime) -> None:  # noqa: ARG002 - the queue has the deliveries
        """See `DeliveryStore.resume`."""
        call(self._client.delete_item, TableName=self._table, Key=serialize({KEY: health_key(endpoint_id)}))

    def count(self) -> Mapping[DeliveryStatus, int] | None:
        """See `DeliveryStore.count`. Reading all deliveries would cost too much."""
        return None

    def oldest_pending(self) -> datetime | None:
        """See `DeliveryStore.oldest_pending`."""
        return None

    def remove_old(self, now: datetime) -> int:  # noqa: ARG002 - of the port
        """See `DeliveryStore.remove_old`. DynamoDB removes expired items by itself."""
        return 0

    def _replace(self, delivery: Delivery, condition: str) -> None:
        names = {"#version": VERSION} | ({"#status": STATUS} if condition else {})
        values: Item = {":before": delivery.version - 1}
        if condition:
            values[":pending"] = str(DeliveryStatus.PENDING)
        self._put(delivery_item(delivery), f"{condition}#version = :before", names, values)

    def _reopen(self, delivery: Delivery) -> bool:
        """Make a finished delivery pending again. Return False if it has changed meanwhile."""
        put = {
            "TableName": self._table,
            "Item": serialize(delivery_item(delivery)),
            **_is_version(delivery.version - 1),
        }
        try:
            transact(self._client, [{"Put": put}, self._outbox.reopen(delivery.event_id, delivery.endpoint_id)])
        except Refused as refused:
            if refused.reasons[0] is not None:
                return False
            try:
                self._replace(delivery, "")  # the event has expired: the next attempt drops the delivery
            except Refused:
                return False
        return True

    def _put(self, item: Item, condition: str, names: Item | None = None, values: Item | None = None) -> None:
        call(
            self._client.put_item,
            TableName=self._table,
            Item=serialize(item),
            ConditionExpression=condition,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **({"ExpressionAttributeNames": names} if names else {}),
            **({"ExpressionAttributeValues": serialize(values)} if values else {}),
        )

    def _read(self, delivery_ids: Sequence[str]) -> dict[str, Delivery]:
        found = read_items(self._client, self._table, [delivery_key(each) for each in delivery_ids])
        read = [Delivery.model_validate_json(item[DOCUMENT]) for item in found]
        return {delivery.id: delivery for delivery in read}


def _status(refused: Refused) -> DeliveryStatus:
    return DeliveryStatus(deserialize(refused.reasons[0] or {})[STATUS])


def _is_version(version: int) -> Item:
    """Return the condition that the stored version is this one."""
    return {
        "ConditionExpression": "#version = :before",
        "ExpressionAttributeNames": {"#version": VERSION},
        "ExpressionAttributeValues": serialize({":before": version}),
    }


def _due(delivery: Delivery) -> tuple[datetime, str]:
    times = [each for each in (delivery.next_attempt_at, delivery.leased_until) if each is not None]
    return max(times, default=delivery.created_at), delivery.id


def _span(query: DeliveryQuery) -> Span:
    lows, highs = [LOWEST], [HIGHEST]
    if query.event_id:
        lows.append(f"{query.event_id}.")
        highs.append(f"{query.event_id}/")
    lows += [_first(query.since)] if query.since else []
    highs += [_first(query.until)] if query.until else []
    highs += [query.after] if query.after else []
    return Span(max(lows), min(highs), descending=True)


def _first(moment: datetime) -> str:
    return f"evt_{first_id_at(moment).replace('-', '')}"


def _matches(delivery: Delivery, query: DeliveryQuery) -> bool:
    return (query.status is None or delivery.status is query.status) and (
        query.image_id is None or delivery.image_id == query.image_id
    )
