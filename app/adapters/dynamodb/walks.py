"""Walks along the index: ids in order, of one partition or of several at once."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import call
from app.adapters.dynamodb.table import INDEX, INDEX_KEY, INDEX_SORT

# Ids are 36 characters of hex and dashes: these sort below and above all of them.
LOWEST, HIGHEST = "0", "g"
#: Entries asked for at once, at most: about a sixth of the megabyte that a query may read.
MOST = 1000


@dataclass(frozen=True)
class Span:
    """Ids from `low` to before `high`, in either direction."""

    low: str = LOWEST
    high: str = HIGHEST
    descending: bool = False

    def is_before(self, one: str, other: str) -> bool:
        """Return True if a walk reaches `one` before `other`."""
        return one > other if self.descending else one < other

    def starting_at(self, image_id: str) -> "Span":
        """Return the rest of the span from that id on, which must be within it. Bounds are excluded: see `Walk`."""
        if self.descending:
            return Span(self.low, f"{image_id}-", descending=True)
        return Span(image_id, self.high)


class Walk:
    """Iterator over the ids of one partition within a span. It continues after empty pages."""

    def __init__(self, client: Any, table: str, partition: str, span: Span, limit: int) -> None:
        self._client = client
        self._table = table
        self._partition = partition
        self._ids: deque[str] = deque()
        self._limit = min(limit + 1, MOST)  # one for the upper bound, which BETWEEN includes
        self._begin(span)

    def head(self) -> str | None:
        """Return the next id, or None at the end."""
        while not self._ids and not self._ended:
            self._read()
        return self._ids[0] if self._ids else None

    def take(self) -> str | None:
        """Return the next id and move on, or None at the end."""
        image_id = self.head()
        if image_id is not None:
            self._ids.popleft()
        return image_id

    def skip_to(self, image_id: str) -> str | None:
        """The first id that is not before this one, or None at the end. What lies between is not read if it is far."""
        while self._ids and self._span.is_before(self._ids[0], image_id):
            self._ids.popleft()
        if not self._ids and not self._ended:
            self._begin(self._span.starting_at(image_id))
        return self.head()

    def _begin(self, span: Span) -> None:
        self._span = span
        self._ended = span.low >= span.high
        bounds = {":partition": self._partition, ":low": span.low, ":high": span.high}
        self._arguments: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": INDEX,
            "KeyConditionExpression": f"{INDEX_KEY} = :partition AND {INDEX_SORT} BETWEEN :low AND :high",
            "ExpressionAttributeValues": items.write(bounds),
            "ScanIndexForward": not span.descending,
        }

    def _read(self) -> None:
        answer = call(self._client.query, **self._arguments, Limit=self._limit)
        ids = [items.read(item)[INDEX_SORT] for item in answer["Items"]]
        self._ids.extend(image_id for image_id in ids if image_id != self._span.high)
        self._limit = min(self._limit * 2, MOST)
        self._ended = "LastEvaluatedKey" not in answer
        if not self._ended:
            self._arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def in_all(walks: Sequence[Walk]) -> Iterator[str]:
    """The ids that every one of the walks meets, in their order.

    Whichever walk is behind jumps to where the one ahead stands, so that this costs about as much as the shortest:
    entries of the index, of which some fifty are read for the price of one record.
    """
    wanted = walks[0].head()
    agreed = 0
    while wanted is not None:
        for walk in walks:
            found = walk.skip_to(wanted)
            if found != wanted:
                wanted, agreed = found, 0
                break
            agreed += 1
        if wanted is not None and agreed == len(walks):
            yield wanted
            walks[0].take()
            wanted, agreed = walks[0].head(), 0
