"""The recipe: the list of variants to render."""

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from app.domain.models import FocalPoint, Format, Model

#: Part of every rendering id. Increase it when a change of the renderer makes better variants.
RENDERER_REVISION = 7


class Fit(StrEnum):
    """`inside` shows the whole image within the box, `cover` fills the box and crops."""

    INSIDE = "inside"
    COVER = "cover"


class VariantSpec(Model):
    """One size. `jpeg` stands for a format that every client reads: the variant is PNG if the image has alpha. `jxl`
    stands for the smallest one that its clients read: the variant is WebP for animations, text and drawings.

    `height` is optional for `inside`, which is then bounded by the width only. `quality` is 1-100 per format; the
    default is in `DEFAULT_QUALITY`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    width: Annotated[int, Field(ge=1, le=16383)]
    height: Annotated[int | None, Field(ge=1, le=16383)] = None
    fit: Fit = Fit.INSIDE
    formats: Annotated[tuple[Format, ...], Field(min_length=1, max_length=len(Format))] = (Format.WEBP,)
    quality: dict[Format, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _cover_needs_a_box(self) -> Self:
        if self.fit is Fit.COVER and self.height is None:
            raise ValueError(f"variant {self.name!r}: fit 'cover' needs a height")
        if len(set(self.formats)) != len(self.formats):
            raise ValueError(f"variant {self.name!r}: duplicate format")
        return self


class Recipe(Model):
    """All variants of an image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variants: Annotated[tuple[VariantSpec, ...], Field(min_length=1, max_length=32)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [spec.name for spec in self.variants]
        if len(set(names)) != len(names):
            raise ValueError("two variants have the same name")
        return self


DEFAULT_QUALITY = {Format.WEBP: 80, Format.JPEG: 80, Format.AVIF: 61, Format.JXL: 75, Format.PNG: 100}

# The store bills a request per object, and requests cost more than CPU time: all sizes in one format, and one size in a
# format that every client reads.
DEFAULT_RECIPE = Recipe(
    variants=(
        VariantSpec(name="thumb", width=256, height=256, fit=Fit.COVER),
        VariantSpec(name="w320", width=320),
        VariantSpec(name="w640", width=640),
        VariantSpec(name="w1280", width=1280, formats=(Format.WEBP, Format.JPEG)),
        VariantSpec(name="w1920", width=1920),
    )
)


def build_recipe_id(recipe: Recipe) -> str:
    """Return 12 hex digits that identify the recipe, its default qualities included."""
    return _short_hash({"recipe": recipe.model_dump(mode="json"), "defaults": DEFAULT_QUALITY})


def build_rendering_id(recipe: Recipe, focal_point: FocalPoint | None) -> str:
    """Return 12 hex digits that change with anything that changes the bytes of a variant."""
    document = {
        "revision": RENDERER_REVISION,
        "recipe": recipe.model_dump(mode="json"),
        "defaults": DEFAULT_QUALITY,
        "focal_point": focal_point and focal_point.model_dump(mode="json"),
    }
    return _short_hash(document)


def _short_hash(document: dict[str, object]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
