"""One image in every kind of file whose decoding needs a different amount of memory, at any size."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pillow_heif
from PIL import Image

from tests.worker.decode.heif_files import AVIF_BRANDS, HEIC_BRANDS, Item, clap, coded, grid, heif, nclx

Writer = Callable[[Image.Image, Path], None]


def _by_pillow(file_format: str, mode: str = "RGB", **options: Any) -> Writer:
    def write(picture: Image.Image, path: Path) -> None:
        _in_mode(picture, mode).save(path, file_format, **options)

    return write


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    if mode in {"RGBA", "LA"}:
        whole = picture.convert(mode[:-1])
        whole.putalpha(Image.radial_gradient("L").resize(picture.size))
        return whole
    if mode == "I;16":
        return picture.convert("L").convert("I").point(lambda tone: tone * 257).convert("I;16")
    return picture.quantize(64) if mode == "P" else picture.convert(mode)


def _moving(file_format: str, mode: str, **options: Any) -> Writer:
    """Two frames, the second of which changes the whole image and is painted over the first."""

    def write(picture: Image.Image, path: Path) -> None:
        first = _in_mode(picture, mode)
        second = first.transpose(Image.Transpose.ROTATE_180)
        first.save(path, file_format, save_all=True, append_images=[second], duration=100, loop=0, **options)

    return write


def _wide(picture: Image.Image, mode: str) -> bytes:
    """Its samples in 16 bits, little-endian; both bytes of each are what the 8 bits were."""
    eight = _in_mode(picture, mode).tobytes()
    sixteen = bytearray(2 * len(eight))
    sixteen[::2] = sixteen[1::2] = eight
    return bytes(sixteen)


def _wide_png(mode: str, color_type: int) -> Writer:
    def write(picture: Image.Image, path: Path) -> None:
        samples, (width, height) = _wide(picture, mode), picture.size
        row = len(samples) // height
        packer = zlib.compressobj(1)
        with path.open("wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)))
            for at in range(0, len(samples), row):
                if body := packer.compress(b"\0" + samples[at : at + row]):
                    file.write(_chunk(b"IDAT", body))
            file.write(_chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b""))

    return write


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _tiff(mode: str, bits: int = 8, *, one_strip: bool = True, planes: bool = False) -> Writer:
    """Deflated, all of it in one strip, so that libtiff unpacks all of it at once; or one of 64 rows each."""
    photometric = {"L": 1, "LA": 1, "I": 1, "F": 1, "RGB": 2, "RGBA": 2, "CMYK": 5, "LAB": 8}[mode]

    def write(picture: Image.Image, path: Path) -> None:
        image = _in_mode(picture, mode) if mode != "LAB" else picture.convert("RGB")
        samples = 1 if mode in {"I", "F"} else len(image.getbands())
        parts = [image.getchannel(band) for band in image.getbands()] if planes else [image]
        height = picture.height if one_strip else 64
        strips = []
        for part in parts:
            data = _wide(part, part.mode) if bits == 16 else part.tobytes()
            row = len(data) // picture.height
            strips += [zlib.compress(data[at : at + row * height], 1) for at in range(0, len(data), row * height)]
        formats = {"I": 2, "F": 3}.get(mode, 1)
        entries: list[tuple[int, str, list[int]]] = [
            (256, "I", [picture.width]), (257, "I", [picture.height]), (258, "H", [bits] * samples), (259, "H", [8]),
            (262, "H", [photometric]), (273, "I", [0] * len(strips)), (277, "H", [samples]), (278, "I", [height]),
            (279, "I", [len(strip) for strip in strips]), (284, "H", [2 if planes else 1]),
            *([(338, "H", [2])] if mode in {"RGBA", "LA"} else []), (339, "H", [formats] * samples),
        ]  # fmt: skip
        path.write_bytes(_assembled(entries, strips))

    return write


def _assembled(entries: list[tuple[int, str, list[int]]], strips: list[bytes]) -> bytes:
    bodies = {tag: struct.pack(f"<{len(values)}{kind}", *values) for tag, kind, values in entries}
    at = 8 + 2 + 12 * len(entries) + 4
    starts = at + sum(len(body) for body in bodies.values() if len(body) > 4)
    offsets = []
    for strip in strips:
        offsets.append(starts)
        starts += len(strip)
    bodies[273] = struct.pack(f"<{len(offsets)}I", *offsets)
    table, behind = b"", b""
    for tag, kind, values in entries:
        body = bodies[tag]
        if len(body) > 4:
            body, behind = struct.pack("<I", at + len(behind)), behind + body
        table += struct.pack("<HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + body.ljust(4, b"\0")
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + behind + b"".join(strips)


def _bmp_with_alpha(picture: Image.Image, path: Path) -> None:
    """With a BITMAPV4HEADER, whose mask for alpha is what makes the fourth byte one."""
    pixels = _in_mode(picture, "RGBA").tobytes("raw", "BGRA", 0, -1)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, *picture.size, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    head = (head + masks + b"BGRs").ljust(108, b"\0")
    path.write_bytes(b"BM" + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 14 + 108) + head + pixels)


def _gif_bare_around(picture: Image.Image, path: Path) -> None:
    """Its frame leaves the last row of the image uncovered."""
    width, height = picture.size
    _in_mode(picture, "P").crop((0, 0, width, height - 1)).save(path, "GIF")
    body = path.read_bytes()
    path.write_bytes(body[:8] + struct.pack("<H", height) + body[10:])


def _deep_heic(mode: str, chroma: int) -> Writer:
    def write(picture: Image.Image, path: Path) -> None:
        heif = pillow_heif.from_bytes(mode=f"{mode};16", size=picture.size, data=_wide(picture, mode))
        heif.save(path, quality=40, chroma=chroma)

    return write


def _heic(mode: str = "RGB", **options: Any) -> Writer:
    def write(picture: Image.Image, path: Path) -> None:
        pillow_heif.from_pillow(_in_mode(picture, mode)).save(path, quality=40, **options)

    return write


def _boxed(kind: str, *properties: Callable[[tuple[int, int]], bytes], broken: bool = False) -> Writer:
    """One item with more properties, and metadata that makes its decoder refuse the file as it is."""

    def write(picture: Image.Image, path: Path) -> None:
        item = coded(picture, kind, quality=40, speed=10)
        item.properties = [*item.properties, *(one(picture.size) for one in properties)]
        items = {1: item}
        if broken:
            items[2] = Item(b"Exif", b"", refs={b"cdsc": [1]}, extents=[(2**31, 100)])
        path.write_bytes(heif(items, brands=AVIF_BRANDS if kind == "AVIF" else HEIC_BRANDS))

    return write


def in_tiles(kind: str, side: int) -> Writer:
    """A grid, as phones write it; the last row and column reach over the edge."""

    def write(picture: Image.Image, path: Path) -> None:
        rows, columns = -(-picture.height // side), -(-picture.width // side)
        items: dict[int, Item] = {}
        for row in range(rows):
            for column in range(columns):
                left, top = column * side, row * side
                tile = coded(picture.crop((left, top, left + side, top + side)), kind, quality=40, speed=10)
                items[len(items) + 2] = Item(tile.kind, tile.data, [*tile.properties, nclx(1, 13)], hidden=True)
        items[1] = grid(rows, columns, *picture.size, sorted(items), nclx(1, 13))
        path.write_bytes(heif(items, brands=AVIF_BRANDS if kind == "AVIF" else HEIC_BRANDS))

    return write


def _without_edge(size: tuple[int, int]) -> bytes:
    return clap(size[0] - 2, size[1] - 2, 1, 1, size)


#: By name: the media type, and a function that writes an image of that type.
KINDS: Final[dict[str, tuple[str, Writer]]] = {
    "JPEG": ("image/jpeg", _by_pillow("JPEG", quality=90)),
    "JPEG progressive": ("image/jpeg", _by_pillow("JPEG", quality=90, progressive=True)),
    "JPEG progressive 4:4:4": ("image/jpeg", _by_pillow("JPEG", quality=90, progressive=True, subsampling=0)),
    "JPEG CMYK": ("image/jpeg", _by_pillow("JPEG", "CMYK", quality=90)),
    "JPEG CMYK progressive": ("image/jpeg", _by_pillow("JPEG", "CMYK", quality=90, progressive=True)),
    "PNG": ("image/png", _by_pillow("PNG", compress_level=1)),
    "PNG alpha": ("image/png", _by_pillow("PNG", "RGBA", compress_level=1)),
    "PNG gray alpha": ("image/png", _by_pillow("PNG", "LA", compress_level=1)),
    "PNG palette": ("image/png", _by_pillow("PNG", "P", compress_level=1, transparency=0)),
    "PNG color key": ("image/png", _by_pillow("PNG", compress_level=1, transparency=(255, 0, 0))),
    "PNG 16-bit": ("image/png", _wide_png("RGB", 2)),
    "PNG 16-bit alpha": ("image/png", _wide_png("RGBA", 6)),
    "PNG 16-bit gray": ("image/png", _by_pillow("PNG", "I;16", compress_level=1)),
    "PNG moving": ("image/png", _moving("PNG", "RGBA", compress_level=1, disposal=2)),
    "WebP": ("image/webp", _by_pillow("WEBP", quality=80, method=0)),
    "WebP alpha": ("image/webp", _by_pillow("WEBP", "RGBA", quality=80, method=0)),
    "WebP lossless alpha": ("image/webp", _by_pillow("WEBP", "RGBA", lossless=True, quality=0, method=0)),
    "WebP moving": ("image/webp", _moving("WEBP", "RGBA", quality=80, method=0)),
    "GIF": ("image/gif", _by_pillow("GIF", "P")),
    "GIF alpha": ("image/gif", _by_pillow("GIF", "P", transparency=0)),
    "GIF bare around": ("image/gif", _gif_bare_around),
    "GIF moving": ("image/gif", _moving("GIF", "P", disposal=2, transparency=0)),
    "AVIF": ("image/avif", _by_pillow("AVIF", quality=60, speed=10)),
    "AVIF 4:4:4": ("image/avif", _by_pillow("AVIF", quality=60, speed=10, subsampling="4:4:4")),
    "AVIF alpha": ("image/avif", _by_pillow("AVIF", "RGBA", quality=60, speed=10, subsampling="4:4:4")),
    "HEIC": ("image/heic", _heic()),
    "HEIC 4:4:4": ("image/heic", _heic(chroma=444)),
    "HEIC alpha": ("image/heic", _heic("RGBA")),
    "HEIC 10-bit": ("image/heic", _deep_heic("RGB", 444)),
    "HEIC 10-bit alpha": ("image/heic", _deep_heic("RGBA", 444)),
    "HEIC in tiles": ("image/heic", in_tiles("HEIF", 512)),
    "HEIC refused by its decoder": ("image/heic", _boxed("HEIF", broken=True)),
    "AVIF in tiles": ("image/avif", in_tiles("AVIF", 512)),
    "AVIF cropped": ("image/avif", _boxed("AVIF", _without_edge)),
    "AVIF PQ": ("image/avif", _boxed("AVIF", lambda _: nclx(9, 16))),
    "AVIF refused by its decoder": ("image/avif", _boxed("AVIF", broken=True)),
    "TIFF": ("image/tiff", _tiff("RGB", one_strip=False)),
    "TIFF in one strip": ("image/tiff", _tiff("RGB")),
    "TIFF alpha": ("image/tiff", _tiff("RGBA")),
    "TIFF in planes": ("image/tiff", _tiff("RGBA", planes=True)),
    "TIFF 16-bit": ("image/tiff", _tiff("RGB", 16)),
    "TIFF 16-bit alpha": ("image/tiff", _tiff("RGBA", 16)),
    "TIFF 16-bit gray": ("image/tiff", _tiff("L", 16)),
    "TIFF 32-bit gray": ("image/tiff", _tiff("I", 32)),
    "TIFF float": ("image/tiff", _tiff("F", 32)),
    "TIFF CMYK": ("image/tiff", _tiff("CMYK")),
    "TIFF 16-bit CMYK": ("image/tiff", _tiff("CMYK", 16)),
    "TIFF Lab": ("image/tiff", _tiff("LAB")),
    "BMP": ("image/bmp", _by_pillow("BMP")),
    "BMP alpha": ("image/bmp", _bmp_with_alpha),
    "BMP palette": ("image/bmp", _by_pillow("BMP", "P")),
}
