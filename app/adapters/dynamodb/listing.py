"""The only code path of lists: read ids, fetch records, drop stale ones, until the page is full."""

import heapq
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import call, pause
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.table import KEY
from app.adapters.dynamodb.walks import HIGHEST, LOWEST, MOST, Span, Walk, intersect
from app.domain.errors import Unavailable
from app.domain.models import Image, Status, utcnow
from app.domain.ports import ListQuery, Page
from app.domain.work import LONGEST_DELAY

_BATCH = 100  # BatchGetItem's own limit
_ATTEMPTS = 8  # one after the other that bring nothing
_SECONDS = 10  # for all of one batch, within the time that a request has
#: Entries per query when two partitions are joined: about five read units.
_JOINED = 250
_HEX = "0123456789abcdef"
#: Sorts above every id.
_LAST = "~"


def page(client: Any, table: str, query: ListQuery) -> Page:
    """Return one page of the query; see `ImageRepository.list`.

    Reading a record costs as much as about 50 index entries. So no more records are read than the page needs, and
    further ones only to replace stale ones.
    """
    if query.limit < 1:
        raise ValueError("a page has at least one item")
    wanted = query.limit + 1  # one more tells whether there is a next page
    span = _span(query)
    partitions = _partitions(query)
    entries = wanted if len(partitions) == 1 else max(wanted, _JOINED)
    candidates = intersect([Walk(client, table, partition, span, entries) for partition in partitions])
    found: list[Image] = []
    looked = 0
    while len(found) < wanted:
        missing = wanted - len(found)
        share = (looked + 1) / (len(found) + 1)  # of those looked at, so many for each that counted
        ids = list(islice(candidates, min(round(missing * share), _BATCH)))
        if not ids:
            break
        looked += len(ids)
        records = _records(client, table, ids)
        found += [image for image_id in ids if (image := records.get(image_id)) and _matches(image, query)]
    shown = found[: query.limit]
    return Page(shown, shown[-1].id if len(found) > query.limit else None)


def due(client: Any, table: str, until: datetime) -> Iterator[str]:
    """Yield the ids with unfinished work that is due, the earliest first, then those with an implausible due time; see
    `ImageRepository.due`. Entries of 0.1.0 have no time, and come first."""
    latest, implausible = items.due_text(until), items.due_text(until + LONGEST_DELAY)

    def walk(low: str, high: str) -> Iterator[tuple[str, str]]:
        partitions = [_sorted_walk(client, table, items.open_partition(digit), Span(low, high)) for digit in _HEX]
        return heapq.merge(*partitions)

    near = walk(LOWEST, f"{latest}#{_LAST}")
    distant = walk(items.DISTANT, f"{items.DISTANT}{latest}#{_LAST}")
    later = walk(f"{implausible}#{_LAST}", items.DISTANT)
    for _, image_id in chain(heapq.merge(near, distant), later):
        yield image_id


def owned(client: Any, table: str, owner: str) -> Iterator[str]:
    """Yield the ids of all images of an owner; see `ImageRepository.owned`."""
    for partition in (items.owner_key(owner), items.ticket_key(owner), items.arrived_key(owner)):
        yield from iter(Walk(client, table, partition, Span(), MOST).take, None)


def scan(client: Any, table: str, after: str | None) -> Iterator[Image]:
    """Yield all records of the table; see `ImageRepository.scan`."""
    arguments: dict[str, Any] = {
        "TableName": table,
        "ConsistentRead": True,
        "FilterExpression": "#kind = :image",
        "ExpressionAttributeNames": {"#kind": items.KIND},
        "ExpressionAttributeValues": items.serialize({":image": "image"}),
    }
    start = items.serialize({KEY: after}) if after else None
    while True:
        answer = call(client.scan, **arguments, **({"ExclusiveStartKey": start} if start else {}))
        now = utcnow()
        for item in answer["Items"]:
            record = items.read_record(items.deserialize(item), now)
            if isinstance(record, Image):
                yield record
        start = answer.get("LastEvaluatedKey")
        if not start:
            return


def _sorted_walk(client: Any, table: str, partition: str, span: Span) -> Iterator[tuple[str, str]]:
    """Yield the time and the id of each entry of a partition of unfinished work."""
    for entry in iter(Walk(client, table, partition, span, MOST).take, None):
        moment, _, image_id = entry.removeprefix(items.DISTANT).rpartition("#")
        yield moment, image_id


def open_tickets(client: Any, table: str, owner: str, limit: int) -> Sequence[str]:
    """Return the ids of the owner's open tickets; see `ImageRepository.open_tickets`."""
    walk = Walk(client, table, items.ticket_key(owner), Span(), limit)
    return list(islice(iter(walk.take, None), limit))


def versions(client: Any, table: str, image_ids: Collection[str]) -> dict[str, int]:
    """Return the versions of those records that exist."""
    names = {"#id": KEY, "#kind": items.KIND, "#version": "version"}
    wanted = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
    found = {}
    ids = sorted(filter(None, set(image_ids)))
    for start in range(0, len(ids), _BATCH):
        for typed in _batch_get(client, table, ids[start : start + _BATCH], wanted):
            item = items.deserialize(typed)
            if item[items.KIND] == "image":
                found[str(item[KEY])] = int(item["version"])
    return found


def _span(query: ListQuery) -> Span:
    low, high = query.since or LOWEST, query.until or HIGHEST
    if query.after and query.descending:
        high = min(high, query.after)
    elif query.after:
        low = max(low, f"{query.after}-")  # after this id and before every other
    return Span(low, high, query.descending)


def _partitions(query: ListQuery) -> Sequence[str]:
    """Return the partitions that contain the ids to fetch.

    Partitions of a tag or a transient status contain few ids, and are joined. Most images are ready and have one of few
    types: reading those partitions costs more than reading the records that do not match.
    """
    passing = None if query.status is Status.READY else query.status
    narrow = {"tag": query.tag, "status": passing}
    joined = [items.pointer_key(kind, query.owner, value) for kind, value in narrow.items() if value is not None]
    if joined:
        return joined
    if query.content_type is not None:
        return [items.pointer_key("type", query.owner, query.content_type)]
    if query.status is not None:
        return [items.pointer_key("status", query.owner, query.status)]
    return [items.owner_key(query.owner)]


def _records(client: Any, table: str, ids: Sequence[str]) -> dict[str, Image]:
    now = utcnow()
    records: dict[str, Image] = {}
    for item in _batch_get(client, table, ids):
        record = items.read_record(items.deserialize(item), now)
        if isinstance(record, Image):
            records[record.id] = record
    return records


def _batch_get(client: Any, table: str, ids: Sequence[str], wanted: Item | None = None) -> Iterator[Item]:
    """Yield the items with these keys, or the projection of them that `wanted` describes."""
    keys = [items.serialize({KEY: image_id}) for image_id in ids]
    until = time.monotonic() + _SECONDS
    idle = 0
    while True:
        answer = call(
            client.batch_get_item, RequestItems={table: {"Keys": keys, "ConsistentRead": True, **(wanted or {})}}
        )
        yield from answer["Responses"].get(table, [])
        left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        if not left:
            return
        idle = 0 if len(left) < len(keys) else idle + 1
        if idle == _ATTEMPTS or time.monotonic() >= until:
            raise Unavailable("The database is busy.")
        keys = left
        pause(idle)  # after some progress too: what was left is what was throttled


def _matches(image: Image, query: ListQuery) -> bool:
    return (
        image.owner == query.owner
        and (query.tag is None or query.tag in image.tags)
        and (query.status is None or image.status is query.status)
        and (query.content_type is None or image.content_type == query.content_type)
    )
