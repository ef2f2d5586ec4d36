"""Private data of an image is reported in its record and in no variant."""

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from app.domain.models import Format
from app.domain.recipe import Fit, VariantSpec
from app.worker.pixels.icc import Primaries, build_rgb_profile
from tests.samples import encoded, image_file, photo
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import png_with, saved, with_segment
from tests.worker.jxl_files import read_exif
from tests.worker.leaks import find_leaks

ALL = recipe_of(
    VariantSpec(name="v", width=64, formats=tuple(Format)),
    VariantSpec(name="cut", width=20, height=20, fit=Fit.COVER, formats=tuple(Format)),
)
MARK = b"MARKER-7f3a"
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
exif:GPSLatitude="1,2N" aux:SerialNumber="MARKER-7f3a" aux:OwnerName="MARKER-7f3a" exif:UserComment="MARKER-7f3a"/>
</rdf:RDF></x:xmpmeta>"""


def exif() -> Image.Exif:
    """Everything that a camera and its owner can leave, but the rights."""
    made = Image.Exif()
    mark = MARK.decode()
    made.update({0x010F: mark, 0x0110: mark, 0x0131: mark, 0x010E: mark, 0x9C9C: MARK, 0x9C9D: MARK})
    photo_tags = {
        0xA431: mark,
        0xA435: mark,
        0xA430: mark,
        0x9286: b"ASCII\0\0\0" + MARK,
        0x927C: MARK * 9,
        0xA420: mark,
    }
    made.get_ifd(ExifTags.IFD.Exif).update(photo_tags)
    made.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (1.0, 2.0, 3.0), 3: "E", 4: (4.0, 5.0, 6.0), 27: MARK})
    return made


def with_everything(file_format: str) -> bytes:
    options: dict[str, Any] = {"exif": exif().tobytes()}  # as bytes: some plugins forget the sub-directories otherwise
    if file_format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        info.add_text("Comment", MARK.decode())
        info.add_text("Raw profile type iptc", MARK.decode(), zip=False)
        options["pnginfo"] = info
    elif file_format == "TIFF":
        options["tiffinfo"] = {700: XMP, 33723: MARK}
        del options["exif"]
    else:
        options["xmp"] = XMP
    if file_format == "JPEG":
        options["comment"] = MARK
    body = saved(photo(96, 64), file_format, **options)
    return with_segment(body, 0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + _iptc()) if file_format == "JPEG" else body


def _iptc() -> bytes:
    data = b"".join(b"\x1c\x02" + bytes((kind, 0, len(MARK))) + MARK for kind in (90, 105, 120))
    return len(data).to_bytes(4, "big") + data


def clean(processed: Any, out: Path) -> None:
    """Every variant is free of the mark, and of anything that is neither pixels nor rights."""
    for variant in processed.variants:
        raw = (out / variant.file).read_bytes()
        assert MARK not in raw, variant.file
        assert find_leaks(out / variant.file) == [], variant.file


@pytest.mark.parametrize("file_format", FORMATS)
def test_nothing_private_is_in_any_variant_and_all_of_it_is_reported(process: Process, file_format: str) -> None:
    body = with_everything(file_format)
    assert MARK in body
    processed, out = process(body, ALL)
    clean(processed, out)
    told = processed.privacy_report
    assert (told.gps, told.serial, told.owner_name, told.comment) == (True, True, True, True)


@pytest.mark.parametrize(
    "body",
    [
        lambda: saved(photo(40, 30), "JPEG", comment=MARK),
        lambda: saved(photo(40, 30), "GIF", comment=MARK),
        lambda: png_with(saved(photo(40, 30), "PNG"), b"tEXt", b"Description\0" + MARK),
        lambda: saved(photo(40, 30), "TIFF", description=MARK.decode()),
        lambda: with_segment(saved(photo(40, 30), "JPEG"), 0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + _iptc()),
    ],
)
def test_a_comment_is_reported_wherever_it_is(process: Process, body: Any) -> None:
    processed, out = process(body(), ALL)
    clean(processed, out)
    assert processed.privacy_report.model_dump(exclude={"comment"}) == dict.fromkeys(
        ("gps", "serial", "owner_name", "thumbnail"), False
    )
    assert processed.privacy_report.comment


@pytest.mark.parametrize("blank", [b"ASCII\0\0\0" + b" " * 40, b"UNICODE\0\0\0\0\0", b"\0" * 8, b""])
def test_blanks_are_no_comment(process: Process, blank: bytes) -> None:
    made = Image.Exif()
    made.get_ifd(ExifTags.IFD.Exif)[0x9286] = blank
    assert not process(saved(photo(40, 30), "JPEG", exif=made), ALL)[0].privacy_report.comment


def test_a_thumbnail_of_what_was_cropped_away_is_reported_and_gone(process: Process) -> None:
    thumbnail = saved(Image.new("RGB", (16, 12), "red"), "JPEG")

    def directory(*entries: tuple[int, int, int], following: int = 0) -> bytes:
        return struct.pack("<H", len(entries)) + b"".join(
            struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries
        ) + struct.pack("<I", following)  # fmt: skip

    first = b"II*\0" + struct.pack("<I", 8) + directory((0x0112, 3, 1), following=26)
    tiff = first + directory((0x0103, 3, 6), (0x0201, 4, 68), (0x0202, 4, len(thumbnail))) + thumbnail
    processed, out = process(with_segment(encoded("JPEG", 96, 64), 0xE1, b"Exif\0\0" + tiff), ALL)
    assert processed.privacy_report.thumbnail
    clean(processed, out)
    for variant in processed.variants:
        raw = (out / variant.file).read_bytes()
        assert thumbnail not in raw
        assert raw.count(b"\xff\xd8\xff") == (variant.format is Format.JPEG)


@pytest.mark.parametrize("trailer", [b"PK\x03\x04" + MARK, b"<script>" + MARK, b"X5O!P%@AP" + MARK * 1000])
@pytest.mark.parametrize("file_format", FORMATS)
def test_bytes_after_an_image_are_in_no_variant(process: Process, file_format: str, trailer: bytes) -> None:
    processed, out = process(encoded(file_format, 96, 64) + trailer, ALL)
    clean(processed, out)


def test_a_phones_second_picture_is_left_behind(process: Process) -> None:
    """The Multi-Picture Format; a gain map is such a second image too, named by XMP and MPF."""
    main, gain_map = photo(96, 64), Image.effect_noise((48, 32), 90).convert("RGB")
    out = io.BytesIO()
    main.save(out, "MPO", save_all=True, append_images=[gain_map])
    body = with_segment(
        out.getvalue(),
        0xE1,
        b"http://ns.adobe.com/xap/1.0/\0<x xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'/>" + MARK,
    )
    for given in (body, image_file("pillow-tests__sugarshack.mpo").read_bytes()):
        processed, folder = process(given, ALL)
        assert processed.frames == 1
        clean(processed, folder)
        for variant in processed.variants:
            raw = (folder / variant.file).read_bytes()
            assert not [word for word in (b"MPF\0", b"hdrgm", b"hdr-gain-map") if word in raw]


@pytest.mark.parametrize("file_format", FORMATS)
def test_rights_are_kept_in_every_format(process: Process, file_format: str) -> None:
    made = Image.Exif()
    made.update({0x013B: "Ann Author", 0x8298: "(c) 2024 Ann", 0x010F: "Maker"})
    processed, out = process(saved(photo(96, 64), file_format, exif=made.tobytes()), ALL)
    assert processed.rights.artist == "Ann Author"
    for variant in processed.variants:
        assert find_leaks(out / variant.file) == []
        found = dict(read_exif(out / variant.file))
        assert found == {0x013B: "Ann Author", 0x8298: "(c) 2024 Ann"}, variant.file


@pytest.mark.parametrize(
    ("given", "told", "kept"),
    [
        (b"Ann\0Ed Editor", "Ann; Ed Editor", "Ann\0Ed Editor"),
        (b" \0Ed Editor", "Ed Editor", " \0Ed Editor"),
        (b"Ann\0", "Ann", "Ann"),
        (b"\x1b Ann\r\nAuthor\0\0junk", "Ann Author", "Ann Author"),
        (b"(c) " + b"long " * 100 + b"end", ("(c) " + "long " * 100)[:200].strip(), "(c) " + "long " * 100 + "end"),
        (b"x" * 9_000, "x" * 200, "x" * 2_000),
    ],
)
def test_a_copyright_is_kept_whole_and_so_is_its_editors(process: Process, given: bytes, told: str, kept: str) -> None:
    made = Image.Exif()
    made[0x8298] = given
    processed, out = process(saved(photo(96, 64), "JPEG", exif=made), ALL)
    assert (processed.exif, processed.rights.copyright) == ({}, told)
    for variant in processed.variants:
        assert dict(read_exif(out / variant.file)) == {0x8298: kept}, variant.file


def test_a_converted_picture_says_nothing_about_when(process: Process) -> None:
    """lcms puts the time of day into the profile of what it converts."""
    p3 = build_rgb_profile(Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), lambda tone: tone**2.2)
    processed, out = process(saved(photo(96, 64), "JPEG", icc_profile=p3), ALL)
    clean(processed, out)
