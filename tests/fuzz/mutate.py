"""Damage an image in the way that finds faults: where its format keeps its lengths, sizes, offsets and types.

`mutate(seed, index, …)` is a function of its arguments alone, so that any finding can be made again.
"""

import random
import struct
import zlib
from collections.abc import Callable, Sequence

from tests.fuzz.anatomy import BOX_TYPES, chunks_of_png, parts_of

_ODD = (0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 127, 128, 254, 255)
_ODD_16 = (0, 1, 2, 255, 256, 32767, 32768, 65534, 65535)
_ODD_32 = (0, 1, 255, 65535, 65536, 100_000, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
#: No mutation adds more bytes to an image.
_MOST_ADDED = 100_000


def mutate(seed: int, index: int, body: bytes, others: Sequence[bytes]) -> bytes:
    """The mutation of that number of the image; `others` may be spliced into it."""
    dice = random.Random(f"{seed}/{index}")
    data = bytearray(body)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        if len(data) < 16:
            break
        damage = dice.choice(_DAMAGES)
        data = damage(dice, data, others)[: len(body) + _MOST_ADDED]
    return bytes(data)


def _flip_bits(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    for _ in range(dice.choice((1, 1, 4, 16))):
        data[_somewhere(dice, data)] ^= 1 << dice.randrange(8)
    return data


def _set_bytes(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    for _ in range(dice.choice((1, 2, 8))):
        data[_somewhere(dice, data)] = dice.choice(_ODD) if dice.random() < 0.6 else dice.randrange(256)
    return data


def _set_number(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    at = _somewhere(dice, data)
    order = dice.choice("<>")
    number = (
        struct.pack(f"{order}H", dice.choice(_ODD_16))
        if dice.random() < 0.4
        else struct.pack(f"{order}I", dice.choice(_ODD_32))
    )
    data[at : at + len(number)] = number
    return data


def _cut(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    return data[: dice.randrange(8, len(data))]


def _remove(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    at = _somewhere(dice, data)
    del data[at : at + dice.choice((1, 2, 4, 16, 256))]
    return data


def _repeat(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    at, length = dice.randrange(len(data)), dice.choice((1, 4, 16, 256, 4096))
    data[at:at] = data[at : at + length] * dice.choice((1, 2, 20))
    return data


def _splice(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    """The beginning of this image and the end of another, or a piece of it in the middle."""
    other = dice.choice(others)
    at, theirs = dice.randrange(len(data)), dice.randrange(len(other))
    if dice.random() < 0.4:
        return data[:at] + other[theirs:]
    length = dice.choice((8, 64, 512))
    data[at : at + length] = other[theirs : theirs + length]
    return data


def _damage_part(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    """The head of one chunk, segment, box or block: its length, its name, the first numbers in it."""
    parts = parts_of(bytes(data))
    if not parts:
        return _set_number(dice, data, others)
    part = dice.choice(parts)
    match dice.randrange(5):
        case 0:  # its length
            width = part.length_bytes
            data[part.length_at : part.length_at + width] = (
                dice.choice(_ODD_32) % 256**width if width > 1 else dice.choice(_ODD)
            ).to_bytes(width, part.order)
        case 1:  # gone
            del data[part.start : part.end]
        case 2:  # twice, or very often
            data[part.end : part.end] = data[part.start : part.end] * dice.choice((1, 1, 50))
        case 3:  # where another is
            other = dice.choice(parts)
            data[other.start : other.start] = data[part.start : part.end]
        case _:  # its first numbers
            at = part.body_at + dice.randrange(max(1, min(24, part.end - part.body_at)))
            value = dice.choice((struct.pack(">I", dice.choice(_ODD_32)), struct.pack("<I", dice.choice(_ODD_32)),
                struct.pack(">H", dice.choice(_ODD_16)), bytes([dice.choice(_ODD)])))  # fmt: skip
            data[at : at + len(value)] = value
    return data


def _relink(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    """In a HEIC or AVIF: another type for a box or an item, or another small number in a table, all at their places."""
    if data[4:8] != b"ftyp":
        return _set_number(dice, data, others)
    places = [at for kind in BOX_TYPES for at in _places(data, kind)]
    if not places:
        return _set_number(dice, data, others)
    at = dice.choice(places)
    if dice.random() < 0.3:
        data[at : at + 4] = dice.choice(BOX_TYPES)
    else:
        start = at + 4 + dice.randrange(48)
        value = struct.pack(">H", dice.choice((*range(8), *_ODD_16)))
        data[start : start + 2] = value[: max(0, len(data) - start)]
    return data


def _places(data: bytearray, kind: bytes) -> list[int]:
    found, at = [], data.find(kind)
    while at >= 0 and len(found) < 20:
        found.append(at)
        at = data.find(kind, at + 1)
    return found


def _with_good_sums(damage: Callable[..., bytearray]) -> Callable[..., bytearray]:
    """The damage, and in a PNG the checksums made right after it: or nothing would get past them."""

    def both(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
        data = damage(dice, data, others)
        for start, length in chunks_of_png(bytes(data)):
            end = start + 8 + length
            if end + 4 <= len(data):
                data[end : end + 4] = zlib.crc32(bytes(data[start + 4 : end])).to_bytes(4, "big")
        return data

    return both


def _somewhere(dice: random.Random, data: bytearray) -> int:
    """Any place, but every other time near the beginning, where the numbers are that matter."""
    return dice.randrange(min(len(data), 512) if dice.random() < 0.5 else len(data))


_DAMAGES: Sequence[Callable[..., bytearray]] = (
    _flip_bits,
    _set_bytes,
    _set_number,
    _cut,
    _remove,
    _repeat,
    _splice,
    *(_with_good_sums(damage) for damage in (_flip_bits, _set_bytes, _set_number, _damage_part, _damage_part)),
    _damage_part,
    _damage_part,
    _relink,
    _relink,
)
