"""HEIC and AVIF reader: chooses the decoder and refuses what it cannot show.

A decoder refuses a whole file for broken metadata. Such a file is opened once more with its pixels only: see `remux`.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pillow_heif
from PIL import Image, ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.heif.clean_aperture import read_aperture
from app.worker.decode.heif.coding import correct_configuration, derived_size, first_coding, read_coding
from app.worker.decode.heif.isobmff import read_container
from app.worker.decode.heif.items import CODED, Container, Item
from app.worker.decode.heif.nclx import read_nclx
from app.worker.decode.heif.remux import HEVC, remux

#: Key of `info` with the visible part of an AVIF. The HEIC decoder crops by itself.
APERTURE: Final = "aperture"
_DECODERS: Final = {b"av01": "AVIF", **dict.fromkeys(HEVC, "HEIF")}
_CODECS: Final = {
    b"av01": "AV1", b"hvc1": "HEVC", b"hev1": "HEVC", b"lhv1": "layered HEVC", b"avc1": "H.264", b"jpeg": "JPEG",
    b"j2k1": "JPEG 2000", b"vvc1": "VVC", b"evc1": "EVC", b"unci": "uncompressed samples",
}  # fmt: skip
_DERIVED: Final = {b"iovl": "an overlay", b"iden": "an identity", b"tmap": "a tone map", b"sato": "a sample transform"}
#: Known properties. An image with an unknown essential one must not be shown.
_KNOWN: Final = frozenset({
    b"ispe", b"pixi", b"colr", b"auxC", b"clap", b"irot", b"imir", b"pasp", b"rloc", b"clli", b"mdcv", b"cclv", b"amve",
    b"ndwt", b"reve", b"av1C", b"hvcC", b"lhvC", b"lsel", b"a1op", b"a1lx", b"oinf", b"tols", b"free", b"skip",
})  # fmt: skip
#: Bytes of a NAL unit that libde265 accepts.
_LARGEST_PIECE: Final = 16 << 20
#: libheif's limit of items.
_MOST_TILES: Final = 1_000
#: Factor by which coded pixels may exceed the limit: tiles extend over the edges.
_SLACK: Final = 2


def open_heif(path: Path, plugin: str, max_pixels: int, *, threads: int = 1) -> ImageFile.ImageFile:
    """Open the file with the decoder for its codec, header only. `plugin` is Pillow's name for its brand.

    The tiles of a HEIC are decoded in up to `threads` threads. Everything else is decoded in one: tiles that are grids
    would have as many threads each, and the CPU limit of the child is wall time × threads.
    Raises `ImageError` for kinds that cannot be decoded, and an exception of Pillow for a broken file.
    """
    container = read_container(path)
    shown = container.image
    if shown is None:
        pillow_heif.options.DECODE_THREADS = 1
        return Image.open(path, formats=[plugin])
    coded = count_coded_pixels(container, shown, {})
    if coded > _SLACK * max_pixels:
        detail = f"The image is made of {coded:,} coded pixels; at most {_SLACK * max_pixels:,} can be processed."
        raise ImageError(FailureCode.TOO_MANY_PIXELS, detail)
    for found in _unsupported(container, shown):
        detail = f"This kind of HEIF cannot be processed: {found}. Accepted: HEVC (HEIC) and AV1 (AVIF)."
        raise ImageError(FailureCode.UNSUPPORTED_IMAGE, detail)
    plugin = next((_DECODERS[codec] for codec in _codecs(container, shown)), plugin)
    pillow_heif.options.DECODE_THREADS = threads if container.tiles(shown) else 1
    image = _opened(container, shown, plugin)
    aperture = read_aperture(shown.properties, image.size) if plugin == "AVIF" else None
    if aperture:
        image.info[APERTURE] = aperture
    return image


def refuse_large_pieces(path: Path) -> None:
    """Raise `ImageError` if the pixels of a HEIC are in one piece that is too large for libde265.

    Call it for a file that failed to decode: libde265 only says that nothing came out, and the file may be whole.
    """
    container = read_container(path)
    items = [item for item in container.items.values() if item.kind in HEVC and item.method == 0]
    pieces = [size for item in items for start, size in item.extents if start + size <= container.size]
    if (largest := max(pieces, default=0)) > _LARGEST_PIECE:
        detail = (
            f"The image is in one piece of {largest:,} bytes; at most {_LARGEST_PIECE:,} can be processed. HEICs in "
            "tiles, as phones write them, have smaller ones."
        )
        raise ImageError(FailureCode.UNSUPPORTED_IMAGE, detail)


def shown_size(image: ImageFile.ImageFile) -> tuple[int, int]:
    """Return width and height of the visible part, before it is rotated upright."""
    left, top, right, bottom = image.info.get(APERTURE, (0, 0, *image.size))
    return right - left, bottom - top


def _opened(container: Container, shown: Item, plugin: str) -> ImageFile.ImageFile:
    """Open the file, or its pixels only if the decoder refuses it."""
    if _contradicts_itself(container, shown):
        data = remux(container)
    else:
        try:
            return Image.open(container.path, formats=[plugin])
        except MemoryError:
            raise
        except Exception:
            data = remux(container)
            if data is None:
                raise
    return Image.open(io.BytesIO(data) if data else container.path, formats=[plugin])


def count_coded_pixels(container: Container, item: Item, known: dict[int, int]) -> int:
    """Count the pixels that are decoded to show the item. A tile counts each time it is used. Cycles are cut."""
    if item.number not in known:
        known[item.number] = 0
        width, height = item.size() or (0, 0)
        coding = read_coding(container, item)
        own = max(width * height, coding.pixels if coding else 0) if item.kind in CODED else 0
        if item.kind == b"iovl":
            across, down = derived_size(container, item) or (0, 0)
            own = across * down
        sources = [container.items[to] for to in item.refs.get(b"dimg", ()) if to in container.items]
        known[item.number] = own + sum(count_coded_pixels(container, source, known) for source in sources)
    return known[item.number]


def _codecs(container: Container, shown: Item) -> set[bytes]:
    return {part.kind for part in container.parts(shown) if part.kind in CODED}


def _unsupported(container: Container, shown: Item) -> Iterator[str]:
    """Yield the reasons why no decoder can show it."""
    codecs = _codecs(container, shown)
    parts = container.parts(shown)
    if {_DECODERS.get(codec) for codec in codecs} not in ({"AVIF"}, {"HEIF"}, set()):
        yield f"its pixels are coded as {', '.join(sorted({_CODECS[codec] for codec in codecs}))}"
    for part in parts if codecs & {b"av01"} else parts[:1]:
        if codecs and part.kind in _DERIVED and not (codecs & HEVC and part.kind in {b"iovl", b"iden"}):
            yield f"its image is {_DERIVED[part.kind]}"
    if codecs & {b"av01"} and any(part.kind == b"grid" for part in parts[1:]):
        yield "its image is a grid of grids"
    if codecs & HEVC and len(shown.refs.get(b"dimg", ())) >= _MOST_TILES:
        yield f"its image has {len(shown.refs[b'dimg']):,} tiles, and at most {_MOST_TILES - 1:,} can be read"
    unknown = {one.kind for one in shown.properties if one.essential and one.kind not in _KNOWN and one.kind.isalnum()}
    if unknown:
        yield f"it depends on an unknown property, {', '.join(sorted(kind.decode('ascii') for kind in unknown))}"
    for colors in [found for one in shown.properties if (found := read_nclx(one))][:1]:
        if model := colors.unreadable():
            yield f"its color model is {model}"


def _contradicts_itself(container: Container, shown: Item) -> bool:
    """Return True if a decoder would open it and then fail or show wrong pixels."""
    for colors in [found for one in shown.properties if (found := read_nclx(one))][:1]:
        if colors.readable_matrix(first_coding(container, shown)) != colors.matrix:
            return True
    if derived_size(container, shown) not in {None, shown.size()}:
        return True
    for part in container.parts(shown):
        coding = read_coding(container, part)
        if coding and part.kind in HEVC and part.size() not in {None, (coding.width, coding.height)}:
            return True
        if any(correct_configuration(one.kind, one.body, coding) != one.body for one in part.properties):
            return True
        if any(not one.has_bytes for one in container.auxiliaries.get(part.number, ())):
            return True
    return False
