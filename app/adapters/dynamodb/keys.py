"""Keys of items and of index partitions."""

from datetime import UTC, datetime
from urllib.parse import quote

#: Prefix of the index sort of distant work: above every date.
DISTANT = "~"
#: Index partitions of the owners: those whose images have been recounted, and those whose have not.
OWNERS, NEW_OWNERS = "owners", "owners#new"


def owner_key(owner: str) -> str:
    """Return the index partition of all images of an owner."""
    return f"owner#{key_part(owner)}"


def ticket_key(owner: str) -> str:
    """Return the index partition of an owner's open upload tickets."""
    return f"ticket#{key_part(owner)}"


def arrived_key(owner: str) -> str:
    """Return the index partition of an owner's upload tickets whose bytes have arrived."""
    return f"arrived#{key_part(owner)}"


def trash_key(owner: str) -> str:
    """Return the index partition of an owner's trashed images."""
    return f"trash#{key_part(owner)}"


def list_partitions(owner: str) -> tuple[str, ...]:
    """Return the index partitions that contain every record of an owner, each in one of them."""
    return owner_key(owner), ticket_key(owner), arrived_key(owner), trash_key(owner)


def pointer_key(kind: str, owner: str, value: str) -> str:
    """Return the index partition of an owner's images with a value. `kind` is `tag`, `status`, `type` or
    `visibility`."""
    return f"{kind}#{key_part(owner)}#{key_part(value)}"


def hash_key(owner: str, sha256: str) -> str:
    """Return the key of the item that points to the image with these bytes."""
    return f"sha256#{key_part(owner)}#{sha256}"


def expected_key(owner: str, sha256: str) -> str:
    """Return the key of the item that points to the newest upload ticket for these bytes."""
    return f"ticket#{key_part(owner)}#{sha256}"


def idempotency_key(owner: str, key: str) -> str:
    """Return the key of the item of an idempotency key."""
    return f"idem#{key_part(owner)}#{key_part(key)}"


def band_key(owner: str, band: str) -> str:
    """Return the index partition of an owner's images with this band of their perceptual hash: see `similar.bands`."""
    return f"band#{key_part(owner)}#{band}"


def open_partition(digit: str) -> str:
    """Return the index partition of the ids with unfinished work that end with this hex digit."""
    return f"open#{digit}"


def open_key(image_id: str) -> str:
    """Return the key of the pointer item of an id with unfinished work."""
    return f"open#{image_id}"


def stats_key(owner: str) -> str:
    """Return the key of the item that holds the counts of an owner's images."""
    return f"stats#{key_part(owner)}"


def quota_key(owner: str) -> str:
    """Return the key of the item that holds what an owner uses of a quota."""
    return f"quota#{key_part(owner)}"


def due_text(due: datetime) -> str:
    """Return a time as text of a fixed width, in UTC, which sorts like the time."""
    return due.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def key_part(text: str) -> str:
    """Return a text as a part of a key: without `#`."""
    return quote(text, safe="")
