"""What goes into a picture's child process and what may come out of it.

The child decodes hostile bytes, so its answer is read as any stranger's would be: as JSON, against bounds.
"""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from app.domain.models import FailureCode, FocalPoint, Format, Hdr, Model, PrivacyReport, Rights, Variant
from app.domain.recipe import Recipe, VariantSpec

#: Longest text taken from a picture's metadata, in characters.
MAX_TEXT = 200
#: The longest side any variant may have, in pixels: WebP's, so that names can share an object in every format.
MAX_SIDE = 16383
#: Bytes of address space that a thread's stack has, whatever the shell that started us has set: libaom asks for 256 KB.
THREAD_STACK = 4 * 1024 * 1024

_Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
_Text = Annotated[str, Field(max_length=MAX_TEXT)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Phase = Annotated[str, Field(pattern=r"^[a-z_]{1,20}$")]


class Fault(Exception):
    """A child cannot work, and not because of the picture: a full disk, a broken installation."""


class Job(Model):
    """How to process one picture. `media_type` was found in its bytes; `threads` encode side by side."""

    recipe: Recipe
    focal_point: FocalPoint | None = None
    media_type: str
    max_pixels: int
    max_frames: int
    memory_mb: int = 1024
    seconds: float = 30
    threads: Annotated[int, Field(ge=1, le=16)] = 1


class Rendered(Variant):
    """A variant whose object is a file of that name in the scratch folder."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    width: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    height: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    bytes: Annotated[int, Field(ge=1)]
    file: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\.(jpg|webp|png|avif)$")]


class FoundRights(Rights):
    """Rights with bounded texts."""

    artist: _Text | None = None
    copyright: _Text | None = None


class Processed(Model):
    """All that was learned and made. `timings` is milliseconds by phase, `memory_mb` the most the child had."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    frames: Annotated[int, Field(ge=1)] = 1
    has_alpha: bool
    hdr: Hdr | None = None
    taken_at: datetime | None = None
    camera: _Text | None = None
    exif: Annotated[dict[_Text, _Text | int | _Number], Field(max_length=40)] = Field(default_factory=dict)
    rights: FoundRights = Field(default_factory=FoundRights)
    privacy_report: PrivacyReport = Field(default_factory=PrivacyReport)
    thumbhash: Annotated[str, Field(max_length=64)] | None = None
    dominant_color: _Colour | None = None
    palette: Annotated[list[_Colour], Field(max_length=5)] = Field(default_factory=list)
    phash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    variants: Annotated[list[Rendered], Field(min_length=1, max_length=128)]
    timings: Annotated[dict[_Phase, _Number], Field(max_length=40)] = Field(default_factory=dict)
    memory_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Refusal(Model):
    """The child's word that the picture is at fault: see `ImageError`. Of a crash, `where` is its way there."""

    code: FailureCode
    detail: Annotated[str, Field(max_length=500)]
    where: Annotated[str, Field(max_length=1000)] | None = None


class Answer(Model):
    """What a child says: exactly one field is set. `fault` is the text of a `Fault`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processed: Processed | None = None
    refused: Refusal | None = None
    fault: Annotated[str, Field(max_length=2000)] | None = None


def answers(recipe: Recipe, processed: Processed) -> bool:
    """Whether the variants are exactly those the recipe asks for, in its order."""
    asked = [(spec.name, wanted) for spec in recipe.variants for wanted in spec.formats]
    made = processed.variants
    return len(asked) == len(made) and all(
        variant.name == name and _fulfils(variant, wanted, spec_of(recipe, name))
        for variant, (name, wanted) in zip(made, asked, strict=True)
    )


def spec_of(recipe: Recipe, name: str) -> VariantSpec:
    """The spec of that name."""
    return next(spec for spec in recipe.variants if spec.name == name)


def _fulfils(variant: Rendered, wanted: Format, spec: VariantSpec) -> bool:
    stands_in = wanted is Format.JPEG and variant.format is Format.PNG
    ending = f".{variant.format.extension}"
    fits = variant.width <= spec.width and (spec.height is None or variant.height <= spec.height)
    return fits and (variant.format is wanted or stands_in) and variant.file.endswith(ending)
