"""BMP reader: parses the header and opens the file with a new one.

Pillow gets a header with the fields that decoding needs, the colors and the pixels. So other fields may hold anything,
old and rare headers become usual ones, and an embedded profile is read, which Pillow does not do.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from PIL import ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.piecewise import open_pieces, read_range

_CORE, _OS2_SHORT, _INFO, _OS2, _V4, _V5 = 12, 16, 40, 64, 108, 124
_RGB, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6
_BITS: Final = {_RGB: {1, 4, 8, 16, 24, 32}, _RLE8: {8}, _RLE4: {4}, _FIELDS: {16, 24, 32}}
_NAMES: Final = {
    _RGB: "uncompressed", _RLE8: "RLE8", _RLE4: "RLE4", _FIELDS: "bit fields", 4: "JPEG", 5: "PNG",
    _ALPHA_FIELDS: "bit fields", 11: "CMYK", 12: "CMYK RLE8", 13: "CMYK RLE4",
}  # fmt: skip
_NAMES_OS2: Final = {3: "Huffman 1D", 4: "RLE24"}
#: Masks of red, green, blue and alpha for which Pillow has a mode; 24 bits have one order.
_MASKS: Final[dict[int, set[tuple[int, ...]]]] = {
    32: {
        (0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0xFF000000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF000000, 0xFF00, 0xFF, 0xFF0000), (0, 0, 0, 0),
    },
    24: {(0xFF0000, 0xFF00, 0xFF)},
    16: {(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)},
}  # fmt: skip
_BGRA: Final = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
_EMBEDDED: Final = b"DEBM"
_LARGEST_PROFILE: Final = 4 << 20
_HEAD: Final = 14 + _V5 + 16


def open_bmp(path: Path) -> ImageFile.ImageFile:
    """Open the image, header only, with its `icc_profile`. Raises `ImageError` for a kind that cannot be decoded."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = int.from_bytes(head[14:18], "little")
        if len(head) < 14 + size:
            raise ImageError(FailureCode.CORRUPT_IMAGE, "The BMP ends within its header.")
        width, height, bits, compression, colors = _numbers(head, size)
        behind = 14 + size
        masks: tuple[int, ...] = ()
        if compression in {_FIELDS, _ALPHA_FIELDS} and size != _OS2:
            count = 4 if compression == _ALPHA_FIELDS or size > 52 else 3
            masks = struct.unpack_from(f"<{count}I", head.ljust(_HEAD, b"\0"), 14 + _INFO)
            behind += 4 * count if size == _INFO else 0
            compression = _FIELDS
        elif compression == _RGB and bits == 32 and size >= _V4 and struct.unpack_from("<4I", head, 54) == _BGRA:
            masks, compression = _BGRA, _FIELDS  # browsers apply its alpha, although the masks should not count
        if compression == _FIELDS:
            masks = (*masks, 0)[:4] if bits == 32 else masks[:3]
        _refuse_unknown(size, bits, compression, masks)
        start = max(int.from_bytes(head[10:14], "little"), behind)
        palette = _palette(path, behind, start, bits, colors, 3 if size == _CORE else 4)
        profile = _profile(file, head) if size == _V5 else b""
    if start == behind:  # the offset of the pixels is missing
        start += (3 if size == _CORE else 4) * (len(palette) // 4)

    def pieces() -> Iterator[bytes]:
        used = _V4 if masks else _INFO
        fields = (used, width, height, 1, bits, compression, 0, 0, 0, len(palette) // 4, 0)
        written = struct.pack("<IiiHHIIiiII", *fields)
        if masks:
            written += struct.pack(f"<{len(masks)}I", *masks)
        written = written.ljust(used, b"\0") + palette
        yield b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(written)) + written
        yield from read_range(path, start)

    image = open_pieces(pieces, "BMP")
    if profile:
        image.info["icc_profile"] = profile
    return image


def _numbers(head: bytes, size: int) -> tuple[int, int, int, int, int]:
    """Read width, height, bits, compression and the declared number of colors."""
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<4H", head, 18)
        return width, height, bits, _RGB, 0
    width, height, _, bits = struct.unpack_from("<iiHH", head, 18)
    if width <= 0 or height == 0:
        raise ImageError(FailureCode.CORRUPT_IMAGE, "The BMP has no width or no height.")
    if size == _OS2_SHORT:
        return width, height, bits, _RGB, 0
    (compression,) = struct.unpack_from("<I", head, 30)
    (colors,) = struct.unpack_from("<I", head, 46)
    return width, height, bits, compression, colors


def _refuse_unknown(size: int, bits: int, compression: int, masks: tuple[int, ...]) -> None:
    if size == _OS2 and compression in _NAMES_OS2:
        name = _NAMES_OS2[compression]
    elif bits in _BITS.get(compression, ()) and (compression != _FIELDS or masks in _MASKS[bits]):
        return
    else:
        name = _NAMES.get(compression, f"compression {compression}")
    where = f" {', '.join(f'{mask:#x}' for mask in masks)}" if masks else ""
    detail = f"This kind of BMP cannot be decoded: {bits} bits a pixel, {name}{where}."
    raise ImageError(FailureCode.UNSUPPORTED_IMAGE, detail)


def _palette(path: Path, at: int, end: int, bits: int, colors: int, size: int) -> bytes:
    """Read four bytes per color, at most as many colors as pixels can have."""
    if bits > 8:
        return b""
    count = min(colors or 1 << bits, 1 << bits)
    if end > at:
        count = min(count, (end - at) // size)
    found = b"".join(read_range(path, at, at + count * size))
    whole = range(0, len(found) // size * size, size)
    return b"".join(found[place : place + 3] + b"\0" for place in whole) or bytes(4)


def _profile(file: IO[bytes], head: bytes) -> bytes:
    """Read the profile of a BITMAPV5HEADER; its offset counts from the header."""
    kind = head[70:74]
    offset, size = struct.unpack_from("<II", head, 14 + 112)
    if kind != _EMBEDDED or not 128 <= size <= _LARGEST_PROFILE:
        return b""
    file.seek(14 + offset)
    found = file.read(size)
    return found if len(found) == size else b""
