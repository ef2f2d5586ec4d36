"""Reading the frames of an animation, small."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin

from app.worker import apng
from app.worker.jobs import Job

#: Milliseconds that a frame is shown which does not say: what browsers do with such a GIF.
_DEFAULT_DURATION = 100.0
#: The share of memory that shrunk frames may take, and of the time that reading them may.
_MEMORY_SHARE = 0.35
_TIME_SHARE = 0.3

#: How a frame of a GIF goes away: to nothing, or to what was there before (GIF89a, section 23).
_CLEARED: Final = 2
_UNDONE: Final = 3
_NOTHING: Final = (0, 0, 0, 0)


@dataclass(frozen=True)
class Animation:
    """At least two upright sRGB frames of one size, how long each is shown in milliseconds, and how often all are."""

    frames: list[Image.Image]
    durations: list[float]
    loop: int


def may_animate(image: ImageFile.ImageFile, frames: int, top: tuple[int, int], job: Job) -> bool:
    """Whether all frames may be developed: within the frame limit, the pixel limit over all, and the memory.

    Those of an AVIF never are: it is a film, and its first frame stands for it.
    """
    held = frames * top[0] * top[1] * 4
    return (
        image.format != "AVIF"
        and 1 < frames <= job.max_frames
        and frames * image.width * image.height <= job.max_pixels
        and held <= job.memory_mb * 1_048_576 * _MEMORY_SHARE
    )


def read_animation(
    image: ImageFile.ImageFile, job: Job, shrink: Callable[[Image.Image], Image.Image]
) -> Animation | None:
    """Every frame, composed and passed through `shrink`; None if one is broken or reading takes too long."""
    deadline = time.monotonic() + job.seconds * _TIME_SHARE
    first = 1 if image.info.get("default_image") else 0
    frames: list[Image.Image] = []
    durations: list[float] = []
    try:
        loop = _loop(image)
        size = image.size
        canvas = apng.Canvas(image) if isinstance(image, PngImagePlugin.PngImageFile) else None
        for index in range(first, int(getattr(image, "n_frames", 1))):
            frame = canvas.frame(index) if canvas else _composed(image, index)
            if image.size != size or time.monotonic() > deadline or len(frames) >= job.max_frames:
                return None
            durations.append(_duration(image.info.get("duration")))
            frames.append(shrink(frame))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a broken later frame costs the animation, not the picture
        return None
    if len(frames) < 2:
        return None
    if len({frame.mode for frame in frames}) > 1:
        frames = [frame.convert("RGBA") for frame in frames]
    return Animation(frames, durations, loop)


def _composed(image: ImageFile.ImageFile, index: int) -> Image.Image:
    if not isinstance(image, GifImagePlugin.GifImageFile):
        image.seek(index)
        image.load()
        return image
    if index:
        image.disposal_method = 0  # else a frame that says nothing goes away like the one before
    image.seek(index)
    image.load()
    if index == 0:
        bare_around(image)
    box = image.dispose_extent or (0, 0, *image.size)
    if image.disposal_method == _CLEARED or (index == 0 and image.disposal_method == _UNDONE):
        _make_rgba(image)
        image.dispose = Image.new("RGBA", (box[2] - box[0], box[3] - box[1]), _NOTHING).im  # pasted before the next
    return image


def is_bare_around(image: Image.Image) -> bool:
    """Whether the first frame of a GIF, which has to be the one just opened, leaves some of the picture uncovered."""
    return isinstance(image, GifImagePlugin.GifImageFile) and image.dispose_extent != (0, 0, *image.size)


def bare_around(image: ImageFile.ImageFile) -> None:
    """Have nothing be where the first frame of a GIF is not, as browsers do; Pillow has the first of its colours."""
    if isinstance(image, GifImagePlugin.GifImageFile) and is_bare_around(image):
        _make_rgba(image)
        box = image.dispose_extent or (0, 0, *image.size)
        part = image.crop(box)
        image.paste(_NOTHING, (0, 0, *image.size))
        image.paste(part, box)


def _make_rgba(image: GifImagePlugin.GifImageFile) -> None:
    if image.mode != "RGBA":
        seen = image.convert("RGBA")
        image.im, image._mode = seen.im, seen.mode  # noqa: SLF001 - as Pillow does after the first frame
        image.info.pop("transparency", None)


def _duration(value: Any) -> float:
    try:
        duration = float(value)
    except (TypeError, ValueError):
        return _DEFAULT_DURATION
    return min(duration, 655_350.0) if duration > 0 else _DEFAULT_DURATION


def _loop(image: ImageFile.ImageFile) -> int:
    """How often all frames are shown, 0 for ever. A GIF counts repetitions, and without a count is shown once."""
    loop = image.info.get("loop")
    if not isinstance(loop, int) or loop < 0:
        return 1 if image.format == "GIF" else 0
    return min(loop + 1, 65535) if image.format == "GIF" and loop else min(loop, 65535)
