"""Chunks of a PNG, read past broken ones, and written."""

import mmap
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.worker.decode.piecewise import MOST_SEARCHES

_MOST_CHUNKS: Final = 100_000
#: Bytes after a broken chunk that are searched for the next, and bytes of candidates that are checked.
_SEARCHED: Final = 1 << 20
_MOST_CHECKED: Final = 64 << 20
_NEXT: Final = re.compile(rb"IDAT|PLTE|tRNS|fcTL|acTL|iCCP|cICP|cLLI|mDCV|sRGB|gAMA|cHRM|eXIf|tEXt|zTXt|iTXt")
#: Chunks that cannot be skipped when damaged.
_CHECKED_ELSEWHERE: Final = frozenset({b"IHDR", b"PLTE"})
_NAME: Final = re.compile(rb"[A-Za-z]{4}")
_READ: Final = 64 * 1024


def read_chunks(data: mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and length of each chunk. Broken ones are skipped; a truncated one ends the walk."""
    at, pixels, searches = 8, False, MOST_SEARCHES
    for _ in range(_MOST_CHUNKS):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 12 + size
        if kind in {b"IDAT", b"fdAT"} and at + 8 < len(data):
            pixels = True  # even broken ones count
        elif not pixels and (
            not _NAME.fullmatch(kind) or (kind not in _CHECKED_ELSEWHERE and not is_whole(data, at, size))
        ):
            follows = _NAME.fullmatch(kind) and _follows(data, end)  # then perhaps only its CRC is wrong
            last = min(end, at + _SEARCHED) if follows else at + _SEARCHED
            found = _resumed(data, at + 8, last) if searches else None
            searches = max(0, searches - 1)
            if found is None and not follows:
                return
            at = found or end
            continue
        elif not _NAME.fullmatch(kind) or end > len(data):
            return
        yield kind, at, size
        at = end
        if kind == b"IDAT":
            at = _after_pixels(data, at)


def _follows(data: mmap.mmap, at: int) -> bool:
    """Return True if a chunk may begin there, or the file ends there."""
    size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
    return at == len(data) or kind == b"IDAT" or (_NAME.fullmatch(kind) is not None and at + 12 + size <= len(data))


def _resumed(data: mmap.mmap, first: int, last: int) -> int | None:
    """Find the next sound chunk after a broken one."""
    checked = 0
    for found in _NEXT.finditer(data, first, min(len(data), last)):
        start = found.start() - 4
        size = int.from_bytes(data[start : start + 4])
        if start < first or start + size > len(data):
            continue
        checked += size + 4096
        if checked > _MOST_CHECKED:
            break
        if is_whole(data, start, size):
            return start
    return None


def is_whole(data: mmap.mmap, at: int, size: int) -> bool:
    """Return True if the chunk's CRC is right."""
    end = at + 8 + size
    with memoryview(data) as view, view[at + 4 : end] as body:
        return end + 4 <= len(data) and zlib.crc32(body) == int.from_bytes(data[end : end + 4])


def _after_pixels(data: mmap.mmap, at: int) -> int:
    """Return the offset after all further chunks of the same image, of which there may be millions."""
    while data[at + 4 : at + 8] == b"IDAT":
        at += 12 + int.from_bytes(data[at : at + 4])
    return at


def read_compressed_pixels(path: Path, at: int) -> Iterator[bytes]:
    """Yield the compressed pixels of an image, from its first chunk at that offset; fewer if the file is truncated.

    They are gathered, since a chunk may hold one byte, and passing it on takes longer than inflating it.
    """
    with path.open("rb") as file:
        file.seek(at)
        gathered = bytearray()
        kind = b""
        while len(head := file.read(8)) == 8 and head[4:] in {b"IDAT", b"fdAT"} and head[4:] == (kind or head[4:]):
            kind, left = head[4:], int.from_bytes(head[:4])
            if kind == b"fdAT":
                left -= len(file.read(4))
            while left > 0 and (part := file.read(min(left, _READ - len(gathered)))):
                left -= len(part)
                gathered += part
                if len(gathered) == _READ:
                    yield bytes(gathered)
                    gathered.clear()
            file.read(4)
        yield bytes(gathered)


def build_chunk(kind: bytes, body: bytes) -> bytes:
    """Build a chunk with its length and CRC."""
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
