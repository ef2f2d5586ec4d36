"""Items of records, and the pointer items written together with them."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from app.adapters.dynamodb.table import EXPIRES_AT, INDEX_KEY, INDEX_SORT, KEY
from app.domain.models import Image, Status, Tombstone, is_open_ticket

Item = dict[str, Any]

#: Kind of an item: records and tombstones share the key space of ids.
KIND = "kind"
#: Fields that determine the pointers of a record, in addition to id and owner.
LISTED = frozenset({"status", "content_type", "tags", "stale_renderings", "upload_expires_at"})
#: Fields that determine the index partition of the record itself.
PARTITIONED = frozenset({"upload_expires_at", "arrived_at"})
# Stored as JSON text: maps with any key, and floats, because DynamoDB's numbers cannot represent every float.
_AS_JSON = frozenset({"exif", "metadata", "focal_point"})
# `upload_expires_at` of a record and `expires_at` of a tombstone, to the microsecond. `EXPIRES_AT`, in whole seconds,
# is DynamoDB's time to live: it removes items without looking for their bytes, so only settled tombstones have it.
_EXPIRES = "expires"
#: Value that `EXPIRES_AT` of a tombstone gets when its delete is finished.
GONE_AFTER = "gone_after"
# Functions of 0.1.0 run next to this version during a deployment. They find the variants that they serve and delete by
# the attribute `rendering`, so it keeps its name.
_STORED_AS = {"rendering_id": "rendering"}
# Fields and the attributes that 0.1.0 has for them. Writing a field removes its old attribute: one that exists was
# written later, by 0.1.0.
_OLD_NAMES = {"declared_content_type": "declared_type", "privacy_report": "privacy"}
#: Entries of `exif` that 0.1.0 has instead of the field `rights`.
_RIGHTS = frozenset({"artist", "copyright"})
# Required fields of a record, to validate single fields.
_REQUIRED = {"id": "", "owner": "", "content_type": "", "bytes": 0, "uploaded_at": 0, "updated_at": 0}

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def serialize(item: Mapping[str, Any]) -> Item:
    """Return plain values in DynamoDB's typed form. Floats are not supported."""
    return {name: _serializer.serialize(value) for name, value in item.items()}


def deserialize(item: Mapping[str, Any]) -> Item:
    """Return the plain values of a typed item."""
    return {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}


def listing_fields(image: Image) -> Item:
    """Return the attributes that add a record to its owner's list. The record of a ticket is not in the list; open
    tickets have a separate partition, which is counted."""
    if image.upload_expires_at is None:
        return {EXPIRES_AT: None, _EXPIRES: None, INDEX_KEY: owner_key(image.owner), INDEX_SORT: image.id}
    expires = {EXPIRES_AT: None, _EXPIRES: image.upload_expires_at.isoformat()}
    if not is_open_ticket(image):
        return {**expires, INDEX_KEY: None, INDEX_SORT: None}
    return {**expires, INDEX_KEY: ticket_key(image.owner), INDEX_SORT: image.id}


def changed_fields(changes: Mapping[str, Any]) -> Item:
    """Return single fields of an image as plain values, None for those to remove. Raises `ValueError` if invalid."""
    checked = Image.model_validate({**_REQUIRED, **changes})
    old_names = {_OLD_NAMES[name]: None for name in _OLD_NAMES.keys() & changes.keys()}
    return _plain_fields(checked, set(changes)) | old_names


def image_item(image: Image) -> Item:
    """Return the item of a record, with the attributes of its owner's list."""
    fields = {**_plain_fields(image), **listing_fields(image)}
    return {KEY: image.id, KIND: "image", **{name: value for name, value in fields.items() if value is not None}}


def tombstone_item(tombstone: Tombstone) -> Item:
    """Return the item that replaces a deleted record. It is in no list; DynamoDB removes it when the delete is finished
    and it has expired."""
    fields = tombstone.model_dump(mode="json", exclude={"id", "expires_at"})
    ends = math.ceil(tombstone.expires_at.timestamp())
    expiry = {_EXPIRES: tombstone.expires_at.isoformat(), GONE_AFTER: ends, EXPIRES_AT: ends}
    if not tombstone.settled:
        del expiry[EXPIRES_AT]
    return {KEY: tombstone.id, KIND: "tombstone", **expiry, **fields}


def read_record(item: Mapping[str, Any], now: datetime) -> Image | Tombstone | None:
    """Return the record or tombstone of an item; None for other items, and for an expired tombstone whose delete is
    finished."""
    if item.get(KIND) == "image":
        maps = {name: json.loads(item[name]) for name in _AS_JSON & item.keys()}
        own = {"id": item[KEY], "upload_expires_at": item.get(_EXPIRES)}
        own |= {field: item.get(attribute) for field, attribute in _STORED_AS.items()}
        return Image.model_validate(_translate({**item, **maps, **own}))
    if item.get(KIND) == "tombstone":
        tombstone = Tombstone.model_validate({**item, "id": item[KEY], "expires_at": item[_EXPIRES]})
        return None if tombstone.settled and tombstone.expires_at <= now else tombstone
    return None


def _translate(fields: Item) -> Item:
    """Return the fields with values that 0.1.0 wrote under their present names."""
    new = {field: fields[old] for field, old in _OLD_NAMES.items() if old in fields}
    if "privacy_report" in new:  # a worker of 0.1.0 made the variants
        new["recipe_id"] = None
        exif = fields.get("exif", {})
        new["rights"] = {name: exif.get(name) for name in _RIGHTS}
        new["exif"] = {name: value for name, value in exif.items() if name not in _RIGHTS}
    return fields | new


def owner_key(owner: str) -> str:
    """Return the index partition of all images of an owner."""
    return f"owner#{_part(owner)}"


def ticket_key(owner: str) -> str:
    """Return the index partition of an owner's open upload tickets."""
    return f"ticket#{_part(owner)}"


def pointer_key(kind: str, owner: str, value: str) -> str:
    """Return the index partition of an owner's images with a value. `kind` is `tag`, `status` or `type`."""
    return f"{kind}#{_part(owner)}#{_part(value)}"


def hash_key(owner: str, sha256: str) -> str:
    """Return the key of the item that points to the image with these bytes."""
    return f"sha256#{_part(owner)}#{sha256}"


def open_partition(image_id: str) -> str:
    """Return the index partition of an id with unfinished work: one of 16, by the last digit of the id."""
    return f"open#{image_id[-1]}"


def build_pointers(image: Image) -> dict[str, Item]:
    """Return the pointer items of a record, by key."""
    partitions = [
        pointer_key("status", image.owner, image.status),
        pointer_key("type", image.owner, image.content_type),
        *(pointer_key("tag", image.owner, tag) for tag in image.tags),
    ]
    if image.upload_expires_at is not None:
        partitions = []
    items = [{KEY: f"{partition}#{image.id}", INDEX_KEY: partition, INDEX_SORT: image.id} for partition in partitions]
    if image.status is Status.PENDING or image.stale_renderings:
        items.append(open_item(image.id))
    return {item[KEY]: item for item in items}


def open_item(image_id: str) -> Item:
    """Return the pointer item of an id with unfinished work."""
    return {KEY: f"open#{image_id}", INDEX_KEY: open_partition(image_id), INDEX_SORT: image_id}


def _part(text: str) -> str:
    return quote(text, safe="")


def _plain_fields(image: Image, names: set[str] | None = None) -> Item:
    plain = image.model_dump(mode="json", include=names, exclude={"id", "upload_expires_at"})
    for name in _AS_JSON & plain.keys():
        plain[name] = None if plain[name] is None else json.dumps(plain[name], ensure_ascii=False)
    return {_STORED_AS.get(name, name): value for name, value in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
