"""Choice of the variant to show where a caller names none, or one that no longer exists."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from app.domain.models import Format, Image, Variant

# Of the formats of one size, the most widely supported.
_BY_SUPPORT = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.JXL)
_BY_EXTENSION = {form.extension: form for form in Format} | {"jpeg": Format.JPEG}


def format_by_extension(extension: str) -> Format | None:
    """Return the format of a file name extension, without the dot; None for an unknown one."""
    return _BY_EXTENSION.get(extension)


class Sized(Protocol):
    """Image or variant with its size in pixels."""

    @property
    def width(self) -> int | None:
        """Width."""

    @property
    def height(self) -> int | None:
        """Height."""


def is_uncropped(variant: Sized, image: Sized) -> bool:
    """Return True if the variant has the aspect ratio of the image, except for rounding to pixels."""
    across, down = image.width or 0, image.height or 0
    return abs((variant.width or 0) * down - (variant.height or 0) * across) <= max(across, down)


def whole_variants(image: Image) -> Sequence[Variant]:
    """Return the variants that show the whole image, or all of them if every one is cropped."""
    whole = [variant for variant in image.variants if is_uncropped(variant, image)]
    return whole or image.variants


def largest_variant(variants: Iterable[Variant]) -> Variant | None:
    """Return the largest of the variants; of equal ones, that of the most widely supported format."""
    return max(
        variants,
        key=lambda variant: (variant.width * variant.height, -_BY_SUPPORT.index(variant.format)),
        default=None,
    )


def current_variant(image: Image, file: str) -> Variant | None:
    """Return the variant to show in place of the file of a superseded rendering, such as `w640.webp`.

    That is the one with the same name and format; else one with the name; else the largest of the whole image, if
    possible in the format.
    """
    name, _, extension = file.partition(".")
    form = format_by_extension(extension)
    conditions: list[Callable[[Variant], bool]] = [
        lambda variant: variant.name == name and variant.format is form,
        lambda variant: variant.name == name,
    ]
    for condition in conditions:
        if found := largest_variant(filter(condition, image.variants)):
            return found
    whole = whole_variants(image)
    return largest_variant(variant for variant in whole if variant.format is form) or largest_variant(whole)
