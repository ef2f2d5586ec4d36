"""Markup that shows an image: HTML, Markdown and the value of a `srcset`."""

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple, Protocol, TypedDict

from app.domain.images.urls import PlacedImage, VariantFile
from app.domain.models import Format


class ShownVariant(VariantFile, Protocol):
    """Variant, validated or not, with the fields that a view uses."""

    @property
    def name(self) -> str:
        """Name in the recipe."""

    @property
    def width(self) -> int:
        """Width in pixels."""

    @property
    def height(self) -> int:
        """Height in pixels."""


class ShownImage(PlacedImage, Protocol):
    """Image, validated or not, with the fields that the computed fields of a view use."""

    @property
    def version(self) -> int:
        """Version."""

    @property
    def width(self) -> int | None:
        """Width in pixels."""

    @property
    def height(self) -> int | None:
        """Height in pixels."""

    @property
    def title(self) -> str | None:
        """Title."""

    @property
    def alt(self) -> str | None:
        """Alternative text."""

    @property
    def variants(self) -> Sequence[ShownVariant]:
        """Variants."""


PlacedVariant = tuple[ShownVariant, str]  # a variant and its url

#: Smallest size on demand for pages, and largest for clients that cannot choose.
_SMALLEST_WIDTH, _FALLBACK_WIDTH = 256, 1280
_SOURCES = (Format.JXL, Format.AVIF, Format.WEBP)
#: Formats from the most widely supported to the least. A variant in JPEG may be stored as PNG, for its alpha.
_FALLBACKS = ((Format.JPEG, Format.PNG), (Format.WEBP,), (Format.AVIF,), (Format.JXL,))
# Characters with a meaning in CommonMark or GitHub's Markdown. Each may follow a backslash.
_MARKDOWN = re.compile(r"[\\`*_\[\]<>&~|$]")
# Characters that end a link destination or a table cell. Escaped with a percent sign they mean the same in a url.
_DESTINATION = re.compile(r"[\s\\()<>|]")


class OfferedVariant(NamedTuple):
    """Size on demand that markup shows like a variant."""

    format: Format
    width: int
    height: int
    name: str = ""
    file: str = ""


class EmbedCodes(TypedDict):
    """All of them None if no variant shows the whole image."""

    html: str | None
    markdown: str | None
    srcset: str | None


def embed_codes(image: ShownImage, variants: Sequence[PlacedVariant]) -> EmbedCodes:
    """Build the markup from these variants, which show the whole image. All text is escaped."""
    fallback = next((found for formats in _FALLBACKS if (found := _largest(variants, formats))), None)
    if fallback is None:
        return {"html": None, "markdown": None, "srcset": None}
    alt = image.alt or image.title or ""
    return {
        "html": _picture(variants, fallback, alt),
        "markdown": _markdown(fallback[1], alt),
        "srcset": _srcset(max((_by_width(variants, formats) for formats in _FALLBACKS), key=len)),
    }


def offer_sizes(image: ShownImage, widths: Sequence[int], url: str, *, jxl: bool = False) -> Sequence[PlacedVariant]:
    """Return sizes on demand of the whole image, none larger than it: WebP, and JPEG XL if it is offered, in all widths
    for pages, and one JPEG.

    `url` is that of the image. Each url names its format, so that caches need not know `Accept`.
    """
    across, down = image.width or 1, image.height or 1
    pages = [width for width in widths if width >= _SMALLEST_WIDTH] or widths
    steps = [width for width in pages if width < across]
    steps += [next((width for width in pages if width >= across), pages[-1])] if len(steps) < len(pages) else []
    fallback = max((width for width in steps if width <= _FALLBACK_WIDTH), default=steps[0])

    def offer(form: Format, step: int) -> PlacedVariant:
        width = min(step, across)
        height = max(1, round(down * width / across))
        return OfferedVariant(form, width, height), f"{url}?w={step}&fm={form.value}"

    modern = (Format.JXL, Format.WEBP) if jxl else (Format.WEBP,)
    return [*(offer(form, step) for form in modern for step in steps), offer(Format.JPEG, fallback)]


def _picture(variants: Sequence[PlacedVariant], fallback: PlacedVariant, alt: str) -> str:
    shown, url = fallback
    sizes = f"(max-width: {shown.width}px) 100vw, {shown.width}px"
    sources = "".join(
        f'<source type="{form.media_type}" srcset="{escape(_srcset(urls))}" sizes="{sizes}">'
        for form in _SOURCES
        if (urls := _by_width(variants, (form,)))
    )
    size = f'width="{shown.width}" height="{shown.height}"'
    return f'<picture>{sources}<img src="{escape(url)}" {size} alt="{escape(alt)}" loading="lazy"></picture>'


def _markdown(url: str, alt: str) -> str:
    text = _MARKDOWN.sub(r"\\\g<0>", " ".join(alt.split()))
    return f"![{text}]({_DESTINATION.sub(lambda found: f'%{ord(found[0]):02X}', url)})"


def _largest(variants: Sequence[PlacedVariant], formats: Sequence[Format]) -> PlacedVariant | None:
    return max((placed for placed in variants if placed[0].format in formats), key=lambda p: p[0].width, default=None)


def _by_width(variants: Sequence[PlacedVariant], formats: Sequence[Format]) -> dict[int, str]:
    """Return the urls by width. Variants of equal size share one object, and a `srcset` names a width once."""
    return {variant.width: url for variant, url in variants if variant.format in formats}


def _srcset(urls: dict[int, str]) -> str:
    return ", ".join(f"{url} {width}w" for width, url in sorted(urls.items()))
