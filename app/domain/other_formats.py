"""Formats that are not accepted, recognized so that a refusal can name them.

`media.media_type_of` decides which formats are accepted.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from app.domain.errors import UnsupportedType
from app.domain.media import NAMES

#: Bytes at the start of a file that `recognize` reads. An XML prolog may precede the `svg` element.
NAMING_BYTES: Final = 1024


class OtherFormat(NamedTuple):
    """Format with its media type and common name."""

    media_type: str
    name: str


_QUICKTIME: Final = OtherFormat("video/quicktime", "QuickTime video")
_MP4: Final = OtherFormat("video/mp4", "MP4 video")
_3GP: Final = OtherFormat("video/3gpp", "3GP video")
_ZIP: Final = OtherFormat("application/zip", "ZIP archive")

_SIGNATURES: Final = (
    (b"%PDF-", OtherFormat("application/pdf", "PDF")),
    (b"%!PS", OtherFormat("application/postscript", "PostScript or EPS")),
    (b"\xc5\xd0\xd3\xc6", OtherFormat("application/postscript", "EPS")),
    (b"8BPS\x00\x01", OtherFormat("image/vnd.adobe.photoshop", "Photoshop PSD")),
    (b"8BPS\x00\x02", OtherFormat("image/vnd.adobe.photoshop", "Photoshop PSB")),
    (b"\x00\x00\x01\x00", OtherFormat("image/vnd.microsoft.icon", "Windows icon (ICO)")),
    (b"\x00\x00\x02\x00", OtherFormat("image/vnd.microsoft.icon", "Windows cursor (CUR)")),
    (b"icns", OtherFormat("image/icns", "Apple icon (ICNS)")),
    (b"\xff\x0a", OtherFormat("image/jxl", "JPEG XL")),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", OtherFormat("image/jxl", "JPEG XL")),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", OtherFormat("image/jp2", "JPEG 2000")),
    (b"\xff\x4f\xff\x51", OtherFormat("image/j2c", "JPEG 2000 codestream")),
    (b"II\xbc", OtherFormat("image/vnd.ms-photo", "JPEG XR")),
    (b"FUJIFILMCCD-RAW", OtherFormat("image/x-fuji-raf", "camera RAW (Fujifilm RAF)")),
    (b"IIRO", OtherFormat("image/x-olympus-orf", "camera RAW (Olympus ORF)")),
    (b"IIRS", OtherFormat("image/x-olympus-orf", "camera RAW (Olympus ORF)")),
    (b"MMOR", OtherFormat("image/x-olympus-orf", "camera RAW (Olympus ORF)")),
    (b"IIU\x00", OtherFormat("image/x-panasonic-rw2", "camera RAW (Panasonic RW2)")),
    (b"FOVb", OtherFormat("image/x-sigma-x3f", "camera RAW (Sigma X3F)")),
    (b"\x00MRM", OtherFormat("image/x-minolta-mrw", "camera RAW (Minolta MRW)")),
    (b"II\x1a\x00\x00\x00HEAPCCDR", OtherFormat("image/x-canon-crw", "camera RAW (Canon CRW)")),
    (b"v/1\x01", OtherFormat("image/x-exr", "OpenEXR")),
    (b"#?RADIANCE", OtherFormat("image/vnd.radiance", "Radiance HDR")),
    (b"#?RGBE", OtherFormat("image/vnd.radiance", "Radiance HDR")),
    (b"DDS ", OtherFormat("image/vnd.ms-dds", "DDS texture")),
    (b"qoif", OtherFormat("image/qoi", "QOI")),
    (b"gimp xcf ", OtherFormat("image/x-xcf", "GIMP XCF")),
    (b"BPG\xfb", OtherFormat("image/bpg", "BPG")),
    (b"FLIF", OtherFormat("image/flif", "FLIF")),
    (b"AT&TFORM", OtherFormat("image/vnd.djvu", "DjVu")),
    (b"SIMPLE  =", OtherFormat("image/fits", "FITS")),
    (b"\x8aMNG\r\n\x1a\n", OtherFormat("video/x-mng", "MNG")),
    (b"\x8bJNG\r\n\x1a\n", OtherFormat("image/x-jng", "JNG")),
    (b"\xd7\xcd\xc6\x9a", OtherFormat("image/wmf", "WMF")),
    (b"\x1aE\xdf\xa3", OtherFormat("video/matroska", "Matroska or WebM video")),
    (b"0&\xb2u\x8ef\xcf\x11", OtherFormat("video/x-ms-asf", "Windows Media video")),
    (b"FLV\x01", OtherFormat("video/x-flv", "Flash video")),
    (b"\x00\x00\x01\xba", OtherFormat("video/mpeg", "MPEG video")),
    (b"\x00\x00\x01\xb3", OtherFormat("video/mpeg", "MPEG video")),
    (b"OggS", OtherFormat("application/ogg", "Ogg media")),
    (b"ID3", OtherFormat("audio/mpeg", "MP3 audio")),
    (b"fLaC", OtherFormat("audio/flac", "FLAC audio")),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (b"\x1f\x8b", OtherFormat("application/gzip", "gzip")),
    (b"7z\xbc\xaf\x27\x1c", OtherFormat("application/x-7z-compressed", "7z archive")),
    (b"Rar!\x1a\x07", OtherFormat("application/vnd.rar", "RAR archive")),
    (b"BZh", OtherFormat("application/x-bzip2", "bzip2")),
    (b"\xfd7zXZ\x00", OtherFormat("application/x-xz", "xz")),
    (b"(\xb5/\xfd", OtherFormat("application/zstd", "Zstandard")),
    (b"\x7fELF", OtherFormat("application/x-elf", "ELF program")),
    (b"MZ", OtherFormat("application/vnd.microsoft.portable-executable", "Windows program")),
    (b"SQLite format 3\x00", OtherFormat("application/vnd.sqlite3", "SQLite database")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OtherFormat("application/x-ole-storage", "old Microsoft Office document")),
    (b"{\\rtf", OtherFormat("application/rtf", "RTF")),
    (b"<?php", OtherFormat("application/x-httpd-php", "PHP")),
)
_AT_8: Final = (
    (b"RIFF", b"AVI ", OtherFormat("video/vnd.avi", "AVI video")),
    (b"RIFF", b"WAVE", OtherFormat("audio/vnd.wave", "WAVE audio")),
    (b"FORM", b"ILBM", OtherFormat("image/x-ilbm", "IFF ILBM")),
    (b"FORM", b"PBM ", OtherFormat("image/x-ilbm", "IFF PBM")),
)
_BRANDS: Final = {
    b"qt  ": _QUICKTIME,
    b"isom": _MP4, b"iso2": _MP4, b"iso4": _MP4, b"iso5": _MP4, b"iso6": _MP4, b"mp41": _MP4, b"mp42": _MP4,
    b"avc1": _MP4, b"dash": _MP4, b"M4V ": _MP4, b"MSNV": _MP4,
    b"M4A ": OtherFormat("audio/mp4", "MPEG-4 audio"),
    b"3gp4": _3GP, b"3gp5": _3GP, b"3gp6": _3GP, b"3g2a": _3GP,
    b"crx ": OtherFormat("image/x-canon-cr3", "camera RAW (Canon CR3)"),
    b"jxl ": OtherFormat("image/jxl", "JPEG XL"),
}  # fmt: skip
_ATOMS: Final = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})  # QuickTime before brands
_TEXT_BYTES: Final = bytes([*b"\t\n\f\r", *range(32, 127), *range(128, 256)])
_TEXTS: Final = (
    (re.compile(rb"--[^\r\n]{1,70}\r?\nContent-", re.IGNORECASE), OtherFormat("multipart/form-data", "multipart form")),
    (re.compile(rb"P[1-7][\s#]"), OtherFormat("image/x-portable-anymap", "Netpbm (PBM, PGM, PPM, PAM)")),
    (re.compile(rb"<(?:!doctype\s+html|html|head|body|script)[\s>]", re.IGNORECASE), OtherFormat("text/html", "HTML")),
    (re.compile(rb"(?:<[^\0]*)?<(?:\w+:)?svg[\s>]", re.IGNORECASE), OtherFormat("image/svg+xml", "SVG")),
    (re.compile(rb"<[?!a-z]", re.IGNORECASE), OtherFormat("application/xml", "XML")),
    (re.compile(rb"[{[]"), OtherFormat("application/json", "JSON")),
    (re.compile(rb"data:image/|iVBORw0KGgo|/9j/|R0lGOD|UklGR"), OtherFormat("text/plain", "base64 text")),
)


def recognize(head: bytes) -> OtherFormat | None:
    """Return the format of a file from its first `NAMING_BYTES` bytes, or None if it is unknown."""
    for signature, found in _SIGNATURES:
        if head.startswith(signature):
            return found
    for start, kind, found in _AT_8:
        if head.startswith(start) and head[8:12] == kind:
            return found
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    if head[4:8] in _ATOMS:
        return _QUICKTIME
    return _text_format(head)


def _text_format(head: bytes) -> OtherFormat | None:
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:  # UTF-16: ASCII with a zero in each second byte
        head = head[2:].replace(b"\0", b"")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, found in _TEXTS:
        if pattern.match(text):
            return found
    is_text = text and not text.translate(None, _TEXT_BYTES) and _is_text(text)
    return OtherFormat("text/plain", "text") if is_text else None


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return len(raw) - error.start < 4  # a truncated character at the end
    return True


def unsupported_type(head: bytes, media_type: str | None, accepted: Sequence[str]) -> UnsupportedType:
    """Build the refusal of bytes in an unsupported format, or in one that the settings exclude."""
    other = None if media_type else recognize(head)
    name = NAMES[media_type] if media_type else other.name if other else None
    found = f"found: {name}" if name else "unknown format"
    return refused_type(found, media_type or (other.media_type if other else None), accepted)


def refused_type(found: str, media_type: str | None, accepted: Sequence[str]) -> UnsupportedType:
    """Build the refusal of a type; `found` describes it."""
    names = ", ".join(NAMES[each] for each in accepted)
    detail = f"Unsupported image format ({found}). Accepted: {names}."
    return UnsupportedType("unsupported_type", detail, found=media_type, accepted=list(accepted))
