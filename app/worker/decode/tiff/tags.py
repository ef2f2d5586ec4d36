"""Directories of a TIFF (TIFF 6.0, section 2, and BigTIFF), read within limits, and written."""

import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: Bytes of each type of number; 2 and 7 are text and bytes, 5 and 10 fractions of two.
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MOST_ENTRIES: Final = 4_096
_MOST_DIRECTORIES: Final = 200
_MOST_VALUES: Final = 1 << 20
SUB_DIRECTORIES: Final = 330


@dataclass(frozen=True)
class Directory:
    """Entries of one directory: tag → type, offset and bytes of its values. Invalid entries are left out."""

    data: mmap.mmap
    order: str
    entries: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)

    def numbers(self, tag: int, most: int = _MOST_VALUES) -> tuple[int, ...]:
        """Return the first integers of a tag; none if it is missing or of another type."""
        kind, at, size = self.entries.get(tag, (0, 0, 0))
        if kind not in _NUMBERS:
            return ()
        count = min(size // _SIZES[kind], most)
        return struct.unpack(f"{self.order}{count}{_NUMBERS[kind]}", self.data[at : at + count * _SIZES[kind]])

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first integer of a tag."""
        return next(iter(self.numbers(tag, 1)), default)

    def block(self, tag: int, most: int = 4 << 20) -> bytes:
        """Return the bytes of a tag of any type; none if there are more than `most`."""
        _, at, size = self.entries.get(tag, (0, 0, 0))
        return self.data[at : at + size] if size <= most else b""


class Reader:
    """Reads the directories of a file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self._is_big = 43 in {data[2], data[3]}
        self.first = self._unpack("Q", 8) if self._is_big else self._unpack("I", 4)
        self._seen: set[int] = set()

    def chain(self) -> Iterator[Directory]:
        """Yield the directories of the main chain. A loop ends it."""
        at = self.first
        while at and at not in self._seen and len(self._seen) < _MOST_DIRECTORIES:
            directory, at = self.directory(at)
            yield directory

    def subs(self, directory: Directory) -> Iterator[Directory]:
        """Yield the subdirectories of a directory."""
        for at in directory.numbers(SUB_DIRECTORIES, _MOST_DIRECTORIES):
            if at and at not in self._seen and len(self._seen) < _MOST_DIRECTORIES:
                yield self.directory(at)[0]

    def directory(self, at: int) -> tuple[Directory, int]:
        """Read the directory at an offset; return it and the offset of the next one."""
        self._seen.add(at)
        wide, entry = ("Q", 20) if self._is_big else ("I", 12)
        count = self._unpack("Q" if self._is_big else "H", at)
        start = at + (8 if self._is_big else 2)
        entries: dict[int, tuple[int, int, int]] = {}
        for place in range(start, start + entry * min(count, _MOST_ENTRIES), entry):
            if place + entry > len(self._data):
                break
            tag, kind = self._unpack("H", place), self._unpack("H", place + 2)
            values = self._unpack(wide, place + 4)
            size = values * _SIZES.get(kind, 0)
            if not 0 < size <= len(self._data) or (kind not in {1, 2, 7} and values > _MOST_VALUES):
                continue
            body = place + entry - struct.calcsize(wide)
            if size > struct.calcsize(wide):
                body = self._unpack(wide, body)
            if body + size <= len(self._data):
                entries.setdefault(tag, (kind, body, size))
        return Directory(self._data, self.order, entries), self._unpack(wide, start + entry * count)

    def _unpack(self, kind: str, at: int) -> int:
        size = struct.calcsize(kind)
        body = self._data[at : at + size] if at < len(self._data) else b""
        return int(struct.unpack(self.order + kind, body)[0]) if len(body) == size else 0


def build_directory(
    order: str, at: int, numbers: Mapping[int, Sequence[int]], blocks: Mapping[int, tuple[int, bytes]]
) -> bytes:
    """Build the only directory of a file, for offset `at`: tags of integers, and tags with type and bytes."""
    bodies = dict(blocks)
    for tag, values in numbers.items():
        wide = max(values, default=0) > 0xFFFF
        bodies[tag] = (4 if wide else 3, struct.pack(f"{order}{len(values)}{'I' if wide else 'H'}", *values))
    behind_at = at + 2 + 12 * len(bodies) + 4
    table, behind = struct.pack(f"{order}H", len(bodies)), b""
    for tag, (kind, body) in sorted(bodies.items()):
        table += struct.pack(f"{order}HHI", tag, kind, len(body) // _SIZES[kind])
        if len(body) > 4:
            table += struct.pack(f"{order}I", behind_at + len(behind))
            behind += body + b"\0" * (len(body) % 2)
        else:
            table += body.ljust(4, b"\0")
    return table + bytes(4) + behind
