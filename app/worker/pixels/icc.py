"""ICC profiles built from numbers: primaries, a white point and a curve, the minimum that lcms needs."""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

#: Transfer function: from a tone of 0 to 1 to light of 0 to 1.
Curve = Callable[[float], float]
Matrix = Sequence[Sequence[float]]

_D65: Final = (0.3127, 0.3290)
_D50: Final = (0.9642, 1.0, 0.8249)
_BRADFORD: Final = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
#: One node per 8-bit tone.
_NODES: Final = 256


@dataclass(frozen=True)
class Primaries:
    """Chromaticities x, y of red, green, blue and white."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float] = _D65


BT2020: Final = Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))


def build_rgb_profile(primaries: Primaries, curve: Curve) -> bytes:
    """Build an RGB profile. Raises `ArithmeticError` if the primaries lie on a line."""
    colorants = matrix_to_xyz(primaries)
    tags = {
        f"{name}XYZ".encode(): _xyz(column) for name, column in zip("rgb", zip(*colorants, strict=True), strict=True)
    }
    return _profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _table(curve)))


def build_table_profile(nodes: int, colors: Iterable[Sequence[float]]) -> bytes:
    """Build an RGB profile from a table of XYZ under D50: `nodes` per axis, red varies slowest (ICC.1, `lut16Type`)."""
    line = struct.pack(">2H", 0, 65535) * 3
    identity = struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9)))
    values = [min(65535, max(0, round(value * 32768))) for color in colors for value in color]
    head = struct.pack(">4s4x4B", b"mft2", 3, 3, nodes, 0) + identity + struct.pack(">2H", 2, 2)
    return _profile(b"RGB ", {b"A2B0": head + line + struct.pack(f">{len(values)}H", *values) + line})


def build_gray_profile(curve: Curve) -> bytes:
    """Build a profile of one channel."""
    return _profile(b"GRAY", {b"kTRC": _table(curve)})


def read_cicp(profile: bytes) -> tuple[int, int] | None:
    """Read primaries and transfer, as numbers of ITU-T H.273, from a `cicp` tag (ICC.1:2022, section 9.2.17)."""
    for name, at, size in _tags(profile):
        if name == b"cicp" and size >= 12 and at + 12 <= len(profile):
            return profile[at + 8], profile[at + 9]
    return None


def _tags(profile: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and length of each tag."""
    for start in range(132, min(len(profile) - 11, 132 + 12 * min(int.from_bytes(profile[128:132]), 100)), 12):
        yield struct.unpack_from(">4sII", profile, start)


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Assemble header, tag table and tags (ICC.1:2001-04, sections 6.1 and 6.2)."""
    tags = {b"wtpt": _xyz(_D50)} | tags
    at = 128 + 4 + 12 * len(tags)
    table, bodies, placed = b"", b"", dict[bytes, int]()
    for name, body in tags.items():
        if body not in placed:
            placed[body] = at + len(bodies)
            bodies += body
        table += struct.pack(">4sII", name, placed[body], len(body))
    head = struct.pack(">I4xI4s4s4s12x4s", at + len(bodies), 0x02400000, b"mntr", space, b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + bodies


def _fixed(values: Sequence[float]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _table(curve: Curve) -> bytes:
    nodes = [min(65535, max(0, round(curve(node / (_NODES - 1)) * 65535))) for node in range(_NODES)]
    return struct.pack(f">4sxxxxI{_NODES}H", b"curv", _NODES, *nodes)


def primaries_matrix(source: Primaries, target: Primaries) -> Matrix:
    """Return the matrix from linear RGB of one set of primaries to that of another."""
    to_xyz, from_xyz = matrix_to_xyz(source), matrix_to_xyz(target)
    columns = [_solve(from_xyz, column) for column in zip(*to_xyz, strict=True)]
    return list(zip(*columns, strict=True))


def multiply(matrix: Matrix, vector: Sequence[float]) -> list[float]:
    """Multiply a matrix and a vector."""
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def matrix_to_xyz(primaries: Primaries) -> Matrix:
    """Return the matrix from RGB to XYZ under D50 (columns red, green, blue), by Bradford adaptation."""
    corners = [_to_xyz(xy) for xy in (primaries.red, primaries.green, primaries.blue)]
    columns = [list(row) for row in zip(*corners, strict=True)]
    white = _to_xyz(primaries.white)
    amounts = _solve(columns, white)
    to_xyz = [[value * amount for value, amount in zip(row, amounts, strict=True)] for row in columns]
    ours, theirs = multiply(_BRADFORD, white), multiply(_BRADFORD, _D50)
    scaled = [[value * b / a for value in row] for row, a, b in zip(_BRADFORD, ours, theirs, strict=True)]
    by_column = [_solve(_BRADFORD, multiply(scaled, column)) for column in zip(*to_xyz, strict=True)]
    return list(zip(*by_column, strict=True))


def _to_xyz(xy: tuple[float, float]) -> tuple[float, float, float]:
    x, y = xy
    return x / y, 1.0, (1 - x - y) / y


def _solve(matrix: Matrix, vector: Sequence[float]) -> list[float]:
    """Solve for three unknowns by Cramer's rule."""
    whole = _determinant(matrix)
    if abs(whole) < 1e-6:
        raise ArithmeticError("the primaries lie on a line")
    return [
        _determinant([[*row[:at], value, *row[at + 1 :]] for row, value in zip(matrix, vector, strict=True)]) / whole
        for at in range(3)
    ]


def _determinant(rows: Matrix) -> float:
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
