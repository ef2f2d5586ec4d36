"""BMP: every usual header, an embedded profile, fields that may say anything, and names for kinds that are not decoded.

The expected colors are those of Chromium 156 for the same bytes.
"""

import struct
from collections.abc import Callable, Sequence

import pytest
from PIL import Image

from app.domain.errors import ImageError
from app.domain.models import Format
from app.domain.recipe import VariantSpec
from app.worker.pixels.icc import Primaries, build_rgb_profile
from tests.worker.conftest import Process, recipe_of

LOSSLESS = recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,)))
WIDTH, HEIGHT = 8, 6
COLORS = [(index * 17, 255 - index * 16, index * 7) for index in range(16)]
P3 = build_rgb_profile(Primaries((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), lambda tone: tone**2.2)


def color(x: int, y: int) -> tuple[int, int, int]:
    return x * 30 + 10, y * 40 + 10, 90


PLAIN = [(40, 50, 90, 255), (190, 170, 90, 255)]
HALF = [(*known[:3], 128) for known in PLAIN]
INDEXED = [(34, 223, 14, 255), (170, 95, 70, 255)]


def bmp(
    rows: bytes, bits: int = 24, size: int = 40, compression: int = 0, *,
    masks: Sequence[int] = (), table: bytes = b"",
    colors: int = 0, height: int = HEIGHT, start: int | None = None, space: bytes = b"", behind: bytes = b"",
    wild: int = 0,
) -> bytes:  # fmt: skip
    if size == 12:
        head = struct.pack("<IHHHH", size, WIDTH, height, 1, bits)
    else:
        fields = (size, WIDTH, height, 1 + wild % 7, bits, compression, wild, wild, wild, colors, wild)
        head = struct.pack("<IiiHHIIIIII", *fields)[:size]
        head += struct.pack(f"<{len(masks)}I", *masks) + (bytes(16 - 4 * len(masks)) + space if size > 56 else b"")
        head = head.ljust(size, b"\0")
    at = 14 + len(head) + len(table)
    return b"BM" + struct.pack("<IHHI", wild, 0, 0, at if start is None else start) + head + table + rows + behind


def of_24(*, downwards: bool = False) -> bytes:
    order = range(HEIGHT) if downwards else reversed(range(HEIGHT))
    return b"".join(bytes(color(x, y)[::-1]) for y in order for x in range(WIDTH))


def of(bits: int, pack: Callable[[int, int, int], int]) -> bytes:
    letter = {16: "H", 32: "I"}[bits]
    return b"".join(
        struct.pack(f"<{letter}", pack(*color(x, y))) for y in reversed(range(HEIGHT)) for x in range(WIDTH)
    )


def indices(bits: int) -> bytes:
    rows = b""
    for y in reversed(range(HEIGHT)):
        line = "".join(format((x + y) % (1 << bits), f"0{bits}b") for x in range(WIDTH))
        rows += int(line.ljust(-(-len(line) // 32) * 32, "0"), 2).to_bytes(-(-len(line) // 32) * 4)
    return rows


def palette(count: int, size: int = 4) -> bytes:
    return b"".join(bytes(COLORS[index % 16][::-1]).ljust(size, b"\0") for index in range(count))


def opaque(red: int, green: int, blue: int) -> int:
    return red << 16 | green << 8 | blue


def half(red: int, green: int, blue: int) -> int:
    return 0x80 << 24 | opaque(red, green, blue)


def run_length(bits: int) -> bytes:
    if bits == 8:
        lines = (b"".join(bytes((1, (x + y) % 16)) for x in range(WIDTH)) for y in reversed(range(HEIGHT)))
    else:
        lines = (
            b"".join(bytes((2, (x + y) % 16 << 4 | (x + 1 + y) % 16)) for x in range(0, WIDTH, 2))
            for y in reversed(range(HEIGHT))
        )
    return b"\0\0".join(lines) + b"\0\1"


ABSOLUTE = b"".join(
    bytes((0, 7, *((x + y) % 16 for x in range(7)), 0, 1, (7 + y) % 16, 0, 0)) for y in reversed(range(6))
)
BGR = (0xFF0000, 0xFF00, 0xFF)
BGRA = (*BGR, 0xFF000000)


def shown(process: Process, body: bytes) -> list[tuple[int, ...]]:
    _, out = process(body, LOSSLESS)
    with Image.open(out / "v.png") as image:
        return [image.convert("RGBA").getpixel(at) for at in ((1, 1), (6, 4))]  # type: ignore[misc]


def near(found: list[tuple[int, ...]], expected: list[tuple[int, ...]], most: int = 2) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(abs(a - b) <= most for one, other in pairs for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("wild", [0, 2**32 - 1, 2**31, 12345])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (lambda w: bmp(of_24(), wild=w), PLAIN),
        (lambda w: bmp(of_24(downwards=True), height=-HEIGHT, wild=w), PLAIN),
        (lambda w: bmp(of_24(), size=12, wild=w), PLAIN),
        (lambda w: bmp(of_24(), size=16, wild=w), PLAIN),
        (lambda w: bmp(of_24(), size=64, wild=w), PLAIN),
        (lambda w: bmp(of(32, half), 32, wild=w), PLAIN),
        (lambda w: bmp(of(32, half), 32, 56, 3, masks=BGRA, wild=w), HALF),
        (lambda w: bmp(of(32, half), 32, 52, 3, masks=BGR, wild=w), PLAIN),
        (lambda w: bmp(of(32, half), 32, 40, 3, masks=(), table=struct.pack("<3I", *BGR), wild=w), PLAIN),
        (lambda w: bmp(of(32, half), 32, 40, 6, table=struct.pack("<4I", *BGRA), wild=w), HALF),
        (lambda w: bmp(of(32, half), 32, 124, 0, masks=BGRA, space=b"BGRs", wild=w), HALF),
        (lambda w: bmp(of(32, opaque), 32, 108, 0, masks=BGRA, space=b"BGRs", wild=w), PLAIN),
        (lambda w: bmp(of(16, lambda r, g, b: r >> 3 << 10 | g >> 3 << 5 | b >> 3), 16, wild=w), PLAIN),
        (lambda w: bmp(of(16, lambda r, g, b: r >> 3 << 11 | g >> 2 << 5 | b >> 3), 16, 40, 3,
                       table=struct.pack("<3I", 0xF800, 0x7E0, 0x1F), wild=w), PLAIN),
        (lambda w: bmp(indices(1), 1, table=palette(2), wild=w), [(0, 255, 0, 255)] * 2),
        (lambda w: bmp(indices(4), 4, table=palette(16), wild=w), INDEXED),
        (lambda w: bmp(indices(8), 8, table=palette(16), colors=16, wild=w), INDEXED),
        (lambda w: bmp(indices(8), 8, 12, table=palette(256, 3), wild=w), INDEXED),
        (lambda w: bmp(run_length(8), 8, 40, 1, table=palette(16), colors=16, wild=w), INDEXED),
        (lambda w: bmp(run_length(8)[:-2], 8, 40, 1, table=palette(16), colors=16, wild=w), INDEXED),
        (lambda w: bmp(ABSOLUTE, 8, 40, 1, table=palette(16), colors=16, wild=w), INDEXED),
        (lambda w: bmp(run_length(4), 4, 40, 2, table=palette(16), wild=w), INDEXED),
    ],
)  # fmt: skip
def test_each_usual_kind(
    process: Process, body: Callable[[int], bytes], expected: list[tuple[int, ...]], wild: int
) -> None:
    """With any values of sizes, planes, resolution and important colors."""
    assert near(shown(process, body(wild)), expected, 8 if len(body(0)) == 14 + 40 + 96 else 2)


@pytest.mark.parametrize("colors", [300, 100_000, 2**31, 2**32 - 1])
def test_more_colors_than_pixels_can_name(process: Process, colors: int) -> None:
    assert near(shown(process, bmp(indices(8), 8, table=palette(256), colors=colors)), INDEXED)
    assert near(shown(process, bmp(indices(4), 4, table=palette(16), colors=colors)), INDEXED)
    assert near(shown(process, bmp(indices(8), 8, table=palette(4), colors=4)), [(34, 223, 14, 255), (0, 0, 0, 255)])


def test_the_place_of_the_pixels_may_be_missing_and_a_gap_before_them(process: Process) -> None:
    for start in (0, 10):
        assert near(shown(process, bmp(of_24(), start=start)), PLAIN)
        assert near(shown(process, bmp(indices(4), 4, table=palette(16), start=start)), INDEXED)
    assert near(shown(process, bmp(bytes(7) + of_24(), start=54 + 7)), PLAIN)


def with_profile(profile: bytes, kind: bytes = b"DEBM", offset: int | None = None, size: int | None = None) -> bytes:
    at = 124 + len(of_24()) if offset is None else offset
    space = kind + bytes(48) + struct.pack("<IIII", 4, at, len(profile) if size is None else size, 0)
    return bmp(of_24(), size=124, space=space, behind=profile)


def test_an_embedded_profile_is_heeded(process: Process) -> None:
    assert near(shown(process, with_profile(P3)), [(32, 46, 93, 255), (195, 171, 75, 255)])


@pytest.mark.parametrize(
    "body",
    [
        with_profile(P3, offset=10**6), with_profile(P3, offset=2**32 - 1), with_profile(P3, size=2**32 - 1),
        with_profile(P3, size=100), with_profile(P3, size=0), with_profile(b"junk" * 99),
        with_profile(P3, kind=b"BGRs"),
        with_profile(b"c:\\profile.icc\0", kind=b"KNIL"), with_profile(P3)[:-1], with_profile(P3, offset=0),
    ],
)  # fmt: skip
def test_a_profile_that_is_not_there_is_ignored(process: Process, body: bytes) -> None:
    assert near(shown(process, body), PLAIN)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (bmp(bytes(50), 24, 40, 4), "24 bits a pixel, JPEG"),
        (bmp(bytes(50), 24, 40, 5), "24 bits a pixel, PNG"),
        (bmp(bytes(50), 0, 40, 4), "0 bits a pixel, JPEG"),
        (bmp(bytes(90), 24, 64, 4), "RLE24"),
        (bmp(bytes(90), 1, 64, 3, table=palette(2)), "Huffman 1D"),
        (bmp(indices(2), 2, table=palette(4)), "2 bits a pixel"),
        (bmp(bytes(8 * 48), 64), "64 bits a pixel"),
        (bmp(bytes(4 * 48), 32, 40, 11), "CMYK"),
        (bmp(bytes(4 * 48), 32, 40, 99), "compression 99"),
        (bmp(bytes(4 * 48), 32, 40, 3, table=struct.pack("<3I", 0x3FF00000, 0xFFC00, 0x3FF)), "0x3ff00000"),
        (bmp(bytes(2 * 48), 16, 56, 3, masks=(0xF00, 0xF0, 0xF, 0xF000)), "bit fields 0xf00"),
        (bmp(bytes(48), 8, 40, 2, table=palette(16)), "8 bits a pixel, RLE4"),
    ],
)
def test_a_kind_that_is_not_decoded_is_named(process: Process, body: bytes, name: str) -> None:
    with pytest.raises(ImageError) as failure:
        process(body, LOSSLESS)
    assert failure.value.code == "unsupported_image"
    assert name in failure.value.detail


@pytest.mark.parametrize("missing", [1, 24, 100, 140])
def test_a_bmp_that_lacks_pixels_is_refused(process: Process, missing: int) -> None:
    for body in (bmp(of_24())[:-missing], bmp(of_24())[:40], bmp(of_24())[:20]):
        with pytest.raises(ImageError) as failure:
            process(body, LOSSLESS)
        assert failure.value.code == "corrupt_image"


def test_the_last_row_needs_no_filling(process: Process) -> None:
    """Rows are filled to four bytes, which no pixel needs at the end."""
    body = bytearray(bmp(b"\x5a\x32\x28" * 7 * 6))
    body[18] = 7
    rows = b"".join(b"\x5a\x32\x28" * 7 + bytes(3) for _ in range(6))
    whole = bytes(body[:54]) + rows
    assert shown(process, whole[:-3]) == shown(process, whole) == [(40, 50, 90, 255)] * 2
    with pytest.raises(ImageError):
        process(whole[:-4], LOSSLESS)
