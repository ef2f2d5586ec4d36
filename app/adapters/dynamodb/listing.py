"""The only code path of lists: read ids, fetch records, drop stale ones, until the page is full."""

import heapq
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain, islice
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import call
from app.adapters.dynamodb.joins import FIRST_PAGE, GROWTH, Join
from app.adapters.dynamodb.keys import (
    DISTANT,
    band_key,
    due_text,
    list_partitions,
    open_partition,
    owner_key,
    pointer_key,
    ticket_key,
    trash_key,
)
from app.adapters.dynamodb.reading import BATCH, read_records
from app.adapters.dynamodb.table import KEY
from app.adapters.dynamodb.walks import HIGHEST, LOWEST, MOST, Span, Walk, newest_keys
from app.domain.models import Image, Status, utcnow
from app.domain.ports import ListQuery, Page
from app.domain.work import LONGEST_DELAY

#: Partitions of look-alikes that one request reads at the same time.
_LOOK_UPS = 16
_HEX = "0123456789abcdef"
#: Sorts above every id.
_LAST = "~"
#: Records that are read for one page at most. Where no index entry tells them apart, few of them may match.
_MOST_READ = 1000


def page(client: Any, table: str, query: ListQuery) -> Page[Image]:
    """Return one page of the query; see `ImageRepository.list`.

    Reading a record costs as much as about 50 index entries. So no more records are read than the page needs, and
    further ones only to replace those that are stale or do not match.
    """
    if query.limit < 1:
        raise ValueError("a page has at least one item")
    wanted = query.limit + 1  # one more tells whether there is a next page
    span = _span(query)
    partitions = _partitions(query)
    if len(partitions) == 1:
        walks = [Walk(client, table, partitions[0], span, wanted)]
    else:
        entries = max(wanted, FIRST_PAGE)
        walks = [Walk(client, table, partition, span, entries, GROWTH) for partition in partitions]
    candidates = Join(walks)
    found: list[Image] = []
    looked = 0
    last: str | None = None
    while len(found) < wanted:
        if looked >= _MOST_READ:
            return Page(found, last)
        missing = wanted - len(found)
        share = (looked + 1) / (len(found) + 1)  # records read for each that was in the list
        ids = candidates.take(min(round(missing * share), BATCH, _MOST_READ - looked))
        if not ids:
            break
        looked, last = looked + len(ids), ids[-1]
        read = read_records(client, table, ids)
        found += [image for image_id in ids if (image := read.get(image_id)) and _matches(image, query)]
    shown = found[: query.limit]
    return Page(shown, shown[-1].id if len(found) > query.limit else None)


def due(client: Any, table: str, until: datetime) -> Iterator[str]:
    """Yield the ids with unfinished work that is due, the earliest first, then those with an implausible due time; see
    `ImageRepository.due`. Entries of 0.1.0 have no time, and come first."""
    latest, implausible = due_text(until), due_text(until + LONGEST_DELAY)

    def walk(low: str, high: str) -> Iterator[tuple[str, str]]:
        partitions = [_sorted_walk(client, table, open_partition(digit), Span(low, high)) for digit in _HEX]
        return heapq.merge(*partitions)

    near = walk(LOWEST, f"{latest}#{_LAST}")
    distant = walk(DISTANT, f"{DISTANT}{latest}#{_LAST}")
    later = walk(f"{implausible}#{_LAST}", DISTANT)
    for _, image_id in chain(heapq.merge(near, distant), later):
        yield image_id


def owned(client: Any, table: str, owner: str) -> Iterator[str]:
    """Yield the ids of all images of an owner; see `ImageRepository.owned`."""
    for partition in list_partitions(owner):
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
        moment, _, image_id = entry.removeprefix(DISTANT).rpartition("#")
        yield moment, image_id


def bands(
    client: Any, table: str, owner: str, wanted: Collection[str], limit: int
) -> Iterator[Sequence[tuple[str, str]]]:
    """Yield ids and perceptual hashes of images with each of these bands; see `ImageRepository.find_bands`. The
    partitions are read in parallel."""

    def look_up(band: str) -> Sequence[tuple[str, str]]:
        keys = newest_keys(client, table, band_key(owner, band), limit)
        parts = (key.rsplit("#", 2) for key in keys)
        return [(image_id, phash) for _, phash, image_id in parts]

    with ThreadPoolExecutor(_LOOK_UPS) as threads:
        yield from threads.map(look_up, wanted)


def open_tickets(client: Any, table: str, owner: str, limit: int) -> Sequence[str]:
    """Return the ids of the owner's open tickets; see `ImageRepository.open_tickets`."""
    walk = Walk(client, table, ticket_key(owner), Span(), limit)
    return list(islice(iter(walk.take, None), limit))


def _span(query: ListQuery) -> Span:
    low, high = query.since or LOWEST, query.until or HIGHEST
    if query.after and query.descending:
        high = min(high, query.after)
    elif query.after:
        low = max(low, f"{query.after}-")  # after this id and before every other
    return Span(low, high, query.descending)


def _partitions(query: ListQuery) -> Sequence[str]:
    """Return the partitions that contain the ids to fetch: one for each filter.

    Most images are ready. So that partition is read only if there is no other, and the records tell the rest. The trash
    has one partition, so its records tell all.
    """
    if query.trashed:
        return [trash_key(query.owner)]
    filters: list[tuple[str, str]] = [("tag", tag) for tag in dict.fromkeys(query.tags)]
    others = {"status": query.status, "type": query.content_type, "visibility": query.visibility}
    filters += [(kind, value) for kind, value in others.items() if value is not None]
    chosen = [each for each in filters if each != ("status", Status.READY)] or filters
    return [pointer_key(kind, query.owner, value) for kind, value in chosen] or [owner_key(query.owner)]


def _matches(image: Image, query: ListQuery) -> bool:
    return (
        image.owner == query.owner
        and (image.trashed_at is not None) is query.trashed
        and set(query.tags) <= set(image.tags)
        and (query.status is None or image.status is query.status)
        and (query.content_type is None or image.content_type == query.content_type)
        and (query.visibility is None or image.visibility is query.visibility)
    )
