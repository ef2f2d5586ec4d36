"""Settings of sizes on demand: their access, and the widths and aspect ratios on offer.

Apart from the rules themselves, because every function reads the settings, and few of them resolve sizes.
"""

from enum import StrEnum

#: Longest side of a size, in device pixels: the limit of WebP.
MAX_SIDE = 16383
#: Default widths: `deviceSizes` and `imageSizes` of next/image.
WIDTHS = (16, 32, 48, 64, 96, 128, 256, 384, 640, 750, 828, 1080, 1200, 1920, 2048, 3840)
RATIOS = ("1:1",)
MAX_WIDTHS, MAX_RATIOS = 16, 8


class OnDemand(StrEnum):
    """`snap`: everybody may ask for the sizes of the ladder, and others need a signature. `signed`: every size needs a
    signature. `off`: no size is rendered on demand."""

    OFF = "off"
    SNAP = "snap"
    SIGNED = "signed"


def parse_widths(text: str) -> tuple[int, ...]:
    """Parse a list of widths, such as `320, 640, 1280`. Raises `ValueError` with the accepted form."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    good = all(part.isascii() and part.isdigit() and len(part) < 6 and 1 <= int(part) <= MAX_SIDE for part in parts)
    widths = tuple(sorted({int(part) for part in parts})) if good else ()
    if not 1 <= len(widths) <= MAX_WIDTHS:
        accepted = f"must be 1 to {MAX_WIDTHS} comma-separated widths from 1 to {MAX_SIDE:,}, such as 320, 640, 1280"
        raise ValueError(f"{accepted} (found: {text[:80]!a})")
    return widths


def parse_ratios(text: str) -> tuple[str, ...]:
    """Parse a list of aspect ratios, such as `1:1, 16:9`, or `none`. Raises `ValueError` with the accepted form."""
    parts = [] if text.strip().lower() == "none" else [part.strip() for part in text.split(",") if part.strip()]
    ratios = tuple(dict.fromkeys(parts))
    if len(ratios) > MAX_RATIOS or not all(map(_is_ratio, ratios)):
        accepted = f"must be at most {MAX_RATIOS} comma-separated aspect ratios from 1:100 to 100:1, or none"
        raise ValueError(f"{accepted} (found: {text[:80]!a})")
    return ratios


def _is_ratio(text: str) -> bool:
    sides = text.split(":")
    return len(sides) == 2 and all(side.isascii() and side.isdigit() and 1 <= int(side[:4]) <= 100 for side in sides)
