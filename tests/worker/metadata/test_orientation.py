"""Images are turned by EXIF and by the boxes of HEIC and AVIF, and by nothing else, as in browsers.

What turns an image and what does not is Chromium 156's answer for the same bytes, where no test says otherwise.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app.domain.models import Format
from app.domain.recipe import VariantSpec
from tests.worker.conftest import Process, recipe_of
from tests.worker.decode.heif_files import AVIF_BRANDS, HEIC_BRANDS, Item, coded, heif, irot, nclx
from tests.worker.files import png_with, saved, with_segment
from tests.worker.metadata.test_rights import folded

LOSSLESS = recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,)))
SIDEWAYS = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
PREFIX = b"Exif\0\0"
SHORT = 3


def upright() -> Image.Image:
    """Red in its upper left corner, on a white ground."""
    made = Image.new("RGB", (64, 48), "white")
    made.paste("red", (0, 0, 24, 16))
    return made


def directory(*entries: tuple[int, int, int, bytes], following: int = 0, order: str = "<") -> bytes:
    body = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return struct.pack(f"{order}H", len(entries)) + body + struct.pack(f"{order}I", following)


def block(*entries: tuple[int, int, int, bytes], order: str = "<", more: bytes = b"", following: int = 0) -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(f"{order}I", 8) + directory(*entries, following=following, order=order) + more


def entry(value: int, kind: int = SHORT, count: int = 1, order: str = "<") -> tuple[int, int, int, bytes]:
    return 0x0112, kind, count, struct.pack(f"{order}H", value).ljust(4, b"\0")


SIX = block(entry(6))


def jpeg(*segments: bytes) -> bytes:
    body = saved(upright(), "JPEG", quality=95)
    for segment in reversed(segments):
        body = with_segment(body, 0xE1, segment)
    return body


def png(kind: bytes, body: bytes) -> bytes:
    return png_with(saved(upright(), "PNG"), kind, body)


def late(kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk before its end."""
    plain, made = saved(upright(), "PNG"), png(kind, body)
    return plain[:-12] + made[33 : 33 + 12 + len(body)] + plain[-12:]


def webp(exif: bytes = b"", xmp: bytes = b"") -> bytes:
    return saved(upright(), "WEBP", lossless=True, exif=exif, xmp=xmp)


def is_turned(process: Process, body: bytes) -> bool:
    """Return True if it stands on its side, with the red corner at the upper right, as orientation 6 has it."""
    processed, out = process(body, LOSSLESS)
    with Image.open(out / "v.png") as image:
        turned = image.size == (48, 64)
        assert (processed.width, processed.height) == image.size
        corner = image.convert("RGB").getpixel((image.width - 5, 5) if turned else (5, 5))
    assert corner[0] > 200
    assert corner[1] < 60
    return turned


TURNS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: jpeg(PREFIX + SIX),
    "JPEG, the other byte order": lambda: jpeg(PREFIX + block(entry(6, order=">"), order=">")),
    "JPEG, after XMP": lambda: jpeg(b"http://ns.adobe.com/xap/1.0/\0" + SIDEWAYS, PREFIX + SIX),
    "JPEG, the first of two blocks": lambda: jpeg(PREFIX + SIX, PREFIX + block(entry(3))),
    "JPEG, a prefix that ends in something else": lambda: jpeg(b"Exif\0\xff" + SIX),
    "JPEG, twice": lambda: jpeg(PREFIX + block(entry(6), entry(3))),
    "JPEG, the first that is valid": lambda: jpeg(PREFIX + block(entry(9), entry(6))),
    "JPEG, cut off behind": lambda: jpeg(PREFIX + SIX[:22]),
    "JPEG, in the EXIF directory": lambda: jpeg(
        PREFIX + block((0x8769, 4, 1, struct.pack("<I", 26)), more=directory(entry(6)))
    ),
    "PNG": lambda: png(b"eXIf", SIX),
    "PNG, the other byte order": lambda: png(b"eXIf", block(entry(6, order=">"), order=">")),
    "PNG, the first of two blocks": lambda: png_with(png(b"eXIf", block(entry(3))), b"eXIf", SIX),
}  # fmt: skip

#: libvips and ImageMagick turn these; Chromium does not: it has no orientation for WebP, and reads EXIF of a PNG only
#: before the pixels and as a chunk of its own.
TURNS_ELSEWHERE: dict[str, Callable[[], bytes]] = {
    "WebP": lambda: webp(SIX),
    "WebP, with a prefix": lambda: webp(PREFIX + SIX),
    "PNG, after the pixels": lambda: late(b"eXIf", SIX),
    "PNG, with a prefix": lambda: png(b"eXIf", PREFIX + SIX),
    "PNG, as a text": lambda: png(b"tEXt", folded("exif", PREFIX + SIX)),
    "PNG, as a packed text": lambda: png(
        b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(folded("APP1", PREFIX + SIX).split(b"\0", 1)[1])
    ),
}  # fmt: skip

TURNS_NOT: dict[str, Callable[[], bytes]] = {
    "JPEG, by XMP": lambda: jpeg(b"http://ns.adobe.com/xap/1.0/\0" + SIDEWAYS),
    "JPEG, by XMP where EXIF is silent": lambda: jpeg(
        PREFIX + block((0x010F, 2, 4, b"abc\0")), b"http://ns.adobe.com/xap/1.0/\0" + SIDEWAYS
    ),
    "JPEG, 0": lambda: jpeg(PREFIX + block(entry(0))),
    "JPEG, 9": lambda: jpeg(PREFIX + block(entry(9))),
    "JPEG, 262": lambda: jpeg(PREFIX + block(entry(0x106))),
    "JPEG, a byte": lambda: jpeg(PREFIX + block(entry(6, kind=1))),
    "JPEG, 32 bits": lambda: jpeg(PREFIX + block(entry(6, kind=4))),
    "JPEG, signed": lambda: jpeg(PREFIX + block(entry(6, kind=8))),
    "JPEG, two numbers": lambda: jpeg(PREFIX + block(entry(6, count=2))),
    "JPEG, no number": lambda: jpeg(PREFIX + block(entry(6, count=0))),
    "JPEG, of the thumbnail": lambda: jpeg(
        PREFIX + block((0x010F, 2, 4, b"abc\0"), following=26, more=directory(entry(6)))
    ),
    "JPEG, in a second block": lambda: jpeg(PREFIX + block((0x010F, 2, 4, b"abc\0")), PREFIX + SIX),
    "JPEG, after junk": lambda: jpeg(PREFIX + b"junk", PREFIX + SIX),
    "JPEG, a header of another kind": lambda: jpeg(PREFIX + b"II\x2b\0" + SIX[4:]),
    "JPEG, the wrong byte order": lambda: jpeg(PREFIX + b"MM" + SIX[2:]),
    "JPEG, another prefix": lambda: jpeg(b"EXIF\0\0" + SIX),
    "PNG, by XMP": lambda: png(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SIDEWAYS),
    "WebP, by XMP": lambda: webp(xmp=SIDEWAYS),
    "TIFF, by XMP": lambda: saved(upright(), "TIFF", tiffinfo={700: SIDEWAYS}),
    "TIFF, packed, by XMP": lambda: saved(upright(), "TIFF", tiffinfo={700: SIDEWAYS}, compression="tiff_lzw"),
    "GIF, by XMP": lambda: saved(upright(), "GIF", xmp=SIDEWAYS),
}  # fmt: skip


@pytest.mark.parametrize("case", TURNS | TURNS_ELSEWHERE)
def test_it_is_turned(process: Process, case: str) -> None:
    assert is_turned(process, (TURNS | TURNS_ELSEWHERE)[case]())


@pytest.mark.parametrize("case", TURNS_NOT)
def test_it_is_not_turned(process: Process, case: str) -> None:
    assert not is_turned(process, TURNS_NOT[case]())


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_is_turned_by_its_tag(process: Process, compression: str) -> None:
    body = saved(upright(), "TIFF", tiffinfo={0x0112: 6, 700: SIDEWAYS.replace(b"6", b"3")}, compression=compression)
    assert is_turned(process, body)


def test_xmp_of_a_tiff_is_still_read(process: Process) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:rights="me" tiff:Orientation="6"/></x:xmpmeta>'
    processed, _ = process(saved(upright(), "TIFF", tiffinfo={700: xmp}), LOSSLESS)
    assert (processed.exif, processed.rights.copyright) == ({}, "me")


@pytest.mark.parametrize(("file_format", "brands"), [("AVIF", AVIF_BRANDS), ("HEIF", HEIC_BRANDS)])
def test_of_heic_and_avif_only_boxes_count(
    process: Process, tmp_path: Path, file_format: str, brands: tuple[bytes, ...]
) -> None:
    """EXIF says 6 and XMP says 6; only where a box says so too is the image turned, and once."""
    square = Image.new("RGB", (64, 64), "white")
    square.paste("red", (0, 0, 24, 16))
    exif = Item(b"Exif", b"\0\0\0\6" + PREFIX + SIX, refs={b"cdsc": [1]})
    xmp = Item(b"mime", SIDEWAYS, refs={b"cdsc": [1]}, content_type=b"application/rdf+xml")
    for boxes, place in (([], (5, 5)), ([irot(3)], (58, 5))):
        image = coded(square, file_format)
        image.properties = [*image.properties, nclx(1, 13), *boxes]
        _, out = process(heif({1: image, 2: exif, 3: xmp}, brands=brands), LOSSLESS)
        with Image.open(out / "v.png") as shown:
            assert shown.getpixel(place)[1] < 60
            assert shown.getpixel((63 - place[0], 5))[1] > 200
