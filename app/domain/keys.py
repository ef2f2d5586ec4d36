"""Names of objects. The client's file name is never part of one."""

from app.domain.ids import is_id

ORIGINALS = "originals/"
PROCESSED = "processed/"


def original_key(image_id: str) -> str:
    """Return the key of the original."""
    return f"{ORIGINALS}{image_id}"


def original_id(key: str) -> str | None:
    """The id in the key of an original, or None for any other key."""
    image_id = key.removeprefix(ORIGINALS)
    return image_id if key.startswith(ORIGINALS) and is_id(image_id) else None


def processed_prefix(image_id: str, rendering: str | None = None) -> str:
    """Return the prefix of the keys of an image's variants, or of one rendering."""
    return f"{PROCESSED}{image_id}/" + (f"{rendering}/" if rendering else "")


def variant_key(image_id: str, rendering: str, file: str) -> str:
    """Return the key of a variant. A key always has the same bytes."""
    return processed_prefix(image_id, rendering) + file


def processed_id(key: str) -> str | None:
    """The id in the key of a variant, or None for any other key."""
    head, _, rest = key.partition("/")
    image_id, _, file = rest.partition("/")
    return image_id if f"{head}/" == PROCESSED and file and is_id(image_id) else None
