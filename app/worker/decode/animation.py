"""Frames of an animation, read at a reduced size."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from app.worker.decode import gif
from app.worker.decode.frames import Canvas, is_gray
from app.worker.decode.png.reader import read_png
from app.worker.jobs import Job

#: Milliseconds that a frame without a duration is shown, as browsers show such a GIF.
_DEFAULT_DURATION = 100.0
#: Largest shares of the memory limit for reduced frames, and of the time limit for reading them.
_MEMORY_SHARE = 0.35
_TIME_SHARE = 0.3


@dataclass(frozen=True)
class Animation:
    """At least two upright sRGB frames of one size, their durations in milliseconds, and the number of loops."""

    frames: list[Image.Image]
    durations: list[float]
    loop: int


def can_animate(image: ImageFile.ImageFile, frames: int, top: tuple[int, int], job: Job) -> bool:
    """Return True if all frames are within the limits of frames, of pixels in total, and of memory.

    An AVIF sequence is a video: only its first frame is processed.
    """
    held = frames * top[0] * top[1] * 4
    return (
        image.format != "AVIF"
        and 1 < frames <= job.max_frames
        and frames * image.width * image.height <= job.max_pixels
        and held <= job.memory_mb * 1_048_576 * _MEMORY_SHARE
    )


def read_animation(
    image: ImageFile.ImageFile, path: Path, job: Job, shrink: Callable[[Image.Image], Image.Image]
) -> Animation | None:
    """Compose each frame and pass it to `shrink`; return None if one is broken or reading takes too long."""
    deadline = time.monotonic() + job.seconds * _TIME_SHARE
    frames: list[Image.Image] = []
    durations: list[float] = []
    try:
        for frame, duration in _composed(image, path, job):
            if time.monotonic() > deadline or len(frames) >= job.max_frames:
                return None
            durations.append(_duration(duration))
            frames.append(shrink(frame))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a broken later frame costs the animation, not the image
        return None
    if len(frames) < 2:
        return None
    if len({frame.mode for frame in frames}) > 1:
        frames = [frame.convert("RGBA") for frame in frames]
    return Animation(frames, durations, _loop(image))


def _composed(image: ImageFile.ImageFile, path: Path, job: Job) -> Iterator[tuple[Image.Image, Any]]:
    """Yield the canvas with each frame, valid until the next one, and its duration in milliseconds."""
    if image.format == "WEBP":
        for index in range(int(getattr(image, "n_frames", 1))):
            image.seek(index)
            image.load()
            yield image, image.info.get("duration")
        return
    frames = gif.read_frames(path, job.max_frames + 1) if image.format == "GIF" else read_png(path).frames()
    canvas = Canvas(image.size, gray=is_gray(image))
    for frame in frames:
        yield canvas.paint(frame), frame.duration


def _duration(value: Any) -> float:
    try:
        duration = float(value)
    except (TypeError, ValueError):
        return _DEFAULT_DURATION
    return min(duration, 655_350.0) if duration > 0 else _DEFAULT_DURATION


def _loop(image: ImageFile.ImageFile) -> int:
    """Return how often all frames are shown, 0 for ever. A GIF counts repetitions; without a count it is shown once."""
    loop = image.info.get("loop")
    if not isinstance(loop, int) or loop < 0:
        return 1 if image.format == "GIF" else 0
    return min(loop + 1, 65535) if image.format == "GIF" and loop else min(loop, 65535)
