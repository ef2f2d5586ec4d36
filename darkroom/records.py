"""Answers of the service as objects.

Each has the members of the JSON document with the same names. Members that this version does not know are ignored, and
missing ones have their defaults, so that client and service of different versions work together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Status = Literal["pending", "ready", "failed"]
Visibility = Literal["private", "public"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Cause of a failure: `code` for programs, `detail` for people."""

    code: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class FocalPoint:
    """Point that cropped variants keep, as fractions of the displayed width and height."""

    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A rendered size in one format. The url of a private image expires."""

    name: str
    format: str
    width: int
    height: int
    bytes: int
    url: str
    #: Quality that it was encoded with, 100 if it is lossless; None if an earlier version of the service made it.
    quality: int | None = None


@dataclass(frozen=True, kw_only=True)
class PrivacyReport:
    """Private data that the original contains. No variant contains any."""

    gps: bool = False
    serial: bool = False
    owner_name: bool = False
    comment: bool = False
    thumbnail: bool = False


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Author and copyright that the original names."""

    artist: str | None = None
    copyright: str | None = None


@dataclass(frozen=True, kw_only=True)
class Links:
    """Paths of the record and of its original."""

    self: str
    original: str


@dataclass(frozen=True, kw_only=True)
class Embed:
    """Markup that shows the image. All None until the image is ready."""

    html: str | None = None
    markdown: str | None = None
    srcset: str | None = None


@dataclass(frozen=True, kw_only=True)
class Image:
    """The record of an image.

    With a key that has the scope `upload` only, the answer to an upload can be a record of which just `id`, `status`,
    `bytes`, `sha256` and `duplicate` are known.
    """

    id: str
    status: Status
    owner: str | None = None
    error: Failure | None = None
    filename: str | None = None
    content_type: str | None = None
    declared_content_type: str | None = None
    source_url: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    has_alpha: bool | None = None
    hdr: str | None = None
    uploaded_at: datetime | None = None
    processed_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    #: Time of the camera; it has a zone if the image names one.
    taken_at: datetime | None = None
    camera: str | None = None
    exif: Mapping[str, Any] = field(default_factory=dict)
    rights: Rights | None = None
    privacy_report: PrivacyReport | None = None
    thumbhash: str | None = None
    dominant_color: str | None = None
    palette: tuple[str, ...] = ()
    phash: str | None = None
    title: str | None = None
    alt: str | None = None
    tags: tuple[str, ...] = ()
    focal_point: FocalPoint | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    visibility: Visibility | None = None
    trashed_at: datetime | None = None
    rendering_id: str | None = None
    recipe_id: str | None = None
    variants: tuple[Variant, ...] = ()
    reprocess_error: Failure | None = None
    upload_expires_at: datetime | None = None
    #: Time when the urls in `variants` and `embed` expire; None if they last.
    urls_expire_at: datetime | None = None
    links: Links | None = None
    embed: Embed = Embed()
    #: True in the answer to an upload if these bytes were stored already.
    duplicate: bool = False
    #: Fields of an upload that the service does not know.
    ignored_fields: tuple[str, ...] = ()
    #: The JSON document, also with members that this version does not know.
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class SimilarImage:
    """A look-alike, and the number of bits, of 64, in which its perceptual hash differs."""

    distance: int
    image: Image


@dataclass(frozen=True, kw_only=True)
class SimilarImages:
    """Look-alikes of an image, the closest first."""

    items: tuple[SimilarImage, ...]
    #: False if the image is nearly uniform, and not compared with others.
    comparable: bool = True
    #: False if there can be more.
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class ShareLink:
    """A url that shows an image to people without a key."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class FormatStats:
    """Bytes of the variants in one format, and of the originals that they stand for."""

    format: str
    images: int
    original_bytes: int
    #: Size of the largest variant of each image: what is sent instead of the original.
    largest_bytes: int
    variant_bytes: int


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Numbers and sizes of an owner's images."""

    owner: str
    images: int = 0
    pending: int = 0
    ready: int = 0
    failed: int = 0
    stale: int = 0
    original_bytes: int = 0
    variant_bytes: int = 0
    saved_bytes: int = 0
    #: The format of the most images first.
    formats: tuple[FormatStats, ...] = ()
    trashed: int = 0
    trashed_bytes: int = 0
    #: What counts towards the quota, and its limits; None without a quota.
    used_bytes: int | None = None
    used_images: int | None = None
    quota_bytes: int | None = None
    quota_images: int | None = None
    exact: bool = True
    recounted_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of uploads, and what the key of the client may do."""

    #: Largest image of a form, and of an upload ticket, in bytes.
    max_upload_bytes: int
    max_direct_bytes: int
    max_json_bytes: int = 0
    max_pixels: int = 0
    max_frames: int = 0
    max_open_tickets: int = 0
    #: Most bytes of originals, and most images, of the owner of the key; None: no limit.
    quota_bytes: int | None = None
    quota_images: int | None = None
    #: Requests a second with this key, or from this address without one; None: no limit.
    rate_limit: float | None = None
    #: Days in which a deleted image can be restored.
    trash_days: int = 0
    #: True if the service fetches images from urls.
    url_uploads: bool = False
    accepted_types: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    authentication: Literal["none", "required"] = "none"
    scopes: tuple[str, ...] = ()


def json_value(value: Any) -> Any:
    """Return a value of a description or a change as JSON."""
    if isinstance(value, FocalPoint):
        return {"x": value.x, "y": value.y}
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
