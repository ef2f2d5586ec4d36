"""Segments of a JPEG up to its first scan, read past those with a wrong length."""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.worker.decode.piecewise import MOST_SEARCHES

APP0: Final = 0xE0
APP14: Final = 0xEE
COM: Final = 0xFE
SOS: Final = 0xDA
#: Start of frame, of any kind; 0xF7 is JPEG-LS's.
SOF: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_APPLICATIONS: Final = range(0xE0, 0xF0)
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_EOI: Final = 0xD9
_ALONE_OR_END: Final = _ALONE | {_EOI}
_MOST_SEGMENTS: Final = 10_000
#: Limits of a search for the end of a segment with a wrong length: bytes, candidates, and segments of each.
_SEARCHED: Final = 66_000
_MOST_CANDIDATES: Final = 300
_LONGEST_CHAIN: Final = 100
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xdb-\xef\xfe]")


@dataclass(frozen=True)
class Segment:
    """A marker with its body. `raw` is both with the length, `start` the offset in the file."""

    marker: int
    start: int
    raw: bytes

    @property
    def body(self) -> bytes:
        return self.raw[4:]

    @property
    def is_for_decoding(self) -> bool:
        """False for application segments, except the two that declare colors (as libjpeg recognizes them)."""
        if self.marker == APP0:
            return self.body.startswith(b"JFIF\0") and len(self.body) >= 14
        if self.marker == APP14:
            return self.body.startswith(b"Adobe") and len(self.body) >= 12
        return self.marker != COM and self.marker not in _APPLICATIONS


@dataclass(frozen=True)
class Frame:
    """Header of a frame (T.81, B.2.2)."""

    segment: Segment

    @property
    def marker(self) -> int:
        return self.segment.marker

    @property
    def precision(self) -> int:
        return self.segment.body[0] if self.segment.body else 0

    @property
    def height(self) -> int:
        return int.from_bytes(self.segment.body[1:3])

    @property
    def components(self) -> int:
        return self.segment.body[5] if len(self.segment.body) > 5 else 0


def read_segments(data: mmap.mmap) -> Iterator[Segment]:
    """Yield each segment up to and including the first scan. Junk between them is skipped, as libjpeg does."""
    at, searches = 2, MOST_SEARCHES
    for _ in range(_MOST_SEGMENTS):
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) - 1 and data[at + 1] == 0xFF:
            at += 1
        if at < 0 or at + 4 > len(data):
            return
        marker = data[at + 1]
        if marker == 0 or marker in _ALONE:
            at += 2
            continue
        if marker == _EOI:
            return
        end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))
        if (marker == COM or marker in _APPLICATIONS) and searches and not _begins(data, end):
            searches -= 1
            resumed = _resumed(data, at + 4)
            if resumed is not None:
                at = resumed
                continue
        yield Segment(marker, at, data[at:end])
        if marker == SOS:
            return
        at = end


def _begins(data: mmap.mmap, at: int) -> bool:
    """Return True if a segment or the fill bytes before one begin there."""
    return data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] >= b"\xc0" and data[at + 1] not in _ALONE_OR_END


def _resumed(data: mmap.mmap, first: int) -> int | None:
    """Find the next segment after one whose length is wrong.

    The segments of an image follow one another up to a scan and include a frame. A thumbnail inside the broken segment
    has such segments too, but is smaller.
    """
    best: tuple[int, int] | None = None
    for tried, found in enumerate(_MARKER.finditer(data, first, first + _SEARCHED)):
        pixels = _pixels_of_chain(data, found.start())
        if pixels and (best is None or pixels > best[0]):
            best = (pixels, found.start())
        if tried >= _MOST_CANDIDATES:
            break
    return best[1] if best else None


def _pixels_of_chain(data: mmap.mmap, at: int) -> int:
    """Return the pixels of the frame if segments follow one another from there to a scan, else 0."""
    pixels = 0
    for _ in range(_LONGEST_CHAIN):
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in SOF:
            pixels = int.from_bytes(data[at + 5 : at + 7]) * int.from_bytes(data[at + 7 : at + 9])
        if marker == SOS:
            return pixels
        at += 2 + size
        if size < 2 or not _begins(data, at):
            return 0
    return 0
