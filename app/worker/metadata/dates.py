"""Date and time when an image was taken, in any spelling that exiftool reads.

The rules are in `docs/images.md`. A date is local time by the camera's clock; it has a zone only if one is known.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any, Final

from PIL import ExifTags

from app.worker.metadata import xmp
from app.worker.metadata.embedded import EmbeddedMetadata
from app.worker.metadata.text import as_text, decode_text

_Tags = Mapping[int, Any]
_Base = ExifTags.Base

#: From the year of the first photograph.
_YEARS: Final = range(1826, 3000)
_LONGEST: Final = 100
_DATE: Final = r"(?P<year>\d{4})(?:\D{1,3}(?P<month>\d{1,2})\D{1,3}(?P<day>\d{1,2})|(?P<m>\d{2})(?P<d>\d{2}))"
_CLOCK: Final = r"(?P<hour>\d{1,2})\s*[:.h-]\s*(?P<minute>\d{1,2})(?:\s*[:.m-]\s*(?P<second>\d{1,2}))?"
_COMPACT: Final = r"(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2})?"
_ZONE: Final = r"(?:(?P<utc>Z|UTC|GMT)?\s*(?:(?P<sign>[+\-\u2212])\s*(?P<ahead>\d{1,2})(?::?(?P<past>\d{2}))?)?)"
_MOMENT: Final = re.compile(
    rf"{_DATE}(?:[^\d+]{{0,4}}(?:{_CLOCK}|{_COMPACT})(?:[.,](?P<fraction>\d+))?\s*(?P<half>[AP]\.?M\.?)?\s*{_ZONE})?"
    r"(?!\d)",
    re.IGNORECASE,
)
_OFFSET: Final = re.compile(rf"{_ZONE}(?::\d\d)?", re.IGNORECASE)
#: Range of time zones (UTC-12:00 to UTC+14:00), and zones that are not whole hours, in minutes.
_FIRST_ZONE, _LAST_ZONE = -12 * 60, 14 * 60
_ODD_ZONES: Final = (-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765)
#: Largest difference between the camera's clock and the time of the last GPS position, in minutes.
_FRESH: Final = 5
#: Date and time datasets of IPTC-IIM: of creation and of digitization.
_CREATED: Final = (55, 60)
_DIGITIZED: Final = (62, 63)


def find_taken_at(tags: _Tags, gps: _Tags, embedded: EmbeddedMetadata) -> datetime | None:
    """Return the date of the first source that says when the image was taken.

    Dates of digitization count only if there is no such source: a malformed date must not be replaced by a less
    accurate one.
    """
    for moments in (_original_dates(tags, gps, embedded), _digitized_dates(tags, embedded)):
        said = False
        for moment in moments:
            said = True
            if moment:
                return moment
        if said:
            return None
    return None


def parse_date(text: str) -> datetime | None:
    """Parse a date and time in any spelling with the year first; None if it is malformed. A date alone is midnight."""
    found = _MOMENT.match(text.strip()[:_LONGEST])
    if not found:
        return _parse_rfc_1123(text)
    part = {name: value for name, value in found.groupdict().items() if value}
    names = ("hour", "minute", "second")
    hour, minute, second = (int(part.get(name) or part.get(name[0].upper()) or 0) for name in names)
    if half := part.get("half", "").upper():
        hour = hour % 12 + (12 if half.startswith("P") else 0)
    try:
        moment = datetime(
            int(part["year"]),
            int(part.get("month") or part["m"]),
            int(part.get("day") or part["d"]),
            hour % 24 if hour <= 24 else hour,  # cameras that count hours from 1 write 24 for the hour after midnight
            minute,
            min(second, 59) if second <= 60 else second,
            int(part.get("fraction", "0")[:6].ljust(6, "0")),
            _zone(found),
        )
    except ValueError:
        return None
    return moment if moment.year in _YEARS else None


def parse_offset(value: object) -> timezone | None:
    """Parse the time zone of `OffsetTimeOriginal`, in any spelling."""
    found = _OFFSET.fullmatch((as_text(value) or "").replace("\0", " ").strip())
    return _zone(found) if found else None


def _original_dates(tags: _Tags, gps: _Tags, embedded: EmbeddedMetadata) -> Iterator[datetime | None]:
    """Yield the date of each source for when the image was taken, None for a malformed one."""
    described = [
        *_xmp_dates(embedded, "exif:DateTimeOriginal", "photoshop:DateCreated"),
        *_iptc_dates(embedded, _CREATED),
    ]
    if text := _date_text(tags.get(_Base.DateTimeOriginal)):
        moment = _with_fraction(parse_date(text), tags.get(_Base.SubsecTimeOriginal))
        if moment and not moment.tzinfo:
            moment = moment.replace(tzinfo=_find_zone(moment, tags, gps, [one for one in described if one]))
        yield moment
    yield from described
    if text := _date_text(embedded.texts.get("exif:DateTimeOriginal")):  # by ImageMagick, in a PNG
        yield parse_date(text)


def _digitized_dates(tags: _Tags, embedded: EmbeddedMetadata) -> Iterator[datetime | None]:
    """Yield the date of each source for when the image was digitized, None for a malformed one."""
    if text := _date_text(tags.get(_Base.DateTimeDigitized)):
        moment = _with_fraction(parse_date(text), tags.get(_Base.SubsecTimeDigitized))
        if moment and not moment.tzinfo:
            moment = moment.replace(tzinfo=parse_offset(tags.get(_Base.OffsetTimeDigitized)))
        yield moment
    yield from _xmp_dates(embedded, "exif:DateTimeDigitized", "xmp:CreateDate", "xap:CreateDate")
    yield from _iptc_dates(embedded, _DIGITIZED)
    if text := _date_text(embedded.texts.get("Creation Time")):
        yield parse_date(text)


def _date_text(value: object) -> str | None:
    """Return the text of a date; None for blanks and zeros, which stand for unknown (Exif 2.32, 4.6.5)."""
    text = (as_text(value) or "").replace("\0", " ").strip()
    return text if text.strip("0:-/. TZ") else None


def _xmp_dates(embedded: EmbeddedMetadata, *names: str) -> Iterator[datetime | None]:
    for name in names:
        for item in xmp.read_items(embedded.xmp, name)[:1]:
            if text := _date_text(item):
                yield parse_date(text)


def _iptc_dates(embedded: EmbeddedMetadata, numbers: tuple[int, int]) -> Iterator[datetime | None]:
    date, time = (decode_text(embedded.iptc.get(number, [b""])[0]) for number in numbers)
    if _date_text(date):
        yield parse_date(f"{date}T{time}" if time else date)


def _with_fraction(moment: datetime | None, value: object) -> datetime | None:
    found = re.match(r"\s*(\d+)", as_text(value) or "")
    if not moment or not found or moment.microsecond:
        return moment
    return moment.replace(microsecond=int(found[1][:6].ljust(6, "0")))


def _find_zone(moment: datetime, tags: _Tags, gps: _Tags, described: list[datetime]) -> tzinfo | None:
    """Return the zone of the camera's clock: from the camera, from another source of the same moment, or from GPS."""
    if zone := parse_offset(tags.get(_Base.OffsetTimeOriginal)):
        return zone
    hours = tags.get(_Base.TimeZoneOffset)
    hours = hours[0] if isinstance(hours, tuple) and hours else hours
    if isinstance(hours, int) and _FIRST_ZONE <= hours * 60 <= _LAST_ZONE:
        return timezone(timedelta(hours=hours))
    is_original = _date_text(tags.get(_Base.DateTime)) == _date_text(tags.get(_Base.DateTimeOriginal))
    if is_original and (zone := parse_offset(tags.get(_Base.OffsetTime))):
        return zone
    for other in described:
        if other.tzinfo and other.replace(tzinfo=None, microsecond=0) == moment.replace(microsecond=0):
            return other.tzinfo
    return _zone_by_gps(moment, gps)


def _zone_by_gps(moment: datetime, gps: _Tags) -> timezone | None:
    """Return the time zone in which the camera's clock and the time of GPS, which is UTC, are the same moment."""
    date = parse_date(_date_text(gps.get(ExifTags.GPS.GPSDateStamp)) or "")
    try:
        hour, minute, second = (float(part) for part in gps[ExifTags.GPS.GPSTimeStamp])
        if not date:
            return None
        utc = date.replace(tzinfo=None) + timedelta(hours=hour, minutes=minute, seconds=second)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    ahead = (moment - utc).total_seconds() / 60
    zones = (*range(_FIRST_ZONE, _LAST_ZONE + 1, 60), *_ODD_ZONES)
    nearest = min(zones, key=lambda zone: abs(zone - ahead))
    return timezone(timedelta(minutes=nearest)) if abs(nearest - ahead) <= _FRESH else None


def _zone(found: re.Match[str]) -> timezone | None:
    part = found.groupdict()
    if part["sign"]:
        minutes = 60 * int(part["ahead"]) + int(part["past"] or 0)
        minutes = minutes if part["sign"] == "+" else -minutes
        valid = _FIRST_ZONE <= minutes <= _LAST_ZONE and int(part["past"] or 0) < 60
        return timezone(timedelta(minutes=minutes)) if valid else None
    return UTC if part["utc"] else None


def _parse_rfc_1123(text: str) -> datetime | None:
    """Parse a date of RFC 1123, which the specification of PNG suggests."""
    try:
        moment = parsedate_to_datetime(text[:_LONGEST])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.year in _YEARS else None
