"""Records as items, and the pointer items that stand beside them."""

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

#: What an item is: records and tombstones share the key space of ids.
KIND = "kind"
#: The fields that decide which pointers a record has, with its id and owner.
LISTED = frozenset({"status", "content_type", "tags", "stale_renderings", "upload_expires_at"})
#: The fields that decide in which partition of the index the record itself is.
PARTITIONED = frozenset({"upload_expires_at", "arrived_at"})
# Kept as text: maps with any key, and floats, of which DynamoDB's numbers cannot hold every one.
_AS_JSON = frozenset({"exif", "metadata", "focal_point"})
# `upload_expires_at` of a record and `expires_at` of a tombstone, to the microsecond. `EXPIRES_AT`, in whole seconds,
# is DynamoDB's time to live: it removes items without looking for their bytes, so only settled tombstones have it.
_EXPIRES = "expires"
#: What `EXPIRES_AT` of a tombstone becomes when its delete is finished.
GONE_AFTER = "gone_after"
# Functions of 0.1.0 run next to this version during a deployment. They find the variants that they serve and delete by
# the attribute `rendering`, so it keeps its name.
_STORED_AS = {"rendering_id": "rendering"}
# Fields and the attributes that 0.1.0 has for them. Writing a field removes its old attribute: one that exists was
# written later, by 0.1.0.
_OLD_NAMES = {"declared_content_type": "declared_type", "privacy_report": "privacy"}
#: Entries of `exif` that 0.1.0 has instead of the field `rights`.
_RIGHTS = frozenset({"artist", "copyright"})
# What a record cannot be without, for looking at single fields of one.
_NOBODY = {"id": "", "owner": "", "content_type": "", "bytes": 0, "uploaded_at": 0, "updated_at": 0}

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def write(item: Mapping[str, Any]) -> Item:
    """Plain values in DynamoDB's typed form. There are no floats among them."""
    return {name: _serializer.serialize(value) for name, value in item.items()}


def read(item: Mapping[str, Any]) -> Item:
    """The plain values of a typed item."""
    return {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}


def listing_fields(image: Image) -> Item:
    """Return the attributes that put a record into its owner's list or, while it is that of a ticket, keep it out.
    Open tickets are in a partition of their own, which is counted."""
    if image.upload_expires_at is None:
        return {EXPIRES_AT: None, _EXPIRES: None, INDEX_KEY: owner_key(image.owner), INDEX_SORT: image.id}
    expires = {EXPIRES_AT: None, _EXPIRES: image.upload_expires_at.isoformat()}
    if not is_open_ticket(image):
        return {**expires, INDEX_KEY: None, INDEX_SORT: None}
    return {**expires, INDEX_KEY: ticket_key(image.owner), INDEX_SORT: image.id}


def changed_fields(changes: Mapping[str, Any]) -> Item:
    """Single fields of an image as plain values, None for what is to go. Raises `ValueError` for what cannot be."""
    checked = Image.model_validate({**_NOBODY, **changes})
    old_names = {_OLD_NAMES[name]: None for name in _OLD_NAMES.keys() & changes.keys()}
    return _plain_fields(checked, set(changes)) | old_names


def image_item(image: Image) -> Item:
    """The record's own item, a member of its owner's list."""
    fields = {**_plain_fields(image), **listing_fields(image)}
    return {KEY: image.id, KIND: "image", **{name: value for name, value in fields.items() if value is not None}}


def tombstone_item(tombstone: Tombstone) -> Item:
    """Return the item that takes a deleted record's place: in no list, removed by DynamoDB once it is settled and has
    expired."""
    fields = tombstone.model_dump(mode="json", exclude={"id", "expires_at"})
    ends = math.ceil(tombstone.expires_at.timestamp())
    expiry = {_EXPIRES: tombstone.expires_at.isoformat(), GONE_AFTER: ends, EXPIRES_AT: ends}
    if not tombstone.settled:
        del expiry[EXPIRES_AT]
    return {KEY: tombstone.id, KIND: "tombstone", **expiry, **fields}


def record_of(item: Mapping[str, Any], now: datetime) -> Image | Tombstone | None:
    """Return the record or tombstone in an item; None for anything else, and for a settled tombstone that has
    expired."""
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
    """Return the fields with what 0.1.0 has written under their present names."""
    new = {field: fields[old] for field, old in _OLD_NAMES.items() if old in fields}
    if "privacy_report" in new:  # a worker of 0.1.0 made the variants
        new["recipe_id"] = None
        exif = fields.get("exif", {})
        new["rights"] = {name: exif.get(name) for name in _RIGHTS}
        new["exif"] = {name: value for name, value in exif.items() if name not in _RIGHTS}
    return fields | new


def owner_key(owner: str) -> str:
    """The index partition of everything an owner has."""
    return f"owner#{_part(owner)}"


def ticket_key(owner: str) -> str:
    """The index partition of an owner's open upload tickets."""
    return f"ticket#{_part(owner)}"


def pointer_key(kind: str, owner: str, value: str) -> str:
    """The index partition of an owner's images with a value: kind `tag`, `status` or `type`."""
    return f"{kind}#{_part(owner)}#{_part(value)}"


def hash_key(owner: str, sha256: str) -> str:
    """The key of the item that says which image has these bytes."""
    return f"sha256#{_part(owner)}#{sha256}"


def open_partition(image_id: str) -> str:
    """The index partition of an unsettled id: sixteen of them, by the id's last digit."""
    return f"open#{image_id[-1]}"


def pointers_of(image: Image) -> dict[str, Item]:
    """The pointer items that stand beside a record, by their keys."""
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
    """The pointer of what is not at rest."""
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
