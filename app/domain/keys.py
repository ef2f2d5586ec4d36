"""Keys of objects. The client's file name is never part of one."""

from app.domain.ids import is_id

ORIGINALS = "originals/"
PROCESSED = "processed/"


def original_key(image_id: str) -> str:
    """Return the key of an original."""
    return f"{ORIGINALS}{image_id}"


def original_id(key: str) -> str | None:
    """Return the id in the key of an original, or None for another key."""
    image_id = key.removeprefix(ORIGINALS)
    return image_id if key.startswith(ORIGINALS) and is_id(image_id) else None


def processed_prefix(image_id: str, rendering_id: str | None = None) -> str:
    """Return the prefix of the keys of an image's variants, or of one rendering."""
    return f"{PROCESSED}{image_id}/" + (f"{rendering_id}/" if rendering_id else "")


def variant_key(image_id: str, rendering_id: str, file: str) -> str:
    """Return the key of a variant. A key always holds the same bytes."""
    return processed_prefix(image_id, rendering_id) + file


def processed_id(key: str) -> str | None:
    """Return the id in the key of a variant, or None for another key."""
    head, _, rest = key.partition("/")
    image_id, _, file = rest.partition("/")
    return image_id if f"{head}/" == PROCESSED and file and is_id(image_id) else None
