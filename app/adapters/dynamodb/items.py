"""Items of records, and the pointer items written together with them."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.adapters.dynamodb.keys import arrived_key, owner_key, ticket_key, trash_key
from app.adapters.dynamodb.table import EXPIRES_AT, INDEX_KEY, INDEX_SORT, KEY
from app.domain.models import Image, Tombstone, Visibility, is_open_ticket
from app.domain.work import Task, Work, derive_superseded, derive_work

Item = dict[str, Any]

#: Kind of an item: records and tombstones share the key space of ids.
KIND = "kind"
#: Fields that determine the pointers of a record, in addition to id and owner.
LISTED = frozenset(
    {"status", "content_type", "tags", "visibility", "phash", "sha256", "upload_expires_at", "trashed_at", "work"}
)
#: Fields that a worker of 0.1.0 may have changed: an update of one writes the others too, see `renewed_fields`.
RENEWED = frozenset({"placed"})
#: Fields that determine the index partition of the record itself.
PARTITIONED = frozenset({"upload_expires_at", "arrived_at", "trashed_at"})
# Stored as JSON text: maps with any key, and floats, because DynamoDB's numbers cannot represent every float.
_AS_JSON = frozenset({"exif", "metadata", "focal_point", "superseded"})
#: Attribute of a record or a tombstone: the map of its tasks. Tasks change one by one, so that those of a newer version
#: stay. An item of 0.1.0 has no such map.
WORK = "work"
# `upload_expires_at` of a record and `expires_at` of a tombstone, to the microsecond. `EXPIRES_AT`, in whole seconds,
# is DynamoDB's time to live: it removes items without looking for their bytes, so only finished tombstones have it.
_EXPIRES = "expires"
# Attribute of a tombstone that tells functions of 0.1.0 whether its delete is finished.
_FINISHED = "settled"
#: Value that `EXPIRES_AT` of a tombstone gets when its delete is finished.
GONE_AFTER = "gone_after"
# Functions of 0.1.0 run next to this version during a deployment. They find the variants that they serve and delete by
# the attribute `rendering`, so it keeps its name.
_STORED_AS = {"rendering_id": "rendering"}
# Fields and the attributes that 0.1.0 has for them. Writing a field removes its old attribute: one that exists was
# written later, by 0.1.0.
_OLD_NAMES = {
    "declared_content_type": "declared_type",
    "privacy_report": "privacy",
    "superseded": "stale_renderings",
}
# Fields that are read in another way while the attribute of 0.1.0 for `privacy_report` exists.
_RENDERED = frozenset({"privacy_report", "recipe_id", "placed", "rights", "exif"})
#: Entries of `exif` that 0.1.0 has instead of the field `rights`.
_RIGHTS = frozenset({"artist", "copyright"})
# Required fields of a record, to validate single fields.
_REQUIRED = {"id": "", "owner": "", "content_type": "", "bytes": 0, "uploaded_at": 0, "updated_at": 0}


def serialize(item: Mapping[str, Any]) -> Item:
    """Return plain values in DynamoDB's typed form. Sets hold texts. Raises `TypeError` for floats."""
    return {name: _typed(value) for name, value in item.items()}


def deserialize(item: Mapping[str, Any]) -> Item:
    """Return the plain values of a typed item."""
    return {name: _plain(value) for name, value in item.items()}


def listing_fields(image: Image) -> Item:
    """Return the attributes that add a record to one of its owner's lists: of images, of the trash, of open tickets,
    which are counted, or of tickets whose bytes have arrived."""
    expires = image.upload_expires_at and image.upload_expires_at.isoformat()
    if image.trashed_at is not None:
        partition = trash_key(image.owner)
    elif image.upload_expires_at is None:
        partition = owner_key(image.owner)
    else:
        partition = ticket_key(image.owner) if is_open_ticket(image) else arrived_key(image.owner)
    return {EXPIRES_AT: None, _EXPIRES: expires, INDEX_KEY: partition, INDEX_SORT: image.id}


def changed_fields(changes: Mapping[str, Any]) -> Item:
    """Return single fields of an image, except `work`, as plain values, None for those to remove. Raises `ValueError`
    if invalid."""
    checked = Image.model_validate({**_REQUIRED, **changes})
    old_names = {_OLD_NAMES[name]: None for name in _OLD_NAMES.keys() & changes.keys()}
    return _plain_fields(checked, set(changes)) | old_names


def changed_work(changes: Mapping[Task, Work | None]) -> Item:
    """Return tasks by name as plain values, None for those to remove. Raises `ValueError` if invalid."""
    return {str(Task(name)): task and plain_task(Work.model_validate(task)) for name, task in changes.items()}


def plain_task(task: Work) -> Item:
    """Return a task as plain values."""
    return task.model_dump(mode="json")


def renewed_fields(image: Image, tasks: Item, item: Mapping[str, Any]) -> Item:
    """Return the fields that replace what 0.1.0 wrote to an item: `tasks` and superseded renderings, and fields that
    are read in another way because it made the variants."""
    fields: Item = {}
    if WORK not in item or item.get(_OLD_NAMES["superseded"]):
        fields |= {**changed_fields({"superseded": image.superseded}), WORK: tasks}
    if _OLD_NAMES["privacy_report"] in item:
        fields |= changed_fields({name: getattr(image, name) for name in _RENDERED})
    return fields


def image_item(image: Image) -> Item:
    """Return the item of a record, with the attributes of its owner's list."""
    fields = {**_plain_fields(image), **listing_fields(image)}
    if "visibility" not in image.model_fields_set:  # as in a record of 0.1.0, which is written again
        del fields["visibility"]
    return {KEY: image.id, KIND: "image", **{name: value for name, value in fields.items() if value is not None}}


def tombstone_item(tombstone: Tombstone) -> Item:
    """Return the item that replaces a deleted record. It is in no list; DynamoDB removes it when the delete is finished
    and it has expired."""
    fields = tombstone.model_dump(mode="json", exclude={"id", "expires_at"}) | {_FINISHED: tombstone.is_finished}
    ends = math.ceil(tombstone.expires_at.timestamp())
    expiry = {_EXPIRES: tombstone.expires_at.isoformat(), GONE_AFTER: ends, EXPIRES_AT: ends}
    if not tombstone.is_finished:
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
        finished = not item.get(WORK, tombstone.work)
        return None if finished and tombstone.expires_at <= now else tombstone
    return None


class StoredItem:
    """`StoredImage` of an item. Each version of a record has a key of its own."""

    def __init__(self, image: Image) -> None:
        self.key = (image.id, image.version, image.updated_at)
        self._image = image

    def fields(self) -> Mapping[str, Any]:
        """See `StoredImage.fields`."""
        return self._image.model_dump(mode="json")

    def read(self) -> Image:
        """See `StoredImage.read`."""
        return self._image


def stored_work(item: Mapping[str, Any], record: Image | Tombstone) -> Item:
    """Return all tasks of the item of a record as plain values, with those that only a newer version knows."""
    found: Item = item.get(WORK, {})
    return {**found, **{str(name): plain_task(task) for name, task in record.work.items()}}


def change_tasks(tasks: Item, changes: Item) -> Item:
    """Return the tasks, as plain values, after changes by name; None removes a task."""
    return {name: task for name, task in {**tasks, **changes}.items() if task is not None}


def _translate(fields: Item) -> Item:
    """Return the fields with values that 0.1.0 wrote under their present names."""
    new = {field: fields[old] for field, old in _OLD_NAMES.items() if old in fields}
    if "privacy_report" in new:  # a worker of 0.1.0 made the variants
        new |= {"recipe_id": None, "placed": Visibility.PRIVATE}
        exif = fields.get("exif", {})
        new["rights"] = {name: exif.get(name) for name in _RIGHTS}
        new["exif"] = {name: value for name, value in exif.items() if name not in _RIGHTS}
    if new.pop("superseded", None) and WORK in fields:  # a worker of 0.1.0 processed it again
        new["superseded"] = derive_superseded(fields) | fields.get("superseded", {})
        new[WORK] = {Task.SWEEP: derive_work(fields | new)[Task.SWEEP], **fields[WORK]}
    return fields | new


def _plain_fields(image: Image, names: set[str] | None = None) -> Item:
    plain = image.model_dump(mode="json", include=names, exclude={"id", "upload_expires_at"})
    for name in _AS_JSON & plain.keys():
        plain[name] = None if plain[name] is None else json.dumps(plain[name], ensure_ascii=False)
    return {_STORED_AS.get(name, name): value for name, value in plain.items()}


def _typed(value: Any) -> Item:
    if isinstance(value, str):
        return {"S": value}
    if value is None or isinstance(value, bool):
        return {"NULL": True} if value is None else {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, Mapping):
        return {"M": serialize(value)}
    if isinstance(value, list | tuple):
        return {"L": [_typed(inner) for inner in value]}
    if isinstance(value, set):
        return {"SS": sorted(value)}
    raise TypeError(f"{type(value).__name__} cannot be stored in DynamoDB")


def _plain(typed: Mapping[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    if kind == "N":
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if kind == "M":
        return deserialize(value)
    if kind == "L":
        return [_plain(inner) for inner in value]
    if kind == "SS":
        return set(value)
    return None if kind == "NULL" else value
