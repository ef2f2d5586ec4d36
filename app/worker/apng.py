"""What each frame of an animated PNG shows, painted one upon the other (PNG, third edition, section 11.3.6.2).

Pillow decodes the frames. Painted by it, what is half transparent would be mixed with nothing, and a cleared place be
black in a picture without alpha.
"""

from typing import Final

from PIL import Image, PngImagePlugin

from app.worker.colour import resizable

#: Rows that are painted at a time, so that what that takes beside the canvas does not count.
_ROWS: Final = 64
_Blend = PngImagePlugin.Blend
_Disposal = PngImagePlugin.Disposal


class Canvas:
    """Paints the frames of one opened PNG, which have to be asked for in order."""

    def __init__(self, image: PngImagePlugin.PngImageFile) -> None:
        self._image = image
        grey = image.mode in {"L", "LA"} or image.mode.startswith("I;16")  # stays so for the sake of a grey profile
        self._canvas = Image.new("LA" if grey else "RGBA", image.size)
        self._goes: tuple[Image.Image, tuple[int, int, int, int]] | None = None

    def frame(self, index: int) -> Image.Image:
        """The canvas as it is seen with that frame, until the next is asked for."""
        image, canvas = self._image, self._canvas
        image.seek(index)
        over, disposal = image.blend_op == _Blend.OP_OVER, image.dispose_op
        image.blend_op, image.dispose_op = _Blend.OP_SOURCE, _Disposal.OP_NONE  # nothing but the frame's own pixels
        image._prev_im = None  # noqa: SLF001 - only wanted to paint upon
        image.load()
        left, top, right, bottom = (int(side) for side in image.dispose_extent)
        box = (left, top, right, bottom)
        if self._goes:
            canvas.paste(*self._goes)
            self._goes = None
        if disposal == _Disposal.OP_PREVIOUS:
            self._goes = (canvas.crop(box), box)
        elif disposal == _Disposal.OP_BACKGROUND:
            self._goes = (Image.new(canvas.mode, (right - left, bottom - top)), box)
        for row in range(top, bottom, _ROWS):
            part = resizable(image.crop((left, row, right, min(row + _ROWS, bottom)))).convert(canvas.mode)
            if over:
                canvas.alpha_composite(part, (left, row))
            else:
                canvas.paste(part, (left, row))
        return canvas
