"""TIFF files by hand: any tags, several directories, both byte orders, BigTIFF."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = int | Sequence[int] | bytes | str


@dataclass
class Page:
    """A directory with its strips. `subs` are those that only it names; `next` is where it leads, if not to the next
    page; `raw` are entries given as type, count and the four or eight bytes that follow."""

    tags: Mapping[int, Value]
    strips: Sequence[bytes] = ()
    subs: Sequence["Page"] = ()
    next: int | None = None
    raw: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)


def tiff_of(*pages: Page, order: str = "<", big: bool = False) -> bytes:
    """The file. The first directory is at its end, so that everything that it names comes before it."""
    body = bytearray(16)
    follows = 0
    for page in reversed(pages):
        follows = _directory(body, page, order, follows if page.next is None else page.next, big=big)
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, follows) if big else struct.pack(f"{order}HI", 42, follows)
    body[: 2 + len(head)] = mark + head
    return bytes(body)


def _directory(body: bytearray, page: Page, order: str, follows: int, *, big: bool) -> int:
    tags: dict[int, Value] = dict(page.tags)
    if page.subs:
        tags[330] = [_directory(body, sub, order, 0, big=big) for sub in page.subs]
    if page.strips:
        offsets = [_append(body, strip) for strip in page.strips]
        tags = {273: offsets, 279: [len(strip) for strip in page.strips], **tags}
    wide, room = ("Q", 8) if big else ("I", 4)
    entries = []
    for tag, value in tags.items():
        kind, count, data = _packed(value, order)
        if len(data) > room:
            data = struct.pack(f"{order}{wide}", _append(body, data))
        entries.append((tag, struct.pack(f"{order}HH{wide}", tag, kind, count) + data.ljust(room, b"\0")))
    for tag, (kind, count, place) in page.raw.items():
        entries.append((tag, struct.pack(f"{order}HH{wide}{wide}", tag, kind, count, place)))
    table = b"".join(entry for _, entry in sorted(entries))
    count = struct.pack(f"{order}{'Q' if big else 'H'}", len(entries))
    return _append(body, count + table + struct.pack(f"{order}{wide}", follows))


def _append(body: bytearray, data: bytes) -> int:
    body.extend(b"\0" * (len(body) % 2))
    body.extend(data)
    return len(body) - len(data)


def _packed(value: Value, order: str) -> tuple[int, int, bytes]:
    if isinstance(value, str):
        return 2, len(value) + 1, value.encode() + b"\0"
    if isinstance(value, bytes):
        return 7, len(value), value
    numbers = [value] if isinstance(value, int) else list(value)
    kind, letter = (3, "H") if max(numbers) <= 0xFFFF else (4, "I")
    return kind, len(numbers), struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
