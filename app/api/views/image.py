"""Records as they are answered: with what must not be stored."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from app.api.views.embed import embed_codes
from app.api.views.example import READY
from app.domain.images.urls import UrlSource
from app.domain.models import Image, Model, Variant

#: Built when the first one is made: a function's start has no record to show.
LATER = ConfigDict(defer_build=True)


class VariantView(Variant):
    """A variant and where its bytes are."""

    model_config = LATER

    file: Annotated[str, SkipJsonSchema(), Field(exclude=True)]
    url: str = Field(description="Holds the bytes; usable as it stands. It may expire: ask again rather than keep it.")


class Links(Model):
    """Ways on from an image."""

    model_config = LATER

    self: str
    original: str = Field(description="Redirects to the original, which is saved rather than shown.")


class Embed(Model):
    """Markup that shows the whole image, escaped. All null until the image is ready, or if every variant is cropped."""

    model_config = LATER

    html: str | None = Field(default=None, description="A `<picture>` with all formats and sizes.")
    markdown: str | None = Field(default=None, description="`![alt](url)` with the largest size in one format.")
    srcset: str | None = Field(
        default=None, description="Value of an `<img srcset>`: the format with the most sizes; JPEG or PNG on a tie."
    )


class ImageView(Image):
    """The record of an image, with urls."""

    model_config = LATER | ConfigDict(json_schema_extra={"examples": [READY]})

    variants: list[VariantView] = Field(  # type: ignore[assignment]  # narrower, and models are immutable
        description="One for each name and format of the recipe; empty until the image is ready."
    )
    links: Links
    embed: Embed
    duplicate: bool = Field(default=False, description="True when an upload found the same bytes here already.")
    ignored_fields: Sequence[str] = Field(
        default=(), description="In the answer to an upload: form fields that are not known. They were not stored."
    )
    stale_renderings: Annotated[list[str], SkipJsonSchema(), Field(exclude=True)] = Field(default_factory=list)
    last_tried_at: Annotated[AwareDatetime | None, SkipJsonSchema(), Field(exclude=True)] = None
    arrived_at: Annotated[AwareDatetime | None, SkipJsonSchema(), Field(exclude=True)] = None


class ImageList(Model):
    """One page of a list."""

    model_config = LATER

    items: Sequence[ImageView]
    next_cursor: str | None = Field(description="Send it back as `cursor` for the next page; null at the end.")


def view(
    image: Image, urls: UrlSource, base: str, *, duplicate: bool = False, ignored_fields: Sequence[str] = ()
) -> ImageView:
    """The image as it is answered below the path prefix `base`."""
    placed = [(variant, _under(base, urls.variant(image, variant))) for variant in image.variants]
    here = f"{base}/images/{image.id}"
    uncropped = [(variant, url) for variant, url in placed if _shows_all(variant, image)]
    return ImageView(
        **{name: getattr(image, name) for name in type(image).model_fields if name != "variants"},
        variants=[VariantView(**variant.model_dump(), url=url) for variant, url in placed],
        links=Links(self=here, original=f"{here}/original"),
        embed=Embed(**embed_codes(image, uncropped)),
        duplicate=duplicate,
        ignored_fields=ignored_fields,
    )


def _shows_all(variant: Variant, image: Image) -> bool:
    """Return True if the variant is uncropped: it has the image's aspect ratio, except for rounding to pixels."""
    across, down = image.width or 0, image.height or 0
    return abs(variant.width * down - variant.height * across) <= max(across, down)


def _under(base: str, url: str) -> str:
    return base + url if url.startswith("/") else url
