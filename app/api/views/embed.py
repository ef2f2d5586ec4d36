"""Markup that shows an image: HTML, Markdown and the value of a `srcset`."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
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
#: Formats from the most widely supported to the least.
_FORMATS = (Format.JPEG, Format.WEBP, Format.AVIF, Format.JXL)
#: A variant in JPEG may be stored as PNG, for its alpha.
_STORED_AS = {form: form for form in _FORMATS} | {Format.PNG: Format.JPEG}
#: Formats of `<source>`, and their media types.
_SOURCES = {form: form.media_type for form in (Format.JXL, Format.AVIF, Format.WEBP)}
# Characters with a meaning in CommonMark or GitHub's Markdown. Each may follow a backslash.
_MARKDOWN = re.compile(r"[\\`*_\[\]<>&~|$]")
# Characters that end a link destination or a table cell. Escaped with a percent sign they mean the same in a url.
_DESTINATION = re.compile(r"[\s\\()<>|]")


class Offer(NamedTuple):
    """Sizes of a whole image that markup offers. The urls can lack a beginning that all of them have.

    `candidates` are those of a `srcset` in each format, from the narrowest to the widest; JPEG stands for PNG too. The
    most widely supported format comes first. `most` is the format with the most sizes, on a tie the first of them. The
    last three fields are the size for clients that cannot choose.
    """

    candidates: Mapping[Format, Sequence[str]]
    most: Format
    width: int
    height: int
    url: str


class EmbedCodes(TypedDict):
    """All of them None if no variant shows the whole image."""

    html: str | None
    markdown: str | None
    srcset: str | None


def embed_codes(image: ShownImage, offer: Offer | None, start: str = "") -> EmbedCodes:
    """Build the markup that offers these sizes. `start` is the beginning of all urls. All text is escaped."""
    if offer is None:
        return {"html": None, "markdown": None, "srcset": None}
    alt = image.alt or image.title or ""
    srcsets = {form: start + f", {start}".join(candidates) for form, candidates in offer.candidates.items()}
    url = start + offer.url
    return {"html": _picture(offer, srcsets, url, alt), "markdown": _markdown(url, alt), "srcset": srcsets[offer.most]}


def offer_variants(variants: Iterable[PlacedVariant]) -> Offer | None:
    """Offer these variants, which show the whole image; return None if there are none.

    Variants of equal size share one object, and a `srcset` names a width once.
    """
    groups: dict[Format, list[PlacedVariant]] = {form: [] for form in _FORMATS}
    for placed in variants:
        groups[_STORED_AS[placed[0].format]].append(placed)
    fallback = next(filter(None, groups.values()), None)
    if fallback is None:
        return None
    shown, url = max(fallback, key=lambda placed: placed[0].width)
    candidates = {form: _candidates(group) for form, group in groups.items() if group}
    return Offer(candidates, _most(candidates), shown.width, shown.height, url)


def _candidates(variants: Iterable[PlacedVariant]) -> Sequence[str]:
    by_width = {variant.width: url for variant, url in variants}
    return [f"{url} {width}w" for width, url in sorted(by_width.items())]


@lru_cache(maxsize=1000)
def offer_sizes(widths: tuple[int, ...], across: int, down: int, *, jxl: bool = False) -> Offer:
    """Offer sizes on demand of a whole image of this width and height, none larger than it: WebP, and JPEG XL if it is
    offered, in all widths for pages, and one JPEG. Many photos have the same size, so the results are kept.

    `widths` are in ascending order. The urls lack that of the image. Each names its format, so that caches need not
    know `Accept`.
    """
    pages = widths[bisect_left(widths, _SMALLEST_WIDTH) :] or widths
    steps = pages[: bisect_left(pages, across) + 1]  # up to the first one with every pixel of the image
    fallback = steps[max(0, bisect_right(steps, _FALLBACK_WIDTH) - 1)]
    width = min(fallback, across)
    url = f"?w={fallback}&fm=jpeg"
    candidates = {Format.JPEG: [f"{url} {width}w"]}
    for form in (Format.WEBP, Format.JXL) if jxl else (Format.WEBP,):
        candidates[form] = [f"?w={step}&fm={form} {min(step, across)}w" for step in steps]
    return Offer(candidates, _most(candidates), width, max(1, round(down * width / across)), url)


def _most(candidates: Mapping[Format, Sequence[str]]) -> Format:
    return max(candidates, key=lambda form: len(candidates[form]))


def _picture(offer: Offer, srcsets: Mapping[Format, str], url: str, alt: str) -> str:
    sizes = f"(max-width: {offer.width}px) 100vw, {offer.width}px"
    sources = "".join(
        f'<source type="{media_type}" srcset="{escape(srcsets[form])}" sizes="{sizes}">'
        for form, media_type in _SOURCES.items()
        if form in srcsets
    )
    size = f'width="{offer.width}" height="{offer.height}"'
    return f'<picture>{sources}<img src="{escape(url)}" {size} alt="{escape(alt)}" loading="lazy"></picture>'


def _markdown(url: str, alt: str) -> str:
    text = _MARKDOWN.sub(r"\\\g<0>", " ".join(alt.split()))
    return f"![{text}]({_DESTINATION.sub(lambda found: f'%{ord(found[0]):02X}', url)})"
