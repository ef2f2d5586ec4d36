"""One size of an image, and the name of its file."""

import re
from dataclasses import dataclass

from app.domain.models import Format
from app.domain.recipe import Fit
from app.domain.sizes.offer import MAX_SIDE

#: Best quality of a size.
MAX_QUALITY = 100

_FORMATS = {form.extension: form for form in Format}
_NAME = re.compile(
    r"(?:w(?P<width>[1-9]\d{0,4}))?(?:-?h(?P<height>[1-9]\d{0,4}))?(?P<cover>-cover)?-q(?P<quality>[1-9]\d{0,2})"
    r"\.(?P<extension>[a-z]+)",
    re.ASCII,
)


@dataclass(frozen=True)
class Operation:
    """A size to render, in device pixels.

    `inside` shows the whole image within the sides that are given. `cover` has both and crops at the focal point.
    Nothing is enlarged. `jpeg` stands for a format that every client reads: the bytes are PNG if the image has alpha.
    `jxl` stands for the smallest one that its clients read: the bytes of animations, text and drawings are WebP.
    The quality of PNG is always 100, because it is lossless. Raises `ValueError` for any other combination.
    """

    width: int | None
    height: int | None
    fit: Fit
    format: Format
    quality: int

    def __post_init__(self) -> None:
        """Check the values."""
        sides = [side for side in (self.width, self.height) if side is not None]
        if not sides or not all(1 <= side <= MAX_SIDE for side in sides):
            raise ValueError(f"sides must be 1 to {MAX_SIDE} (found: {self.width}, {self.height})")
        if self.fit is Fit.COVER and len(sides) < 2:
            raise ValueError("fit 'cover' needs both sides")
        lowest = MAX_QUALITY if self.format is Format.PNG else 1
        if not lowest <= self.quality <= MAX_QUALITY:
            raise ValueError(f"quality must be 1 to {MAX_QUALITY}, and {MAX_QUALITY} for PNG (found: {self.quality})")

    @property
    def name(self) -> str:
        """Name that identifies the operation, such as `w640-q75.webp` or `w640-h360-cover-q75.webp`. It is part of a
        key."""
        return f"{operation_text(self.width, self.height, self.fit, self.quality)}.{self.format.extension}"

    @classmethod
    def parse(cls, name: str) -> "Operation":
        """Return the operation with this name. Raises `ValueError` for every other text."""
        found = _NAME.fullmatch(name)
        if found is None or found["extension"] not in _FORMATS:
            raise ValueError(f"not the name of a size: {name[:80]!a}")
        operation = cls(
            width=int(found["width"]) if found["width"] else None,
            height=int(found["height"]) if found["height"] else None,
            fit=Fit.COVER if found["cover"] else Fit.INSIDE,
            format=_FORMATS[found["extension"]],
            quality=int(found["quality"]),
        )
        if operation.name != name:
            raise ValueError(f"not the name of a size: {name[:80]!a}")
        return operation


def operation_text(width: int | None, height: int | None, fit: Fit, quality: int) -> str:
    """Return the normalized text of a size without its format, such as `w640-h360-cover-q75`."""
    parts = [width and f"w{width}", height and f"h{height}", fit is Fit.COVER and "cover", f"q{quality}"]
    return "-".join(part for part in parts if part)
