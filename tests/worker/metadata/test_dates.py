"""When an image was taken: every spelling of a date, and which of several counts. The rules are in `docs/images.md`."""

import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from PIL import ExifTags, Image

from app.worker.metadata.dates import parse_date, parse_offset
from tests.samples import photo
from tests.worker.conftest import SMALL, Process
from tests.worker.files import png_with, saved, with_segment
from tests.worker.metadata.test_rights import datasets, resource

ORIGINAL, DIGITIZED, CHANGED = 0x9003, 0x9004, 0x0132
OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
SUBSECONDS, SUBSECONDS_DIGITIZED = 0x9291, 0x9292
ZONE = 0x882A
STANDARD = datetime(2018, 7, 23, 18, 40, 47)  # noqa: DTZ001 - a camera's clock


def zone(hours: float) -> timezone:
    return timezone(timedelta(hours=hours))


SPELLINGS: dict[str, datetime] = {
    "2018:07:23 18:40:47": STANDARD,
    "2018-07-23 18:40:47": STANDARD,
    "2018/07/23 18:40:47": STANDARD,
    "2018.07.23 18.40.47": STANDARD,
    "2018-07-23T18:40:47": STANDARD,
    "2018:07:23:18:40:47": STANDARD,
    "2018:07:23  18:40:47": STANDARD,
    "2018:7:23 18:40:47": STANDARD,
    "2018年07月23日 18:40:47": STANDARD,
    "20180723 184047": STANDARD,
    "20180723T184047": STANDARD,
    "20180723184047": STANDARD,
    "٢٠١٨:٠٧:٢٣ ١٨:٤٠:٤٧": STANDARD,
    "2018:07:23 06:40:47 PM": STANDARD,
    "2018:07:23 18:40:47 by hand": STANDARD,
    "Mon Jul 23 18:40:47 2018": STANDARD,
    "2018:07:23 6: 4: 7": STANDARD.replace(hour=6, minute=4, second=7),
    "2018:07:23 18:40": STANDARD.replace(second=0),
    "2018:07:23": STANDARD.replace(hour=0, minute=0, second=0),
    "2018:07:23 12:40:47 AM": STANDARD.replace(hour=0),
    "2018:07:23 24:08:19": STANDARD.replace(hour=0, minute=8, second=19),
    "2018:07:23 24:00:00": STANDARD.replace(hour=0, minute=0, second=0),
    "2018:07:23 18:40:60": STANDARD.replace(second=59),
    "2018:07:23 18:40:47.5": STANDARD.replace(microsecond=500_000),
    "2018:07:23 18:40:47.1234567": STANDARD.replace(microsecond=123_456),
    "2018:07:23 18:40:47Z": STANDARD.replace(tzinfo=UTC),
    "2018:07:23 18:40:47+0000": STANDARD.replace(tzinfo=UTC),
    "2018:07:23 18:40:47 +0200": STANDARD.replace(tzinfo=zone(2)),
    "2018-07-23T18:40:47.5-05:00": STANDARD.replace(microsecond=500_000, tzinfo=zone(-5)),
    "2018:07:23 18:40:47-03": STANDARD.replace(tzinfo=zone(-3)),
    "2018:07:23 18:40:47\u221203:00": STANDARD.replace(tzinfo=zone(-3)),
    "2018:07:23 18:40:47 UTC+8": STANDARD.replace(tzinfo=zone(8)),
    "2018:07:23 18:40:47+05:45": STANDARD.replace(tzinfo=zone(5.75)),
    "2018:07:23 18:40:47+15:00": STANDARD,
    "Mon, 23 Jul 2018 18:40:47 +0200": STANDARD.replace(tzinfo=zone(2)),
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_spelling_is_read(text: str) -> None:
    found = parse_date(text)
    assert found == SPELLINGS[text]
    assert found is not None
    assert found.utcoffset() == SPELLINGS[text].utcoffset()


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2018", "2018:07", "2018:13:01 00:00:00", "2018:02:30 00:00:00", "2018:07:23 25:00:00",
        "2018:07:23 18:61:00", "2018:00:00 00:00:00", "18:07:23 18:40:47", "23/07/2018 18:40", "03/03/2019 1:57",
        "1799:01:01 00:00:00", "9999:01:01 00:00:00", "1532371247", "201807231840470000", "\ud800", "9" * 5000,
    ],
)  # fmt: skip
def test_malformed_and_ambiguous_dates_are_none(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("+02:00", 2), ("+0200", 2), ("+2:00", 2), ("+02", 2), ("-03", -3), ("-5:00", -5), ("\u221205:00", -5),
        ("Z", 0), ("z", 0), ("UTC", 0), ("GMT+1", 1), ("+00:00", 0), ("-00:00", 0), ("+05:45", 5.75),
        ("+05:45:00", 5.75),
        (" +02:00 ", 2), ("+02:00\0", 2), (b"+02:00", 2), ("+14:00", 14), ("-12:00", -12), ("   :  ", None), ("", None),
        ("02:00", None), ("+15:00", None), ("-13:00", None), ("+02:60", None), ("Europe/Paris", None), (7, None),
    ],
)  # fmt: skip
def test_an_offset(text: object, hours: float | None) -> None:
    assert parse_offset(text) == (None if hours is None else zone(hours))


_Tags = dict[int, Any]


def jpeg(
    main: _Tags | None = None, photo_tags: _Tags | None = None, gps: _Tags | None = None, *, xmp: str = "",
    iptc: bytes = b"",
) -> bytes:  # fmt: skip
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(ExifTags.IFD.Exif).update(photo_tags or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    body = saved(photo(40, 30), "JPEG", exif=exif)
    if xmp:
        head = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {}/></rdf:RDF></x:xmpmeta>'
        body = with_segment(body, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + head.format(xmp).encode())
    if iptc:
        body = with_segment(body, 0xED, b"Photoshop 3.0\0" + resource(0x0404, iptc))
    return body


NOON = "2020:06:01 12:00:00"
AT_NOON = datetime(2020, 6, 1, 12)  # noqa: DTZ001
BLANKS = ["    :  :     :  :  ", "0000:00:00 00:00:00", "0000-00-00T00:00:00Z", " ", "\0", "                   "]


def taken(process: Process, body: bytes) -> datetime | None:
    return process(body, SMALL)[0].taken_at


@pytest.mark.parametrize("odd", ["yesterday", "23/07/2018 18:40", "2018:13:01 00:00:00", "2018"])
def test_an_odd_original_is_not_outdone_by_the_date_of_digitization(process: Process, odd: str) -> None:
    assert taken(process, jpeg({CHANGED: NOON}, {ORIGINAL: odd, DIGITIZED: "2002:12:08 12:00:00"})) is None


def test_a_dashed_original_counts_before_the_date_of_digitization(process: Process) -> None:
    body = jpeg({}, {ORIGINAL: "2018-07-23 18:40:47", DIGITIZED: "2002:12:08 12:00:00"})
    assert taken(process, body) == STANDARD


@pytest.mark.parametrize("blank", [None, *BLANKS])
def test_without_an_original_the_date_of_digitization_counts(process: Process, blank: str | None) -> None:
    tags = {DIGITIZED: NOON, SUBSECONDS_DIGITIZED: "25", OFFSET_DIGITIZED: "+0200"}
    tags |= {} if blank is None else {ORIGINAL: blank}
    assert taken(process, jpeg({}, tags)) == AT_NOON.replace(microsecond=250_000, tzinfo=zone(2))


def test_the_date_of_a_change_never_counts(process: Process) -> None:
    assert taken(process, jpeg({CHANGED: NOON}, {OFFSET: "+02:00"})) is None


@pytest.mark.parametrize("fraction", ["5", "50", "500000", "5000000", " 5", "5 ", "5\0"])
def test_fractions_of_a_second(process: Process, fraction: str) -> None:
    assert taken(process, jpeg({}, {ORIGINAL: NOON, SUBSECONDS: fraction})) == AT_NOON.replace(microsecond=500_000)


def test_a_fraction_within_the_date_counts_first(process: Process) -> None:
    body = jpeg({}, {ORIGINAL: f"{NOON}.25", SUBSECONDS: "99"})
    assert taken(process, body) == AT_NOON.replace(microsecond=250_000)


def test_a_zone_within_the_date_counts_first(process: Process) -> None:
    body = jpeg({}, {ORIGINAL: f"{NOON}+02:00", OFFSET_ORIGINAL: "-07:00"})
    assert taken(process, body) == AT_NOON.replace(tzinfo=zone(2))


@pytest.mark.parametrize(
    ("main", "photo_tags", "hours"),
    [
        ({}, {OFFSET_ORIGINAL: "+02:00", OFFSET: "+01:00"}, 2),
        ({CHANGED: NOON}, {OFFSET: "+01:00"}, 1),
        ({CHANGED: "2021:01:01 00:00:00"}, {OFFSET: "+01:00"}, None),
        ({ZONE: -7}, {}, -7),
        ({ZONE: (-7, 1)}, {}, -7),
        ({ZONE: 99}, {}, None),
        ({}, {OFFSET_ORIGINAL: "   :  "}, None),
        ({}, {OFFSET_DIGITIZED: "+02:00"}, None),
    ],
    ids=["its own", "of the same moment", "of a later change", "in hours", "in hours, two", "nonsense", "blank",
         "of the digitization"],
)  # fmt: skip
def test_the_zone_of_the_original(
    process: Process, main: dict[int, Any], photo_tags: dict[int, Any], hours: float | None
) -> None:
    found = taken(process, jpeg(main, {ORIGINAL: NOON, **photo_tags}))
    assert found == AT_NOON.replace(tzinfo=None if hours is None else zone(hours))


def gps(date: str, hour: float, minute: float, second: float = 0) -> dict[int, Any]:
    return {0x1D: date, 7: (hour, minute, second)}


@pytest.mark.parametrize(
    ("position", "hours"),
    [
        (gps("2020:06:01", 10, 0), 2), (gps("2020:06:01", 9, 58, 30.5), 2), (gps("2020-06-01", 17, 0), -5),
        (gps("2020:06:02", 0, 0), -12), (gps("2020:05:31", 22, 0), 14), (gps("2020:06:01", 6, 15), 5.75),
        (gps("2020:06:01", 9, 40), None), (gps("2020:05:20", 10, 0), None), (gps("2020:06:01", 1e9, 0), None),
        ({7: (10, 0, 0)}, None), ({0x1D: "2020:06:01"}, None), (gps("0000:00:00", 0, 0), None),
    ],
    ids=["the zone", "an old position", "dashes", "the next day", "the day before", "not of whole hours",
         "too old a position", "days old", "nonsense", "no date", "no time", "blank"],
)  # fmt: skip
def test_the_time_of_gps_tells_the_zone_and_nothing_else(
    process: Process, position: dict[int, Any], hours: float | None
) -> None:
    found = taken(process, jpeg({}, {ORIGINAL: NOON}, position))
    assert found == AT_NOON.replace(tzinfo=None if hours is None else zone(hours))
    assert taken(process, jpeg({}, {}, position)) is None


@pytest.mark.parametrize("name", ["exif:DateTimeOriginal", "photoshop:DateCreated"])
def test_xmp_counts_where_exif_is_silent_or_odd(process: Process, name: str) -> None:
    xmp = f'{name}="2020-06-01T12:00:00.25+02:00"'
    expected = AT_NOON.replace(microsecond=250_000, tzinfo=zone(2))
    assert taken(process, jpeg(xmp=xmp)) == expected
    assert taken(process, jpeg({}, {ORIGINAL: "odd", DIGITIZED: "2002:12:08 12:00:00"}, xmp=xmp)) == expected
    assert taken(process, jpeg({}, {ORIGINAL: "2018:07:23 18:40:47"}, xmp=xmp)) == STANDARD


def test_xmp_tells_the_zone_of_the_same_moment(process: Process) -> None:
    body = jpeg({}, {ORIGINAL: NOON}, xmp='exif:DateTimeOriginal="2020-06-01T12:00:00+02:00"')
    assert taken(process, body) == AT_NOON.replace(tzinfo=zone(2))


def test_an_odd_date_in_xmp_is_not_outdone_either(process: Process) -> None:
    assert taken(process, jpeg({}, {DIGITIZED: NOON}, xmp='photoshop:DateCreated="2020"')) is None


@pytest.mark.parametrize("name", ["xmp:CreateDate", "xap:CreateDate", "exif:DateTimeDigitized"])
def test_the_creation_of_the_file_counts_last(process: Process, name: str) -> None:
    xmp = f'{name}="2020-06-01T12:00:00Z"'
    assert taken(process, jpeg(xmp=xmp)) == AT_NOON.replace(tzinfo=UTC)
    assert taken(process, jpeg({}, {ORIGINAL: "odd"}, xmp=xmp)) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(55, b"20200601"), (60, b"120000+0200")], AT_NOON.replace(tzinfo=zone(2))),
        ([(55, b"20200601"), (60, b"120000")], AT_NOON),
        ([(55, b"20200601")], AT_NOON.replace(hour=0)),
        ([(55, b"00000000"), (62, b"20200601"), (63, b"120000-0500")], AT_NOON.replace(tzinfo=zone(-5))),
        ([(55, b"20200000"), (62, b"20200601")], None),
        ([(55, b"\xff")], None),
    ],
    ids=["a date, a time and a zone", "a date and a time", "a date", "of the digitization", "odd", "junk"],
)
def test_iptc(process: Process, values: list[tuple[int, bytes]], expected: datetime | None) -> None:
    assert taken(process, jpeg(iptc=datasets(*values))) == expected


@pytest.mark.parametrize(
    ("keyword", "text"),
    [("Creation Time", b"Mon, 01 Jun 2020 12:00:00"), ("Creation Time", b"2020-06-01 12:00:00"),
     ("exif:DateTimeOriginal", b"2020:06:01 12:00:00")],
)  # fmt: skip
def test_texts_of_a_png(process: Process, keyword: str, text: bytes) -> None:
    body = png_with(saved(photo(40, 30), "PNG"), b"tEXt", keyword.encode() + b"\0" + text)
    assert taken(process, body) == AT_NOON


def test_one_broken_tag_costs_no_date(process: Process) -> None:
    """Of a directory with an entry of an unknown type, one beyond its end, and one with a count that no file has."""
    date = NOON.encode() + b"\0"
    entries = [
        (0x010F, 99, 4, b"abcd"), (0x0110, 2, 2**31, struct.pack("<I", 8)), (0x0131, 2, 50, struct.pack("<I", 60_000)),
        (ORIGINAL, 2, len(date), struct.pack("<I", 8 + 2 + 4 * 12 + 4)),
    ]  # fmt: skip
    block = b"II*\0" + struct.pack("<IH", 8, 4)
    block += b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    body = with_segment(saved(photo(40, 30), "JPEG"), 0xE1, b"Exif\0\0" + block + bytes(4) + date)
    assert taken(process, body) == AT_NOON
