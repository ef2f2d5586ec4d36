"""PNG: faults outside of the pixels are ignored, and the image looks as in browsers.

The expected colors are those of Chromium 156 for the same bytes. Decided here: an ancillary chunk whose CRC is wrong,
whose length is impossible, or that makes no sense, is dropped, as libpng does by default. A palette or header with a
wrong CRC, and an unknown critical chunk with a right one, make the image fail.
"""

import os
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, ImageCms

from app.domain.errors import ImageError
from app.domain.models import Format
from app.domain.recipe import VariantSpec
from tests.tiers import smoke
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import saved, srgb_profile

LOSSLESS = recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,)))
PLAIN = (200, 100, 50, 255)
PNG = saved(Image.new("RGB", (8, 8), PLAIN[:3]), "PNG")
Shown = Callable[[bytes], tuple[int, ...]]


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


def with_chunks(*chunks: bytes, png: bytes = PNG, at: int = 33) -> bytes:
    return png[:at] + b"".join(chunks) + png[at:]


@pytest.fixture
def shown(process: Process) -> Shown:
    """The color of the only variant's first pixel."""

    def run(body: bytes) -> tuple[int, ...]:
        _, out = process(body, LOSSLESS)
        with Image.open(out / "v.png") as image:
            found = image.convert("RGBA").getpixel((0, 0))
        assert isinstance(found, tuple)
        return found

    return run


def near(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 2


GAMMA_1 = struct.pack(">I", 100_000)
NOISE = os.urandom(700_000).hex().encode()
ANCILLARY = {
    b"tEXt": b"Comment\0hello", b"zTXt": b"Comment\0\0" + zlib.compress(b"hello"), b"iTXt": b"Comment\0\0\0\0\0hello",
    b"iCCP": b"x\0\0" + zlib.compress(srgb_profile()), b"gAMA": GAMMA_1, b"cHRM": struct.pack(">8I", *range(8)),
    b"sRGB": b"\0", b"cICP": bytes((12, 13, 0, 1)), b"bKGD": bytes(6), b"pHYs": struct.pack(">IIB", 9, 9, 1),
    b"sBIT": b"\x08\x08\x08", b"sPLT": b"x\0\x08", b"hIST": bytes(2), b"tIME": bytes(7),
    b"eXIf": b"MM\0*\0\0\0\x08\0\0", b"tRNS": struct.pack(">HHH", *PLAIN[:3]), b"acTL": struct.pack(">II", 2, 0),
    b"fcTL": bytes(26), b"ABCD": b"critical, if its CRC were right", b"fdAT": bytes(9), b"caBX": b"junk", b"prVt": b"",
}  # fmt: skip


@pytest.mark.parametrize("kind", ANCILLARY, ids=bytes.decode)
def test_an_ancillary_chunk_with_a_wrong_crc_is_dropped(shown: Shown, kind: bytes) -> None:
    assert shown(with_chunks(chunk(kind, ANCILLARY[kind], wrong=True))) == PLAIN


@pytest.mark.parametrize("length", [0, 1, 3, 300])
@pytest.mark.parametrize("kind", [kind for kind in ANCILLARY if kind != b"ABCD"], ids=bytes.decode)
def test_an_ancillary_chunk_of_another_length_makes_no_image_fail(shown: Shown, kind: bytes, length: int) -> None:
    assert shown(with_chunks(chunk(kind, b"\xff" * length)))[3] == 255


@pytest.mark.parametrize("claimed", [2**31 - 1, 2**32 - 1, 5000, 40, 1])
@pytest.mark.parametrize("kind", [kind for kind in ANCILLARY if kind != b"fdAT"], ids=bytes.decode)
def test_an_ancillary_chunk_that_lies_about_its_length_is_dropped(shown: Shown, kind: bytes, claimed: int) -> None:
    lying = struct.pack(">I", claimed) + chunk(kind, ANCILLARY[kind])[4:]
    assert shown(with_chunks(lying)) == PLAIN


@pytest.mark.parametrize("kind", [kind for kind in ANCILLARY if kind != b"ABCD"], ids=bytes.decode)
def test_an_ancillary_chunk_may_be_there_twice_and_after_the_pixels(shown: Shown, kind: bytes) -> None:
    once = shown(with_chunks(chunk(kind, ANCILLARY[kind])))
    assert shown(with_chunks(chunk(kind, ANCILLARY[kind]), chunk(kind, b"\xff" * 26))) == once
    assert shown(with_chunks(chunk(kind, ANCILLARY[kind]), at=len(PNG) - 12)) == PLAIN
    assert shown(with_chunks(chunk(kind, ANCILLARY[kind])[:-6], at=len(PNG) - 12)[:-12]) == PLAIN


@pytest.mark.parametrize(
    ("kind", "body"),
    smoke(
        [
            (b"zTXt", b"mxGraphModel\0\0" + zlib.compress(NOISE, 1)),
            (b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(NOISE, 1)),
            (b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 26), 1)),
            (b"tEXt", b"workflow\0" + NOISE * 4),
            (b"iCCP", b"x\0\0" + zlib.compress(NOISE * 4, 1)),
            (b"eXIf", NOISE * 4),
            (b"zTXt", b"Comment\0\x07" + NOISE),
            (b"iTXt", b"\xff\xfe\0\1\x09\xff\0\xff\0" + NOISE),
        ],
        fast=3,
    ),
)
def test_a_large_description_makes_no_image_fail(shown: Shown, kind: bytes, body: bytes) -> None:
    assert shown(with_chunks(chunk(kind, body))) == PLAIN
    assert shown(with_chunks(*[chunk(kind, body)] * 30)) == PLAIN


@pytest.mark.parametrize(
    "keyword", [b"transparency", b"icc_profile", b"exif", b"frames", b"frame_box", b"gamma", b"cicp"]
)
def test_a_text_is_never_taken_for_what_a_decoder_says(shown: Shown, keyword: bytes) -> None:
    assert shown(with_chunks(chunk(b"tEXt", keyword + b"\0abc"), chunk(b"iTXt", keyword + b"\0\0\0\0\0abc"))) == PLAIN


TRANSPARENT = chunk(b"tRNS", ANCILLARY[b"tRNS"])


@pytest.mark.parametrize(
    ("chunks", "alpha"),
    [
        ([TRANSPARENT], 0),
        ([chunk(b"tRNS", ANCILLARY[b"tRNS"] + b"\0\7")], 0),
        ([chunk(b"tRNS", b"\0\xc8")], 255),
        ([chunk(b"tRNS", struct.pack(">HHH", 1, 1, 1)), TRANSPARENT], 255),
        ([chunk(b"PLTE", b"xx"), TRANSPARENT], 0),
        ([chunk(b"PLTE", b"xxx", wrong=True)], 255),
    ],
    ids=["right", "too long", "too short", "twice", "bad palette that nothing needs", "the same with a wrong CRC"],
)
def test_the_transparent_color_is_that_of_a_sound_chunk(shown: Shown, chunks: list[bytes], alpha: int) -> None:
    assert shown(with_chunks(*chunks))[3] == alpha


def indexed(*chunks: bytes, palette: bytes = bytes((0, 0, 0, 200, 100, 50)), before: bytes = b"") -> bytes:
    rows = zlib.compress(b"\0\1\1\1\1\1\1\1\1" * 8)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0))
    table = chunk(b"PLTE", palette) if palette else b""
    return PNG[:8] + head + before + table + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_the_palette(shown: Shown) -> None:
    assert shown(indexed()) == PLAIN
    assert near(shown(indexed(chunk(b"tRNS", bytes((255, 128, 0, 0, 9))))), (199, 100, 50, 128))  # longer than it
    assert shown(indexed(before=chunk(b"tRNS", bytes((255, 128))))) == PLAIN  # before it
    assert shown(indexed(palette=bytes((0, 0, 0, 200, 100, 50, 9)))) == PLAIN  # not in threes
    assert shown(indexed(palette=bytes(3))) == (0, 0, 0, 255)  # shorter than the index


PROFILE = chunk(b"iCCP", b"x\0\0" + zlib.compress(srgb_profile()))
LINEAR = chunk(b"gAMA", GAMMA_1)
SRGB_GAMMA = chunk(b"gAMA", struct.pack(">I", 45_455))
BRIGHT = (229, 168, 122, 255)
P3 = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))


def code(*values: int, wrong: bool = False) -> bytes:
    return chunk(b"cICP", bytes(values), wrong=wrong)


@pytest.mark.parametrize(
    ("chunks", "color"),
    [
        ([LINEAR], BRIGHT),
        ([chunk(b"gAMA", GAMMA_1, wrong=True)], PLAIN),
        ([chunk(b"gAMA", GAMMA_1 + b"x")], PLAIN),
        ([chunk(b"gAMA", bytes(4))], PLAIN),
        ([SRGB_GAMMA, LINEAR], PLAIN),
        ([SRGB_GAMMA, P3], (215, 93, 31, 255)),  # Chromium: 24 of blue, for it takes no gamma for sRGB's
        ([chunk(b"sRGB", b"\0"), LINEAR], PLAIN),
        ([chunk(b"sRGB", b"\x09"), LINEAR], BRIGHT),
        ([chunk(b"sRGB", b"\0\0"), LINEAR], BRIGHT),
        ([LINEAR, PROFILE], PLAIN),
        ([LINEAR, chunk(b"iCCP", b"x\0\0" + zlib.compress(b"junk" * 50))], BRIGHT),
        ([LINEAR, chunk(b"iCCP", b"x\0\0" + zlib.compress(srgb_profile()), wrong=True)], BRIGHT),
        ([code(1, 13, 0, 1), LINEAR], PLAIN),
        ([code(1, 13, 0, 1), P3, LINEAR, PROFILE], PLAIN),
        ([code(12, 13, 0, 1), LINEAR, chunk(b"sRGB", b"\0"), PROFILE], (215, 93, 31, 255)),
        ([code(12, 13, 0, 1, wrong=True)], PLAIN),
        ([code(12, 13, 0, 0)], PLAIN),
        ([code(12, 13, 9, 1)], PLAIN),
        ([code(1, 13, 0, 1), code(12, 13, 0, 1)], PLAIN),
        ([code(2, 2, 0, 1), LINEAR], BRIGHT),
        ([code(12, 2, 0, 1), LINEAR], BRIGHT),
        ([code(1, 1, 0, 1)], (197, 91, 39, 255)),
        ([code(1, 4, 0, 1)], (201, 100, 46, 255)),
        ([code(1, 8, 0, 1)], BRIGHT),
        ([code(9, 14, 0, 1)], (239, 63, 5, 255)),
    ],
)
def test_of_color_chunks_the_first_sound_one_counts_in_the_order_of_the_standard(
    shown: Shown, chunks: list[bytes], color: tuple[int, ...]
) -> None:
    """cICP, iCCP, sRGB, gAMA with cHRM (PNG, third edition, section 4.3)."""
    assert near(shown(with_chunks(*chunks)), color)


def test_a_color_chunk_after_the_pixels_does_not_count(shown: Shown) -> None:
    for late in (LINEAR, code(12, 13, 0, 1), TRANSPARENT):
        assert shown(with_chunks(late, at=len(PNG) - 12)) == PLAIN


def test_a_profile_of_another_space_is_ignored(shown: Shown) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert shown(with_chunks(chunk(b"iCCP", b"x\0\0" + zlib.compress(lab)))) == PLAIN


HEAD = PNG[16:29]


@pytest.mark.parametrize(
    ("body", "failure", "named"),
    [
        (PNG[:29] + bytes(4) + PNG[33:], "corrupt_image", "header"),
        (PNG[:8] + chunk(b"IHDR", HEAD[:8] + b"\x07\2\0\0\0") + PNG[33:], "corrupt_image", "7 bits"),
        (PNG[:8] + chunk(b"IHDR", HEAD[:10] + b"\1\0\0") + PNG[33:], "unsupported_image", "compression method is 1"),
        (PNG[:8] + chunk(b"IHDR", HEAD[:10] + b"\0\x40\0") + PNG[33:], "unsupported_image", "filter method is 64"),
        (PNG[:8] + chunk(b"IHDR", HEAD[:10] + b"\0\0\2") + PNG[33:], "unsupported_image", "interlace method is 2"),
        (PNG[:8] + chunk(b"CgBI", bytes(4)) + PNG[8:], "unsupported_image", "iOS"),
        (with_chunks(chunk(b"ABCD", b"x")), "unsupported_image", "ABCD"),
        (indexed(palette=b""), "corrupt_image", "no palette"),
        (indexed().replace(b"PLTE", b"PLTF"), "unsupported_image", "PLTF"),
        (PNG[:33] + PNG[-12:], "corrupt_image", "no pixels"),
    ],
)
def test_chunks_that_pixels_need_must_be_sound_and_known(
    process: Process, body: bytes, failure: str, named: str
) -> None:
    if failure == "unsupported_image" and named == "PLTF":
        at = body.index(b"PLTF")
        size = int.from_bytes(body[at - 4 : at])
        body = body[: at + 4 + size] + struct.pack(">I", zlib.crc32(body[at : at + 4 + size])) + body[at + 8 + size :]
    with pytest.raises(ImageError) as refused:
        process(body, LOSSLESS)
    assert refused.value.code == failure
    assert named in refused.value.detail
