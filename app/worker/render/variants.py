"""From an opened picture to the files of its variants.

The order is what makes it fast (measured on a 12 MP photograph): the decoder scales a JPEG by halves while it decodes;
one step to the largest size wanted; only then turned upright and brought to sRGB, when that costs a fifth; each smaller
size from the next larger one instead of from the whole picture; and encoded while the next is resized.
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

#: A size is made from one at least this much larger, so that no picture is softened by many small steps.
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


def turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """A stored size as displayed, or a displayed one as stored."""
    return (size[1], size[0]) if orientation >= 5 else size


def top_size(shapes: Sequence[Shape], width: int, height: int) -> tuple[int, int]:
    """The displayed size that every variant can be made from: the whole picture at the largest scale wanted."""
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
    """A decoded picture at the top size, upright, in sRGB, without metadata. When it is the `last` frame, it is closed
    as soon as its pixels are not needed: they are most of the memory."""
    with timer.phase("resize"):
        small = resizable(image)
        stored = turned(top, orientation)
        small = small.copy() if small is image and small.size == stored else resizer.whole(small, stored)
    small.info = {}
    if last:
        image.close()
    if orientation in _TURNS:
        with timer.phase("orient"):
            small = small.transpose(_TURNS[orientation])
    with timer.phase("colour"):
        return to_srgb(small, profile, threads=resizer.threads)


def resizer_for(job: Job) -> Resizer:
    """With no averaging for AVIF: beside its encoder that costs little, and bytes are what AVIF is there to save."""
    return Resizer(job.threads, crisp=any(Format.AVIF in spec.formats for spec in job.recipe.variants))


def scaled_by_decoder(image: ImageFile.ImageFile, top: tuple[int, int], orientation: int, *, crisp: bool) -> bool:
    """Have a JPEG decoded at the smallest eighth, quarter or half that is still larger than the top size, and into that
    mode; whether the size is just above it, which costs detail. When it shall be `crisp` it never is."""
    if "lossless" in image.info:
        return False
    before = image.size
    room = NEAR if crisp else 1.0
    width, height = turned(top, orientation)
    image.draft(None, (math.ceil(width * room), math.ceil(height * room)))
    return image.size != before and image.width < width * NEAR


@dataclass(frozen=True)
class Source:
    """What variants are made from: the displayed size, and the picture at the top size, moving or not."""

    width: int
    height: int
    top: Image.Image
    animation: Animation | None
    scaled_decode: bool
    rights: bytes


def render(
    source: Source, specs: Sequence[tuple[VariantSpec, Shape]], out: Path, job: Job, resizer: Resizer, timer: PhaseTimer
) -> list[Rendered]:
    """Write every variant of the recipe into `out`. Equal pixels in equal format and quality are written once."""
    displayed = (source.width, source.height)
    sizes = _Cascade(source.top, displayed, resizer)
    moving = [_Cascade(frame, displayed, resizer) for frame in source.animation.frames] if source.animation else []
    made: dict[tuple[object, ...], tuple[str, Future[int]]] = {}
    listed: dict[tuple[str, Format], tuple[Shape, Format, tuple[object, ...]]] = {}
    encoding: set[int] = set()
    largest_first = sorted(specs, key=lambda asked: (-asked[1].scale, not asked[1].whole))
    with encode.encoders(job.threads) as encoders:
        for spec, shape in largest_first:
            with timer.phase("resize"):
                picture = sizes.make(shape)
            for wanted in spec.formats:
                written = encode.format_for(wanted, picture)
                halved = source.scaled_decode and picture.size == source.top.size
                quality = encode.quality_for(spec, written, halved=halved)
                key = (shape.size, shape.box, written, quality if written is not Format.PNG else 0)
                listed[spec.name, wanted] = (shape, written, key)
                if key in made:
                    continue
                if id(picture) in encoding:  # saving leaves its settings on the picture: a second needs its own
                    picture = picture.copy()
                encoding.add(id(picture))
                file = f"{spec.name}.{written.extension}"
                with timer.phase("encode"):
                    if source.animation and written is Format.WEBP:
                        frames = [picture, *(frame.make(shape) for frame in moving[1:])]
                        work = encoders.submit(
                            encode.write_animation, frames, source.animation.durations, source.animation.loop,
                            out / file, quality, source.rights,
                        )  # fmt: skip
                    else:
                        work = encoders.submit(encode.write_still, picture, out / file, written, quality, source.rights)
                made[key] = (file, work)
        with timer.phase("encode"):
            weights = {key: work.result() for key, (_, work) in made.items()}
    return [
        Rendered(
            name=spec.name,
            format=written,
            width=shape.size[0],
            height=shape.size[1],
            bytes=weights[key],
            file=made[key][0],
        )
        for spec, _ in specs
        for shape, written, key in (listed[spec.name, wanted] for wanted in spec.formats)
    ]


class _Cascade:
    """A picture in ever smaller sizes, each from the smallest larger one that is large enough."""

    def __init__(self, top: Image.Image, displayed: tuple[int, int], resizer: Resizer) -> None:
        self._displayed = displayed
        self._resizer = resizer
        self._wholes: list[Image.Image] = [top]

    def make(self, shape: Shape) -> Image.Image:
        """The picture of that shape. Ask for larger ones first."""
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
            same = [picture for picture in self._wholes if picture.size == shape.size]
            if same:
                return same[0]
        width, height = self._displayed
        need = (shape.scale * width * _STEP, shape.scale * height * _STEP)
        enough = [picture for picture in self._wholes if picture.width >= need[0] and picture.height >= need[1]]
        return min(enough, key=lambda picture: picture.width) if enough else self._wholes[0]
