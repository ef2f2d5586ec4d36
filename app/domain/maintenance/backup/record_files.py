"""Files that a stored record names, whichever version wrote it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.keys import original_key, variant_key


@dataclass(frozen=True)
class NamedFile:
    """One file of a record. `bytes` and `sha256` are None where the record does not know them for certain."""

    key: str
    bytes: int | None
    sha256: str | None = None
    #: False for an original that may not have arrived, or is recorded as missing.
    is_required: bool = True


@dataclass(frozen=True)
class RecordFiles:
    """Original and variants of one record. Superseded renderings and sizes on demand are not part of a backup."""

    id: str
    files: tuple[NamedFile, ...]
    #: False for a document that is no record. It names no files.
    is_readable: bool = True


def read_files(image_id: str, document: str) -> RecordFiles:
    """Return the files that a record names.

    It reads the fields of 0.1.0 too, so that a backup of an older database can be made without migrating it.
    """
    try:
        record = json.loads(document)
        variants = {key: NamedFile(key, size) for key, size in _variants(image_id, record)}
        return RecordFiles(image_id, (_original(image_id, record), *variants.values()))
    except (ValueError, LookupError, TypeError, AttributeError):
        return RecordFiles(image_id, (), is_readable=False)


def _original(image_id: str, record: Mapping[str, Any]) -> NamedFile:
    is_ticket = record.get("upload_expires_at", record.get("expires_at")) is not None
    failures = (record.get("error"), record.get("reprocess_error"))
    is_lost = any(failure and failure["code"] == "original_missing" for failure in failures)
    sha256 = None if is_ticket else record.get("sha256")
    size = int(record["bytes"]) if sha256 else None
    return NamedFile(original_key(image_id), size, sha256, is_required=record["status"] != "pending" and not is_lost)


def _variants(image_id: str, record: Mapping[str, Any]) -> list[tuple[str, int]]:
    rendering = record.get("rendering_id", record.get("rendering"))
    is_public = record.get("placed") == "public"
    found = [(str(variant["file"]), int(variant["bytes"])) for variant in record.get("variants", ())]
    return (
        [(variant_key(image_id, rendering, file, public=is_public), size) for file, size in found] if rendering else []
    )
