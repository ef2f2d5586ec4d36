"""`ImageRepository` on DynamoDB."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from app.adapters.dynamodb import items, listing
from app.adapters.dynamodb.calls import Refused, pause, transact
from app.adapters.dynamodb.counters import DynamoCounters
from app.adapters.dynamodb.delivery.changes import EventBuilder, NoEvents
from app.adapters.dynamodb.hash_pointers import HashPointers
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.keys import expected_key, hash_key, open_key
from app.adapters.dynamodb.pointers import POINTS_TO, build_pointers, group_images, open_item
from app.adapters.dynamodb.quota.usage import UsageWrites, read_usage
from app.adapters.dynamodb.reading import read_hashes, read_item, read_items, read_live, read_records, read_versions
from app.adapters.dynamodb.table import KEY
from app.adapters.dynamodb.writes import Write, Writes, accepted, while_live, write_alone, write_record
from app.domain.errors import AlreadyExists, HashTaken, OverQuota, Stale, Unavailable
from app.domain.images.stats import COUNTED
from app.domain.models import UPDATABLE, Image, Tombstone, utcnow
from app.domain.ports import ListQuery, Page, StoredImage
from app.domain.quota.usage import NO_QUOTA, Quota
from app.domain.work import Task, Work

_ATTEMPTS = 6


class DynamoImages:
    """Records in one table. Reads by id are strongly consistent; the index for lists is eventually consistent.

    Updates write the fields named only, so fields that a newer version has added are kept. With `events`, each write
    adds the events of webhooks that it makes.
    """

    def __init__(self, client: Any, table: str, events: EventBuilder | None = None) -> None:
        self._client = client
        self._table = table
        self._writes = Writes(table)
        self._hashes = HashPointers(client, table)
        self._usage = UsageWrites(table)
        self._events: EventBuilder = events or NoEvents()
        self.counters = DynamoCounters(client, table)

    def create(self, image: Image, *, claim: bool, replaces: str | None = None, quota: Quota = NO_QUOTA) -> None:
        """See `ImageRepository.create`."""
        charge = self._usage.charge(image, quota)
        if charge:
            image = image.model_copy(update={"charged_bytes": image.bytes})
        writes = [self._writes.create(image)]
        pointers = build_pointers(image)
        if claim and image.sha256:
            expected = pointers.pop(expected_key(image.owner, image.sha256), None)
            writes.append(
                self._writes.claim_ticket(expected, replaces) if expected else self._writes.claim(image, replaces)
            )
        claims = len(writes) > 1
        events = self._events.of((None, image))
        writes += [*map(self._writes.put, pointers.values()), *events.writes, *([charge] if charge else [])]
        try:
            transact(self._client, writes)
        except Refused as refused:
            if refused.reasons[0] is not None:
                raise AlreadyExists(image.id) from None
            if claims and refused.reasons[1] is not None:
                raise HashTaken(self._hashes.holder(refused.reasons[1], image)) from None
            raise OverQuota(read_usage(items.deserialize(refused.reasons[-1] or {}))) from None
        self.counters.add([(None, image)])
        events.announce()

    def claim(self, image: Image) -> bool:
        """See `ImageRepository.claim`. A record that is deleted, or has other bytes now, does not claim them."""
        return self._hashes.claim(image)

    def get(self, image_id: str) -> Image | Tombstone | None:
        """See `ImageRepository.get`."""
        item = read_item(self._client, self._table, image_id)
        return items.read_record(item, utcnow()) if item else None

    def get_stored(self, image_id: str) -> StoredImage | None:
        """See `ImageRepository.get_stored`."""
        record = self.get(image_id)
        return items.StoredItem(record) if isinstance(record, Image) else None

    def get_many(self, image_ids: Collection[str]) -> Mapping[str, Image]:
        """See `ImageRepository.get_many`."""
        return read_records(self._client, self._table, image_ids)

    def versions(self, image_ids: Collection[str]) -> Mapping[str, int]:
        """See `ImageRepository.versions`."""
        return read_versions(self._client, self._table, image_ids)

    def find_hash(self, owner: str, sha256: str) -> str | None:
        """See `ImageRepository.find_hash`."""
        item = read_item(self._client, self._table, hash_key(owner, sha256))
        return str(item[POINTS_TO]) if item else None

    def find_copies(self, owner: str, hashes: Collection[str]) -> Mapping[str, Sequence[str]]:
        """See `ImageRepository.find_copies`."""
        return self._hashes.find_copies(owner, hashes)

    def find_hashes(self, owner: str, hashes: Collection[str]) -> Mapping[str, str]:
        """See `ImageRepository.find_hashes`."""
        return read_hashes(self._client, self._table, owner, hashes)

    def find_ticket(self, owner: str, sha256: str) -> str | None:
        """See `ImageRepository.find_ticket`."""
        item = read_item(self._client, self._table, expected_key(owner, sha256))
        return str(item[POINTS_TO]) if item else None

    def find_bands(self, owner: str, bands: Collection[str], limit: int) -> Iterator[Sequence[tuple[str, str]]]:
        """See `ImageRepository.find_bands`."""
        return listing.bands(self._client, self._table, owner, bands, limit)

    def update(self, image_id: str, expected_version: int, changes: Mapping[str, Any]) -> Image:
        """See `ImageRepository.update`. Raises `ValueError` for a field or a value that a record cannot have.

        One write if no index entry changes and no event is made, else a read and a transaction, which also renews what
        0.1.0 wrote.
        """
        if unknown := set(changes) - UPDATABLE:
            raise ValueError(f"not fields that can be updated: {', '.join(sorted(unknown))}")
        own = {**changes, "version": expected_version + 1, "updated_at": utcnow()}
        work = items.changed_work(own.pop("work", {}))
        fields = items.changed_fields(own)
        derived = items.LISTED | items.PARTITIONED | items.RENEWED | COUNTED | self._events.watched
        if not derived & changes.keys():
            return write_alone(self._client, image_id, self._writes.update(image_id, expected_version, fields), fields)
        old, item = read_live(self._client, self._table, image_id, expected_version)
        before = items.stored_work(item, old)
        after = items.change_tasks(before, work)
        kept = {name: getattr(old, name) for name in old.model_fields_set}  # a field that is absent stays so
        new = Image.model_validate(kept | own | {"work": after})
        if items.PARTITIONED & changes.keys():
            fields |= items.listing_fields(new)
        renewed = items.renewed_fields(new, after, item)
        update = self._writes.update(
            image_id,
            expected_version,
            fields | renewed,
            work={} if items.WORK in renewed else work,
            seen=str(item["updated_at"]),
        )
        gone, there = build_pointers(old, before), build_pointers(new, after)
        # A pointer that looks the same may be missing, or be that of 0.1.0: its worker removes it when it has finished.
        unsure = set(there) if renewed else {open_key(image_id)} if work else set()
        pointers = [self._writes.delete_pointer(gone[key]) for key in gone.keys() - there.keys()]
        pointers += [
            self._writes.put_pointer(put) for key, put in there.items() if put != gone.get(key) or key in unsure
        ]
        events = self._events.of((old, new))
        if pointers or events.writes:
            write_record(self._client, image_id, [update, *pointers, *events.writes])
        else:
            new = write_alone(self._client, image_id, update, fields)
        self.counters.add([(old, new)])
        events.announce()
        return new

    def reindex(self, image: Image) -> bool:
        """See `ImageRepository.reindex`. Reads the pointers first, which costs a tenth of writing them."""
        old, item = read_live(self._client, self._table, image.id, image.version)
        pointers = build_pointers(old, items.stored_work(item, old))
        missing = self._writes.missing(pointers, read_items(self._client, self._table, pointers))
        if missing:
            unchanged = self._writes.is_at(image.id, image.version, str(item["updated_at"]))
            try:
                transact(self._client, [unchanged, *missing])
            except Refused:
                raise Stale(image.id) from None
        self.counters.note(image.owner)
        return bool(missing)

    def delete(self, image_id: str, expected_version: int, tombstone: Tombstone) -> None:
        """See `ImageRepository.delete`."""
        item = items.tombstone_item(tombstone)
        kept = open_item(image_id, item[items.WORK].values())
        self._end(image_id, expected_version, self._writes.put(item), kept)

    def update_tombstone(self, image_id: str, work: Mapping[Task, Work | None]) -> None:
        """See `ImageRepository.update_tombstone`."""
        changes = items.changed_work(work)
        for attempt in range(_ATTEMPTS):
            item = read_item(self._client, self._table, image_id)
            record = items.read_record(item, utcnow()) if item else None
            if isinstance(record, Image):
                return
            try:
                if item and record:
                    tasks = items.change_tasks(items.stored_work(item, record), changes)
                    pointer = open_item(image_id, tasks.values())
                    transact(self._client, [self._writes.update_tombstone(item, tasks), self._place(image_id, pointer)])
                else:
                    transact(self._client, [self._writes.absent(image_id), self._place(image_id, None)])
            except Refused:
                pause(attempt)  # it has changed in between
            else:
                return
        raise Unavailable("The record is busy.")

    def _place(self, image_id: str, pointer: Item | None) -> Write:
        return self._writes.put(pointer) if pointer else self._writes.delete(open_key(image_id))

    def remove(self, image_id: str, expected_version: int) -> None:
        """See `ImageRepository.remove`."""
        self._end(image_id, expected_version, self._writes.delete(image_id), None)

    def remove_all(self, images: Sequence[Image]) -> set[str]:
        """See `ImageRepository.remove_all`. Removes as many records per transaction as fit, and others one by one."""
        removed: set[str] = set()
        for group in group_images(images):
            if self._remove_group(group):
                removed |= {image.id for image in group}
                continue
            for image in group:
                with suppress(Stale):
                    self.remove(image.id, image.version)
                    removed.add(image.id)
        return removed

    def _remove_group(self, group: Sequence[Image]) -> bool:
        """Remove records in one transaction. Return False if it is refused, or if the records make events."""
        if any(self._events.of((image, None)).writes for image in group):
            return False
        removals = [write for image in group for write in self._removal(image)]
        try:
            transact(self._client, [*removals, *self._usage.frees(group)])
        except Refused:
            return False
        self.counters.add((image, None) for image in group)
        return True

    def _removal(self, image: Image) -> list[Write]:
        seen = str(items.changed_fields({"updated_at": image.updated_at})["updated_at"])
        record = self._usage.while_charged(while_live(self._writes.delete(image.id), image.version, seen), image)
        pointers = [self._writes.delete_pointer(pointer) for pointer in build_pointers(image).values()]
        return [record, *pointers, *([self._writes.release(image)] if image.sha256 else [])]

    def open_tickets(self, owner: str, limit: int) -> Sequence[str]:
        """See `ImageRepository.open_tickets`. Reads the index, because writes of one counter item would conflict."""
        return listing.open_tickets(self._client, self._table, owner, limit)

    def list_stored(self, query: ListQuery) -> Page[StoredImage]:
        """See `ImageRepository.list_stored`."""
        found = self.list(query)
        return Page([items.StoredItem(image) for image in found.items], found.next_after)

    def list(self, query: ListQuery) -> Page[Image]:
        """See `ImageRepository.list`."""
        return listing.page(self._client, self._table, query)

    def due(self, until: datetime) -> Iterator[str]:
        """See `ImageRepository.due`."""
        return listing.due(self._client, self._table, until)

    def owned(self, owner: str) -> Iterator[str]:
        """See `ImageRepository.owned`."""
        return listing.owned(self._client, self._table, owner)

    def scan(self, after: str | None = None) -> Iterator[Image]:
        """See `ImageRepository.scan`."""
        return listing.scan(self._client, self._table, after)

    def ping(self) -> None:
        """See `ImageRepository.ping`."""
        read_item(self._client, self._table, "ping")

    def _end(self, image_id: str, expected_version: int, last: Write, kept: Item | None) -> None:
        """Replace or delete the record, together with its pointers; `kept` is the pointer of a tombstone's work."""
        image, item = read_live(self._client, self._table, image_id, expected_version)
        pointers = build_pointers(image, items.stored_work(item, image))
        if kept:
            pointers.pop(kept[KEY], None)
        events = self._events.of((image, None))
        writes = [
            self._usage.while_charged(while_live(last, expected_version, str(item["updated_at"])), image),
            *(self._writes.delete_pointer(each) for each in pointers.values()),
            *([self._writes.put(kept)] if kept else []),
            *events.writes,
            *self._usage.frees([image]),
        ]
        # In most cases the hash pointer names this record and has no copies. Try that first, which saves reading it.
        pointer = [self._writes.release(image)] if image.sha256 else []
        for attempt in range(_ATTEMPTS):
            try:
                transact(self._client, [*writes, *pointer])
            except Refused as refused:
                if refused.reasons[0] is not None:
                    raise Stale(image_id) from None
                writes = accepted(writes, refused)
                pointer = [self._hashes.removal(image, items.deserialize(refused.reasons[-1] or {}))]
                if attempt:
                    pause(attempt)  # the pointer has changed in between
            else:
                self.counters.add([(image, None)])
                events.announce()
                return
        raise Unavailable("The record is busy.")
