"""Originals: fetching one into a scratch file, and creating the record of one that has none."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from app.domain.errors import AlreadyExists, HashTaken, ImageError, Missing, Stale, Unavailable
from app.domain.ids import id_time
from app.domain.keys import original_key
from app.domain.media import NAMES, UNKNOWN_TYPE, media_type_of
from app.domain.models import ANONYMOUS, FailureCode, Image, Status, utcnow
from app.domain.other_formats import NAMING_BYTES, recognize
from app.domain.ports import ImageRepository, ObjectStore

_PIECE = 1024 * 1024


class Original(NamedTuple):
    """Facts about the bytes of an original. `format` is its name; `media_type` is None if it is not supported.

    `is_shared` is True if the scratch file is the original itself.
    """

    bytes: int
    sha256: str
    media_type: str | None
    format: str | None = None
    is_shared: bool = False


def fetch(
    store: ObjectStore, image_id: str, max_bytes: int, to: Path | None = None, *, may_share: bool = False
) -> Original:
    """Read an original once, into the file `to` if given. With `may_share`, that file may be the original itself.

    Raises `Missing` if it does not exist, and `ImageError` if it is larger than `max_bytes`.
    """
    key = original_key(image_id)
    if to is not None and may_share and store.share(key, to):
        with to.open("rb") as file:
            return _read(file, max_bytes)._replace(is_shared=True)
    with store.open(key) as body, (to or Path("/dev/null")).open("wb") as file:
        return _read(body, max_bytes, file)


def _read(body: BinaryIO, max_bytes: int, copy: BinaryIO | None = None) -> Original:
    digest = hashlib.sha256()
    head = b""
    size = 0
    while piece := body.read(_PIECE):
        size += len(piece)
        if size > max_bytes:
            detail = f"The file is larger than {max_bytes:,} bytes, the limit of this service."
            raise ImageError(FailureCode.TOO_LARGE, detail)
        if len(head) < NAMING_BYTES:
            head += piece[: NAMING_BYTES - len(head)]
        digest.update(piece)
        if copy:
            copy.write(piece)
    media_type = media_type_of(head)
    other = None if media_type else recognize(head)
    name = NAMES[media_type] if media_type else other.name if other else None
    return Original(size, digest.hexdigest(), media_type, name)


def adopt(store: ObjectStore, images: ImageRepository, image_id: str, max_bytes: int) -> bool:
    """Create a record of `anonymous` for an object that has none. Returns False if there is no such object.

    Bytes that already have a record are adopted too, as a second image, because the object exists. Raises `Unavailable`
    for an object that exists and cannot be read: only its event knows of it.
    """
    key = original_key(image_id)
    info = store.stat(key)
    if info is None:
        return False
    try:
        original = fetch(store, image_id, max_bytes)
    except Missing:
        if store.stat(key) is None:
            return False
        raise Unavailable(f"The object {key} exists and may not be read.") from None
    except ImageError:  # processing fails in the same way and records it
        original = Original(info.size, "", None)
    now = utcnow()
    image = Image(
        id=image_id,
        owner=ANONYMOUS,
        status=Status.PENDING,
        content_type=original.media_type or UNKNOWN_TYPE,
        bytes=original.bytes,
        sha256=original.sha256 or None,
        uploaded_at=min(id_time(image_id), now),
        updated_at=now,
    )
    try:
        try:
            images.create(image, claim=bool(original.sha256))
        except HashTaken:  # the worker notes the copy when it adds the hash
            images.create(image.model_copy(update={"sha256": None}), claim=False)
    except AlreadyExists:  # another delivery was faster
        return True
    if store.stat(key) is None:  # removed meanwhile by the request that stored it, because its record was gone
        with suppress(Stale):
            images.remove(image_id, image.version)
        return False
    return True
