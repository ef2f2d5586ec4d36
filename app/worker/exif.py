"""What a picture tells about itself, made safe to store and to show. Nothing in here ever raises on a bad file."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from PIL import ExifTags, Image, ImageFile

from app.domain.models import ExifValue, Privacy
from app.worker.blocks import Blocks, blocks_of, info_of
from app.worker.jobs import MAX_TEXT
from app.worker.privacy import privacy_of
from app.worker.rights import Rights, rights_of
from app.worker.texts import line, plain

_Tags = Mapping[int, Any]
_Base = ExifTags.Base

_TEXTS: Final = {
    "make": _Base.Make,
    "model": _Base.Model,
    "software": _Base.Software,
    "lens_make": _Base.LensMake,
    "lens_model": _Base.LensModel,
}
# Each with the least and the most that a camera can mean, ends included. Zero is left out where Exif 2.32 says, or
# adapted lenses do, that it stands for "unknown"; of digital zoom it says "not used".
_NUMBERS: Final = {
    "exposure_time": (_Base.ExposureTime, 1e-9, 1e6),  # from gated sensors to eleven days of stacked stars, in seconds
    "f_number": (_Base.FNumber, 0.1, 1000),  # lenses begin at 0.7, and pinholes are some hundreds
    "exposure_bias": (_Base.ExposureBiasValue, -99.99, 99.99),  # as Exif has it
    "focal_length": (_Base.FocalLength, 0.1, 100_000),  # in mm: from endoscopes to telescopes
    "digital_zoom": (_Base.DigitalZoomRatio, 0, 1000),  # phones have 100
}
_INTEGERS: Final = {
    "iso": (_Base.ISOSpeedRatings, 1, 10_000_000),  # the most that was sold is some 4,500,000
    "focal_length_35mm": (_Base.FocalLengthIn35mmFilm, 1, 65534),  # a SHORT in Exif, and one of ones only is junk
    "exposure_program": (_Base.ExposureProgram, 0, 9),  # Exif's 0 to 8, and Canon's 9 for bulb
    "metering_mode": (_Base.MeteringMode, 0, 255),  # 0 to 6, and 255 for others; what lies between is reserved
    "flash": (_Base.Flash, 0, 127),  # seven bits
    "white_balance": (_Base.WhiteBalance, 0, 1),
}
_WHEN: Final = (
    (_Base.DateTimeOriginal, _Base.OffsetTimeOriginal, _Base.SubsecTimeOriginal),
    (_Base.DateTimeDigitized, _Base.OffsetTimeDigitized, _Base.SubsecTimeDigitized),
)


@dataclass(frozen=True)
class Facts:
    """`orientation` is 1-8, `rights` the tags that variants keep."""

    orientation: int = 1
    exif: dict[str, ExifValue] = field(default_factory=dict)
    camera: str | None = None
    taken_at: datetime | None = None
    privacy: Privacy = field(default_factory=Privacy)
    rights: bytes = b""


def read_facts(image: ImageFile.ImageFile, path: Path) -> Facts:
    """Read what the file says. For PNG the picture must have been loaded: its metadata may follow the pixels."""
    info = _try(lambda: info_of(image, path)) or image.info
    exif = Image.Exif()
    if image.format == "TIFF":
        _try(lambda: exif.load(info.get("exif", b"")))
    else:
        exif = _try(image.getexif) or exif
    main: _Tags = _try(lambda: dict(exif)) or {}
    photo = _ifd(exif, ExifTags.IFD.Exif)
    tags = {**main, **photo}
    fields: dict[str, ExifValue] = {}
    for name, tag in _TEXTS.items():
        if text := plain(tags.get(tag)):
            fields[name] = text
    for read, bounds in ((_number, _NUMBERS), (_integer, _INTEGERS)):
        for name, (tag, least, most) in bounds.items():
            value = read(tags.get(tag))
            if value is not None and least <= value <= most:
                fields[name] = value
    blocks = _try(lambda: blocks_of(info)) or Blocks()
    rights = _try(lambda: rights_of(tags, blocks)) or Rights()
    for name, notice in (("artist", rights.artist), ("copyright", rights.copyright)):
        if short := line(notice or ""):
            fields[name] = short
    place, first = _ifd(exif, ExifTags.IFD.GPSInfo), _ifd(exif, ExifTags.IFD.IFD1)
    return Facts(
        orientation=orientation_of(image),
        exif=fields,
        camera=_camera(plain(tags.get(_Base.Make)), plain(tags.get(_Base.Model))),
        taken_at=_taken_at(tags),
        privacy=_try(lambda: privacy_of(info, tags, place, first, blocks)) or Privacy(),
        rights=rights.block(),
    )


def orientation_of(image: ImageFile.ImageFile) -> int:
    """How what the decoder answers with lies, 1-8. HEIC and TIFF come out upright. Of an AVIF only its boxes count,
    which Pillow tells as EXIF; where they are silent it would go by XMP."""
    if image.format in {"HEIF", "TIFF"}:
        return 1
    exif = Image.Exif()
    if image.format == "AVIF":
        _try(lambda: exif.load(image.info.get("exif", b"")))
    else:
        exif = _try(image.getexif) or exif
    value = _try(lambda: exif.get(_Base.Orientation))
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _try(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - metadata is never worth a picture, and Pillow raises what it likes on junk
        return None


def _ifd(exif: Image.Exif, which: int) -> _Tags:
    found = _try(lambda: exif.get_ifd(which))
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float | None:
    """A finite number with ten significant digits, or None for n/0, NaN and whatever else is none."""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, (str, bytes, bool)) or value is None:
        return None
    number = _try(lambda: float(value))  # type: ignore[arg-type]  # rationals, integers, and junk that raises
    if not isinstance(number, float) or not math.isfinite(number):
        return None
    return float(f"{number:.10g}")


def _integer(value: object) -> int | None:
    if isinstance(value, tuple) and value:  # ISO may be given as several values
        value = value[0]
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _camera(make: str | None, model: str | None) -> str | None:
    """Make and model, said once: "NIKON CORPORATION" + "NIKON D70" is a "NIKON D70"."""
    if not make or not model:
        return model or make
    first = make.split()[0].casefold()
    return model if model.casefold().startswith(first) else f"{make} {model}"[:MAX_TEXT]


def _taken_at(tags: _Tags) -> datetime | None:
    for when, offset, fraction in _WHEN:
        text = plain(tags.get(when))
        if not text:
            continue
        try:
            moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - a camera's clock has no zone
        except ValueError:
            continue
        if moment.year < 1826:  # the year of the first photograph
            continue
        if re.fullmatch(r"\d{1,6}", part := plain(tags.get(fraction)) or ""):
            moment = moment.replace(microsecond=int(part.ljust(6, "0")))
        return moment.replace(tzinfo=_zone(plain(tags.get(offset))))
    return None


def _zone(offset: str | None) -> timezone | None:
    found = re.fullmatch(r"([+-])(\d\d):(\d\d)", offset or "")
    if not found or int(found[2]) > 14 or int(found[3]) > 59:
        return None
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-ahead if found[1] == "-" else ahead)
