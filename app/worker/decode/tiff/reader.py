"""TIFF reader: chooses the image to show and opens it with a new directory.

Pillow gets the bytes of the original in memory, after one new directory with only the tags that decoding needs, so that
no other tag can make an image fail. libtiff decodes all images: Pillow alone garbles planes of more than 8 bits.
"""

import io
import mmap
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode import pillow_private
from app.worker.decode.photoshop import parse_resources
from app.worker.decode.tiff import kinds
from app.worker.decode.tiff.tags import Directory, Reader, build_directory

_TYPE, _OLD_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANES, _FORMATS, _XMP, _IPTC, _RESOURCES, _PROFILE = (
    274,
    277,
    284,
    339,
    700,
    33723,
    34377,
    34675,
)
_STRIPS, _TILES = 273, 324
_EXIF, _GPS, _INTEROP = 34665, 34853, 40965
_POINTERS: Final = frozenset({_EXIF, _GPS, _INTEROP, 330, _XMP, _IPTC, _RESOURCES, _PROFILE})
#: Bytes of a descriptive tag; longer ones are maker notes or junk.
_LONGEST_TAG: Final = 1 << 14
_MOST_TAGS: Final = 200
#: Tags that decoding needs: those of integers, and those of other types with their number of bytes.
_NEEDED: Final = frozenset({
    _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, 266, _STRIPS, _SAMPLES, 278, 279, _PLANES, 292, 293, 317, 320,
    322, 323, _TILES, 325, 332, 338, _FORMATS, 512, 513, 514, 515, 517, 518, 519, 520, 521, 530, 531,
})  # fmt: skip
_NEEDED_BLOCKS: Final = {347: (7, None), 529: (5, 24), 532: (5, 48)}
_REDUCED, _MASK = 1, 4
_THUMBNAIL: Final = 2
#: Tags with offsets into the file.
_PLACES: Final = frozenset({_STRIPS, _TILES, 513, 519, 520, 521})
_HIGHEST: Final = 2**32 - 1


def open_tiff(path: Path) -> ImageFile.ImageFile:
    """Open the image that is shown, header only. `add_metadata` adds its metadata to `Image.info` later.

    `info["starts_white"]` means that 0 is white, where Pillow ignores it, `info["unsigned"]` that negative numbers are
    large ones. Raises `ImageError` if there is no image or if it is of a kind that cannot be decoded.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first, shown = _choose(data)
        kinds.refuse_unknown(shown)
        numbers = {tag: values for tag in _NEEDED if (values := shown.numbers(tag))}
        if not numbers.keys() >= {_WIDTH, _HEIGHT} or not numbers.keys() & {_STRIPS, _TILES, 513}:
            raise ImageError(FailureCode.CORRUPT_IMAGE, "The TIFF does not say where its pixels are.")
        notes = _adjusted(numbers)
        orientation = shown.number(_ORIENTATION) or first.number(_ORIENTATION)
        if 1 <= orientation <= 8:
            numbers[_ORIENTATION] = (orientation,)
        blocks = {
            tag: (kind, shown.block(tag))
            for tag, (kind, size) in _NEEDED_BLOCKS.items()
            if shown.block(tag) and size in {None, len(shown.block(tag))}
        }
        order = "<" if max(numbers.get(_BITS, (1,))) <= 12 else shown.order  # packed bits have none
        copy = _copied(data, order, numbers, blocks)
        refusal = kinds.unsupported_error(shown) if kinds.is_plausible(shown) else None
    try:
        image = Image.open(copy, formats=["TIFF"])
    except (OSError, SyntaxError, ValueError):
        if refusal:
            raise refusal from None
        raise
    pillow_private.read_native_numbers(image)
    image.info.update(notes)
    return image


def add_metadata(image: ImageFile.ImageFile, path: Path) -> None:
    """Add the metadata of the file to `Image.info`, as Pillow has it. Call it after the pixels are decoded."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first, shown = _choose(data)
        for name, tag in (("xmp", _XMP), ("icc_profile", _PROFILE), ("iptc", _IPTC)):
            block = shown.block(tag) or first.block(tag)
            if block:
                image.info[name] = block
        image.info["photoshop"] = parse_resources(shown.block(_RESOURCES) or first.block(_RESOURCES))
        image.info["exif"] = _exif_block(data, first)
        image.info["thumbnails"] = shown is not first and not _is_whole(first)


def _exif_block(data: mmap.mmap, first: Directory) -> bytes:
    """Build an EXIF block, as in other formats, of the first directory and those that it points to."""
    reader, order = Reader(data), first.order
    block = b"II*\0" if order == "<" else b"MM\0*"

    def add(directory: Directory, pointers: dict[int, int]) -> int:
        nonlocal block
        blocks = {
            tag: (kind, directory.block(tag))
            for tag, (kind, _, size) in list(directory.entries.items())[:_MOST_TAGS]
            if kind <= 12 and size <= _LONGEST_TAG and tag not in _NEEDED | _POINTERS
        }
        at = len(block) + len(block) % 2
        block = block.ljust(at, b"\0") + build_directory(
            order, at, {tag: (place,) for tag, place in pointers.items()}, blocks
        )
        return at

    def pointed(directory: Directory, tag: int) -> Directory | None:
        place = directory.number(tag)
        return reader.directory(place)[0] if place else None

    block = block.ljust(8, b"\0")
    pointers = {}
    if exif := pointed(first, _EXIF):
        interop = pointed(exif, _INTEROP)
        pointers[_EXIF] = add(exif, {_INTEROP: add(interop, {})} if interop else {})
    if place := pointed(first, _GPS):
        pointers[_GPS] = add(place, {})
    start = add(first, pointers)
    return b"Exif\0\0" + block[:4] + start.to_bytes(4, "little" if order == "<" else "big") + block[8:]


def _choose(data: mmap.mmap) -> tuple[Directory, Directory]:
    """Return the first directory and that of the image to show: the first that is neither a reduced image nor a mask.

    Raises `ImageError` for a camera's raw file, whose first directory is mostly a thumbnail.
    """
    reader = Reader(data)
    chain = list(reader.chain())
    if not chain or not chain[0].entries:
        raise ImageError(FailureCode.CORRUPT_IMAGE, "The TIFF has no directory that can be read.")
    first = chain[0]
    own = list(reader.subs(first))
    others = [*chain[1:], *own, *(sub for directory in chain[1:] for sub in reader.subs(directory))]
    kinds.refuse_raw(data, [first, *others])
    if not _is_whole(first):
        return first, next(filter(_is_whole, others), first)
    larger = [sub for sub in own if _is_whole(sub) and _area(sub) > _area(first)]
    return first, max(larger, key=_area, default=first)


def _is_whole(directory: Directory) -> bool:
    reduced = directory.number(_TYPE) & (_REDUCED | _MASK) or directory.number(_OLD_TYPE) == _THUMBNAIL
    return not reduced and _area(directory) > 0


def _area(directory: Directory) -> int:
    return directory.number(_WIDTH) * directory.number(_HEIGHT)


def _adjusted(numbers: dict[int, tuple[int, ...]]) -> dict[str, Any]:
    """Replace tags that Pillow does not support; return notes on how to correct the pixels."""
    notes: dict[str, Any] = {}
    gray = numbers.get(_PHOTOMETRIC, (0,))[0] <= 1
    if max(numbers.get(_BITS, (1,))) > 8 and numbers.get(_PHOTOMETRIC, (0,)) == (0,):
        numbers[_PHOTOMETRIC] = (1,)
        notes["starts_white"] = True
    if set(numbers.get(_BITS, ())) == {32} and set(numbers.get(_FORMATS, (1,))) == {1} and gray:
        numbers[_FORMATS] = (2,) * len(numbers[_BITS])
        notes["unsigned"] = True
    if numbers.get(_SAMPLES, (1,)) == (1,):
        numbers.pop(_PLANES, None)
    return notes


def _copied(
    data: mmap.mmap, order: str, numbers: dict[int, tuple[int, ...]], blocks: dict[int, tuple[int, bytes]]
) -> io.BytesIO:
    """Return the file in memory, after a header and a new directory. So a truncated file stays truncated."""
    size = 8 + len(build_directory(order, 8, _moved(numbers, _HIGHEST), blocks))
    moved = _moved(numbers, size + size % 2)
    copy = io.BytesIO()
    copy.write(b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08")
    copy.write(build_directory(order, 8, moved, blocks).ljust(size + size % 2 - 8, b"\0"))
    copy.write(data)
    copy.seek(0)
    return copy


def _moved(numbers: dict[int, tuple[int, ...]], by: int) -> dict[int, tuple[int, ...]]:
    places = {tag: tuple(min(at + by, _HIGHEST) for at in numbers[tag]) for tag in _PLACES & numbers.keys()}
    return numbers | places
