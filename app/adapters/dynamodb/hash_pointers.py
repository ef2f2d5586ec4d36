"""Pointers from bytes to the record that stands for them, and to further copies."""

from collections.abc import Collection
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import Refused, pause, transact
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.keys import expected_key, hash_key
from app.adapters.dynamodb.reading import read_item, read_items
from app.adapters.dynamodb.table import KEY
from app.adapters.dynamodb.writes import COPIES, Write, Writes
from app.domain.errors import Unavailable
from app.domain.models import Image

_ATTEMPTS = 6
#: Maximum number of copies in a hash pointer: items are limited in size, and writing a large one costs more.
_MOST_COPIES = 20


class HashPointers:
    """Changes of hash pointers, each under the condition that nobody has changed the pointer meanwhile."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._writes = Writes(table)

    def claim(self, image: Image) -> bool:
        """See `ImageRepository.claim`."""
        if not image.sha256:
            return False
        has_bytes = self._writes.has_bytes(image)
        for attempt in range(_ATTEMPTS):
            try:
                transact(self._client, [has_bytes, self._writes.claim(image, image.id)])
            except Refused as refused:
                if refused.reasons[0] is not None:
                    return False
                found = items.deserialize(refused.reasons[1] or {})
            else:
                return True
            copies = found.get(COPIES, set())
            if found and (image.id in copies or len(copies) >= _MOST_COPIES):
                return False
            try:
                transact(self._client, [has_bytes, self._writes.note_copy(image, found.get("image_id", ""))])
            except Refused:
                pause(attempt)  # the pointer has changed in between
            else:
                return False
        return False

    def removal(self, image: Image, pointer: Item) -> Write:
        """Return the write that removes a record from the hash pointer that was found."""
        holder, copies = pointer.get("image_id"), pointer.get(COPIES, set())
        if holder == image.id and copies:
            return self._writes.pass_on(image, min(copies))
        if holder is None or holder == image.id:
            return self._writes.release(image)
        return self._writes.forget_copy(image, holder) if image.id in copies else self._writes.points_elsewhere(image)

    def find_copies(self, owner: str, hashes: Collection[str]) -> dict[str, list[str]]:
        """See `ImageRepository.find_copies`."""
        by_key = {hash_key(owner, sha256): sha256 for sha256 in hashes}
        pointers = read_items(self._client, self._table, by_key)
        return {by_key[item[KEY]]: sorted(item[COPIES]) for item in pointers if COPIES in item}

    def holder(self, found: Item | None, image: Image) -> str:
        """Return the id that the pointer names, which was found when a claim was refused."""
        key = (hash_key if image.upload_expires_at is None else expected_key)(image.owner, image.sha256 or "")
        item = items.deserialize(found) if found else read_item(self._client, self._table, key)
        if not item:  # it was there when the transaction looked and is gone now: the caller's retry finds it free
            raise Unavailable("The record of these bytes keeps changing.")
        return str(item["image_id"])
