"""Search of a variant's bytes for metadata that it must not contain."""

import struct
import zlib
from pathlib import Path

from tests.worker.jxl_files import boxes

#: Chunks, segments and boxes that may be in a variant. Everything else tells something.
_PNG = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})
_WEBP = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF"})
_BOXES = frozenset({b"ftyp", b"meta", b"mdat"})
_JXL = frozenset({b"JXL ", b"ftyp", b"Exif", b"jxlc"})
_ITEMS = frozenset({b"av01", b"Exif"})
#: APP0 (JFIF), APP1 (only EXIF), and what decoding needs. No other APPn, no comment.
_SEGMENTS = frozenset({0xE0, 0xE1, 0xDB, 0xC0, 0xC2, 0xC4, 0xDA, 0xDD})
#: Artist and Copyright.
_RIGHTS = frozenset({0x013B, 0x8298})


def find_leaks(path: Path) -> list[str]:
    """Return the names of everything in the variant except its pixels and its rights; empty if there is nothing."""
    data = path.read_bytes()
    if path.suffix == ".png":
        return _of_png(data)
    if path.suffix == ".webp":
        return _of_webp(data)
    if path.suffix == ".jpg":
        return _of_jpeg(data)
    if path.suffix == ".jxl":
        return _of_jxl(data)
    return _of_avif(data)


def _of_jxl(data: bytes) -> list[str]:
    found = boxes(data)
    told = [repr(kind) for kind in found if kind not in _JXL]
    return told + (_of_exif(found[b"Exif"][4:]) if b"Exif" in found else [])


def _of_png(data: bytes) -> list[str]:
    told, at = [], 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == int.from_bytes(data[at + 8 + size : at + 12 + size], "big")
        told += [] if kind in _PNG else [repr(kind)]
        told += _of_exif(body) if kind == b"eXIf" else []
        at += 12 + size
    return told


def _of_webp(data: bytes) -> list[str]:
    told, at = [], 12
    end = 8 + int.from_bytes(data[4:8], "little")
    while at < end:
        kind, size = struct.unpack_from("<4sI", data, at)
        told += [] if kind in _WEBP else [repr(kind)]
        told += _of_exif(data[at + 8 : at + 8 + size]) if kind == b"EXIF" else []
        at += 8 + size + size % 2
    return told if end == len(data) else [*told, "bytes after its end"]


def _of_jpeg(data: bytes) -> list[str]:
    told, at = [], 2
    while data[at + 1] != 0xDA:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + size]
        told += [] if marker in _SEGMENTS else [f"{marker:x}"]
        if marker == 0xE1:
            told += _of_exif(body.removeprefix(b"Exif\0\0")) if body.startswith(b"Exif\0\0") else ["APP1"]
        at += 2 + size
    return told if data.endswith(b"\xff\xd9") and data.count(b"\xff\xd9") == 1 else [*told, "bytes after its end"]


def _of_avif(data: bytes) -> list[str]:
    told, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        told += [] if kind in _BOXES else [repr(kind)]
        if kind == b"meta":
            told += _of_items(data[at : at + size])
        at += size
    return told


def _of_items(meta: bytes) -> list[str]:
    told, at = [], 0
    while (at := meta.find(b"infe", at + 1)) > 0:
        kind = meta[at + 12 : at + 16]
        told += [] if kind in _ITEMS else [repr(kind)]
    return told + (["a profile"] if b"prof" in meta or b"rICC" in meta else [])


def _of_exif(block: bytes) -> list[str]:
    sign = "<" if block[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{sign}I", block, 4)
    (entries,) = struct.unpack_from(f"{sign}H", block, at)
    tags = [struct.unpack_from(f"{sign}H", block, at + 2 + 12 * entry)[0] for entry in range(entries)]
    (following,) = struct.unpack_from(f"{sign}I", block, at + 2 + 12 * entries)
    return [f"tag {tag:04x}" for tag in tags if tag not in _RIGHTS] + (["a second directory"] if following else [])
