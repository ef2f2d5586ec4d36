"""The frames of an animated GIF or PNG, decoded one by one and painted upon a canvas."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from PIL import Image, ImageFile

from app.worker.pixels.color import resizable

Box = tuple[int, int, int, int]

#: Rows that are painted at a time, so that what that takes beside the canvas does not count.
_ROWS: Final = 64


class Disposal(Enum):
    """Disposal of a frame before the next is painted."""

    KEEP = 0
    CLEAR = 1
    UNDO = 2


@dataclass(frozen=True)
class Frame:
    """One frame: its place on the canvas, which it may reach over, and how it is painted.

    `open` opens it as a still image of its own. `duration` is in milliseconds. A frame that is painted `over` others
    lets them be seen where it is transparent; otherwise it replaces them.
    """

    box: Box
    open: Callable[[], ImageFile.ImageFile]
    duration: float = 0
    disposal: Disposal = Disposal.KEEP
    over: bool = True


class Canvas:
    """Paints frames in their order. `grey` keeps it grey, for the sake of a grey color profile."""

    def __init__(self, size: tuple[int, int], *, grey: bool = False) -> None:
        self._canvas = Image.new("LA" if grey else "RGBA", size)
        self._undone: tuple[Image.Image, Box] | None = None

    def paint(self, frame: Frame) -> Image.Image:
        """Decode and paint the next frame; the canvas as it is seen until the next call."""
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
        """The canvas; a copy without alpha where it is opaque, which is resized in less time."""
        canvas = self._canvas
        if canvas.mode == "RGBA" and canvas.getchannel("A").getextrema() == (255, 255):
            return canvas.convert("RGB")
        return canvas


def surrounded(image: Image.Image, box: Box) -> Image.Image:
    """A decoded first frame that has its place on a canvas of the same size, with nothing around it."""
    canvas = Image.new("LA" if is_grey(image) else "RGBA", image.size)
    for row in range(box[1], box[3], _ROWS):
        part = image.crop((box[0], row, box[2], min(row + _ROWS, box[3])))
        canvas.paste(resizable(part).convert(canvas.mode), (box[0], row))
    return canvas


def is_grey(image: Image.Image) -> bool:
    """Return True if a grey color profile would fit the image, which is so in a PNG only."""
    return image.format == "PNG" and (image.mode in {"1", "L", "LA"} or image.mode.startswith("I;16"))
