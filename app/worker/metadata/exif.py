"""Facts in the metadata of an image, safe to store and to show. A broken file never raises."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from PIL import ExifTags, ImageFile

from app.domain.models import ExifValue, PrivacyReport
from app.worker.jobs import MAX_TEXT, FoundRights
from app.worker.metadata.dates import find_taken_at
from app.worker.metadata.embedded import EmbeddedMetadata, read_embedded, read_info
from app.worker.metadata.exif_block import ExifBlock, read_block, tiff_block
from app.worker.metadata.privacy import read_privacy
from app.worker.metadata.rights import Notices, read_rights
from app.worker.metadata.text import plain_text, to_line

_Tags = Mapping[int, Any]
_Base = ExifTags.Base

_TEXTS: Final = {
    "make": _Base.Make,
    "model": _Base.Model,
    "software": _Base.Software,
    "lens_make": _Base.LensMake,
    "lens_model": _Base.LensModel,
}
# Each with the smallest and the largest plausible value, inclusive. Zero is excluded where Exif 2.32 or adapted lenses
# use it for "unknown"; for digital zoom it means "not used".
_NUMBERS: Final = {
    "exposure_time": (_Base.ExposureTime, 1e-9, 1e6),  # from gated sensors to eleven days of stacked stars, in seconds
    "f_number": (_Base.FNumber, 0.1, 1000),  # lenses begin at 0.7, and pinholes are some hundreds
    "exposure_bias": (_Base.ExposureBiasValue, -99.99, 99.99),  # as Exif has it
    "focal_length": (_Base.FocalLength, 0.1, 100_000),  # in mm: from endoscopes to telescopes
    "digital_zoom": (_Base.DigitalZoomRatio, 0, 1000),  # phones have 100
}
_INTEGERS: Final = {
    "iso": (_Base.ISOSpeedRatings, 1, 10_000_000),  # the highest of a camera on sale is about 4,500,000
    "focal_length_35mm": (_Base.FocalLengthIn35mmFilm, 1, 65534),  # a SHORT in Exif; 65535 is junk
    "exposure_program": (_Base.ExposureProgram, 0, 9),  # Exif's 0 to 8, and Canon's 9 for bulb
    "metering_mode": (_Base.MeteringMode, 0, 255),  # 0 to 6, and 255 for others; values between are reserved
    "flash": (_Base.Flash, 0, 127),  # seven bits
    "white_balance": (_Base.WhiteBalance, 0, 1),
}


@dataclass(frozen=True)
class Facts:
    """`rights_block` is the EXIF block that variants keep."""

    exif: dict[str, ExifValue] = field(default_factory=dict)
    camera: str | None = None
    taken_at: datetime | None = None
    privacy: PrivacyReport = field(default_factory=PrivacyReport)
    rights: FoundRights = field(default_factory=FoundRights)
    rights_block: bytes = b""


def read_facts(image: ImageFile.ImageFile, path: Path) -> Facts:
    """Read the metadata of a decoded image. The metadata of a TIFF is available after decoding only."""
    info = _try(lambda: read_info(image, path)) or image.info
    block = _try(lambda: read_block(tiff_block(info.get("exif")))) or ExifBlock()
    tags = {**block.main, **block.photo}
    fields: dict[str, ExifValue] = {}
    for name, tag in _TEXTS.items():
        if text := plain_text(tags.get(tag)):
            fields[name] = text
    for read, bounds in ((_number, _NUMBERS), (_integer, _INTEGERS)):
        for name, (tag, least, most) in bounds.items():
            value = read(tags.get(tag))
            if value is not None and least <= value <= most:
                fields[name] = value
    embedded = _try(lambda: read_embedded(info)) or EmbeddedMetadata()
    notices = _try(lambda: read_rights(tags, embedded)) or Notices()
    return Facts(
        exif=fields,
        camera=_camera(plain_text(tags.get(_Base.Make)), plain_text(tags.get(_Base.Model))),
        taken_at=_try(lambda: find_taken_at(tags, block.gps, embedded)),
        privacy=_try(lambda: read_privacy(info, tags, block.gps, block.thumbnail, embedded)) or PrivacyReport(),
        rights=FoundRights(artist=to_line(notices.artist or ""), copyright=to_line(notices.copyright or "")),
        rights_block=notices.block(),
    )


def _try(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - broken metadata never fails an image, and Pillow raises any exception on it
        return None


def _number(value: object) -> float | None:
    """Return a finite number with ten significant digits; None for n/0, NaN and anything that is not a number."""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, (str, bytes, bool)) or value is None:
        return None
    number = _try(lambda: float(value))  # type: ignore[arg-type]  # rationals, integers, and values that raise
    if not isinstance(number, float) or not math.isfinite(number):
        return None
    return float(f"{number:.10g}")


def _integer(value: object) -> int | None:
    if isinstance(value, tuple) and value:  # ISO may be given as several values
        value = value[0]
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _camera(make: str | None, model: str | None) -> str | None:
    """Join make and model without repeating the make: "NIKON CORPORATION" and "NIKON D70" give "NIKON D70"."""
    if not make or not model:
        return model or make
    first = make.split()[0].casefold()
    return model if model.casefold().startswith(first) else f"{make} {model}"[:MAX_TEXT]
