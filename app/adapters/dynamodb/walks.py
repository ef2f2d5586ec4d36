"""Iteration over one partition of the index: ids in order."""

from collections import deque
from typing import Any, NamedTuple

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import call
from app.adapters.dynamodb.table import INDEX, INDEX_KEY, INDEX_SORT, KEY

# Bounds that sort below and above all ids, which are 36 characters of hex digits and dashes.
LOWEST, HIGHEST = "0", "g"
#: Maximum number of entries per query: about a sixth of the megabyte that a query may read.
MOST = 1000


class Span(NamedTuple):
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
    """Iterator over the ids of one partition within a span. It continues after empty pages.

    The first query reads `limit` entries, each further one `growth` times as many as the one before, at most `MOST`.
    `passed` counts the ids that are behind; `page_size` is the number of entries of the last query.
    """

    def __init__(self, client: Any, table: str, partition: str, span: Span, limit: int, growth: int = 2) -> None:
        self._client = client
        self._table = table
        self._partition = partition
        self._ids: deque[str] = deque()
        self._growth = growth
        self.passed = 0
        self.page_size = 0
        self.next_page(limit)
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
            self._pass()
        return image_id

    def skip_to(self, image_id: str) -> str | None:
        """Return the first id that is not before this one, or None at the end. Skip distant ids without a read."""
        if not self.has_read(image_id):
            self.passed += len(self._ids)
            self._ids.clear()
            self._begin(self._span.starting_at(image_id))
            return self.head()
        while self._ids and self._span.is_before(self._ids[0], image_id):
            self._pass()
        return self._ids[0] if self._ids else None

    def has_read(self, image_id: str) -> bool:
        """Return True if `skip_to` this id needs no query."""
        return self._ended or bool(self._ids and not self._span.is_before(self._ids[-1], image_id))

    @property
    def read_to(self) -> str | None:
        """Last id that was read; None if that is the end of the partition. Call `head` before."""
        return None if self._ended else self._ids[-1]

    @property
    def waiting(self) -> int:
        """Number of ids that were read and are not passed."""
        return len(self._ids)

    def further(self, one: str, other: str) -> str:
        """Return that of two ids which the walk reaches last."""
        return other if self._span.is_before(one, other) else one

    def next_page(self, limit: int) -> None:
        """Set the number of entries that the next query reads."""
        self._limit = min(limit + 1, MOST)  # one for the upper bound, which BETWEEN includes

    def _pass(self) -> None:
        self._ids.popleft()
        self.passed += 1

    def _begin(self, span: Span) -> None:
        self._span = span
        self._ended = span.low >= span.high
        bounds = {":partition": self._partition, ":low": span.low, ":high": span.high}
        self._arguments: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": INDEX,
            "KeyConditionExpression": f"{INDEX_KEY} = :partition AND {INDEX_SORT} BETWEEN :low AND :high",
            "ExpressionAttributeValues": items.serialize(bounds),
            "ProjectionExpression": INDEX_SORT,
            "ScanIndexForward": not span.descending,
        }

    def _read(self) -> None:
        answer = call(self._client.query, **self._arguments, Limit=self._limit)
        ids = [item[INDEX_SORT]["S"] for item in answer["Items"]]
        self._ids.extend(image_id for image_id in ids if image_id != self._span.high)
        self.page_size = self._limit
        self._limit = min(self._limit * self._growth, MOST)
        self._ended = "LastEvaluatedKey" not in answer
        if not self._ended:
            self._arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def newest_keys(client: Any, table: str, partition: str, limit: int) -> list[str]:
    """Return the keys of the newest items of a partition, at most 1,000: one query."""
    answer = call(
        client.query,
        TableName=table,
        IndexName=INDEX,
        KeyConditionExpression=f"{INDEX_KEY} = :partition",
        ExpressionAttributeValues=items.serialize({":partition": partition}),
        ScanIndexForward=False,
        Limit=min(limit, MOST),
    )
    return [items.deserialize(item)[KEY] for item in answer["Items"]]
