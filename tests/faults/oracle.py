"""Invariants of the AWS side at rest after any faults: the state that a clean run leaves."""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

from PIL import Image as Pillow

from app.adapters.dynamodb import items, keys, pointers
from app.adapters.dynamodb.table import KEY
from app.domain.errors import Missing
from app.domain.images.stats import add_up
from app.domain.keys import original_key, variant_key
from app.domain.models import Image, Status, Tombstone, Variant, Visibility, utcnow
from tests.sides import Side

#: Beginnings of the keys of counts, which are approximate, of the position of their recount, and of webhooks.
OTHERS = ("stats#", "recount", "event#", "delivery#", "health#")


def unrest(side: Side, *, gone: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment] # never written to
    """Every difference from a clean end, as sentences; `gone` are the ids that were deleted."""
    found = list(_items(side))
    images = {item[KEY]: image for item in found if isinstance(image := items.read_record(item, utcnow()), Image)}
    return [
        *_of_items(found, images),
        *(sentence for image in images.values() for sentence in _of_image(side, image)),
        *(f"unfinished: {image_id}" for image_id in side.unfinished()),
        *(f"an object without a record: {key}" for key in sorted(side.objects() - _keys(images))),
        *(f"deleted and still there: {image_id}" for image_id in sorted(gone & images.keys())),
    ]


def miscounted(side: Side) -> list[str]:
    """Every owner whose counts are not those of the records, as sentences."""
    found = list(_items(side))
    records = [image for item in found if isinstance(image := items.read_record(item, utcnow()), Image)]
    expected = add_up((None, record) for record in records)
    counted = {each.owner: {name: value for name, value in each.counts.items() if value}
               for each in side.counters.list(200)}  # fmt: skip
    return [
        f"counted {counted.get(owner)} instead of {expected.get(owner)}: {owner}"
        for owner in sorted(expected.keys() | counted.keys())
        if counted.get(owner, {}) != expected.get(owner, {})
    ]


def _of_items(found: list[dict[str, Any]], images: dict[str, Image]) -> Iterator[str]:
    expected = {key for image in images.values() for key in pointers.build_pointers(image)}
    seen = set()
    for item in found:
        key = item[KEY]
        record = items.read_record(item, utcnow())
        if key.startswith("sha256#"):
            image = images.get(item["image_id"])
            if image is None or keys.hash_key(image.owner, image.sha256 or "") != key:
                yield f"a hash pointer that names no live image of these bytes: {key} -> {item['image_id']}"
            for copy in item.get("copies", set()) - images.keys():
                yield f"a hash pointer that notes a copy which is gone: {key} -> {copy}"
        elif isinstance(record, Tombstone):
            if not record.is_finished:
                yield f"a delete that is not finished: {key}"
        elif key not in images and item.get(items.KIND) != "tombstone" and not key.startswith(OTHERS):
            seen.add(key)
    yield from (f"a pointer without its image: {key}" for key in sorted(seen - expected))
    yield from (f"an image without its pointer: {key}" for key in sorted(expected - seen))


def _of_image(side: Side, image: Image) -> Iterator[str]:
    if side.images.get(image.id) != image:
        yield f"read otherwise than it is stored: {image.id}"
    if image.status is Status.PENDING:
        yield f"pending: {image.id}"
    raw = _bytes(side, original_key(image.id))
    if raw is None or len(raw) != image.bytes or hashlib.sha256(raw).hexdigest() != image.sha256:
        yield f"the original is not what the record says: {image.id}"
    if image.status is Status.READY and not image.variants:
        yield f"ready without variants: {image.id}"
    if image.status is Status.READY and image.placed is not image.visibility:
        yield f"{image.visibility} and stored as {image.placed}: {image.id}"
    for variant in image.variants:
        raw = _bytes(side, _variant_key(image, variant))
        if raw is None or len(raw) != variant.bytes:
            yield f"a variant is not what the record says: {image.id} {variant.file}"
            continue
        with Pillow.open(io.BytesIO(raw)) as picture:
            if picture.size != (variant.width, variant.height):
                yield f"a variant is not of the size that the record says: {image.id} {variant.file}"


def _keys(images: dict[str, Image]) -> set[str]:
    originals = {original_key(image_id) for image_id in images}
    return originals | {_variant_key(image, variant) for image in images.values() for variant in image.variants}


def _variant_key(image: Image, variant: Variant) -> str:
    return variant_key(image.id, image.rendering_id or "", variant.file, public=image.placed is Visibility.PUBLIC)


def _bytes(side: Side, key: str) -> bytes | None:
    try:
        with side.store.open(key) as stream:
            return stream.read()
    except Missing:
        return None


def _items(side: Side) -> Iterator[dict[str, Any]]:
    client, table = side.images._client, side.images._table  # type: ignore[attr-defined] # the table as it is
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from (items.deserialize(item) for item in page["Items"])
