"""The record of an image, as it is stored and as the API returns it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from app.domain.work import Task, Tasks, derive_superseded, derive_work

ANONYMOUS = "anonymous"


def utcnow() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


class Model(BaseModel):
    """Frozen; ignores unknown fields so that older processes can read newer records.

    Validation errors do not quote values: they end in the log, which must not contain titles and file names.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Status(StrEnum):
    """Status of an image: `pending` → `ready` or `failed`."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class Visibility(StrEnum):
    """`public`: variants are shown to everybody, under urls that last. `private`: under signed urls that expire."""

    PRIVATE = "private"
    PUBLIC = "public"


class Format(StrEnum):
    """Format of a variant."""

    JPEG = "jpeg"
    WEBP = "webp"
    PNG = "png"
    AVIF = "avif"
    JXL = "jxl"

    @property
    def extension(self) -> str:
        """File name extension, without the dot."""
        return "jpg" if self is Format.JPEG else self.value

    @property
    def media_type(self) -> str:
        """Media type."""
        return f"image/{self.value}"


class Hdr(StrEnum):
    """Encoding of HDR in an original: the PQ or HLG transfer function, or a gain map in addition to an SDR image."""

    PQ = "pq"
    HLG = "hlg"
    GAIN_MAP = "gain_map"


class FailureCode(StrEnum):
    """Cause of a failure."""

    CORRUPT_IMAGE = "corrupt_image"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LARGE = "too_large"
    UNSUPPORTED_IMAGE = "unsupported_image"
    NOT_AN_IMAGE = "not_an_image"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    MEMORY = "memory"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    ORIGINAL_MISSING = "original_missing"


#: Failures that another attempt may not repeat. A later event processes the image again.
RETRYABLE = frozenset({FailureCode.ATTEMPTS_EXHAUSTED, FailureCode.TIMEOUT, FailureCode.CRASHED, FailureCode.MEMORY})


class Failure(Model):
    """Failure of an image: a code for programs and a sentence for people."""

    code: FailureCode
    detail: str


class FocalPoint(Model):
    """Point that crops keep, as fractions of the displayed width and height."""

    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)


class PrivacyReport(Model):
    """Private data that the original contains. No variant contains any."""

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
    """One rendered size in one format. `file` names its object: variants of equal size share one."""

    name: str
    format: Format
    width: int
    height: int
    bytes: int
    file: str
    quality: int | None = Field(
        default=None,
        description="Quality from 1 to 100 that the variant was encoded with; 100 if it is lossless, and null if an "
        "earlier version made it.",
    )


ExifValue = str | int | float


class Image(Model):
    """Metadata of one image. `bytes` is the size of the original; `width` and `height` are in pixels, as displayed."""

    id: str
    owner: str
    status: Status = Status.PENDING
    error: Failure | None = None
    filename: str | None = Field(default=None, description="File name that the client sent, made safe for display.")
    content_type: str = Field(description="Media type, detected from the bytes.")
    declared_content_type: str | None = Field(default=None, description="Media type from the client, for display only.")
    source_url: str | None = Field(
        default=None, description="Url that the service fetched the original from, without its query."
    )
    bytes: int
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    has_alpha: bool | None = None
    hdr: Hdr | None = Field(default=None, description="HDR encoding of the original. Variants are tone mapped to SDR.")
    uploaded_at: AwareDatetime
    processed_at: AwareDatetime | None = None
    updated_at: AwareDatetime
    version: int = 1
    taken_at: datetime | None = Field(
        default=None, description="Time of the camera; has an offset if the image has one."
    )
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
    metadata: dict[str, str] = Field(default_factory=dict, description="Texts of the client's own, by name.")
    visibility: Visibility = Field(
        default=Visibility.PRIVATE,
        description="`public` variants are shown to everybody under urls that last; the original is never public.",
    )
    trashed_at: AwareDatetime | None = Field(
        default=None,
        description="Time when the image was moved to the trash; null if it is not there. Until it is "
        "restored, a trashed image is private, and is listed with `trashed=true` only.",
    )
    rendering_id: str | None = Field(
        default=None,
        description="Hash of the recipe, the focal point and the renderer's revision: changes with the bytes.",
    )
    recipe_id: str | None = Field(
        default=None, description="Hash of the recipe that the variants were made with; null on records of 0.1.0."
    )
    variants: list[Variant] = Field(default_factory=list)
    reprocess_error: Failure | None = Field(
        default=None, description="Cause of the last failure to render a `ready` image again; its variants are older."
    )
    upload_expires_at: AwareDatetime | None = Field(
        default=None,
        description="Set on the record of an upload ticket until its image is processed. The record is in no list, and "
        "is removed after this time if no bytes have arrived.",
    )
    #: Time when the bytes of a ticket were found in the store. Until then the ticket is open.
    arrived_at: Annotated[AwareDatetime | None, SkipJsonSchema()] = None
    #: Visibility of the prefix that the variants are stored under. It follows `visibility` when they are moved.
    placed: Annotated[Visibility, SkipJsonSchema()] = Visibility.PRIVATE
    #: Renderings that are not shown any more (see `keys.rendering_name`), and the times after which they are removed.
    superseded: Annotated[dict[str, AwareDatetime], SkipJsonSchema()] = Field(default_factory=dict)
    #: Unfinished tasks. An update names the tasks to add and to remove; see `ImageRepository.update`.
    work: Annotated[Tasks, SkipJsonSchema()] = Field(default_factory=dict)
    #: Bytes that the usage of the owner contains for this record; None if the record is not part of it. Only for
    #: repositories that do not count every record.
    charged_bytes: Annotated[int | None, SkipJsonSchema()] = None
    #: Start of the last delivery of the event. A record that is still unprocessed long after it is not tried again.
    last_tried_at: Annotated[AwareDatetime | None, SkipJsonSchema()] = None

    @property
    def effective_visibility(self) -> Visibility:
        """Visibility that holds at present: a trashed image is private until it is restored."""
        return Visibility.PRIVATE if self.trashed_at is not None else self.visibility

    @model_validator(mode="before")
    @classmethod
    def _derive_work(cls, data: Any) -> Any:
        """Derive the tasks of a record without any: 0.1.0 wrote it, or it is new."""
        if isinstance(data, dict) and "work" not in data:
            data = {"superseded": derive_superseded(data), **data}
            data["work"] = derive_work(data)
        return data


class Tombstone(Model, defer_build=True):
    """Remains of a deleted image: enough to finish the delete and to ignore late events.

    It is removed after `expires_at`, but never before its `work` is finished.
    """

    id: str
    owner: str
    deleted_at: AwareDatetime
    expires_at: AwareDatetime
    work: Tasks

    @model_validator(mode="before")
    @classmethod
    def _derive_work(cls, data: Any) -> Any:
        """Derive the work of a tombstone that 0.1.0 wrote, and of a new one."""
        if isinstance(data, dict) and "work" not in data:
            since = data.get("deleted_at")
            data = {**data, "work": {} if data.get("settled") else {Task.PURGE: {"since": since, "due": since}}}
        return data

    @property
    def is_finished(self) -> bool:
        """True if nothing of the image is left to remove."""
        return not self.work


#: Fields that `ImageRepository.update` accepts: all except identity, owner and those that the repository sets.
UPDATABLE = frozenset(Image.model_fields) - {
    "id", "owner", "uploaded_at", "updated_at", "version", "charged_bytes"
}  # fmt: skip

Changes = dict[str, Any]


def is_open_ticket(image: Image) -> bool:
    """Return True if the record belongs to an upload ticket whose bytes have not been found yet."""
    return image.upload_expires_at is not None and image.arrived_at is None
