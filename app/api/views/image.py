"""Views of records: with urls and markup, which are never stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from app.api.http.public_address import BasePath
from app.api.views.embed import EmbedCodes, PlacedVariant, ShownImage, embed_codes, offer_sizes, offer_variants
from app.api.views.example import READY
from app.domain.images.choice import is_uncropped
from app.domain.images.urls import UrlSource, is_public
from app.domain.models import Image, Model, Variant, Visibility
from app.domain.work import Tasks

# Models of the API build their validators at first use: a function that starts does not wait for them.


class VariantView(Variant, defer_build=True):
    """A variant and its url."""

    file: Annotated[str, SkipJsonSchema(), Field(exclude=True)]
    url: str = Field(
        description="Url of the variant, for an `<img>`. It lasts for a public image. For a private one it expires: "
        "see `urls_expire_at`."
    )


class Links(Model, defer_build=True):
    """Paths of the record and of its original."""

    self: str
    original: str = Field(description="Redirects to the original, which browsers download.")


class Embed(Model, defer_build=True):
    """Markup that shows the whole image, escaped. All null until the image is ready, or if every variant is cropped."""

    html: str | None = Field(
        default=None, description="A `<picture>` with all formats and sizes; of a public image in sizes on demand."
    )
    markdown: str | None = Field(default=None, description="`![alt](url)` with the largest size in one format.")
    srcset: str | None = Field(
        default=None, description="Value of an `<img srcset>`: the format with the most sizes; JPEG or PNG on a tie."
    )


class ImageView(Image, defer_build=True):
    """The record of an image, with urls."""

    model_config = ConfigDict(json_schema_extra={"examples": [READY]})

    variants: list[VariantView] = Field(  # type: ignore[assignment]  # narrower, and models are immutable
        description="One for each name and format of the recipe; empty until the image is ready."
    )
    urls_expire_at: AwareDatetime | None = Field(
        default=None,
        description="Time when the urls in `variants` and `embed` expire: get the record again before. Null if they "
        "last, because the image is public, and if there are none.",
    )
    links: Links
    embed: Embed
    duplicate: bool = Field(default=False, description="True in the answer to an upload of known bytes.")
    ignored_fields: Sequence[str] = Field(
        default=(), description="Unknown form fields in the answer to an upload. They were not stored."
    )
    placed: Annotated[Visibility, SkipJsonSchema(), Field(exclude=True)] = Visibility.PRIVATE
    superseded: Annotated[dict[str, AwareDatetime], SkipJsonSchema(), Field(exclude=True)] = Field(default_factory=dict)
    work: Annotated[Tasks, SkipJsonSchema(), Field(exclude=True)] = Field(default_factory=dict)
    last_tried_at: Annotated[AwareDatetime | None, SkipJsonSchema(), Field(exclude=True)] = None
    arrived_at: Annotated[AwareDatetime | None, SkipJsonSchema(), Field(exclude=True)] = None
    charged_bytes: Annotated[int | None, SkipJsonSchema(), Field(exclude=True)] = None


class ImageList(Model, defer_build=True):
    """One page of a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [READY], "next_cursor": None}]})

    items: Sequence[ImageView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last page.")


def view(
    image: Image, urls: UrlSource, base: BasePath, *, duplicate: bool = False, ignored_fields: Sequence[str] = ()
) -> ImageView:
    """Build the view of a record. `base` is the path prefix of the service."""
    placed, expires_at = place_variants(image, urls, base)
    return ImageView(
        **{name: getattr(image, name) for name in type(image).model_fields if name != "variants"},
        variants=[
            VariantView(**variant.model_dump(), url=url)
            for variant, (_, url) in zip(image.variants, placed, strict=True)
        ],
        urls_expire_at=expires_at,
        links=Links(**build_links(image.id, base)),
        embed=Embed(**build_embed(image, placed, urls, base)),
        duplicate=duplicate,
        ignored_fields=ignored_fields,
    )


def place_variants(
    image: ShownImage, urls: UrlSource, base: BasePath
) -> tuple[Sequence[PlacedVariant], datetime | None]:
    """Return the variants with their urls, and the time when these expire; None if they last."""
    expires_at = urls.expires_at(image) if image.variants else None
    if expires_at is not None and is_public(image):  # the urls of the API last
        folder = f"{base.absolute}/images/{image.id}/variants/"
        return [(each, f"{folder}{each.name}.{each.format.extension}") for each in image.variants], None
    placed = urls.variants(image, image.variants)
    return list(zip(image.variants, [_below(base, url) for url in placed] if base else placed, strict=True)), expires_at


def build_links(image_id: str, base: str) -> dict[str, str]:
    """Build the paths of a record and of its original."""
    here = f"{base}/images/{image_id}"
    return {"self": here, "original": f"{here}/original"}


def build_embed(image: ShownImage, placed: Sequence[PlacedVariant], urls: UrlSource, base: BasePath) -> EmbedCodes:
    """Build the markup from the variants that show the whole image; for a public image from sizes on demand, if the
    installation offers them."""
    sizes = urls.page_sizes
    if sizes is not None and placed and is_public(image):
        url = f"{sizes.cdn_url or base.absolute}/i/{image.id}"
        return embed_codes(image, offer_sizes(sizes.widths, image.width or 1, image.height or 1, jxl=sizes.jxl), url)
    return embed_codes(image, offer_variants(each for each in placed if is_uncropped(each[0], image)))


def _below(base: str, url: str) -> str:
    return base + url if url.startswith("/") else url
