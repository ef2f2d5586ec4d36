"""Media types of accepted images, detected from the bytes alone."""

from collections.abc import Mapping
from typing import Final

#: Bytes at the start of a file that `media_type_of` reads.
SNIFF_BYTES: Final = 64

#: Media types that can be accepted. `DARKROOM_ACCEPTED_TYPES` can exclude each.
MEDIA_TYPES: Final = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/avif",
    "image/heic",
    "image/heif",
    "image/tiff",
    "image/bmp",
)

#: Names of those formats.
NAMES: Final[Mapping[str, str]] = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WebP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/heic": "HEIC",
    "image/heif": "HEIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
}

_ALIASES: Final[Mapping[str, str]] = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/jpe": "image/jpeg",
    "image/jfif": "image/jpeg",
    "image/x-png": "image/png",
    "image/apng": "image/png",
    "image/vnd.mozilla.apng": "image/png",
    "image/x-webp": "image/webp",
    "image/avif-sequence": "image/avif",
    "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heif",
    "image/tif": "image/tiff",
    "image/x-tiff": "image/tiff",
    "image/x-tif": "image/tiff",
    "image/x-bmp": "image/bmp",
    "image/x-ms-bmp": "image/bmp",
    "image/x-windows-bmp": "image/bmp",
}
_EXTENSIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif", "mpo"), "image/jpeg"),
    **dict.fromkeys(("png", "apng"), "image/png"),
    **dict.fromkeys(("avif", "avifs"), "image/avif"),
    **dict.fromkeys(("heic", "heics"), "image/heic"),
    **dict.fromkeys(("heif", "heifs", "hif"), "image/heif"),
    **dict.fromkeys(("tif", "tiff"), "image/tiff"),
    **dict.fromkeys(("bmp", "dib"), "image/bmp"),
    "webp": "image/webp",
    "gif": "image/gif",
}

#: Type of bytes that were not examined, or whose format is unknown.
UNKNOWN_TYPE: Final = "application/octet-stream"

_UNSPECIFIC: Final = frozenset({"", UNKNOWN_TYPE, "binary/octet-stream"})


def registered_type(declared: str, filename: str | None) -> str:
    """Return the registered name of a declared media type (in lower case), such as `image/jpeg` for `image/jpg`.

    An unspecific type is replaced by that of the file name's extension, because browsers know no type for HEIC.
    """
    if declared in _UNSPECIFIC and filename:
        return _EXTENSIONS.get(filename.rpartition(".")[2].lower(), declared)
    return _ALIASES.get(declared, declared)


_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),  # BigTIFF
    (b"MM\x00+", "image/tiff"),
)

# Brands of ISO/IEC 23000-22 (MIAF), 23008-12 (HEIF) and the AV1 image format.
_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF: Final = frozenset({b"mif1", b"mif2", b"msf1"})

# The low-overhead form of both. Its minor version names the codec.
_MINI: Final = b"mif3"

# Sizes of the header that follows a BMP's 14 file bytes: BITMAPCOREHEADER to BITMAPV5HEADER.
_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def media_type_of(head: bytes) -> str | None:
    """Return the media type of a file from its first `SNIFF_BYTES` bytes, or None for other formats."""
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if head[4:8] == b"ftyp":
        return _brand(head)
    return None


def _brand(head: bytes) -> str | None:
    end = min(int.from_bytes(head[:4]), len(head), SNIFF_BYTES)
    major = head[8:12]
    if major == _MINI:
        return {b"avif": "image/avif", b"heic": "image/heic"}.get(head[12:16], "image/heif")
    brands = {head[at : at + 4] for at in range(16, end - 3, 4)} | {major}
    if major in _AVIF or (major in _HEIF and brands & _AVIF):
        return "image/avif"
    if major in _HEIC or (major in _HEIF and brands & _HEIC):
        return "image/heic"
    return "image/heif" if major in _HEIF else None
