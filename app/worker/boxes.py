"""The boxes that a HEIC or an AVIF is made of (ISO/IEC 14496-12)."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final

from PIL import ImageFile

from app.domain.errors import PictureError
from app.domain.models import FailureCode

#: Bytes at a file's beginning in which its boxes are looked for.
HEAD: Final = 256 * 1024
#: Bytes of a unit that libde265 takes, at most; of one that is larger it says no more than that nothing came out.
_LARGEST_UNIT: Final = 16 * 1024 * 1024
#: Pieces and units that are looked at.
_MOST: Final = 10_000


def boxes(data: bytes, names: tuple[bytes, ...]) -> Iterator[bytes]:
    """The bodies of all boxes of the last name inside those named before it."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4]) or len(data)
        if size < 8:
            return
        if data[at + 4 : at + 8] == names[0]:
            body = data[at + (12 if names[0] == b"meta" else 8) : at + size]
            yield from boxes(body, names[1:]) if names[1:] else (body,)
        at += size


@contextmanager
def told_from_large_units(image: ImageFile.ImageFile, path: Path) -> Iterator[None]:
    """Refuse as unsupported a HEIC that fails and has more in one unit than its decoder takes: it may well be whole."""
    try:
        yield
    except ValueError as error:
        largest = max(islice(_units(path), _MOST), default=0) if image.format == "HEIF" else 0
        if largest <= _LARGEST_UNIT:
            raise
        detail = (
            f"The picture is in one piece of {largest:,} bytes; at most {_LARGEST_UNIT:,} can be developed. HEICs in "
            "tiles, as phones write them, have smaller ones."
        )
        raise PictureError(FailureCode.UNSUPPORTED_IMAGE, detail) from error


def _units(path: Path) -> Iterator[int]:
    """How many bytes each unit of HEVC has that is wholly in the file: each is told by four bytes before it (ISO/IEC
    14496-15, 9.2.2)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        found = [piece for body in boxes(file.read(HEAD), (b"meta", b"iloc")) for piece in islice(_pieces(body), _MOST)]
        for offset, length in found:
            at, end = offset, min(offset + length, size)
            while at + 4 < end:
                unit = _number(file, at)
                at += 4 + unit
                if at <= end:
                    yield unit


def _number(file: IO[bytes], at: int) -> int:
    file.seek(at)
    return int.from_bytes(file.read(4))


def _pieces(iloc: bytes) -> Iterator[tuple[int, int]]:
    """Where in the file each piece of an item begins, and its bytes (section 8.11.3); less where the box is cut off."""
    version = iloc[0]
    sizes = int.from_bytes(iloc[4:6])
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    at = 8 if version < 2 else 10  # past how many items there are
    while at < len(iloc):
        at += (2 if version < 2 else 4) + (2 if version else 0) + 2
        base = int.from_bytes(iloc[at : at + base_bytes])
        at += base_bytes
        pieces = int.from_bytes(iloc[at : at + 2])
        at += 2
        for _ in range(pieces):
            at += index_bytes
            offset = int.from_bytes(iloc[at : at + offset_bytes])
            at += offset_bytes
            if at >= len(iloc):
                return
            yield base + offset, int.from_bytes(iloc[at : at + length_bytes])
            at += length_bytes
