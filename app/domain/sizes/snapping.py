"""Snapping: the sizes that may be asked for without a signature."""

from bisect import bisect_left
from fractions import Fraction
from typing import NamedTuple

from app.domain.errors import Forbidden
from app.domain.models import Format
from app.domain.recipe import Fit
from app.domain.sizes.offer import MAX_SIDE, RATIOS, WIDTHS
from app.domain.sizes.operation import Operation
from app.domain.sizes.query import DEFAULT_QUALITY, SizeQuery, encoder_quality

QUALITIES = (50, DEFAULT_QUALITY, 90)
#: Relative difference between aspect ratios that counts as none: clients round sides to pixels.
_TOLERANCE = Fraction(1, 100)


class Ladder(NamedTuple):
    """The offered widths, in ascending order, and the aspect ratios of crops, such as `16:9`. With `jxl`, sizes are
    offered in JPEG XL too."""

    widths: tuple[int, ...] = WIDTHS
    ratios: tuple[str, ...] = RATIOS
    jxl: bool = False

    @property
    def formats(self) -> tuple[Format, ...]:
        """Formats of sizes."""
        return tuple(form for form in Format if self.jxl or form is not Format.JXL)

    @property
    def most_files(self) -> int:
        """Highest number of files of one image that queries without a signature can make."""
        qualities = sum(1 if form is Format.PNG else len(QUALITIES) for form in self.formats)
        return len(self.widths) * (1 + len(self.ratios)) * qualities

    def snap(self, query: SizeQuery, form: Format, image: tuple[int, int] | None = None) -> Operation | None:
        """Return the offered operation that is nearest to the query: no narrower, as long as one is wide enough.

        `image` are the width and height of the image. Without them, the result is None for a query that depends on
        them: one with a height that no ratio of the ladder explains. Raises `Forbidden` for a crop to an aspect ratio
        that is neither in the ladder nor that of the image.
        """
        quality = encoder_quality(form, _nearest(query.quality or DEFAULT_QUALITY))
        if query.height is None:
            return Operation(self._width(query.width or MAX_SIDE), None, Fit.INSIDE, form, quality)
        if query.width is not None and query.fit is Fit.COVER:
            ratio = self._ratio(query.width, query.height)
            if ratio is not None:
                width = self._width(query.width)
                height = min(MAX_SIDE, max(1, round(width / ratio)))
                return Operation(width, height, Fit.COVER, form, quality)
        if image is None:
            return None
        if query.width is not None and query.fit is Fit.COVER:
            if not _is_same(query.width, query.height, Fraction(*image)):
                raise self._refusal(query)
            return Operation(self._width(query.width), None, Fit.INSIDE, form, quality)
        across = max(1, round(query.height * Fraction(*image)))
        return Operation(self._width(min(query.width or across, across)), None, Fit.INSIDE, form, quality)

    def offers(self, operation: Operation) -> bool:
        """Return True if everybody may ask for the operation."""
        query = SizeQuery(operation.width, operation.height, operation.fit, operation.format, operation.quality)
        is_known = operation.format in self.formats
        return is_known and query.width is not None and self.snap(query, operation.format) == operation

    def _width(self, asked: int) -> int:
        return self.widths[min(bisect_left(self.widths, asked), len(self.widths) - 1)]

    def _ratio(self, width: int, height: int) -> Fraction | None:
        ratios = (Fraction(*map(int, text.split(":"))) for text in self.ratios)
        return next((ratio for ratio in ratios if _is_same(width, height, ratio)), None)

    def _refusal(self, query: SizeQuery) -> Forbidden:
        offered = ", ".join(self.ratios) or "none"
        detail = (
            f"Crops without a signature must have the aspect ratio of the image or one of: {offered} "
            f"(found: {query.width}×{query.height}). Ask for another height, sign the url, or add the ratio to "
            "DARKROOM_ON_DEMAND_RATIOS."
        )
        return Forbidden("size_not_offered", detail, width=query.width, height=query.height, ratios=list(self.ratios))


def _nearest(quality: int) -> int:
    return min(QUALITIES, key=lambda step: (abs(step - quality), -step))


def _is_same(width: int, height: int, ratio: Fraction) -> bool:
    """Return True if a box has this aspect ratio, except for rounding."""
    off = abs(height * ratio - width) / ratio  # pixels of the height
    return off <= max(Fraction(1), height * _TOLERANCE)
