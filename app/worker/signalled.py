"""The colours of a picture that has no profile: many say in numbers what theirs are.

HEIC and AVIF in `nclx`, PNG in `cICP` or in `gAMA` and `cHRM`, cameras by an EXIF tag that stands for Adobe RGB. The
numbers become a profile, and all that follows is as with any other.
"""

from pathlib import Path
from typing import Any, Final

from PIL import ExifTags, ImageFile

from app.worker.boxes import HEAD, boxes
from app.worker.icc import Curve, Primaries, grey_profile, rgb_profile

# ITU-T H.273, table 2. What is not here is rare, or means that nothing is known.
_PRIMARIES: Final = {
    1: Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    5: Primaries((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_SRGB: Final = _PRIMARIES[1]
_ADOBE_RGB: Final = Primaries((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
#: Light that is shown as white: 203 of PQ's 10,000 cd/m² (ITU-R BT.2408). What is brighter is cut off.
_WHITE: Final = 203 / 10_000
_GREYS: Final = ("1", "L", "I", "F")


def profile_of(image: ImageFile.ImageFile, path: Path) -> bytes | None:
    """The ICC profile of an opened picture, its own or made from what it says; None for sRGB and for who knows what.

    Never raises on a bad file: colours are not worth a picture.
    """
    own = image.info.get("icc_profile")
    own = own if isinstance(own, bytes) and own else None
    try:
        if image.format == "PNG":
            return _of_png(image.info, image.mode)
        if own:
            return own
        if image.format == "HEIF":
            nclx = image.info.get("nclx_profile") or {}
            return _of_code((nclx.get("color_primaries", 2), nclx.get("transfer_characteristics", 2)), image.mode)
        if image.format == "AVIF":
            return _of_code(_nclx(path), image.mode)
        return _of_camera(image)
    except (OSError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, SyntaxError):
        return own


def _of_code(code: tuple[int, int] | None, mode: str) -> bytes | None:
    if code is None:
        return None
    primaries, curve = _PRIMARIES.get(code[0], _SRGB), _CURVES.get(code[1], _srgb)
    return _made(primaries, curve, mode)


def _made(primaries: Primaries, curve: Curve, mode: str) -> bytes | None:
    if mode.startswith(_GREYS):
        return None if curve is _srgb else grey_profile(curve)
    return None if (primaries, curve) == (_SRGB, _srgb) else rgb_profile(primaries, curve)


def _of_png(info: dict[Any, Any], mode: str) -> bytes | None:
    """PNG (third edition), section 4.3: cICP counts before iCCP, that before sRGB, and that before gAMA and cHRM.

    A cICP that leaves something open is none (H.273 calls the code 2 unspecified), and so are codes unknown here.
    """
    if (code := info.get("cicp")) and code[0] in _PRIMARIES and code[1] in _CURVES_OF_PNG:
        return _made(_PRIMARIES[code[0]], _CURVES_OF_PNG[code[1]], mode)
    own = info.get("icc_profile") or b""
    if own[36:40] == b"acsp" and own[16:20] == (b"GRAY" if mode.startswith(_GREYS) else b"RGB "):
        return bytes(own)
    return None if "srgb" in info else _of_gamma(info, mode)


def _of_gamma(info: dict[Any, Any], mode: str) -> bytes | None:
    """PNG (third edition), sections 11.3.2.1 and 11.3.2.2: `gAMA` is the exponent that the file was encoded with."""
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
        primaries = _SRGB if _near(given, _SRGB) else given
    return _made(primaries, curve, mode)


def _near(one: Primaries, other: Primaries) -> bool:
    pairs = ((one.red, other.red), (one.green, other.green), (one.blue, other.blue), (one.white, other.white))
    return all(abs(a - b) < 0.005 for p, q in pairs for a, b in zip(p, q, strict=True))


def _of_camera(image: ImageFile.ImageFile) -> bytes | None:
    """Adobe RGB as cameras say it (DCF 2.0, the interoperability index R03)."""
    if image.mode != "RGB" or "exif" not in image.info:
        return None
    index = image.getexif().get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    return rgb_profile(_ADOBE_RGB, _power(563 / 256)) if str(index).strip("\0 ") == "R03" else None


def _nclx(path: Path) -> tuple[int, int] | None:
    """Primaries and transfer of an AVIF's `colr` property (ISO/IEC 14496-12, section 12.1.5)."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    for body in boxes(head, (b"meta", b"iprp", b"ipco", b"colr")):
        if body[:4] == b"nclx" and len(body) >= 8:
            return int.from_bytes(body[4:6]), int.from_bytes(body[6:8])
    return None


def _srgb(tone: float) -> float:
    return tone / 12.92 if tone <= 0.04045 else ((tone + 0.055) / 1.055) ** 2.4


def _linear(tone: float) -> float:
    return tone


def _power(exponent: float) -> Curve:
    return lambda tone: tone**exponent


def _pq(tone: float) -> float:
    """SMPTE ST 2084."""
    root = tone ** (1 / 78.84375)
    light = max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return min(1.0, light ** (1 / 0.1593017578125) / _WHITE)  # type: ignore[no-any-return]


def _hlg(tone: float) -> float:
    """ITU-R BT.2100, where 75 % is the white of 203 cd/m²."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073

    def light(value: float) -> float:
        return value * value / 3 if value <= 0.5 else (2.718281828459045 ** ((value - c) / a) + b) / 12

    return min(1.0, light(tone) / light(0.75))


# ITU-T H.273, table 3. BT.709's (1, 6, 14, 15) is what stills say that mean sRGB.
_CURVES: Final[dict[int, Curve]] = {4: _power(2.2), 5: _power(2.8), 8: _linear, 16: _pq, 18: _hlg}
#: A PNG that says BT.709 is shown as on a reference display (ITU-R BT.1886), which is what browsers do.
_CURVES_OF_PNG: Final[dict[int, Curve]] = _CURVES | {13: _srgb} | dict.fromkeys((1, 6, 14, 15), _power(2.4))
