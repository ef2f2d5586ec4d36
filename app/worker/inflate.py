"""Loading a large PNG in two threads: one inflates it, the other undoes its filters, which takes as long.

Pillow does both in one call. It is handed the same stream inflated, in blocks that are stored as they are (RFC 1951,
3.2.4), so that everything else is left to it. Where that fails it is given the file as it is: what is damaged, and
whether it matters, is for it to say.
"""

import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import IO, Final

from PIL import ImageFile

#: Pixels from which a second thread is worth it.
_LARGE: Final = 1_000_000
_READ: Final = 64 * 1024
#: What a stored block can hold, and how many are handed over at a time.
_BLOCK: Final = 65_535
_BLOCKS: Final = 2
_AHEAD: Final = 8


def load_pixels(image: ImageFile.ImageFile, path: Path, threads: int) -> None:
    """`image.load()`, in two threads where that is faster; `path` is the picture's file."""
    still = image.format == "PNG" and getattr(image, "n_frames", 1) == 1 and bool(image.tile)
    if not still or threads < 2 or image.width * image.height < _LARGE:
        image.load()
        return
    tile = image.tile
    try:
        _load_in_two_threads(image, path)
    except Exception:  # Pillow alone may do without what is missing, and needs no thread
        if image.fp is None:  # it has come to its end
            raise
        image.tile, image.decoderconfig = tile, ()
        image.load()


def _load_in_two_threads(image: ImageFile.ImageFile, path: Path) -> None:
    with path.open("rb") as file, ThreadPoolExecutor(1) as other:
        pieces = _pieces(_compressed(file, image.tile[0].offset))
        ahead = deque(other.submit(next, pieces, b"") for _ in range(_AHEAD))

        def read(_: int) -> bytes:
            ahead.append(other.submit(next, pieces, b""))
            return ahead.popleft().result()

        vars(image)["load_read"] = read  # of all that Pillow does to load, only where it reads from
        try:
            image.load()
        finally:
            del vars(image)["load_read"]


def _compressed(file: IO[bytes], offset: int) -> Iterator[bytes]:
    """What the chunks of pixels hold (PNG, 5.3 and 11.2.3), the first of them there; less where the file is cut off.

    Gathered, since a chunk may hold a byte, and handing that over takes longer than to inflate it.
    """
    file.seek(offset - 8)
    gathered = bytearray()
    while (head := file.read(8))[4:] == b"IDAT":
        left = int.from_bytes(head[:4])
        while left and (part := file.read(min(left, _READ - len(gathered)))):
            left -= len(part)
            gathered += part
            if len(gathered) == _READ:
                yield bytes(gathered)
                gathered.clear()
        file.read(4)
    yield bytes(gathered)


def _pieces(compressed: Iterator[bytes]) -> Iterator[bytes]:
    """The zlib stream (RFC 1950) of the same bytes, stored; it has no end where the compressed one has none."""
    inflater, checksum = zlib.decompressobj(), 1
    begun = b"\x78\x01"
    for piece in chain.from_iterable(_inflated(inflater, part) for part in compressed):
        checksum = zlib.adler32(piece, checksum)
        yield begun + b"".join(_stored(piece[at : at + _BLOCK]) for at in range(0, len(piece), _BLOCK))
        begun = b""
    if inflater.eof:
        yield begun + _stored(b"", last=True) + checksum.to_bytes(4)


def _inflated(inflater: "zlib._Decompress", part: bytes) -> Iterator[bytes]:
    while part and not inflater.eof:
        try:
            piece = inflater.decompress(part, _BLOCKS * _BLOCK)
        except zlib.error as error:
            raise OSError("broken data stream") from error
        part = inflater.unconsumed_tail
        if piece:
            yield piece


def _stored(data: bytes, *, last: bool = False) -> bytes:
    size = len(data)
    return bytes([last]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data
