"""Formats of image files, detected from their first bytes as the service does.

The service decides which images it stores. The client detects formats to declare the media type of an upload, to skip
other files in folders, and to name the format of a file that the service would refuse.
"""

from typing import Final

#: Bytes at the start of a file that the functions read.
HEAD_BYTES: Final = 1024

#: Media types of accepted formats, with their names.
ACCEPTED: Final = {
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

_STARTS: Final = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"II+\0": "image/tiff",
    b"MM\0+": "image/tiff",
}
_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)

# Brands of files in boxes: a file of the general kind is of the special kind if it has one of those brands too.
_AVIF: Final = {b"avif", b"avis"}
_HEIC: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_HEIF: Final = {b"mif1", b"mif2", b"msf1"}
_BRAND_BYTES: Final = 64

#: Formats that people send and that no service accepts.
_OTHER_STARTS: Final = {
    b"%PDF-": "PDF",
    b"%!PS": "PostScript or EPS",
    b"8BPS": "Photoshop PSD",
    b"\0\0\1\0": "Windows icon (ICO)",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"FUJIFILMCCD-RAW": "camera RAW (Fujifilm RAF)",
    b"IIRO": "camera RAW (Olympus ORF)",
    b"IIU\0": "camera RAW (Panasonic RW2)",
    b"v/1\x01": "OpenEXR",
    b"gimp xcf ": "GIMP XCF",
    b"\x1aE\xdf\xa3": "Matroska or WebM video",
    b"PK\x03\x04": "ZIP archive",
    b"\x1f\x8b": "gzip",
}
_OTHER_BRANDS: Final = {
    b"qt  ": "QuickTime video",
    b"isom": "MP4 video",
    b"iso2": "MP4 video",
    b"mp41": "MP4 video",
    b"mp42": "MP4 video",
    b"crx ": "camera RAW (Canon CR3)",
    b"jxl ": "JPEG XL",
}
_MARKUP: Final = {b"<svg": "SVG", b"<!doctype html": "HTML", b"<html": "HTML"}


def detect(head: bytes) -> str | None:
    """Return the media type of a file from its first bytes, or None if the format is not accepted."""
    for start, media_type in _STARTS.items():
        if head.startswith(start):
            return media_type
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    return _detect_brand(head) if head[4:8] == b"ftyp" else None


def _detect_brand(head: bytes) -> str | None:
    major = head[8:12]
    if major == b"mif3":  # its minor version names the codec
        return {b"avif": "image/avif", b"heic": "image/heic"}.get(head[12:16], "image/heif")
    end = min(int.from_bytes(head[:4]), len(head), _BRAND_BYTES)
    brands = {major, *(head[at : at + 4] for at in range(16, end - 3, 4))}
    for special, media_type in ((_AVIF, "image/avif"), (_HEIC, "image/heic")):
        if major in special or (major in _HEIF and brands & special):
            return media_type
    return "image/heif" if major in _HEIF else None


def name_other(head: bytes) -> str | None:
    """Return the name of a format that is not accepted, or None if it is unknown."""
    for start, name in _OTHER_STARTS.items():
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return _OTHER_BRANDS.get(head[8:12])
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    markup = next((name for tag, name in _MARKUP.items() if text.startswith(b"<") and tag in text), None)
    return markup or ("text" if _is_text(head) else None)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.end < len(head):  # otherwise a character was cut in two
            return False
        text = head[: error.start].decode()
    return bool(text) and all(character.isprintable() or character.isspace() for character in text)
