"""HDR to SDR: PQ and HLG images as browsers show them on a screen without headroom.

The curve is the reference white tone mapping operator of SMPTE ST 2094-50, annex C, for a target headroom of 0, which
is what Chromium applies. Light up to the reference white of 203 cd/m² is halved; light above it rolls off to the peak
of the image. All channels are scaled equally, so hues stay. The result is an ICC profile with a table, which is then
applied like any other profile.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Final

from app.worker.pixels.icc import (
    BT2020,
    Primaries,
    build_gray_profile,
    build_table_profile,
    matrix_to_xyz,
    multiply,
    primaries_matrix,
)

#: Transfer functions by their numbers in ITU-T H.273, table 3.
PQ: Final = 16
HLG: Final = 18
#: Light of reference white in cd/m² (ITU-R BT.2408), and of the brightest pixel if the image does not declare it.
REFERENCE_WHITE: Final = 203.0
_PEAK: Final = 1000.0
#: Nodes of the table per axis: the number that lcms keeps.
_NODES: Final = 33
#: Position of the bend of the curve between white and the peak.
_BEND: Final = 0.65
_LUMA: Final = (0.2627, 0.6780, 0.0593)
_HLG_GAMMA: Final = 1.2

Curve = Callable[[float], float]


def build_tone_mapped_profile(primaries: Primaries, transfer: int, peak: float | None, *, gray: bool = False) -> bytes:
    """Build a profile that tone maps PQ or HLG. `peak` is the light of the brightest pixel, in cd/m²."""
    curve = roll_off(peak or _PEAK)
    if gray:
        return build_gray_profile(lambda tone: curve(_display_light(transfer, tone)))
    tones = [_linear(transfer, node / (_NODES - 1)) for node in range(_NODES)]
    return build_table_profile(_NODES, _table(tones, primaries, transfer, curve))


def roll_off(peak: float) -> Curve:
    """Return the tone curve, in multiples of reference white, for a brightest pixel of `peak` cd/m²."""
    top = peak / REFERENCE_WHITE
    if top <= 1:
        return lambda light: min(light, 1.0)
    white = 1 - 0.5 * min(1.0, math.log(top) / math.log(_PEAK / REFERENCE_WHITE))
    middle_x, middle_y = 1 - _BEND + _BEND / white, (1 - _BEND) * white + _BEND
    ax, bx = 1 - 2 * middle_x + top, 2 * middle_x - 2
    ay, by = white - 2 * middle_y + 1, 2 * middle_y - 2 * white

    def curve(light: float) -> float:
        if light <= 1:
            return light * white
        if light >= top:
            return 1.0
        root = math.sqrt(max(0.0, bx * bx + 4 * ax * (light - 1)))
        step = 2 * (light - 1) / (bx + root)
        return white + step * (by + step * ay)

    return curve


def _table(tones: list[float], primaries: Primaries, transfer: int, curve: Curve) -> Iterator[tuple[float, ...]]:
    """Yield XYZ under D50 for each node, as the sum of what each channel contributes."""
    to_2020, to_xyz = primaries_matrix(primaries, BT2020), matrix_to_xyz(BT2020)
    axes = []
    for channel in range(3):
        added = [multiply(to_2020, [tone if at == channel else 0.0 for at in range(3)]) for tone in tones]
        axes.append([(*color, *multiply(to_xyz, color)) for color in added])
    for (a, b, c, ax, ay, az), (d, e, f, bx, by, bz), (g, h, i, cx, cy, cz) in product(*axes):
        red, green, blue, gain = a + d + g, b + e + h, c + f + i, 1.0
        if transfer == HLG:
            gain = _display_gain(_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue)
        most = gain * max(red, green, blue)
        if most > 0:
            gain *= curve(most) / most
        yield gain * (ax + bx + cx), gain * (ay + by + cy), gain * (az + bz + cz)


def _display_gain(luma: float) -> float:
    """Return the factor from scene light of HLG to a display of 1,000 cd/m² (ITU-R BT.2100, table 5)."""
    return max(luma, 0.0) ** (_HLG_GAMMA - 1) * _PEAK / REFERENCE_WHITE  # type: ignore[no-any-return]


def _display_light(transfer: int, tone: float) -> float:
    light = _linear(transfer, tone)
    return light * _display_gain(light) if transfer == HLG else light


def _linear(transfer: int, tone: float) -> float:
    """Linearize PQ (SMPTE ST 2084) to multiples of reference white, HLG (ITU-R BT.2100) to scene light from 0 to 1."""
    if transfer == PQ:
        root = tone ** (1 / 78.84375)
        light = max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
        return light ** (1 / 0.1593017578125) * 10_000 / REFERENCE_WHITE  # type: ignore[no-any-return]
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return tone * tone / 3 if tone <= 0.5 else (math.exp((tone - c) / a) + b) / 12
