"""Rows of the benchmark: an image, an output format, and the engines."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.render.images import WIDTHS

_STILLS = ("darkroom 2", "darkroom 1", "sharp per width", "sharp parallel", "sharp cascade 2", "sharp cascade 1",
           "vips cascade 2", "vips cascade 1")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """`engines` are names of `measure.COMMANDS`, Darkroom's first; `reference` is a folder of images for comparison."""

    name: str
    image: str
    format: str
    engines: tuple[str, ...]
    reference: str = ""
    rounds: int | None = None
    widths: tuple[int, ...] = WIDTHS
    extra: dict[str, Any] = field(default_factory=dict)
    engine_options: dict[str, dict[str, Any]] = field(default_factory=dict)


ROWS = (
    Row("webp phone", "phone.jpg", "webp", (*_STILLS, "floor"), "phone-reference"),
    Row("jpeg phone", "phone.jpg", "jpeg", (*_STILLS, "floor"), "phone-reference"),
    Row("avif phone", "phone.jpg", "avif", ("darkroom 2", "darkroom 1", "sharp per width", "sharp parallel",
        "vips cascade 1"), "phone-reference", rounds=5),
    Row("webp smooth", "smooth.jpg", "webp", _STILLS, "smooth-reference", rounds=5),
    Row("jpeg smooth", "smooth.jpg", "jpeg", _STILLS, "smooth-reference", rounds=5),
    Row("webp 24 MP", "phone24.jpg", "webp", _STILLS, rounds=5),
    Row("webp 48 MP", "phone48.jpg", "webp", _STILLS, rounds=5),
    Row("webp PNG", "phone.png", "webp", _STILLS, "phone-reference"),
    Row("webp progressive", "progressive.jpg", "webp", _STILLS, rounds=5),
    Row("webp HEIC", "phone.heic", "webp", ("darkroom 2", "darkroom 1"), rounds=5),
    Row("webp GIF", "animation.gif", "webp", ("darkroom 2", "sharp per width"), rounds=2, widths=(320,),
        extra={"frames": 100, "animated": True}),
    Row("default recipe", "phone.jpg", "recipe", ("darkroom whole", "darkroom child"), rounds=7),
)  # fmt: skip
