"""What an animated PNG tells after its first frame, where Pillow stops reading."""

import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOST_CHUNKS: Final = 100_000
_MOST_TOLD: Final = 1_000
_MOST_BYTES: Final = 1 << 20
_XMP: Final = "XML:com.adobe.xmp"


def told_by(path: Path) -> dict[str, str | bytes]:
    """All texts by their keywords, and `exif` and `xmp`, as Pillow puts those of a still PNG into `info`."""
    told: dict[str, str | bytes] = {}
    held = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for kind, body in _chunks(data):
            for name, value in _read(kind, body).items():
                held += len(value)
                if held > 4 * _MOST_BYTES or len(told) >= _MOST_TOLD:
                    return told
                told.setdefault(name, value)
    return told


def _chunks(data: mmap.mmap) -> Iterator[tuple[bytes, bytes]]:
    """Those that tell something, cut to what is looked at. What is cut off ends the walk."""
    at = 8
    for _ in range(_MOST_CHUNKS):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"IEND" or at + 12 + size > len(data):
            return
        if kind in {b"eXIf", b"tEXt", b"zTXt", b"iTXt"}:
            yield kind, data[at + 8 : at + 8 + min(size, _MOST_BYTES)]
        at += 12 + size


def _read(kind: bytes, body: bytes) -> dict[str, str | bytes]:
    if kind == b"eXIf":
        return {"exif": b"Exif\0\0" + body}
    keyword, _, rest = body.partition(b"\0")
    name = keyword[:79].decode("latin-1")
    if not name or name in {"exif", "xmp"}:  # which are blocks, not texts
        return {}
    if kind == b"tEXt":
        return {name: rest.decode("latin-1")}
    if kind == b"zTXt":
        return {name: _inflated(rest[1:]).decode("latin-1")}
    parts = rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return {}
    value = _inflated(parts[2]) if rest[0] else parts[2]
    return {"xmp": value} if name == _XMP else {name: value.decode(errors="replace")}


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_BYTES)
    except zlib.error:
        return b""
