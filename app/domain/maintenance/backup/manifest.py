"""The file in a backup that says what it holds. It is written last, so a backup without it is not complete."""

import os
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from app.domain.maintenance.transfer.folder import FolderError

MANIFEST = "backup.json"
DATABASE = "darkroom.db"
#: The keys that sign cursors and urls, in the data folder.
SECRETS = ("secret", "secret.previous")
FORMAT_VERSION = 1
_MAX_BYTES = 64 * 1024


class Manifest(BaseModel):
    """Contents of a backup. `schema_version` is that of the database."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format_version: int
    darkroom: str
    schema_version: int
    created_at: AwareDatetime
    images: int
    files: int
    bytes: int
    database_sha256: str
    secrets: list[str]


def read_manifest(backup: Path) -> Manifest | None:
    """Return the manifest of a backup, or None if the folder has none. Raises `FolderError`."""
    try:
        with (backup / MANIFEST).open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FolderError(f"cannot read {backup}", reason(error), "check the folder and its permissions") from error
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError:
        cause, remedy = f"its {MANIFEST} is damaged, or of another program", "use another backup"
        raise FolderError(f"{backup} is not a backup of Darkroom", cause, remedy) from None
    if manifest.format_version != FORMAT_VERSION:
        found = f"format version {manifest.format_version} (known: {FORMAT_VERSION}), written by {manifest.darkroom}"
        raise FolderError(f"{backup} has another format", found, "use the version of Darkroom that wrote it")
    return manifest


def write_manifest(backup: Path, manifest: Manifest) -> None:
    """Write the manifest durably. Raises `OSError`."""
    descriptor = os.open(backup / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(manifest.model_dump_json(indent=2).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def reason(error: OSError) -> str:
    """Return the system's sentence for an error."""
    return (error.strerror or str(error)).lower()
