"""What processing a picture takes of its process's memory, told from its header.

Either reading it is what takes most, or writing its variants: by then its pixels are gone. All figures are bytes, and
measured by `python -m benchmarks.render.memory`; a test has a picture of each kind processed in just what is said here.
"""

from pathlib import Path
from typing import Final

from PIL import ExifTags, ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode, Format
from app.worker.decode.heif.coding import GREY, HALVED, coding_of, largest
from app.worker.decode.heif.isobmff import read_container
from app.worker.decode.heif.reader import shown_size
from app.worker.jobs import THREAD_STACK, Job
from app.worker.metadata.orientation import orientation_of
from app.worker.pixels.resize import NEAR
from app.worker.render.geometry import shape_of
from app.worker.render.variants import resizer_for, top_size, turned

# A pixel as Pillow holds it after decoding, with what `colour.resizable` makes of it and, for transparency, the copy
# that is premultiplied to be resized. The second figure is for a file that has one colour or tone that is transparent.
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
#: The same with all that the decoder holds beside it, opaque and with alpha. A WebP always has the canvases of an
#: animation. The others: halved chroma, as cameras write; full chroma; 10 or 12 bits.
_WEBP: Final = 16
_WITH_DECODER: Final = {
    "AVIF": ((9, 13), (11, 14), (16, 22)),
    "HEIF": ((8, 10), (10, 12), (17, 22)),
}
#: An animation, all of whose frames are painted one upon the other.
_MOVING: Final = {"GIF": 17, "PNG": 17, "WEBP": 17}
#: How often the file itself is in memory.
_COPIES: Final = {"WEBP": 1, "AVIF": 2, "HEIF": 2, "TIFF": 1}
#: For a pixel of the largest size wanted, while it is made: resized, turned, and converted.
_NEARLY: Final = 16
#: For one of what is resized across and not yet down.
_HALF_WAY: Final = 5
#: For a pixel of each size, as long as variants are written.
_WRITTEN: Final = 4
#: For a pixel in an encoder, opaque and with alpha.
_ENCODED: Final = {Format.WEBP: (24, 42), Format.AVIF: (37, 40), Format.JPEG: (10, 4), Format.PNG: (4, 4)}
_ENCODED_MOVING: Final = 50
#: For everything else.
_REST: Final = 16 * 1_048_576


class Cost:
    """Reckons for one picture whose header has been read."""

    def __init__(self, image: ImageFile.ImageFile, path: Path, job: Job) -> None:
        self._image = image
        self._job = job
        stored, orientation = shown_size(image), 8 if _lies_on_its_side(image) else 1
        width, height = turned(stored, orientation)
        self._shapes = [shape_of(spec, width, height, job.focal_point) for spec in job.recipe.variants]
        top = top_size(self._shapes, width, height)
        self._top = top[0] * top[1]
        file = _COPIES.get(image.format or "", 0) * path.stat().st_size
        self._reading = file + _reading(image, path, turned(top, orientation), job)
        self._shrinking = _NEARLY * self._top + _HALF_WAY * turned(top, orientation)[0] * image.height

    def still(self) -> float:
        """Bytes that are needed to process its first frame."""
        return self._beside() + max(self._reading + self._shrinking, self._writing(1))

    def moving(self, frames: int) -> float:
        """Bytes that are needed to process so many frames."""
        pixels = self._image.width * self._image.height * _MOVING.get(self._image.format or "", 0)
        return self._beside() + max(pixels + self._shrinking + frames * _WRITTEN * self._top, self._writing(frames))

    def _beside(self) -> float:
        """The rest, and the stacks of threads that resize and of those that encode beside them: when they start, what
        reading took may not have been given back."""
        return _REST + (2 * self._job.threads * THREAD_STACK if self._job.threads > 1 else 0)

    def _writing(self, frames: int) -> float:
        image = self._image
        alpha = image.mode in {"LA", "PA", "La", "RGBA", "RGBa"} or bool(
            {"transparency", "frame_box"} & image.info.keys()
        )
        pixels = [shape.size[0] * shape.size[1] for shape in self._shapes]
        encoded = sorted(
            size * (_ENCODED_MOVING if frames > 1 else _ENCODED[written][alpha])
            for spec, size in zip(self._job.recipe.variants, pixels, strict=True)
            for written in spec.formats
        )
        return sum(pixels) * _WRITTEN * frames + sum(encoded[-self._job.threads :])


def check_cost(image: ImageFile.ImageFile, path: Path, job: Job) -> None:
    """Raise `ImageError` if there is not enough memory to process the picture."""
    refuse_if_costly(image.width, image.height, Cost(image, path, job).still(), job)


def may_move(image: ImageFile.ImageFile, path: Path, frames: int, job: Job) -> bool:
    """Whether there is enough memory to process so many frames."""
    return Cost(image, path, job).moving(frames) <= job.memory_mb * 1_048_576


def check_webp_canvas(width: int, height: int, job: Job) -> None:
    """The same for what a WebP takes to be opened."""
    refuse_if_costly(width, height, _REST + width * height * _WEBP, job)


def refuse_if_costly(width: int, height: int, needed: float, job: Job) -> None:
    """Raise `ImageError` if processing that size takes more bytes than there are."""
    if needed > job.memory_mb * 1_048_576:
        detail = (
            f"The picture has {width} × {height} = {width * height:,} pixels. In its format that takes about "
            f"{-(-needed // 1_048_576):,.0f} MB of memory; there are {job.memory_mb:,} MB."
        )
        raise ImageError(FailureCode.TOO_MANY_PIXELS, detail)


def _reading(image: ImageFile.ImageFile, path: Path, top: tuple[int, int], job: Job) -> float:
    """Bytes to decode the picture and hold it, as it is stored."""
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
            return _heif(image, path)
        case "TIFF":
            return pixels * max(held, _tiff(image))
        case _:
            return pixels * held


def _smaller(size: tuple[int, int], top: tuple[int, int], job: Job) -> int:
    """By how much a JPEG's decoder makes it smaller on each side: see `render.scaled_by_decoder`."""
    room = NEAR if resizer_for(job).crisp else 1
    ratio = min(size[0] / (top[0] * room + 1), size[1] / (top[1] * room + 1))
    return next((factor for factor in (8, 4, 2) if ratio >= factor), 1)


def _coefficients(image: ImageFile.ImageFile) -> float:
    """All that a progressive JPEG says, 16 bits each, which is kept until its last scan has come."""
    if not {"progressive", "progression"} & image.info.keys():
        return 0
    layers: list[tuple[int, int, int, int]] = getattr(image, "layer", [])
    areas = [across * down for _, across, down, _ in layers] or [1, 1, 1, 1]
    most = max((across for _, across, _, _ in layers), default=1) * max((down for _, _, down, _ in layers), default=1)
    return 2 * sum(areas) / max(1, most)


def _tiff(image: ImageFile.ImageFile) -> float:
    """A pixel as decoded beside its samples, since one strip may hold those of all; or beside its turned copy."""
    tags = getattr(image, "tag_v2", {})
    bits: tuple[int, ...] = tags.get(ExifTags.Base.BitsPerSample, (1,))
    channels: int = tags.get(ExifTags.Base.SamplesPerPixel, 1)
    samples = max(sum(bits), channels * max(bits)) / 8
    decoded = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if ";16" in image.mode else 4)
    return decoded + max(samples, decoded)


def _heif(image: ImageFile.ImageFile, path: Path) -> float:
    """The largest of all that is decoded, which may be more than is shown, by how rich its channels are."""
    container = read_container(path)
    colors = container.parts(container.image) if container.image else []
    parts = [*colors, *(alpha for part in colors for alpha in container.alphas(part))]
    codings = [found for part in parts if (found := coding_of(container, part))]
    pixels = max(image.width * image.height, largest(container, parts))
    richness = 1
    if any(coding.depth > 8 for coding in codings):
        richness = 2
    elif codings and all(coding.chroma in {GREY, HALVED} for coding in codings):
        richness = 0
    return pixels * _WITH_DECODER[image.format or "AVIF"][richness][image.mode == "RGBA"]


def _lies_on_its_side(image: ImageFile.ImageFile) -> bool:
    """By its EXIF, as far as that is known before the pixels are."""
    return "exif" in image.info and orientation_of(image) >= 5
