"""The pixels of a PNG, inflated before Pillow sees them.

Pillow gets the same stream as blocks that are stored as they are (RFC 1951, section 3.2.4). There are two reasons. In a
second thread inflating takes place while Pillow undoes the filters, which takes as long. And a wrong checksum at the
end of the stream no longer matters: libpng, and so browsers, show a picture whose rows are all there.
"""

import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

#: What a stored block can hold, and how many are handed over at a time.
_BLOCK: Final = 65_535
_BLOCKS: Final = 2
_AHEAD: Final = 8
_DEFLATE: Final = 8
_DICTIONARY: Final = 0x20
#: Where each pass of an interlaced picture begins, and its steps (PNG, section 8.2).
_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def stored(compressed: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The first `size` bytes of a zlib stream (RFC 1950) as one of stored blocks that never ends.

    Raises `OSError` where the stream is broken before that; ends where it ends.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    head = b""
    begun = b"\x78\x01"
    for part in compressed:
        missing = 2 - len(head)
        head += part[:missing]
        if missing and len(head) == 2 and (head[0] & 0x0F != _DEFLATE or head[1] & _DICTIONARY):
            raise OSError("broken data stream")
        for piece in _inflated(inflater, part[missing:]):
            yield begun + b"".join(_block(piece[at : at + _BLOCK]) for at in range(0, len(piece), _BLOCK))
            begun = b""
            size -= len(piece)
            if size <= 0:
                return


def ahead(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, made in another thread a little before they are asked for."""
    with ThreadPoolExecutor(1) as other:
        coming = deque(other.submit(next, pieces, None) for _ in range(_AHEAD))
        while (piece := coming.popleft().result()) is not None:
            yield piece
            coming.append(other.submit(next, pieces, None))


def bytes_of_rows(width: int, height: int, bits: int, *, interlaced: bool) -> int:
    """Bytes of a picture's rows with their filters, `bits` being those of a pixel."""
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _inflated(inflater: "zlib._Decompress", part: bytes) -> Iterator[bytes]:
    more = True
    while more and not inflater.eof:
        try:
            piece = inflater.decompress(part, _BLOCKS * _BLOCK)
        except zlib.error as error:
            raise OSError("broken data stream") from error
        part = inflater.unconsumed_tail
        more = bool(part) or len(piece) == _BLOCKS * _BLOCK
        if piece:
            yield piece


def _block(data: bytes) -> bytes:
    size = len(data)
    return b"\0" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data
