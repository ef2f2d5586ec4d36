"""Queries for sizes, in the long names of directus and the short ones of imgix."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from app.domain.errors import Invalid
from app.domain.models import Format
from app.domain.recipe import Fit
from app.domain.sizes.offer import MAX_SIDE
from app.domain.sizes.operation import MAX_QUALITY, Operation, operation_text

#: Quality of a query without one.
DEFAULT_QUALITY = 75
#: Names of each parameter, from the longest. Unknown names are ignored, `withoutEnlargement` among them.
NAMES = {
    "width": ("width", "w"),
    "height": ("height", "h"),
    "quality": ("quality", "q"),
    "format": ("format", "fm", "f"),
    "fit": ("fit",),
    "dpr": ("dpr",),
}
FORMATS = {
    "jpeg": Format.JPEG,
    "jpg": Format.JPEG,
    "pjpg": Format.JPEG,
    "webp": Format.WEBP,
    "avif": Format.AVIF,
    "jxl": Format.JXL,
    "png": Format.PNG,
}
#: Names in directus, sharp and imgix. Nothing is distorted or padded, so `fill` shows the whole image.
FITS = {
    **dict.fromkeys(("cover", "crop", "min", "outside"), Fit.COVER),
    **dict.fromkeys(("inside", "contain", "clip", "max", "fill"), Fit.INSIDE),
}
MIN_DPR, MAX_DPR = 0.1, 10

_FIELDS = {name: field for field, names in NAMES.items() for name in names}
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_FOUND_CHARACTERS = 40


class SizeQuery(NamedTuple):
    """A size as a client asks for it, `dpr` multiplied in. `format` is None for the best one that the client accepts.

    Without any side, the query asks for the whole image.
    """

    width: int | None = None
    height: int | None = None
    fit: Fit = Fit.INSIDE
    format: Format | None = None
    quality: int | None = None

    @property
    def has_size(self) -> bool:
        """True if the query names a side or a quality, and not only a format."""
        return (self.width, self.height, self.quality) != (None, None, None)

    @property
    def text(self) -> str:
        """Normalized text of the query, which a signature covers: `w640-h360-cover-q75.auto`."""
        form = self.format.value if self.format else "auto"
        return f"{operation_text(self.width, self.height, self.fit, self.quality or DEFAULT_QUALITY)}.{form}"

    def exact(self, form: Format) -> Operation:
        """Return the operation that this query asks for, in this format."""
        side = MAX_SIDE if self.width is None and self.height is None else self.width
        return Operation(side, self.height, self.fit, form, encoder_quality(form, self.quality or DEFAULT_QUALITY))


def encoder_quality(form: Format, quality: int) -> int:
    """Return the quality of an operation in this format."""
    return MAX_QUALITY if form is Format.PNG else quality


def parse_query(parameters: Iterable[tuple[str, str]], extension: str = "") -> SizeQuery:
    """Parse the parameters of a url. `extension` is that of the path; a known one picks the format unless a parameter
    does.

    Raises `Invalid` with the parameter, the value found and the limit. Parameters without a value are ignored.
    """
    given: dict[str, tuple[str, Any]] = {}
    automatic = False
    for name, text in parameters:
        field = _FIELDS.get(name)
        if name == "auto":
            automatic |= "format" in text.split(",")
        elif field is not None and text:
            value = _PARSERS[field](name, text)
            if field in given and given[field][1] != value:
                raise _conflict(given[field][0], name)
            given[field] = (name, value)
    values = {field: value for field, (_, value) in given.items()}
    dpr = values.get("dpr", 1.0)
    width, height = _scale(values.get("width"), dpr), _scale(values.get("height"), dpr)
    crops = width is not None and height is not None and values.get("fit", Fit.COVER) is Fit.COVER
    form = values["format"] if "format" in values else None if automatic else FORMATS.get(extension.lower())
    return SizeQuery(width, height, Fit.COVER if crops else Fit.INSIDE, form, values.get("quality"))


def _scale(side: float | None, dpr: float) -> int | None:
    return None if side is None else max(1, min(MAX_SIDE, math.floor(side * dpr + 0.5)))


def _side(name: str, text: str) -> float:
    return _number(name, text, 1, MAX_SIDE)


def _quality(name: str, text: str) -> int:
    return math.floor(_number(name, text, 1, MAX_QUALITY) + 0.5)


def _dpr(name: str, text: str) -> float:
    return _number(name, text, MIN_DPR, MAX_DPR)


def _number(name: str, text: str, minimum: float, maximum: float) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not minimum <= value <= maximum:
        detail = f"`{name}` must be a number from {minimum:,} to {maximum:,} (found: {text[:_FOUND_CHARACTERS]!a})."
        raise Invalid("bad_size", detail, field=name, found=text[:_FOUND_CHARACTERS], minimum=minimum, maximum=maximum)
    return value


def _format(name: str, text: str) -> Format | None:
    return None if text.lower() == "auto" else _word(name, text, FORMATS, ("auto", *FORMATS))


def _fit(name: str, text: str) -> Fit:
    fit: Fit = _word(name, text, FITS, tuple(FITS))
    return fit


def _word(name: str, text: str, known: dict[str, Any], accepted: tuple[str, ...]) -> Any:
    if text.lower() not in known:
        found = text[:_FOUND_CHARACTERS]
        detail = f"`{name}` must be one of {', '.join(accepted)} (found: {found!a})."
        raise Invalid("bad_size", detail, field=name, found=found, accepted=list(accepted))
    return known[text.lower()]


def _conflict(one: str, other: str) -> Invalid:
    if one == other:
        return Invalid("size_conflict", f"`{one}` is given twice with different values. Send it once.", field=one)
    detail = f"`{one}` and `{other}` are the same parameter and have different values. Send one of them."
    return Invalid("size_conflict", detail, field=one, other=other)


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "width": _side,
    "height": _side,
    "quality": _quality,
    "format": _format,
    "fit": _fit,
    "dpr": _dpr,
}
