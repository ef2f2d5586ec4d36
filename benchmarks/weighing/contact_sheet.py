"""Contact sheet: details of each image as Darkroom encodes it at its default quality, with the reference first."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from app.domain.models import Format
from app.domain.recipe import DEFAULT_QUALITY
from benchmarks.weighing.engines import CURVES, Darkroom
from benchmarks.weighing.images import FOLDER, Sample
from benchmarks.weighing.viewing import readable

_SIDE, _LABEL = 200, 16


def make_sheet(samples: Sequence[Sample], files: Mapping[str, Path]) -> Path:
    """Write the sheet, a row for each image, and return its file."""
    formats = [Format(curve.format) for curve in CURVES if curve.engine == "darkroom"]
    sheet = Image.new("RGB", ((len(formats) + 1) * (_SIDE + 4), len(samples) * (_SIDE + _LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, sample in enumerate(samples):
        y = row * (_SIDE + _LABEL)
        for column, wanted in enumerate((None, *formats)):
            file = files[sample.name]
            label = f"{sample.name}: original"
            if wanted is not None:
                scratch = FOLDER / f"sheet.{wanted.extension}"
                Darkroom().encode(file, wanted.value, DEFAULT_QUALITY[wanted], scratch)
                label = f"{wanted.value} {scratch.stat().st_size / 1000:.0f} KB"
                file = readable(scratch)
            with Image.open(file) as image:
                shown = image.convert("RGBA")
            left, top = (shown.width - _SIDE) // 2, (shown.height - _SIDE) // 2
            detail = shown.crop((left, top, left + _SIDE, top + _SIDE))
            x = column * (_SIDE + 4)
            sheet.paste("#dddddd", (x, y + _LABEL, x + _SIDE, y + _LABEL + _SIDE))
            sheet.paste(detail, (x, y + _LABEL), detail)
            draw.text((x + 2, y + 1), label, "black", font=ImageFont.load_default(11))
    for wanted in formats:
        (FOLDER / f"sheet.{wanted.extension}").unlink()
    path = FOLDER / "sheet.png"
    sheet.save(path)
    return path
