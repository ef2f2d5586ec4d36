"""JSON documents of records and tombstones, and the columns that follow from their tasks.

Changes are merged into the stored document, so that fields and tasks of a newer version are kept.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from app.domain.models import Image, Tombstone, utcnow
from app.domain.work import Task, Work, change_work

#: `due` and `distant`, see `schema`.
DueColumns = tuple[float | None, bool]

_TASKS = TypeAdapter(dict[str, Work])


class StoredDocument:
    """`StoredImage` as JSON. The document is the key: nothing else belongs to a record."""

    __slots__ = ("key",)

    def __init__(self, document: str) -> None:
        self.key = document

    def fields(self) -> Mapping[str, Any]:
        """See `StoredImage.fields`."""
        fields: dict[str, Any] = from_json(self.key)
        return fields

    def read(self) -> Image:
        """See `StoredImage.read`."""
        return Image.model_validate_json(self.key)


def changed_record(document: str, before: Image, changes: Mapping[str, Any]) -> tuple[str, DueColumns, Image]:
    """Return the document, its columns and the record after `ImageRepository.update`. Raises `ValueError` for an
    invalid value."""
    fields = {**changes, "version": before.version + 1, "updated_at": utcnow()}
    if "work" in changes:
        fields["work"] = change_work(before.work, changes["work"])
    stored = json.loads(document)
    is_derived = "work" not in stored
    names = {*fields, "work", "superseded"} if is_derived else {*fields}
    changed = Image.model_validate({**dict(before), **fields})
    written = json.loads(changed.model_dump_json(include=names))
    if is_derived:
        stored.pop("stale_renderings", None)
    elif "work" in changes:
        written["work"] = _merge_work(stored["work"], written["work"], changes["work"])
    merged = stored | written
    document = _dump(merged)
    # Refuse to write a document that cannot be read.
    return document, _columns_of_tasks(merged["work"]), Image.model_validate_json(document)


def changed_tombstone(document: str, changes: Mapping[Task, Work | None]) -> str:
    """Return the document of a tombstone after changes of its tasks by name."""
    before = Tombstone.model_validate_json(document)
    changed = before.model_copy(update={"work": change_work(before.work, changes)})
    written = json.loads(changed.model_dump_json())["work"]
    stored = json.loads(document)
    stored.pop("settled", None)
    stored["work"] = _merge_work(stored.get("work", {}), written, changes) if "work" in stored else written
    return _dump(stored)


def due_columns(document: str) -> DueColumns:
    """Return the columns for the tasks in a document, those of newer versions too."""
    return _columns_of_tasks(json.loads(document)["work"])


def expiry(tombstone: Tombstone, due: float | None) -> float | None:
    """Return the time after which the row may be removed; None while work is left."""
    return tombstone.expires_at.timestamp() if due is None else None


def columns_of(tasks: Collection[Work]) -> DueColumns:
    """Return the columns for these tasks."""
    due = min((task.due.timestamp() for task in tasks), default=None)
    return due, bool(tasks) and all(task.is_distant for task in tasks)


def _columns_of_tasks(work: Mapping[str, Any]) -> DueColumns:
    return columns_of(_TASKS.validate_python(work).values())


def _merge_work(
    stored: Mapping[str, Any], written: Mapping[str, Any], changes: Mapping[Task, Work | None]
) -> dict[str, Any]:
    """Return the stored tasks with those named in `changes` replaced or removed."""
    kept = {name: task for name, task in stored.items() if name not in changes}
    return kept | {name: written[name] for name in changes if name in written}


def _dump(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
