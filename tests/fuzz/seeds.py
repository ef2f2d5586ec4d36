"""Images to mutate: the small files of `tests/images`, and one made of each kind that those lack."""

import io
import struct
import zlib
from typing import Any

import pillow_heif
from PIL import Image, ImageCms

from app.domain.media import SNIFF_BYTES, media_type_of
from tests.fuzz.heif_seeds import heif_seeds
from tests.samples import IMAGES, photo
from tests.worker.decode.tiffs import Page, tiff_of
from tests.worker.files import apng, bmp, png_with, with_segment
from tests.worker.metadata.test_rights import datasets, resource

pillow_heif.register_heif_opener()

#: Larger files would be decoded for a long time, and mutated where it does not matter.
_LARGEST = 40_000
_XMP = (
    b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description exif:DateTimeOriginal="2020-06-01T12:00:00Z" '
    b'photoshop:DateCreated="2020-06-01" tiff:Orientation="6"/></x:xmpmeta>'
)
_IPTC = b"Photoshop 3.0\0" + resource(0x0404, datasets((55, b"20200601"), (60, b"120000+0200"), (120, b"hello")))


def seeds() -> list[tuple[str, bytes]]:
    """Names and bytes, always in the same order."""
    files = [
        (path.name, path.read_bytes())
        for path in sorted(IMAGES.iterdir())
        if path.suffix not in {".md", ".csv"} and path.stat().st_size <= _LARGEST
    ]
    shipped = [(name, body) for name, body in files if media_type_of(body[:SNIFF_BYTES])]
    return shipped + sorted(_made().items())


def _saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def _made() -> dict[str, bytes]:
    picture = photo(48, 36)
    gray, clear = picture.convert("L"), picture.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    exif = _exif()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames = [photo(24, 20, seed) for seed in range(4)]
    moving: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 50, "loop": 0}
    made = {
        "exif.jpg": _saved(picture, "JPEG", exif=exif, icc_profile=srgb, comment=b"hello"),
        "progressive.jpg": _saved(picture, "JPEG", progressive=True, exif=exif),
        "large.jpg": _saved(photo(400, 300), "JPEG", exif=exif),
        "gray.jpg": _saved(gray, "JPEG"),
        "exif.png": _saved(clear, "PNG", exif=exif, icc_profile=srgb),
        "wide.png": _saved(gray.convert("I;16"), "PNG"),
        "palette.png": _saved(picture.quantize(16), "PNG", transparency=3),
        "bit.png": _saved(gray.convert("1"), "PNG"),
        "moving.png": _saved(frames[0], "PNG", **moving),
        "lossy.webp": _saved(picture, "WEBP", exif=exif, icc_profile=srgb),
        "lossless.webp": _saved(clear, "WEBP", lossless=True),
        "alpha.webp": _saved(clear, "WEBP"),
        "moving.webp": _saved(frames[0], "WEBP", **moving),
        "still.gif": _saved(picture, "GIF"),
        "moving.gif": _saved(frames[0], "GIF", disposal=2, **moving),
        "still.avif": _saved(clear, "AVIF", exif=exif, speed=9),
        "moving.avif": _saved(frames[0], "AVIF", speed=9, **moving),
        "still.heic": _saved(clear, "HEIF", exif=exif),
        "plain.heic": _saved(picture, "HEIF"),
        "plain.bmp": _saved(picture, "BMP"),
        "palette.bmp": _saved(picture.quantize(16), "BMP"),
        "float.tif": _saved(gray.convert("F"), "TIFF"),
        "wide.tif": _saved(gray.convert("I;16"), "TIFF"),
        "cmyk.tif": _saved(picture.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
        "pages.tif": _saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
    }
    for compression in ("tiff_lzw", "packbits", "jpeg", "tiff_deflate"):
        made[f"{compression}.tif"] = _saved(picture, "TIFF", compression=compression)
    made |= _told(picture)
    made["group4.tif"] = _saved(gray.convert("1"), "TIFF", compression="group4")
    made["bright.png"] = png_with(
        png_with(_saved(picture, "PNG"), b"cICP", bytes((9, 16, 0, 1))), b"cLLI", struct.pack(">II", 10_000_000, 0)
    )
    made["dated.jpg"] = with_segment(
        with_segment(_saved(picture, "JPEG", exif=_exif("2023-05-06T07:08:09.5+02:00")), 0xE1, _XMP), 0xED, _IPTC
    )
    made["dated.png"] = png_with(_saved(picture, "PNG"), b"tEXt", b"Creation Time\0Mon, 01 Jun 2020 12:00:00 +0200")
    return made | heif_seeds(exif)


def _told(picture: Image.Image) -> dict[str, bytes]:
    """Images with much metadata, in every place that is read or dropped."""
    exif, plain = _exif(), {"EXIF": b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "ICCP": bytes(200), "XMP ": b"<x:xmpmeta/>"}
    thumbnail = _saved(picture.resize((16, 12)), "JPEG")
    jpeg = _saved(picture, "JPEG", quality=80, restart_marker_rows=1)
    for marker, body in ((0xFE, b"hello"), (0xED, b"Photoshop 3.0\08BIM\4\4\0\0\0\0\0\3abc"), (0xE1, exif + thumbnail)):
        jpeg = with_segment(jpeg, marker, body)
    png = _saved(picture, "PNG")
    for kind, body in (
        (b"cICP", bytes((12, 13, 0, 1))), (b"gAMA", bytes((0, 0, 0xB1, 0x8F))), (b"sRGB", b"\0"), (b"tRNS", bytes(6)),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"hello" * 50)), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
        (b"eXIf", exif[6:]),
    ):  # fmt: skip
        png = png_with(png, kind, body)
    frames = [(Image.new("RGB", (size, size), "red"), 16 - size, size % 3, size % 2) for size in (16, 9, 4)]
    still = _saved(picture, "WEBP", quality=80)
    chunks = b"".join(
        name.encode() + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2) for name, body in plain.items()
    )
    body = b"WEBPVP8X\x0a\0\0\0\x2c\0\0\0\x2f\0\0\x23\0\0" + chunks + still[12:] + chunks
    pixels = {256: 48, 257: 36, 258: [16] * 3, 259: 1, 262: 2, 277: 3, 278: 36, 284: 2}
    planes = [bytes(2 * 48 * 36)] * 3
    small = Page({254: 1, 256: 8, 257: 6, 258: 8, 259: 1, 262: 1, 277: 1, 278: 6, 271: "Acme", 34665: 16}, [bytes(48)])
    return {
        "told.jpg": jpeg,
        "no-end.jpg": jpeg[:-2],
        "told.png": png,
        "hidden.png": apng(frames, Image.new("RGB", (16, 16), "blue")),
        "told.webp": b"RIFF" + len(body).to_bytes(4, "little") + body,
        "planes.tif": tiff_of(Page(pixels, planes), order=">"),
        "thumbnail.tif": tiff_of(Page(small.tags, small.strips, [Page(pixels, planes)]), small),
        "big.tif": tiff_of(small, Page(pixels, planes), big=True),
        "fields.bmp": bmp(0x80C85A3C, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        "over.gif": _over_the_edge(),
    }


def _over_the_edge() -> bytes:
    """A GIF whose second frame reaches over the canvas, with a loop, a comment and both controls."""
    frame = _saved(Image.new("P", (24, 20), 1), "GIF")
    at = frame.index(b",")
    picture = frame[at:-1]
    control = b"!\xf9\4\x09\5\0\2\0"
    moved = picture[:1] + b"\x0a\0\x0a\0" + picture[5:]
    loop = b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0!\xfe\5hello\0"
    return frame[:at] + loop + control + picture + control + moved + b";"


def _exif(taken: str = "2023:05:06 07:08:09") -> bytes:
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Maker", 0x0110: "Model", 0x8298: "me", 0x013B: "Ann"})
    exif.get_ifd(0x8769).update({0x829A: (1, 250), 0x9003: taken, 0x8827: 400, 0xA431: "SN"})
    exif.get_ifd(0x8769).update({0x9004: taken, 0x9011: "+02:00", 0x9291: "25", 0xA005: {1: "R03"}})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0), 7: (5.0, 8.0, 9.0), 29: "2023:05:06"})
    return exif.tobytes()
