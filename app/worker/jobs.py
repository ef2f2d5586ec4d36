"""Job of an image's child process, and its answer.

The child decodes hostile bytes, so its answer is read like any untrusted input: as JSON, against bounds.
"""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from app.domain.models import FailureCode, FocalPoint, Format, Hdr, Model, PrivacyReport, Rights, Variant
from app.domain.recipe import Recipe, VariantSpec

#: Longest text from an image's metadata, in characters.
MAX_TEXT = 200
#: Longest side of a variant in pixels: the limit of WebP, so that a variant has the same size in every format.
MAX_SIDE = 16383
#: Bytes of address space of a thread's stack, independent of the limits of the shell. libaom needs 256 KB.
THREAD_STACK = 4 * 1024 * 1024

_Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
_Text = Annotated[str, Field(max_length=MAX_TEXT)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Phase = Annotated[str, Field(pattern=r"^[a-z_]{1,20}$")]


class Fault(Exception):
    """The child cannot work for a reason other than the image: a full disk, a broken installation."""


class Job(Model):
    """Parameters for one image. `media_type` was detected from its bytes; `threads` run at the same time.

    With `source_is_shared` the child's source is a stored object, which it must not be able to change. `displayed` is
    the size of the original, as displayed, if the source is a variant that shows the whole of it: outputs get the sizes
    and crops that they would have from the original.
    """

    recipe: Recipe
    focal_point: FocalPoint | None = None
    media_type: str
    displayed: tuple[int, int] | None = None
    max_pixels: int
    max_frames: int
    memory_mb: int = 1024
    seconds: float = 30
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    source_is_shared: bool = False


class Order(Model):
    """Order to a child: a job on the file `source`, within `memory_mb`."""

    job: Job
    source: str
    memory_mb: int


class Rendered(Variant):
    """A variant, whose file of that name is in the scratch folder."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    width: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    height: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    bytes: Annotated[int, Field(ge=1)]
    quality: Annotated[int, Field(ge=1, le=100)]
    file: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\.(jpg|webp|png|avif|jxl)$")]


class FoundRights(Rights):
    """Rights with bounded texts."""

    artist: _Text | None = None
    copyright: _Text | None = None


class Processed(Model):
    """Facts and variants of an image. `timings` are milliseconds by phase, `memory_mb` is the peak of the child."""

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
    dominant_color: _Color | None = None
    palette: Annotated[list[_Color], Field(max_length=5)] = Field(default_factory=list)
    phash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    variants: Annotated[list[Rendered], Field(min_length=1, max_length=128)]
    timings: Annotated[dict[_Phase, _Number], Field(max_length=40)] = Field(default_factory=dict)
    memory_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Refusal(Model):
    """An `ImageError` that the child raised. After a crash `where` is the step and the last calls."""

    code: FailureCode
    detail: Annotated[str, Field(max_length=500)]
    where: Annotated[str, Field(max_length=1000)] | None = None


class Answer(Model):
    """Answer of a child. Exactly one field is set; `fault` is the text of a `Fault`, and `needed_mb` an estimate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processed: Processed | None = None
    refused: Refusal | None = None
    fault: Annotated[str, Field(max_length=2000)] | None = None
    needed_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


def matches_recipe(recipe: Recipe, processed: Processed) -> bool:
    """Return True if the variants are exactly those of the recipe, in its order."""
    expected = [(spec.name, wanted) for spec in recipe.variants for wanted in spec.formats]
    made = processed.variants
    return len(expected) == len(made) and all(
        variant.name == name and _matches_spec(variant, wanted, get_spec(recipe, name))
        for variant, (name, wanted) in zip(made, expected, strict=True)
    )


def get_spec(recipe: Recipe, name: str) -> VariantSpec:
    """Return the spec of that name."""
    return next(spec for spec in recipe.variants if spec.name == name)


def _matches_spec(variant: Rendered, wanted: Format, spec: VariantSpec) -> bool:
    is_substitute = (wanted, variant.format) in {(Format.JPEG, Format.PNG), (Format.JXL, Format.WEBP)}
    ending = f".{variant.format.extension}"
    fits = variant.width <= spec.width and (spec.height is None or variant.height <= spec.height)
    return fits and (variant.format is wanted or is_substitute) and variant.file.endswith(ending)
