"""Format of an export: a manifest, a file of records with one JSON object on each line, and a file for each object.

`manifest.json` names the file of records. `originals/<xx>/<id>` and `variants/<xx>/<id>/<rendering id>/<file>` hold
bytes; `<xx>` are the last two digits of the id. Paths do not depend on the visibility of an image.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.ids import is_id
from app.domain.models import Image, Model, Variant

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
#: Longest manifest and longest line of a record, in bytes.
MAX_MANIFEST, MAX_LINE = 64 * 1024, 4 * 1024 * 1024

_RENDERING = r"[A-Za-z0-9_-]{1,64}"
_FILE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_SHA256 = r"^[0-9a-f]{64}$"

FilePath = tuple[str, ...]


class RecordsFile(Model):
    """File of records: name, lines, size and hash."""

    name: str = Field(pattern=r"^records-[0-9a-f]{16}\.jsonl$")
    images: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=_SHA256)


class Manifest(Model):
    """Content of `manifest.json`. `records` is None until the first export has finished.

    `source` is the store that was exported, so that another one is not written over it.
    """

    format: Literal["darkroom-export"] = "darkroom-export"
    format_version: int
    darkroom: str
    source: str
    written_at: AwareDatetime
    records: RecordsFile | None = None


class Pointer(StrEnum):
    """Role of an image for the hash of its bytes: uploads of them find the `holder`, and the oldest `copy` after it."""

    HOLDER = "holder"
    COPY = "copy"
    NONE = "none"


class ObjectFile(Model):
    """Size and hash of an exported object."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=_SHA256)


class VariantFile(ObjectFile):
    """Exported variant. `rendering` is a name as in `keys.rendering_name`."""

    rendering: str = Field(pattern=f"^(public/)?{_RENDERING}$")
    file: str = Field(pattern=_FILE)


class _CheckedVariant(Variant):
    file: str = Field(pattern=_FILE)


class ExportedRecord(Image):
    """Record of an export. Every part that becomes a part of a key or a path is checked."""

    owner: str = Field(pattern=OWNER_PATTERN)
    bytes: int = Field(ge=0)
    sha256: str | None = Field(default=None, pattern=_SHA256)
    rendering_id: str | None = Field(default=None, pattern=f"^{_RENDERING}$")
    variants: list[_CheckedVariant] = Field(default_factory=list)  # type: ignore[assignment]  # a narrower type
    superseded: dict[Annotated[str, Field(pattern=f"^(public/)?{_RENDERING}$")], AwareDatetime] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _check_id(self) -> "ExportedRecord":
        if not is_id(self.id):
            raise ValueError("the id is not the id of an image")
        return self


class ExportedImage(Model):
    """Line of the file of records. `original` is None if the store had lost it."""

    image: ExportedRecord
    pointer: Pointer = Pointer.NONE
    original: ObjectFile | None = None
    variants: list[VariantFile] = Field(default_factory=list, max_length=10_000)


def original_path(image_id: str) -> FilePath:
    """Return the path of an original in the folder."""
    return "originals", image_id[-2:], image_id


def variant_path(image_id: str, rendering: str, file: str) -> FilePath:
    """Return the path of a variant in the folder. A rendering has the same bytes at the public place."""
    return "variants", image_id[-2:], image_id, rendering.removeprefix("public/"), file
