"""Colors of an image: its ICC profile, or one built from its color numbers, and the kind of HDR.

HEIC and AVIF have numbers in `nclx`, PNG in `cICP` or in `gAMA` and `cHRM`, ICC profiles in a `cicp` tag, and cameras
have an EXIF tag that stands for Adobe RGB. A profile is built from the numbers, so that later steps only know profiles.
PQ and HLG are tone mapped: see `tone_map`.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import ExifTags, ImageFile

from app.domain.models import Hdr
from app.worker.decode.heif import gain_map
from app.worker.decode.heif.coding import first_coding
from app.worker.decode.heif.isobmff import read_container
from app.worker.decode.heif.items import Container
from app.worker.decode.heif.nclx import read_nclx
from app.worker.metadata.exif_block import read_block, tiff_block
from app.worker.metadata.text import plain_text
from app.worker.pixels.icc import BT2020, Curve, Primaries, build_gray_profile, build_rgb_profile, read_cicp
from app.worker.pixels.tone_map import HLG, PQ, build_tone_mapped_profile

_C: Final = (0.310, 0.316)
# ITU-T H.273, table 2. Codes that are not listed are rare or mean "unknown".
_PRIMARIES: Final = {
    1: Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    4: Primaries((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), _C),
    5: Primaries((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: BT2020,
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
_SRGB: Final = _PRIMARIES[1]
_ADOBE_RGB: Final = Primaries((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
_HDR: Final = {PQ: Hdr.PQ, HLG: Hdr.HLG}
_SRGB_CODE: Final = 13
#: Bytes of a profile's header; a shorter profile is ignored.
_LEAST_PROFILE: Final = 132
_GRAYS: Final = ("1", "L", "I", "F")


@dataclass(frozen=True)
class Colors:
    """Colors of an image. `profile` is None for sRGB and for images without color information."""

    profile: bytes | None = None
    hdr: Hdr | None = None


def effective_colors(image: ImageFile.ImageFile, path: Path) -> Colors:
    """Return the colors of a decoded image. Broken color information counts as none."""
    try:
        colors = _read_colors(image, path)
    except (OSError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, SyntaxError, struct.error):
        own = image.info.get("icc_profile")
        colors = Colors(own if isinstance(own, bytes) else None)
    if colors.hdr is None and gain_map.has_gain_map(image, path):
        return Colors(colors.profile, Hdr.GAIN_MAP)
    return colors


def _read_colors(image: ImageFile.ImageFile, path: Path) -> Colors:
    if image.format == "PNG":
        return _png_colors(image.info, image.mode)
    if image.format in {"HEIF", "AVIF"}:
        return _heif_colors(read_container(path), image.mode)
    own = image.info.get("icc_profile")
    if isinstance(own, bytes) and own:
        return _profile_colors(own, image.mode)
    return Colors(_camera_profile(image))


def _profile_colors(profile: bytes, mode: str, peak: float | None = None) -> Colors:
    """Prefer the `cicp` tag of a profile to its curves if it says PQ or HLG, which curves cannot express."""
    primaries, transfer = read_cicp(profile) or (0, 0)
    if transfer in _HDR and primaries in _PRIMARIES and not mode.startswith(_GRAYS):
        return _colors_from_codes(_PRIMARIES[primaries], transfer, mode, peak)
    return Colors(profile)


def _heif_colors(container: Container, mode: str) -> Colors:
    """Use the profile, else the numbers, else those of an AV1 bitstream (MIAF, section 7.3.6.4)."""
    shown = container.shown()
    is_av1 = any(one.kind == b"av1C" for one in shown)
    peak = _peak(
        next((int.from_bytes(one.body[:2]) for one in shown if one.kind == b"clli"), 0),
        # Chromium ignores it in an AVIF.
        next((int.from_bytes(one.body[16:20]) / 10_000 for one in shown if one.kind == b"mdcv" and not is_av1), 0),
    )
    for one in shown:
        if one.kind == b"colr" and one.body[:4] in {b"prof", b"rICC"} and len(one.body) > _LEAST_PROFILE:
            return _profile_colors(one.body[4:], mode, peak)
    coding = first_coding(container, container.image) if container.image else None
    code: tuple[int, ...] = coding.colors if coding and coding.colors else (0, 0)
    for numbers in [found for one in shown if (found := read_nclx(one))][:1]:
        code = (numbers.primaries, numbers.transfer)
    transfer = code[1] if code[1] in _CURVES.keys() | _HDR.keys() else _SRGB_CODE
    return _colors_from_codes(_PRIMARIES.get(code[0], _SRGB), transfer, mode, peak)


def _peak(content: float, display: float) -> float | None:
    """Return the light of the brightest pixel of the content, else that of its mastering display, in cd/m²."""
    return content or display or None


def _colors_from_codes(primaries: Primaries, transfer: int, mode: str, peak: float | None = None) -> Colors:
    gray = mode.startswith(_GRAYS)
    if transfer in _HDR:
        return Colors(build_tone_mapped_profile(primaries, transfer, peak, gray=gray), _HDR[transfer])
    return Colors(_sdr_profile(primaries, _CURVES[transfer], mode))


def _sdr_profile(primaries: Primaries, curve: Curve, mode: str) -> bytes | None:
    if mode.startswith(_GRAYS):
        return None if curve is _srgb else build_gray_profile(curve)
    return None if (primaries, curve) == (_SRGB, _srgb) else build_rgb_profile(primaries, curve)


def _png_colors(info: dict[Any, Any], mode: str) -> Colors:
    """Precedence of PNG (third edition), section 4.3: cICP, then iCCP, then sRGB, then gAMA and cHRM.

    A cICP with unspecified codes (2 in H.273) or with codes that are unknown here is ignored.
    """
    peak = _peak(info.get("content_light", 0), info.get("display_light", 0))
    code = info.get("cicp") or (0, 0)
    if code[0] in _PRIMARIES and code[1] in _HDR:
        return _colors_from_codes(_PRIMARIES[code[0]], code[1], mode, peak)
    if code[0] in _PRIMARIES and code[1] in _CURVES_OF_PNG:
        return Colors(_sdr_profile(_PRIMARIES[code[0]], _CURVES_OF_PNG[code[1]], mode))
    own = info.get("icc_profile") or b""
    if own[36:40] == b"acsp" and own[16:20] == (b"GRAY" if mode.startswith(_GRAYS) else b"RGB "):
        return _profile_colors(bytes(own), mode, peak)
    return Colors(None if "srgb" in info else _gamma_profile(info, mode))


def _gamma_profile(info: dict[Any, Any], mode: str) -> bytes | None:
    """Build a profile (PNG, third edition, sections 11.3.2.1 and 11.3.2.2: `gAMA` is the encoding exponent."""
    gamma, corners = info.get("gamma"), info.get("chromaticity")
    if gamma is None and corners is None:
        return None
    curve: Curve = _srgb
    if isinstance(gamma, float) and 0.1 <= gamma <= 5 and abs(gamma - 1 / 2.2) > 0.01:
        curve = _power(1 / gamma)
    primaries = _SRGB
    if isinstance(corners, tuple) and len(corners) == 8:
        white, red, green, blue = zip(corners[::2], corners[1::2], strict=True)
        given = Primaries(red, green, blue, white)
        primaries = _SRGB if _is_near(given, _SRGB) else given
    return _sdr_profile(primaries, curve, mode)


def _is_near(one: Primaries, other: Primaries) -> bool:
    pairs = ((one.red, other.red), (one.green, other.green), (one.blue, other.blue), (one.white, other.white))
    return all(abs(a - b) < 0.005 for p, q in pairs for a, b in zip(p, q, strict=True))


def _camera_profile(image: ImageFile.ImageFile) -> bytes | None:
    """Return Adobe RGB if the camera says so (DCF 2.0: interoperability index R03)."""
    if image.mode != "RGB" or "exif" not in image.info:
        return None
    index = read_block(tiff_block(image.info["exif"])).interoperability.get(ExifTags.Interop.InteropIndex)
    return build_rgb_profile(_ADOBE_RGB, _power(563 / 256)) if plain_text(index) == "R03" else None


def _srgb(tone: float) -> float:
    return tone / 12.92 if tone <= 0.04045 else ((tone + 0.055) / 1.055) ** 2.4


def _linear(tone: float) -> float:
    return tone


def _power(exponent: float) -> Curve:
    return lambda tone: tone**exponent


def _smpte_240m(tone: float) -> float:
    return tone / 4 if tone < 0.0912 else math.pow((tone + 0.1115) / 1.1115, 1 / 0.45)


def _st_428(tone: float) -> float:
    return min(1.0, math.pow(tone, 2.6) * 52.37 / 48)


# ITU-T H.273, table 3. Stills that mean sRGB give the codes of BT.709 (1, 6, 14, 15).
_CURVES: Final[dict[int, Curve]] = {
    4: _power(2.2), 5: _power(2.8), 7: _smpte_240m, 8: _linear, _SRGB_CODE: _srgb, 17: _st_428,
}  # fmt: skip
#: A PNG with BT.709 is shown as on a reference display (ITU-R BT.1886), as browsers do.
_CURVES_OF_PNG: Final[dict[int, Curve]] = _CURVES | dict.fromkeys((1, 6, 14, 15), _power(2.4))
