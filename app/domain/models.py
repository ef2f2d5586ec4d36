"""The record of an image, as it is stored and as it is answered."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from app.domain.media import UNKNOWN_TYPE

ANONYMOUS = "anonymous"


def utcnow() -> datetime:
    """Now, with its zone."""
    return datetime.now(UTC)


class Model(BaseModel):
    """Immutable, and deaf to fields it does not know, so that an older process can read a newer record.

    Its errors do not quote what was wrong: they end in the log, which is no place for titles and names of files.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Status(StrEnum):
    """Status of an image: `pending` → `ready` or `failed`."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class Format(StrEnum):
    """Formats that variants are written in."""

    JPEG = "jpeg"
    WEBP = "webp"
    PNG = "png"
    AVIF = "avif"

    @property
    def extension(self) -> str:
        """Extension of file names, without the dot."""
        return "jpg" if self is Format.JPEG else self.value

    @property
    def media_type(self) -> str:
        """The media type of its bytes."""
        return f"image/{self.value}"


class Hdr(StrEnum):
    """Encoding of HDR in an original: PQ, HLG, or a separate gain map."""

    PQ = "pq"
    HLG = "hlg"
    GAIN_MAP = "gain_map"


class FailureCode(StrEnum):
    """Why an image ended `failed`."""

    CORRUPT_IMAGE = "corrupt_image"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LARGE = "too_large"
    UNSUPPORTED_IMAGE = "unsupported_image"
    NOT_AN_IMAGE = "not_an_image"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    MEMORY = "memory"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"


#: Failures that may go back to `pending`: another attempt can end differently.
RETRYABLE = frozenset({FailureCode.ATTEMPTS_EXHAUSTED, FailureCode.TIMEOUT, FailureCode.CRASHED, FailureCode.MEMORY})


#: The sentence for `attempts_exhausted`, whoever finds it so.
EXHAUSTED = "The image could not be processed in any attempt."


class Failure(Model):
    """Why an image is `failed`: a code for programs and a sentence for people."""

    code: FailureCode
    detail: str


class FocalPoint(Model):
    """The point that cover crops keep, as fractions of the displayed width and height."""

    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)


class PrivacyReport(Model):
    """Private data of the original, which no variant contains."""

    gps: bool = False
    serial: bool = False
    owner_name: bool = False
    comment: bool = False
    thumbnail: bool = False


class Rights(Model):
    """Author and copyright that the original names, 200 characters of each. Variants keep both in full."""

    artist: str | None = None
    copyright: str | None = None


class Variant(Model):
    """One rendered size in one format. `file` names its object: names of equal size share one."""

    name: str
    format: Format
    width: int
    height: int
    bytes: int
    file: str


ExifValue = str | int | float


class Image(Model):
    """The metadata of one image. Sizes are in bytes and pixels, `width` and `height` as displayed."""

    id: str
    owner: str
    status: Status = Status.PENDING
    error: Failure | None = None
    filename: str | None = Field(default=None, description="The client's name for it, made safe for display.")
    content_type: str = Field(description="What the bytes are, found in the bytes.")
    declared_content_type: str | None = Field(default=None, description="What the client said they were.")
    bytes: int
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    has_alpha: bool | None = None
    hdr: Hdr | None = Field(default=None, description="How the original tells HDR; variants are tone mapped to SDR.")
    uploaded_at: AwareDatetime
    processed_at: AwareDatetime | None = None
    updated_at: AwareDatetime
    version: int = 1
    taken_at: datetime | None = Field(default=None, description="By the camera's clock; zoned only if it said so.")
    camera: str | None = None
    exif: dict[str, ExifValue] = Field(default_factory=dict)
    rights: Rights | None = Field(
        default=None, description="Author and copyright as the original names them; null until it is processed."
    )
    privacy_report: PrivacyReport | None = None
    thumbhash: str | None = Field(default=None, description="Base64 placeholder of about 25 bytes.")
    dominant_color: str | None = Field(default=None, description="`#rrggbb`")
    palette: list[str] = Field(default_factory=list)
    phash: str | None = Field(default=None, description="64-bit perceptual hash in hex.")
    title: str | None = None
    alt: str | None = None
    tags: list[str] = Field(default_factory=list)
    focal_point: FocalPoint | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    rendering_id: str | None = Field(
        default=None,
        description="Hash of the recipe, the focal point and the renderer's revision: changes with the bytes.",
    )
    recipe_id: str | None = Field(
        default=None, description="Hash of the recipe that the variants were made with; null on records of 0.1.0."
    )
    variants: list[Variant] = Field(default_factory=list)
    upload_expires_at: AwareDatetime | None = Field(
        default=None,
        description="Set on the record of an upload ticket until its image is processed: the record is in no list, and "
        "is removed after this time if no bytes have come.",
    )
    #: When the bytes of a ticket were seen in the store. Until then the ticket is open.
    arrived_at: Annotated[AwareDatetime | None, SkipJsonSchema()] = None
    stale_renderings: Annotated[list[str], SkipJsonSchema()] = Field(default_factory=list)
    #: When a worker began what its queue said was the last delivery: if nothing came of it, nothing more will.
    last_tried_at: Annotated[AwareDatetime | None, SkipJsonSchema()] = None


def failed(image: Image, code: FailureCode, detail: str, now: datetime) -> "Changes":
    """Return the changes of a record that ends `failed`. `upload_expires_at` is cleared: the bytes have arrived.

    A content type that only the ticket declared is cleared too; a caller that has detected the type sets it.
    """
    error = Failure(code=code, detail=detail)
    changes: Changes = {"status": Status.FAILED, "error": error, "processed_at": now, "upload_expires_at": None}
    return changes if image.upload_expires_at is None else changes | {"content_type": UNKNOWN_TYPE}


class Tombstone(Model):
    """Rest of a deleted image: enough to finish the delete and to refuse late events.

    It is removed after `expires_at`, but never before the delete is finished (`settled`).
    """

    id: str
    owner: str
    deleted_at: AwareDatetime
    expires_at: AwareDatetime
    settled: bool = False


#: Fields that `ImageRepository.update` takes: everything but identity, ownership and what the repository sets itself.
UPDATABLE = frozenset(Image.model_fields) - {"id", "owner", "uploaded_at", "updated_at", "version"}

Changes = dict[str, Any]


def is_open_ticket(image: Image) -> bool:
    """Return True if the record is that of an upload ticket whose bytes have not been seen yet."""
    return image.upload_expires_at is not None and image.arrived_at is None
