"""Rendering of variants: from an opened image to their files.

The order makes it fast (measured on a 12 MP photograph). The decoder scales a JPEG by halves while it decodes. One step
leads to the largest requested size. Only then is the image rotated and converted to sRGB, at a fifth of the cost. Each
smaller size is made from the next larger one, and encoded while the next is resized.
"""

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageFile

from app.domain.models import Format
from app.domain.phase_timer import PhaseTimer
from app.domain.recipe import VariantSpec
from app.worker.decode.animation import Animation
from app.worker.jobs import Job, Rendered
from app.worker.pixels.color import resizable, to_srgb
from app.worker.pixels.resize import NEAR, Resizer
from app.worker.render import encode
from app.worker.render.geometry import Shape

#: Smallest factor between a size and the one it is made from: many small steps would soften the image.
_STEP: Final = 1.25

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orient_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Convert a stored size to a displayed one, or the reverse."""
    return (size[1], size[0]) if orientation >= 5 else size


def top_size(shapes: Sequence[Shape], width: int, height: int) -> tuple[int, int]:
    """Return the displayed size from which every variant can be made: that of the largest requested scale."""
    whole = [shape.size for shape in shapes if shape.whole]
    scale = max(shape.scale for shape in shapes)
    wanted = (min(width, max(1, round(width * scale))), min(height, max(1, round(height * scale))))
    largest = max(whole, default=(0, 0))
    return largest if largest[0] + 1 >= wanted[0] and largest[1] + 1 >= wanted[1] else wanted


def shrink(
    image: Image.Image,
    top: tuple[int, int],
    orientation: int,
    profile: bytes | None,
    resizer: Resizer,
    timer: PhaseTimer,
    *,
    last: bool,
) -> Image.Image:
    """Bring a decoded image to the top size, upright, in sRGB, without metadata.

    The `last` frame is closed as soon as its pixels are no longer needed: they are most of the memory.
    """
    with timer.phase("resize"):
        small = resizable(image)
        stored = orient_size(top, orientation)
        small = small.copy() if small is image and small.size == stored else resizer.whole(small, stored)
    small.info = {}
    if last:
        image.close()
    if orientation in _TURNS:
        with timer.phase("orient"):
            small = small.transpose(_TURNS[orientation])
    with timer.phase("color"):
        return to_srgb(small, profile, threads=resizer.threads)


def make_resizer(job: Job) -> Resizer:
    """Create the resizer of a job; crisp for AVIF, whose encoder takes longer and which is there to save bytes."""
    return Resizer(job.threads, crisp=any(Format.AVIF in spec.formats for spec in job.recipe.variants))


def room_after_decoder(job: Job) -> float:
    """Return the factor by which an image that its decoder has scaled must be larger than the top size.

    A variant that the decoder halves to a size gives 9 % more bytes than one that the filter halves.
    """
    return NEAR if make_resizer(job).crisp or job.displayed is not None else 1.0


def scale_in_decoder(image: ImageFile.ImageFile, top: tuple[int, int], orientation: int, room: float) -> bool:
    """Let the decoder scale a JPEG to the smallest eighth, quarter or half that has `room` above the top size.

    Return True if the result is just above the top size, which costs detail.
    """
    if "lossless" in image.info:
        return False
    before = image.size
    width, height = orient_size(top, orientation)
    image.draft(None, (math.ceil(width * room), math.ceil(height * room)))
    return image.size != before and image.width < width * NEAR


@dataclass(frozen=True)
class Source:
    """Source of all variants: the displayed size and the image at the top size, still or animated."""

    width: int
    height: int
    top: Image.Image
    animation: Animation | None
    scaled_decode: bool
    rights: bytes


def render(
    source: Source, specs: Sequence[tuple[VariantSpec, Shape]], out: Path, job: Job, resizer: Resizer, timer: PhaseTimer
) -> list[Rendered]:
    """Write all variants of the recipe to `out`. Equal pixels in the same format and quality are written once."""
    displayed = (source.width, source.height)
    sizes = _Cascade(source.top, displayed, resizer)
    moving = [_Cascade(frame, displayed, resizer) for frame in source.animation.frames] if source.animation else []
    made: dict[tuple[object, ...], tuple[str, Future[encode.Encoded]]] = {}
    listed: dict[tuple[str, Format], tuple[Shape, Format, tuple[object, ...]]] = {}
    encoding: set[int] = set()
    largest_first = sorted(specs, key=lambda asked: (-asked[1].scale, not asked[1].whole))
    with encode.make_executor(job.threads) as encoders:
        for spec, shape in largest_first:
            with timer.phase("resize"):
                image = sizes.make(shape)
            for wanted in spec.formats:
                written = encode.choose_format(wanted, image, animated=source.animation is not None)
                halved = source.scaled_decode and image.size == source.top.size
                quality = encode.choose_quality(spec, written, halved=halved)
                key = (shape.size, shape.box, written, quality if written is not Format.PNG else encode.LOSSLESS)
                listed[spec.name, wanted] = (shape, written, key)
                if key in made:
                    continue
                if id(image) in encoding:  # `save` leaves its settings on the image
                    image = image.copy()
                encoding.add(id(image))
                file = f"{spec.name}.{written.extension}"
                with timer.phase("encode"):
                    if source.animation and written is Format.WEBP:
                        frames = [image, *(frame.make(shape) for frame in moving[1:])]
                        work = encoders.submit(
                            encode.write_animation, frames, source.animation.durations, source.animation.loop,
                            out / file, quality, source.rights,
                        )  # fmt: skip
                    else:
                        work = encoders.submit(encode.write_still, image, out / file, written, quality, source.rights)
                made[key] = (file, work)
        with timer.phase("encode"):
            files = {key: work.result() for key, (_, work) in made.items()}
    return [
        Rendered(
            name=spec.name,
            format=written,
            width=shape.size[0],
            height=shape.size[1],
            bytes=files[key].bytes,
            quality=files[key].quality,
            file=made[key][0],
        )
        for spec, _ in specs
        for shape, written, key in (listed[spec.name, wanted] for wanted in spec.formats)
    ]


class _Cascade:
    """An image in decreasing sizes, each made from the smallest one that is large enough."""

    def __init__(self, top: Image.Image, displayed: tuple[int, int], resizer: Resizer) -> None:
        self._displayed = displayed
        self._resizer = resizer
        self._wholes: list[Image.Image] = [top]

    def make(self, shape: Shape) -> Image.Image:
        """Make the image of that shape. Request larger ones first."""
        source = self._source(shape)
        width, height = self._displayed
        across, down = source.width / width, source.height / height
        left, top, right, bottom = shape.box
        if shape.whole:
            if source.size == shape.size:
                return source
            made = self._resizer.whole(source, shape.size)
            self._wholes.append(made)
            return made
        box = (left * across, top * down, min(right * across, source.width), min(bottom * down, source.height))
        if (across, down) == (1, 1) and shape.scale == 1:
            box = (round(left), round(top), round(left) + shape.size[0], round(top) + shape.size[1])
        return self._resizer.part(source, shape.size, box)

    def _source(self, shape: Shape) -> Image.Image:
        if shape.whole:
            same = [image for image in self._wholes if image.size == shape.size]
            if same:
                return same[0]
        width, height = self._displayed
        need = (shape.scale * width * _STEP, shape.scale * height * _STEP)
        enough = [image for image in self._wholes if image.width >= need[0] and image.height >= need[1]]
        return min(enough, key=lambda image: image.width) if enough else self._wholes[0]
