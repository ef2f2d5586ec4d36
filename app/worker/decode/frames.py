"""Frames of an animated GIF or PNG, decoded one by one and painted on a canvas."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from PIL import Image, ImageFile

from app.worker.pixels.color import resizable

Box = tuple[int, int, int, int]

#: Rows that are painted at a time, so that the memory for them is negligible.
_ROWS: Final = 64


class Disposal(Enum):
    """Disposal of a frame before the next is painted."""

    KEEP = 0
    CLEAR = 1
    UNDO = 2


@dataclass(frozen=True)
class Frame:
    """One frame: its box on the canvas, which it may exceed, and how it is painted.

    `open` opens it as a still image. `duration` is in milliseconds. With `over`, earlier frames show through where it
    is transparent; otherwise it replaces them.
    """

    box: Box
    open: Callable[[], ImageFile.ImageFile]
    duration: float = 0
    disposal: Disposal = Disposal.KEEP
    over: bool = True


class Canvas:
    """Paints frames in order. With `gray` it stays gray, so that a gray color profile applies."""

    def __init__(self, size: tuple[int, int], *, gray: bool = False) -> None:
        self._canvas = Image.new("LA" if gray else "RGBA", size)
        self._undone: tuple[Image.Image, Box] | None = None

    def paint(self, frame: Frame) -> Image.Image:
        """Decode and paint the next frame; return the canvas, valid until the next call."""
        canvas = self._canvas
        if self._undone:
            canvas.paste(*self._undone)
            self._undone = None
        left, top, right, bottom = frame.box
        seen = (left, top, min(right, canvas.width), min(bottom, canvas.height))
        with frame.open() as image:
            image.load()
            if left >= seen[2] or top >= seen[3]:
                return self._seen()
            if frame.disposal is Disposal.UNDO:
                self._undone = (canvas.crop(seen), seen)
            elif frame.disposal is Disposal.CLEAR:
                self._undone = (Image.new(canvas.mode, (seen[2] - left, seen[3] - top)), seen)
            for row in range(0, seen[3] - top, _ROWS):
                part = image.crop((0, row, seen[2] - left, min(row + _ROWS, seen[3] - top)))
                part = resizable(part).convert(canvas.mode)
                if frame.over:
                    canvas.alpha_composite(part, (left, top + row))
                else:
                    canvas.paste(part, (left, top + row))
        return self._seen()

    def _seen(self) -> Image.Image:
        """Return the canvas, or a copy without alpha if it is opaque, which resizes faster."""
        canvas = self._canvas
        if canvas.mode == "RGBA" and canvas.getchannel("A").getextrema() == (255, 255):
            return canvas.convert("RGB")
        return canvas


def place_on_canvas(image: Image.Image, box: Box) -> Image.Image:
    """Return a decoded first frame on a canvas of the same size that is transparent outside of the box."""
    canvas = Image.new("LA" if is_gray(image) else "RGBA", image.size)
    for row in range(box[1], box[3], _ROWS):
        part = image.crop((box[0], row, box[2], min(row + _ROWS, box[3])))
        canvas.paste(resizable(part).convert(canvas.mode), (box[0], row))
    return canvas


def is_gray(image: Image.Image) -> bool:
    """Return True if a gray color profile applies to the image. Only PNGs have one."""
    return image.format == "PNG" and (image.mode in {"1", "L", "LA"} or image.mode.startswith("I;16"))
