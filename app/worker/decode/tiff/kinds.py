"""Kinds of TIFF that cannot be decoded, with their names."""

import mmap
from collections.abc import Iterable
from typing import Final

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.tiff.tags import Directory

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES, _FORMATS, _DNG = 258, 259, 262, 277, 284, 339, 50706
_DECODED: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32809, 32946, 34925, 50000})
_COMPRESSIONS: Final = {
    1: "no compression", 2: "CCITT RLE", 3: "CCITT Group 3", 4: "CCITT Group 4", 5: "LZW", 6: "old-style JPEG",
    7: "JPEG", 8: "Deflate", 32766: "NeXT RLE", 32773: "PackBits", 32809: "ThunderScan", 32909: "PixarLog",
    32946: "Deflate", 34661: "JBIG", 34887: "LERC", 34892: "JPEG", 34925: "LZMA", 34933: "PNG", 50000: "Zstandard",
    50001: "WebP", **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"),
    **dict.fromkeys((34676, 34677), "SGI LogLuv"), **dict.fromkeys((22610, 34934), "JPEG XR"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
}  # fmt: skip
_PHOTOMETRICS: Final = {
    0: "gray", 1: "gray", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "CIE Lab", 9: "ICC Lab",
    10: "ITU Lab", 32844: "LogL", 32845: "LogLuv",
}  # fmt: skip
_FORMAT_NAMES: Final = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
#: Plausible bits per sample, and samples per pixel.
_DEPTHS: Final = frozenset({1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32, 64, 128})
_MOST_SAMPLES: Final = 64
#: Color filter arrays and linear raw of cameras, and the compressions of Sony, Nikon, Kodak, Pentax and Samsung.
_RAW_PHOTOMETRICS: Final = frozenset({32803, 34892})
_RAW_COMPRESSIONS: Final = {
    32767: "ARW", 32769: "raw", 32770: "SRW", 34713: "NEF", 65000: "DCR", 65535: "PEF", 34316: "RW2",
}  # fmt: skip


def refuse_raw(data: mmap.mmap, directories: Iterable[Directory]) -> None:
    """Raise `ImageError` for a camera's raw file."""
    name = "CR2" if data[8:10] == b"CR" else ""
    for directory in directories:
        if directory.block(_DNG):
            name = name or "DNG"
        elif directory.number(_PHOTOMETRIC) in _RAW_PHOTOMETRICS:
            name = name or "raw"
        elif directory.number(_COMPRESSION) in _RAW_COMPRESSIONS:
            name = name or _RAW_COMPRESSIONS[directory.number(_COMPRESSION)]
    if name:
        kind = "raw file" if name == "raw" else f"raw file ({name})"
        detail = f"The file is a camera's {kind}, which cannot be decoded. Send a JPEG or TIFF made from it."
        raise ImageError(FailureCode.UNSUPPORTED_IMAGE, detail)


def refuse_unknown(directory: Directory) -> None:
    """Raise `ImageError` for a compression that is not decoded."""
    compression = directory.number(_COMPRESSION, 1)
    gray_with_alpha = _samples(directory) == 2 and directory.number(_PHOTOMETRIC) in {0, 1, 3}
    in_planes = directory.number(_PLANES) == 2 and gray_with_alpha and directory.numbers(338) not in {(), (0,)}
    if (compression not in _DECODED or in_planes) and is_plausible(directory):
        raise unsupported_error(directory)


def is_plausible(directory: Directory) -> bool:
    """Return True if its numbers of samples and bits are plausible."""
    return 1 <= _samples(directory) <= _MOST_SAMPLES and set(directory.numbers(_BITS)) <= _DEPTHS


def unsupported_error(directory: Directory) -> ImageError:
    """Build the error for an image of that kind."""
    samples, bits = _samples(directory), max(directory.numbers(_BITS), default=1)
    compression = directory.number(_COMPRESSION, 1)
    photometric = directory.number(_PHOTOMETRIC)
    form = _FORMAT_NAMES.get(directory.number(_FORMATS), "")
    parts = [
        _PHOTOMETRICS.get(photometric, f"photometric interpretation {photometric}"),
        f"{samples} {form}sample{'s' if samples > 1 else ''} of {bits} bits",
        _COMPRESSIONS.get(compression, f"compression {compression}"),
    ]
    if directory.number(_PLANES) == 2 and samples > 1:
        parts.append("in planes")
    detail = f"This kind of TIFF cannot be decoded: {', '.join(parts)}."
    return ImageError(FailureCode.UNSUPPORTED_IMAGE, detail)


def _samples(directory: Directory) -> int:
    return directory.number(_SAMPLES, 1)
