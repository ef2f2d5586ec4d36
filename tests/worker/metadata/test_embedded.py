"""Private data of an original is reported in its record, whichever block contains it."""

import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from app.domain.models import Format
from app.domain.recipe import VariantSpec
from app.worker.decode import gif
from tests.samples import encoded, photo
from tests.worker.conftest import SMALL, Process, recipe_of
from tests.worker.files import png_with, saved, with_segment
from tests.worker.metadata.test_rights import datasets, folded, resource, still

MARK = b"MARKER-7f3a"
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {}</rdf:Description></rdf:RDF></x:xmpmeta>'


def with_xmp(inner: str, encoding: str = "utf-8") -> bytes:
    return still("JPEG", xmp=XMP.format(inner).encode(encoding))


def photoshop(*parts: bytes) -> bytes:
    return with_segment(still("JPEG"), 0xED, b"Photoshop 3.0\0" + b"".join(parts))


def caption(value: bytes) -> bytes:
    return resource(0x0404, datasets((120, value)))


def text(keyword: str, value: bytes = MARK) -> bytes:
    return png_with(still("PNG"), b"tEXt", keyword.encode() + b"\0" + value)


def gif_with(*blocks: bytes, late: bool = False) -> bytes:
    """Blocks before the first frame, or at the end of all."""
    frames = [photo(40, 30, seed=seed) for seed in (1, 2)]
    body = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    if late:
        return body[:-1] + b"".join(blocks) + body[-1:]
    at = 13 + (3 << (body[10] & 7) + 1 if body[10] & 0x80 else 0)
    return body[:at] + b"".join(blocks) + body[at:]


def gif_xmp(packet: bytes) -> bytes:
    return b"\x21\xff\x0bXMP DataXMP" + packet + b"\x01" + bytes(range(255, -1, -1)) + b"\0"


def exif_of(tags: dict[int, Any], gps: dict[int, Any] | None = None, photo: dict[int, Any] | None = None) -> bytes:
    made = Image.Exif()
    made.update(tags)
    made.get_ifd(0x8825).update(gps or {})
    made.get_ifd(0x8769).update(photo or {})
    return made.tobytes()


def with_exif(*given: Any) -> bytes:
    return still("JPEG", exif=exif_of(*given))


def gps_exif() -> bytes:
    return exif_of({0x0112: 6}, {2: (1.0, 2.0, 3.0)})


CASES: dict[str, tuple[str, Any]] = {
    "exif latitude": ("gps", lambda: with_exif({}, {2: (1.0, 2.0, 3.0)})),
    "exif longitude": ("gps", lambda: with_exif({}, {4: (1.0, 2.0, 3.0)})),
    "exif altitude": ("gps", lambda: with_exif({}, {6: 30.0})),
    "exif body's serial number": ("serial", lambda: with_exif({}, {}, {0xA431: "123"})),
    "exif lens's serial number": ("serial", lambda: with_exif({}, {}, {0xA435: "123"})),
    "exif camera's serial number": ("serial", lambda: with_exif({0xC62F: "123"})),
    "exif owner": ("owner_name", lambda: with_exif({}, {}, {0xA430: "Ann"})),
    "exif author of windows": ("owner_name", lambda: with_exif({0x9C9D: "Ann".encode("utf-16-le")})),
    "exif description": ("comment", lambda: with_exif({0x010E: "Ann at home"})),
    "exif user's comment": ("comment", lambda: with_exif({}, {}, {0x9286: b"ASCII\0\0\0Ann at home"})),
    "xmp with a longitude": ("gps", lambda: with_xmp('exif:GPSLongitude="1,2E">')),
    "xmp with an element": ("gps", lambda: with_xmp("><exif:GPSLatitude>1,2N</exif:GPSLatitude>")),
    "xmp in utf-16": ("gps", lambda: with_xmp('exif:GPSLongitude="1,2E">', "utf-16")),
    "xmp in utf-16 without a mark": ("gps", lambda: with_xmp('exif:GPSLongitude="1,2E">', "utf-16-be")),
    "xmp of a gif": ("gps", lambda: gif_with(gif_xmp(XMP.format('exif:GPSLatitude="1">').encode()))),
    "xmp of a gif, late": ("gps", lambda: gif_with(gif_xmp(XMP.format('exif:GPSLatitude="1">').encode()), late=True)),
    "app1 of a png": ("gps", lambda: png_with(still("PNG"), b"tEXt", folded("APP1", gps_exif()))),
    "exif of a png": ("gps", lambda: png_with(still("PNG"), b"tEXt", folded("exif", gps_exif()))),
    "app1 of a png, xmp": ("gps", lambda: png_with(still("PNG"), b"tEXt", folded(
        "APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP.format('exif:GPSLatitude="1">').encode()))),
    "xmp profile of a png": ("gps", lambda: png_with(still("PNG"), b"tEXt", folded(
        "xmp", XMP.format('exif:GPSLatitude="1">').encode()))),
    "exif as texts": ("gps", lambda: text("exif:GPSLongitude", b"1/1, 2/1, 3/1")),
    "any text": ("comment", lambda: text("parameters")),
    "iptc of a png": ("comment", lambda: png_with(still("PNG"), b"tEXt", folded("iptc", caption(MARK)))),
    "iptc of a tiff": ("comment", lambda: still("TIFF", tiffinfo={33723: datasets((120, MARK))})),
    "photoshop of a tiff": ("comment", lambda: still("TIFF", tiffinfo={34377: caption(MARK)})),
    "title": ("comment", lambda: with_xmp("><dc:title><rdf:Alt><rdf:li>A</rdf:li></rdf:Alt></dc:title>")),
    "subject": ("comment", lambda: with_xmp("><dc:subject><rdf:Bag><rdf:li>A</rdf:li></rdf:Bag></dc:subject>")),
    "iptc keywords": ("comment", lambda: photoshop(resource(0x0404, datasets((25, MARK), (25, MARK))))),
    "a late comment of a gif": ("comment", lambda: gif_with(b"\x21\xfe\x0b" + MARK + b"\0", late=True)),
    "jfxx": ("thumbnail", lambda: with_segment(still("JPEG"), 0xE0, b"JFXX\0\x13\x01\x01\xff\0\0")),
    "jfif": ("thumbnail", lambda: with_segment(
        still("JPEG"), 0xE0, b"JFIF\0\x01\x02\0\0\1\0\1\x01\x01\xff\0\0")),
    "photoshop thumbnail": ("thumbnail", lambda: photoshop(resource(0x040C, bytes(28) + b"\xff\xd8"))),
    "old photoshop thumbnail": ("thumbnail", lambda: photoshop(resource(0x0409, bytes(28) + b"\xff\xd8"))),
    "xmp thumbnail": ("thumbnail", lambda: with_xmp(
        '><xmp:Thumbnails><rdf:Alt><rdf:li xmpGImg:image="/9j/4AA"/></rdf:Alt></xmp:Thumbnails>')),
    "owner": ("owner_name", lambda: with_xmp(
        "><xmpRights:Owner><rdf:Bag><rdf:li>A</rdf:li></rdf:Bag></xmpRights:Owner>")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_told(process: Process, case: str) -> None:
    kind, body = CASES[case]
    told = process(body(), SMALL)[0].privacy_report.model_dump()
    assert [name for name, value in told.items() if value] == [kind]


@pytest.mark.parametrize(
    "body",
    [
        lambda: with_xmp("><dc:description/><dc:title /><exif:GPSLatitude></exif:GPSLatitude>"),
        lambda: with_xmp('dc:description="" aux:SerialNumber="" ><dc:subject><rdf:Bag/></dc:subject><a:b>c</a:b>'),
        lambda: with_xmp('><dc:description><rdf:Alt><rdf:li xml:lang="x-default"/></rdf:Alt></dc:description>'),
        lambda: with_xmp('exif:GPSLongitudeRef="E" xmpRights:Owners="x">'),
        lambda: photoshop(caption(b"")),
        lambda: photoshop(caption(b" \0"), resource(0x0425, bytes(16))),
        lambda: text("Software"),
        lambda: text("date:create", b"2024-01-01T00:00:00+00:00"),
        lambda: text("Raw profile type iptc"),
        lambda: text("Raw profile type APP1", b"\nAPP1\n 9\nzz"),
        lambda: gif_with(b"\x21\xfe\x04    \0", late=True),
        lambda: gif_with(gif_xmp(b"<x:xmpmeta/>")),
    ],
)
def test_nothing_is_told_of_nothing(process: Process, body: Any) -> None:
    assert not any(process(body(), SMALL)[0].privacy_report.model_dump().values())


def test_a_png_lies_as_its_app1_says(process: Process) -> None:
    whole = recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,)))
    made = {0x0112: 6, 0x8298: "me", 0x010F: "Maker"}
    processed, _ = process(png_with(encoded("PNG", 96, 64), b"tEXt", folded("APP1", exif_of(made))), whole)
    assert (processed.width, processed.height) == (64, 96)
    assert (processed.exif, processed.rights.copyright) == ({"make": "Maker"}, "me")


def test_a_broken_gif_has_no_notes(tmp_path: Any) -> None:
    good = gif_with(gif_xmp(b"<x/>"), b"\x21\xfe\x0b" + MARK + b"\0")
    file = tmp_path / "cut.gif"
    for size in (1, 10, 11, 14, *range(700, len(good), 97)):
        file.write_bytes(good[:size])
        assert set(gif.read_notes(file)) <= {"comment", "xmp"}
        assert gif.count_frames(file) >= 1
    file.write_bytes(good[:13] + struct.pack("B", 0x21))
    assert gif.read_notes(file) == {}


def apng_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """Two frames, then the chunks."""
    first, second = photo(96, 64, seed=1), photo(96, 64, seed=2)
    body = saved(first, "PNG", save_all=True, append_images=[second])
    assert body.index(b"acTL") < body.index(b"fdAT")
    late = b"".join(
        struct.pack(">I", len(chunk)) + kind + chunk + struct.pack(">I", zlib.crc32(kind + chunk))
        for kind, chunk in chunks
    )
    return body[:-12] + late + body[-12:]


WHOLE = recipe_of(VariantSpec(name="v", width=96, formats=(Format.WEBP,)))


def test_an_animated_png_is_read_to_its_end(process: Process) -> None:
    exif = exif_of({0x0112: 6, 0x8298: "me", 0x010F: "Maker"}, {2: (1.0, 2.0, 3.0)}).removeprefix(b"Exif\0\0")
    processed, out = process(apng_with((b"eXIf", exif), (b"tEXt", b"Comment\0" + MARK)), WHOLE)
    assert (processed.frames, processed.width, processed.height) == (2, 64, 96)
    assert (processed.exif, processed.rights.copyright) == ({"make": "Maker"}, "me")
    assert (processed.privacy_report.gps, processed.privacy_report.comment) == (True, True)
    with Image.open(out / processed.variants[0].file) as image:
        assert getattr(image, "n_frames", 1) == 2
        assert image.size == (64, 96)
        assert dict(image.getexif()) == {0x8298: "me"}


@pytest.mark.parametrize(
    "chunk",
    [
        (b"tEXt", b"Copyright\0me"),
        (b"zTXt", b"Copyright\0\0" + zlib.compress(b"me")),
        (b"iTXt", b"Copyright\0\0\0\0\0me"),
        (b"iTXt", b"Copyright\0\1\0\0\0" + zlib.compress(b"me")),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.format('dc:rights="me">').encode()),
        (b"tEXt", folded("APP1", exif_of({0x8298: "me"}))),
    ],
)
def test_late_texts_are_read_in_each_of_their_kinds(process: Process, chunk: tuple[bytes, bytes]) -> None:
    processed, _ = process(apng_with(chunk), WHOLE)
    assert (processed.exif, processed.rights.copyright) == ({}, "me")
    assert not any(processed.privacy_report.model_dump().values())


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"tEXt", b"")],
        [(b"zTXt", b"Copyright")],
        [(b"zTXt", b"Copyright\0\0junk")],
        [(b"iTXt", b"Copyright\0\1")],
        [(b"eXIf", b"")],
        [(b"eXIf", b"II*\0\xff\xff\xff\xff")],
        [(b"tEXt", b"transparency\0x"), (b"tEXt", b"duration\0x"), (b"tEXt", b"exif\0x"), (b"tEXt", b"xmp\0x")],
        [(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 1))] * 9,
        [(b"tEXt", b"%d\0" % number) for number in range(5_000)],
    ],
)
def test_odd_chunks_at_the_end_fail_no_animation(process: Process, chunks: list[tuple[bytes, bytes]]) -> None:
    processed, _ = process(apng_with(*chunks), WHOLE)
    assert processed.frames == 2
    assert processed.exif == {}
