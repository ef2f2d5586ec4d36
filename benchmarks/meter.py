"""Meter of requests to AWS by operation, and of DynamoDB capacity units.

Units of single requests are those that the engine reports. DynamoDB Local omits most of a transaction, an empty query,
and keys of a batch that have no item. Those are calculated by Amazon's documentation ("DynamoDB read and write
operations", "Transactions: capacity management"): two units per started kilobyte and item, of the larger of the old and
the new item; one unit per entry that is added to or removed from the index; at least half a unit per query; a unit for
a missing item, or half of one if the read is eventually consistent.
"""

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.adapters.dynamodb.table import INDEX_KEY

_READS = frozenset({"GetItem", "BatchGetItem", "Query"})
_EMPTY_QUERY = 0.5


@dataclass
class Use:
    """`read` and `write` are request units as DynamoDB bills them; `calls` counts `service.Operation`."""

    read: float = 0
    write: float = 0
    calls: Counter[str] = field(default_factory=Counter)

    def of(self, service: str, *operations: str) -> int:
        """Count requests to a service, of these operations or of all."""
        wanted = {f"{service}.{operation}" for operation in operations}
        return sum(
            count
            for name, count in self.calls.items()
            if name in wanted or (not wanted and name.startswith(f"{service}."))
        )


class Meter:
    """Listener to the SDK's events of some clients. `reader` is another client of the table, which is not metered: it
    reads the items of a transaction."""

    def __init__(self, reader: Any, **clients: Any) -> None:
        self._reader = reader
        self._use = Use()
        self._lock = threading.Lock()
        for service, client in clients.items():
            client.meta.events.register(f"before-parameter-build.{service}", self._ask)
            client.meta.events.register(f"after-call.{service}", self._count)

    @contextmanager
    def metered(self) -> Iterator[Use]:
        """Meter the requests of the block."""
        before, self._use = self._use, Use()
        try:
            yield self._use
        finally:
            self._use = before

    def _ask(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        if model.input_shape and "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"
        if model.name == "BatchGetItem":
            context["asked"] = params["RequestItems"]
        if model.name == "TransactWriteItems":
            parts = [next(iter(part.values())) for part in params["TransactItems"]]
            context["transaction"] = parts, [self._look(part) for part in parts]

    def _count(self, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        units = sum(each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed]))
        if model.name == "TransactWriteItems":
            units = self._of_transaction(*context["transaction"])
        elif model.name == "Query":
            units = max(units, _EMPTY_QUERY)
        elif model.name == "BatchGetItem":
            units += _of_missing(context["asked"], parsed)
        with self._lock:  # requests for many images have several threads
            self._use.calls[f"{model.service_model.endpoint_prefix}.{model.name}"] += 1
            if model.name in _READS:
                self._use.read += units
            else:
                self._use.write += units

    def _of_transaction(self, parts: list[dict[str, Any]], before: list[dict[str, Any]]) -> int:
        units = 0
        for part, old in zip(parts, before, strict=True):
            new = self._look(part)
            largest = max(size_of(old), size_of(new), size_of(part.get("Item", {})))
            units += 2 * max(1, math.ceil(largest / 1024))
            units += (old.get(INDEX_KEY) != new.get(INDEX_KEY)) * ((INDEX_KEY in old) + (INDEX_KEY in new))
        return units

    def _look(self, part: dict[str, Any]) -> dict[str, Any]:
        key = part.get("Key") or {"ImageID": part["Item"]["ImageID"]}
        found: dict[str, Any] = self._reader.get_item(TableName=part["TableName"], Key=key, ConsistentRead=True)
        item: dict[str, Any] = found.get("Item", {})
        return item


def _of_missing(asked: dict[str, Any], parsed: dict[str, Any]) -> float:
    """Return the units of the keys of a batch that have no item."""
    units = 0.0
    for table, wanted in asked.items():
        left = parsed.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        missing = len(wanted["Keys"]) - len(parsed["Responses"].get(table, [])) - len(left)
        units += missing * (1 if wanted.get("ConsistentRead") else 0.5)
    return units


def size_of(item: dict[str, Any]) -> int:
    """Return the bytes of an item in typed form, counted as in "DynamoDB item sizes and formats"."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(typed: dict[str, Any]) -> int:
    ((kind, value),) = typed.items()
    if kind == "S":
        return len(value.encode())
    if kind == "N":
        return (len(value.strip("-0.")) + 1) // 2 + 1
    if kind == "L":
        return 3 + sum(1 + _size(each) for each in value)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _size(each) for name, each in value.items())
    return len(value) if kind == "B" else 1
