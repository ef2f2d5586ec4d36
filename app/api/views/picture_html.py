"""An image as markup that a page can take as it stands."""

from collections.abc import Sequence
from html import escape

from app.domain.models import Format, Image, Variant

Placed = tuple[Variant, str]  # a variant and its url

_SOURCES = (Format.AVIF, Format.WEBP)
_FALLBACKS = ((Format.JPEG, Format.PNG), (Format.WEBP,), (Format.AVIF,))


def picture(image: Image, variants: Sequence[Placed]) -> str | None:
    """A `<picture>` of those variants, which show the whole image; None if there are none. All text is escaped."""
    fallback = next((found for formats in _FALLBACKS if (found := _largest(variants, formats))), None)
    if fallback is None:
        return None
    shown, url = fallback
    sizes = f"(max-width: {shown.width}px) 100vw, {shown.width}px"
    sources = "".join(
        f'<source type="{media}" srcset="{escape(srcset)}" sizes="{sizes}">'
        for media, srcset in ((form.media_type, _srcset(variants, form)) for form in _SOURCES)
        if srcset
    )
    alt = escape(image.alt or image.title or "")
    img = f'<img src="{escape(url)}" width="{shown.width}" height="{shown.height}" alt="{alt}" loading="lazy">'
    return f"<picture>{sources}{img}</picture>"


def _largest(variants: Sequence[Placed], formats: Sequence[Format]) -> Placed | None:
    return max((placed for placed in variants if placed[0].format in formats), key=lambda p: p[0].width, default=None)


def _srcset(variants: Sequence[Placed], form: Format) -> str:
    # Names that came out at the same size are one object, and a width may be named once.
    by_width = {variant.width: url for variant, url in variants if variant.format is form}
    return ", ".join(f"{url} {width}w" for width, url in sorted(by_width.items()))
