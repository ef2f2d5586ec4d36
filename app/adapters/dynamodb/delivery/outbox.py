"""Events in the transaction that changes a record, and their entries in the outbox."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from app.adapters.dynamodb.calls import Refused, call
from app.adapters.dynamodb.delivery.changes import Events, announce_nothing
from app.adapters.dynamodb.delivery.entries import (
    DOCUMENT,
    PENDING,
    delivery_key,
    event_expiry,
    event_item,
    event_key,
    outbox_entry,
    outbox_partition,
)
from app.adapters.dynamodb.items import Item, deserialize, serialize
from app.adapters.dynamodb.reading import BATCH, read_items
from app.adapters.dynamodb.table import EXPIRES_AT, INDEX_KEY, INDEX_SORT, KEY
from app.adapters.dynamodb.walks import MOST, Span, Walk
from app.adapters.dynamodb.writes import Write
from app.domain.delivery.deliveries import Delivery, DeliveryStatus
from app.domain.delivery.events import WATCHED, Event, EventSource
from app.domain.ids import first_id_at
from app.domain.images.stats import Change
from app.domain.models import utcnow
from app.domain.ports.outbox import Unfinished

_HEX = "0123456789abcdef"

#: Has events dispatched whose ids it receives. It raises no `PortError`: what it loses, reconcile repeats.
Announce = Callable[[Sequence[str]], None]


class EventWrites:
    """Builds the events of changes. `watched` are the fields whose change may make one."""

    watched = WATCHED

    def __init__(self, table: str, source: EventSource, announce: Announce) -> None:
        self._table = table
        self._source = source
        self._announce = announce

    def of(self, change: Change) -> Events:
        """Return the events of a change of a record."""
        events = self._source.of([change])
        ids = [event.id for event in events]
        writes = [{"Put": {"TableName": self._table, "Item": serialize(event_item(event))}} for event in events]
        return Events(writes, (lambda: self._announce(ids)) if ids else announce_nothing)


class Outbox:
    """Entries of events whose deliveries are not all finished. See the port of this name."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def open(self, event: Event, endpoint_ids: Iterable[str]) -> set[str]:
        """Write an event, or change the one that exists: deliveries to these endpoints are pending. Return all
        endpoints whose deliveries are."""
        changed = self._update(
            event.id,
            f"SET #document = if_not_exists(#document, :document), {_ENTER} ADD #pending :pending REMOVE #expires",
            {"#document": DOCUMENT, "#pending": PENDING, "#expires": EXPIRES_AT, **_ENTRY},
            {":document": event.model_dump_json(), ":pending": set(endpoint_ids), **_entry_values(event.id)},
        )
        return _pending(changed)

    def reopen(self, event_id: str, endpoint_id: str) -> Write:
        """Return the write that makes a delivery of an event pending again."""
        return {
            "Update": {
                **self._at(event_id),
                "UpdateExpression": f"SET {_ENTER} ADD #pending :pending REMOVE #expires",
                "ConditionExpression": f"attribute_exists({KEY})",
                "ExpressionAttributeNames": {"#pending": PENDING, "#expires": EXPIRES_AT, **_ENTRY},
                "ExpressionAttributeValues": serialize({":pending": {endpoint_id}, **_entry_values(event_id)}),
            }
        }

    def close(self, event_id: str, endpoint_id: str) -> None:
        """Note that a delivery of an event is finished. With the last one, the event leaves the outbox."""
        seen = {endpoint_id}
        while endpoint_id in seen:
            rest = seen - {endpoint_id}
            if rest:
                change, names = "SET #pending = :rest", {"#pending": PENDING}
                values: Item = {":rest": rest}
            else:
                change, names = f"SET #expires = :expires REMOVE #pending, {', '.join(_ENTRY)}", _CLOSING
                values = {":expires": event_expiry(utcnow())}
            try:
                self._update(event_id, change, names, {**values, ":seen": seen}, condition="#pending = :seen")
            except Refused as refused:
                seen = _pending(refused.reasons[0])
            else:
                return

    def remove(self, event_id: str) -> set[str]:
        """Remove an event, unless it was dispatched before. Return the endpoints whose deliveries are pending."""
        try:
            call(
                self._client.delete_item,
                **self._at(event_id),
                ConditionExpression="attribute_not_exists(#pending) AND attribute_not_exists(#expires)",
                ExpressionAttributeNames={"#pending": PENDING, "#expires": EXPIRES_AT},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Refused as refused:
            return _pending(refused.reasons[0])
        return set()

    def unfinished(self, before: datetime) -> Iterator[Unfinished]:
        """See `Outbox.unfinished` of the port."""
        high = f"evt_{first_id_at(before).replace('-', '')}"
        walks = [Walk(self._client, self._table, outbox_partition(digit), Span(high=high), MOST) for digit in _HEX]
        ids = heapq.merge(*(iter(walk.take, None) for walk in walks))
        while group := list(islice(ids, BATCH)):
            yield from self._read(group)

    def _read(self, event_ids: Sequence[str]) -> Iterator[Unfinished]:
        names = {"#key": KEY, "#entry": INDEX_KEY, "#pending": PENDING}
        wanted = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        events = read_items(self._client, self._table, [event_key(event_id) for event_id in event_ids], wanted)
        found = {item[KEY]: item for item in events}
        waiting = {  # the index lags behind: it may have events that are finished
            event_id: sorted(item.get(PENDING, ()))
            for event_id in event_ids
            if (item := found.get(event_key(event_id))) and INDEX_KEY in item
        }
        keys = [delivery_key(f"{event_id}.{each}") for event_id, endpoints in waiting.items() for each in endpoints]
        stored = [Delivery.model_validate_json(item[DOCUMENT]) for item in read_items(self._client, self._table, keys)]
        deliveries = {each.id: each for each in stored}
        for event_id, endpoints in waiting.items():
            known = [each for name in endpoints if (each := deliveries.get(f"{event_id}.{name}"))]
            pending = [each for each in known if each.status is DeliveryStatus.PENDING]
            for each in known:
                if each not in pending:  # the process that finished it ended before the event was changed
                    self.close(event_id, each.endpoint_id)
            is_dispatched = bool(endpoints) and len(known) == len(endpoints)
            if pending or not is_dispatched:
                yield Unfinished(event_id, tuple(pending), is_dispatched=is_dispatched)

    def _update(self, event_id: str, change: str, names: Item, values: Item, condition: str | None = None) -> Item:
        """Update an event, and return its item in DynamoDB's typed form."""
        conditional = {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        answer: Item = call(
            self._client.update_item,
            **self._at(event_id),
            UpdateExpression=change,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=serialize(values),
            ReturnValues="ALL_NEW",
            **(conditional if condition else {}),
        )
        return dict(answer["Attributes"])

    def _at(self, event_id: str) -> Item:
        return {"TableName": self._table, "Key": serialize({KEY: event_key(event_id)})}


_ENTRY = {"#index_key": INDEX_KEY, "#index_sort": INDEX_SORT}
_ENTER = "#index_key = :index_key, #index_sort = :index_sort"
_CLOSING = {"#pending": PENDING, "#expires": EXPIRES_AT, **_ENTRY}


def _pending(item: Item | None) -> set[str]:
    """Return the endpoints whose deliveries are pending, from the typed item of an event."""
    return set(deserialize(item or {}).get(PENDING, ()))


def _entry_values(event_id: str) -> Item:
    return {f":{name}": value for name, value in outbox_entry(event_id).items()}
