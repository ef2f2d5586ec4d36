"""Memory that processing an image takes in its process, estimated from its header.

The peak is either while the original is read or while its variants are written: by then its pixels are freed. All
figures are bytes, measured by `python -m benchmarks.render.memory`. A test processes an image of each kind in exactly
the memory that is estimated here.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final

from PIL import ExifTags, ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode, Format
from app.worker.decode.heif.coding import GRAY, HALVED, largest, read_coding
from app.worker.decode.heif.isobmff import read_container
from app.worker.decode.pillow_private import jpeg_components
from app.worker.jobs import THREAD_STACK, Job
from app.worker.pipeline.layout import Layout, Size
from app.worker.render.variants import room_after_decoder

#: Bytes per pixel as Pillow holds it after decoding, with the copy that `color.resizable` makes and, for transparency,
#: the copy that is premultiplied for resizing. The second figure is for files with one transparent color or tone.
_HELD: Final = {
    "1": (2, 9),
    "L": (1, 9),
    "P": (5, 9),
    "LA": (8, 8),
    "RGB": (4, 12),
    "RGBA": (8, 8),
    "CMYK": (8, 8),
    "LAB": (8, 8),
    "I;16": (11, 15),
    "I": (9, 9),
    "F": (9, 9),
}
_HELD_OTHERWISE: Final = (12, 12)
#: The same with the buffers of the decoder, opaque and with alpha. A WebP always has the canvases of an animation. The
#: rows of the others: halved chroma, as cameras write; full chroma; 10 or 12 bits.
_WEBP: Final = 16
_WITH_DECODER: Final = {
    "AVIF": ((9, 13), (11, 14), (16, 22)),
    "HEIF": ((8, 10), (10, 12), (17, 22)),
}
#: Bytes per pixel of a HEIC's tile while a thread decodes it, and of all decoded tiles; rows and columns as above.
_TILE: Final = ((4, 6), (7, 9), (13, 17))
_TILES: Final = ((2, 3), (3, 4), (6, 8))
#: Bytes of address space for the stacks of the two threads that decode a tile, beyond those of other threads.
_TILE_STACKS: Final = 8 * 1_048_576
#: Bytes per pixel of an animation, whose frames are all painted on one canvas.
_ANIMATION: Final = {"GIF": 17, "PNG": 17, "WEBP": 17}
#: Copies of the file itself in memory.
_COPIES: Final = {"WEBP": 1, "AVIF": 2, "HEIF": 2, "TIFF": 1}
#: Bytes per pixel of the largest variant during resize, rotation and color conversion.
_TOP: Final = 16
#: Bytes per pixel that is resized horizontally and not yet vertically.
_HALF_RESIZED: Final = 5
#: Bytes per pixel of each size, as long as variants are written.
_WRITTEN: Final = 4
#: Bytes per pixel in an encoder, opaque and with alpha.
_ENCODED: Final = {Format.WEBP: (32, 42), Format.AVIF: (39, 41), Format.JPEG: (10, 4), Format.PNG: (4, 4)}
_ENCODED_ANIMATION: Final = 50
#: Bytes of the encoder of AVIF in addition.
_AVIF_REST: Final = 20 * 1_048_576
#: The same for JPEG XL, which libjxl codes in pieces of up to 2048 × 2048 pixels: bytes per pixel of a piece, of the
#: whole, and in addition.
_JXL_PIECE: Final = (66, 80)
_JXL_WHOLE: Final = 8
_JXL_SIDE: Final = 2048
_JXL_REST: Final = 12 * 1_048_576
#: Everything else.
_REST: Final = 16 * 1_048_576


@dataclass(frozen=True)
class Memory:
    """Bytes that processing takes: of the first frame alone, and of all frames."""

    still: float
    animation: float


def estimate_memory(image: ImageFile.ImageFile, path: Path, layout: Layout, frames: int, job: Job) -> Memory:
    """Estimate the memory for an image that has been opened and not yet decoded."""
    top = prod(layout.top)
    file = _COPIES.get(image.format or "", 0) * path.stat().st_size
    reading = file + _reading(image, path, layout.stored_top, job)
    resizing = _TOP * top + _HALF_RESIZED * layout.stored_top[0] * image.height
    # Stacks of the threads that resize and of those that encode: when the latter start, what reading took may not have
    # been returned yet.
    rest = _REST + (2 * job.threads * THREAD_STACK if job.threads > 1 else 0)
    canvas = image.width * image.height * _ANIMATION.get(image.format or "", 0)
    return Memory(
        still=rest + max(reading + resizing, _writing(image, layout, 1, job)),
        animation=rest + max(canvas + resizing + frames * _WRITTEN * top, _writing(image, layout, frames, job)),
    )


def webp_canvas(size: Size) -> float:
    """Return the bytes that opening a WebP takes."""
    return _REST + prod(size) * _WEBP


def check_memory(size: Size, needed: float, job: Job) -> None:
    """Raise `ImageError` if processing an image of that size takes more bytes than the job's bound."""
    if needed > job.memory_mb * 1_048_576:
        width, height = size
        detail = (
            f"The image has {width} × {height} = {width * height:,} pixels. In its format that takes about "
            f"{-(-needed // 1_048_576):,.0f} MB of memory; there are {job.memory_mb:,} MB."
        )
        raise ImageError(FailureCode.TOO_MANY_PIXELS, detail)


def _writing(image: ImageFile.ImageFile, layout: Layout, frames: int, job: Job) -> float:
    """Bytes to hold all sizes and to encode as many variants at once as there are threads."""
    alpha = image.mode in {"LA", "PA", "La", "RGBA", "RGBa"} or bool({"transparency", "frame_box"} & image.info.keys())
    sizes = [shape.size for shape in layout.shapes]
    encoded = sorted(
        _encoding(size, written, animated=frames > 1, alpha=alpha)
        for spec, size in zip(job.recipe.variants, sizes, strict=True)
        for written in spec.formats
    )
    return sum(map(prod, sizes)) * _WRITTEN * frames + sum(encoded[-job.threads :])


def _encoding(size: Size, written: Format, *, animated: bool, alpha: bool) -> float:
    """Bytes in an encoder. Only WebP is animated, and JPEG XL may become WebP."""
    if written is Format.JXL:
        piece = min(size[0], _JXL_SIDE) * min(size[1], _JXL_SIDE)
        still = piece * _JXL_PIECE[alpha] + prod(size) * _JXL_WHOLE + _JXL_REST
        return max(still, _encoding(size, Format.WEBP, animated=animated, alpha=alpha))
    rest = _AVIF_REST if written is Format.AVIF else 0
    return rest + prod(size) * (_ENCODED_ANIMATION if animated else _ENCODED[written][alpha])


def _reading(image: ImageFile.ImageFile, path: Path, top: tuple[int, int], job: Job) -> float:
    """Bytes to decode the image and hold it, before rotation."""
    pixels = image.width * image.height
    mode = "I;16" if image.mode.startswith("I;16") else image.mode
    held = _HELD.get(mode, _HELD_OTHERWISE)[bool({"transparency", "frame_box"} & image.info.keys())]
    match image.format:
        case "JPEG":
            smaller = 1 if {"is_cut", "lossless"} & image.info.keys() else _smaller(image.size, top, job)
            return pixels * (held / smaller**2 + _coefficients(image))
        case "WEBP":
            return pixels * _WEBP
        case "AVIF" | "HEIF":
            return _heif(image, path, job.threads)
        case "TIFF":
            return pixels * max(held, _tiff(image))
        case _:
            return pixels * held


def _smaller(size: tuple[int, int], top: tuple[int, int], job: Job) -> int:
    """Factor by which a JPEG's decoder scales each side down: see `variants.scale_in_decoder`."""
    room = room_after_decoder(job)
    ratio = min(size[0] / (top[0] * room + 1), size[1] / (top[1] * room + 1))
    return next((factor for factor in (8, 4, 2) if ratio >= factor), 1)


def _coefficients(image: ImageFile.ImageFile) -> float:
    """Bytes per pixel for the coefficients of a progressive JPEG: 16 bits each, kept until its last scan."""
    if not {"progressive", "progression"} & image.info.keys():
        return 0
    layers = jpeg_components(image)
    areas = [across * down for _, across, down, _ in layers] or [1, 1, 1, 1]
    most = max((across for _, across, _, _ in layers), default=1) * max((down for _, _, down, _ in layers), default=1)
    return 2 * sum(areas) / max(1, most)


def _tiff(image: ImageFile.ImageFile) -> float:
    """Bytes per pixel as decoded, with all its samples (one strip may hold the whole image) or its rotated copy."""
    tags = getattr(image, "tag_v2", {})
    bits: tuple[int, ...] = tags.get(ExifTags.Base.BitsPerSample, (1,))
    channels: int = tags.get(ExifTags.Base.SamplesPerPixel, 1)
    samples = max(sum(bits), channels * max(bits)) / 8
    decoded = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if ";16" in image.mode else 4)
    return decoded + max(samples, decoded)


def _heif(image: ImageFile.ImageFile, path: Path, threads: int) -> float:
    """Bytes for the largest part that is decoded, which may be larger than the image, by its chroma and depth.

    The tiles of a HEIC may take more if several threads decode tiles that reach far over its edges.
    """
    container = read_container(path)
    colors = container.parts(container.image) if container.image else []
    parts = [*colors, *(alpha for part in colors for alpha in container.alphas(part))]
    codings = [found for part in parts if (found := read_coding(container, part))]
    pixels = max(image.width * image.height, largest(container, parts))
    richness = 1
    if any(coding.depth > 8 for coding in codings):
        richness = 2
    elif codings and all(coding.chroma in {GRAY, HALVED} for coding in codings):
        richness = 0
    alpha = image.mode == "RGBA"
    whole = pixels * _WITH_DECODER[image.format or "AVIF"][richness][alpha]
    tiles = container.tiles(container.image) if container.image and image.format == "HEIF" else []
    if threads == 1 or not tiles:
        return whole
    at_once = min(threads, len(tiles))
    decoding = image.width * image.height * _TILES[richness][alpha]
    decoding += at_once * largest(container, tiles) * _TILE[richness][alpha]
    return max(whole, decoding) + at_once * _TILE_STACKS
