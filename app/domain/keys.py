"""Keys of objects. The client's file name is never part of one."""

from app.domain.ids import is_id

ORIGINALS = "originals/"
PROCESSED = "processed/"
#: Variants of public images, which are served without a signature.
PUBLIC = "processed/public/"
#: Sizes on demand of public images, which are served without a signature too.
ON_DEMAND = "ondemand/"


def original_key(image_id: str) -> str:
    """Return the key of an original."""
    return f"{ORIGINALS}{image_id}"


def original_id(key: str) -> str | None:
    """Return the id in the key of an original, or None for another key."""
    image_id = key.removeprefix(ORIGINALS)
    return image_id if key.startswith(ORIGINALS) and is_id(image_id) else None


def processed_prefix(image_id: str, rendering_id: str | None = None, *, public: bool = False) -> str:
    """Return the prefix of the keys of an image's variants, or of one rendering."""
    folder = PUBLIC if public else PROCESSED
    return f"{folder}{image_id}/" + (f"{rendering_id}/" if rendering_id else "")


def image_prefixes(image_id: str) -> tuple[str, ...]:
    """Return every prefix that holds variants or sizes of an image."""
    return processed_prefix(image_id), processed_prefix(image_id, public=True), size_prefix(image_id, public=True)


def size_prefix(image_id: str, *, public: bool) -> str:
    """Return the prefix of the keys of an image's sizes on demand."""
    return f"{ON_DEMAND}{image_id}/" if public else f"{processed_prefix(image_id)}{ON_DEMAND}"


def size_key(image_id: str, name: str, *, public: bool) -> str:
    """Return the key of a size on demand. `name` is that of its operation."""
    return size_prefix(image_id, public=public) + name


def size_id(key: str) -> str | None:
    """Return the id in the key of a public size on demand, or None for another key."""
    image_id, _, name = key.removeprefix(ON_DEMAND).partition("/")
    return image_id if key.startswith(ON_DEMAND) and name and is_id(image_id) else None


def variant_key(image_id: str, rendering_id: str, file: str, *, public: bool = False) -> str:
    """Return the key of a variant. A key always holds the same bytes."""
    return processed_prefix(image_id, rendering_id, public=public) + file


def rendering_name(rendering_id: str, *, public: bool) -> str:
    """Return the name of a stored rendering: its id, and its place."""
    return f"public/{rendering_id}" if public else rendering_id


def is_public_name(name: str) -> bool:
    """Return True if the rendering with this name is at the public place."""
    return name.startswith("public/")


def rendering_prefix(image_id: str, name: str) -> str:
    """Return the prefix of the rendering with this name."""
    rendering_id = name.removeprefix("public/")
    return processed_prefix(image_id, rendering_id, public=rendering_id != name)


def processed_id(key: str) -> str | None:
    """Return the id in the key of a variant, or None for another key."""
    rest = key.removeprefix(PUBLIC) if key.startswith(PUBLIC) else key.removeprefix(PROCESSED)
    image_id, _, file = rest.partition("/")
    return image_id if key.startswith(PROCESSED) and file and is_id(image_id) else None


def is_public(key: str) -> bool:
    """Return True if the object may be served to everybody."""
    return key.startswith((PUBLIC, ON_DEMAND))
