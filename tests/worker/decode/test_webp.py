"""WebP: what its container says is made anew from its chunks, so that only pixels can make an image fail.

Decided here: of a still the bitstream's own size counts, and of an animation the canvas that holds all frames. The
alpha of a lossy still counts where a flag says so, as in browsers. An animation is played as far as its frames are
whole.
"""

import struct
from collections.abc import Sequence

import pytest
from PIL import Image

from app.domain.errors import ImageError
from app.domain.models import Format
from app.domain.recipe import VariantSpec
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import saved

LOSSLESS = recipe_of(VariantSpec(name="v", width=64, formats=(Format.WEBP,), quality={Format.WEBP: 100}))
PLAIN = (200, 100, 50, 255)
HALF = (*PLAIN[:3], 128)
ICC, ALPHA, EXIF, XMP, MOVING = 0x20, 0x10, 0x08, 0x04, 0x02
Chunk = tuple[bytes, bytes]


def chunks_of(webp: bytes) -> list[Chunk]:
    found, at = [], 12
    while at + 8 <= len(webp):
        size = int.from_bytes(webp[at + 4 : at + 8], "little")
        found.append((webp[at : at + 4], webp[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return found


def riff(*chunks: Chunk | bytes, size: int | None = None) -> bytes:
    """The container; chunks given as bytes are put in as they are."""
    body = b"WEBP" + b"".join(
        chunk
        if isinstance(chunk, bytes)
        else chunk[0] + struct.pack("<I", len(chunk[1])) + chunk[1] + bytes(len(chunk[1]) % 2)
        for chunk in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def head(flags: int, width: int = 16, height: int = 16) -> Chunk:
    return b"VP8X", struct.pack("<I", flags) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def lying(name: bytes, length: int, body: bytes) -> bytes:
    return name + struct.pack("<I", length) + body


LOSSY = chunks_of(saved(Image.new("RGB", (16, 16), PLAIN[:3]), "WEBP", quality=100))[0]
EXACT = chunks_of(saved(Image.new("RGB", (16, 16), PLAIN[:3]), "WEBP", lossless=True))[0]
CLEAR = Image.new("RGBA", (16, 16), HALF)
LOSSY_CLEAR = [chunk for chunk in chunks_of(saved(CLEAR, "WEBP", quality=100)) if chunk[0] != b"VP8X"]
EXACT_CLEAR = [chunk for chunk in chunks_of(saved(CLEAR, "WEBP", lossless=True)) if chunk[0] == b"VP8L"]
TOLD = [(b"EXIF", b"MM\0*\0\0\0\x08\0\0\0\0\0\0"), (b"XMP ", b"<x:xmpmeta/>"), (b"ICCP", b"junk" * 40)]
JUNK = (b"JUNK", b"abcde")


def shown(process: Process, body: bytes) -> tuple[int, int, tuple[int, ...]]:
    """The size in the record, and the color of the variant's middle."""
    processed, out = process(body, LOSSLESS)
    with Image.open(out / "v.webp") as image:
        return processed.width, processed.height, image.convert("RGBA").getpixel((8, 8))  # type: ignore[return-value]


def near(found: tuple[int, int, tuple[int, ...]], color: Sequence[int]) -> bool:
    return found[:2] == (16, 16) and max(abs(a - b) for a, b in zip(found[2], color, strict=True)) < 6


@pytest.mark.parametrize("image", [LOSSY, EXACT], ids=["lossy", "lossless"])
@pytest.mark.parametrize("flags", [0, ICC, ALPHA, EXIF, XMP, MOVING, ICC | EXIF | XMP, 0xFF])
def test_flags_that_contradict_the_chunks_do_not_count(process: Process, image: Chunk, flags: int) -> None:
    assert near(shown(process, riff(head(flags), image)), PLAIN)
    assert near(shown(process, riff(head(flags), *TOLD, image, *TOLD)), PLAIN)
    assert near(shown(process, riff(head(flags), (b"ANIM", bytes(6)), image)), PLAIN)
    for width, height in ((32, 32), (8, 8), (1, 1)):
        assert near(shown(process, riff(head(flags, width, height), image)), PLAIN)


def test_the_alpha_of_a_lossy_still_counts_where_a_flag_says_so(process: Process) -> None:
    assert near(shown(process, riff(head(ALPHA), *LOSSY_CLEAR)), HALF)
    assert near(shown(process, riff(head(0), *LOSSY_CLEAR)), PLAIN)
    assert near(shown(process, riff(*EXACT_CLEAR)), HALF)
    assert near(shown(process, riff(head(ALPHA), *EXACT_CLEAR)), HALF)


@pytest.mark.parametrize("size", [0, 10, 1_000_000, 2**32 - 1, 47])
def test_the_length_of_the_whole_does_not_count(process: Process, size: int) -> None:
    assert near(shown(process, riff(LOSSY, size=size)), PLAIN)
    assert near(shown(process, riff(head(EXIF), LOSSY, TOLD[0], size=size)), PLAIN)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5000, 2**31, 2**32 - 1])
@pytest.mark.parametrize("name", [b"EXIF", b"XMP ", b"ICCP", b"JUNK"])
def test_a_chunk_without_pixels_may_have_a_wrong_length(process: Process, name: bytes, length: int) -> None:
    broken = lying(name, length, b"abcdefgh" * 4)
    assert near(shown(process, riff(head(0xFF), broken, LOSSY)), PLAIN)
    assert near(shown(process, riff(head(0xFF), LOSSY, broken)), PLAIN)
    assert near(shown(process, riff(broken, LOSSY)), PLAIN)
    assert near(shown(process, riff(head(0xFF), LOSSY, broken)[:-20]), PLAIN)


def test_chunks_in_any_order_and_number(process: Process) -> None:
    for chunks in (
        [JUNK, LOSSY], [LOSSY, JUNK], [head(0), head(0), LOSSY], [head(0), *TOLD, *TOLD, LOSSY, *TOLD],
        [LOSSY, EXACT_CLEAR[0]],
        [(b"VP8X", head(0)[1][:6]), LOSSY], [(b"VP8X", head(0)[1] + b"\0\0"), LOSSY], [(b"VP8X", b""), LOSSY],
    ):  # fmt: skip
        assert near(shown(process, riff(*chunks)), PLAIN)
    for rest in (b"trailing", bytes(9), b"\xff" * 100):
        assert near(shown(process, riff(LOSSY) + rest), PLAIN)


FRAMES = [Image.new("RGBA", (16, 16), color) for color in ((200, 100, 50, 255), (0, 255, 0, 255), (0, 0, 255, 255))]
MOVES = chunks_of(
    saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], duration=100, loop=3, lossless=True)
)
ANIM = next(chunk for chunk in MOVES if chunk[0] == b"ANIM")
ANMF = [chunk for chunk in MOVES if chunk[0] == b"ANMF"]


@pytest.mark.parametrize(
    ("body", "frames", "loop"),
    [
        (riff(head(MOVING | ALPHA), ANIM, *ANMF), 3, 3),
        (riff(head(ALPHA), ANIM, *ANMF), 3, 3),
        (riff(ANIM, *ANMF), 3, 3),
        (riff(*ANMF), 3, 0),
        (riff(head(MOVING), *ANMF), 3, 0),
        (riff(head(MOVING), (b"ANIM", b"ab"), *ANMF), 3, 0),
        (riff(head(MOVING, 8, 8), ANIM, *ANMF), 3, 3),
        (riff(head(MOVING), ANIM, ANMF[0], *TOLD, JUNK, ANMF[1], JUNK, ANMF[2]), 3, 3),
        (riff(head(MOVING), ANIM, *ANMF, lying(b"EXIF", 9999, b"a")), 3, 3),
        (riff(head(MOVING), ANIM, *ANMF, LOSSY), 3, 3),
        (riff(head(MOVING), ANIM, LOSSY, *ANMF), 3, 3),
        (riff(head(MOVING), ANIM, *ANMF[:2], lying(*ANMF[2][:1], 9999, ANMF[2][1])), 2, 3),
        (riff(head(MOVING), ANIM, *ANMF[:2], (b"ANMF", b"abc")), 2, 3),
    ],
)
def test_an_animation_is_played_whatever_its_container_says(
    process: Process, body: bytes, frames: int, loop: int
) -> None:
    processed, out = process(body, LOSSLESS)
    assert (processed.frames, processed.width, processed.height) == (frames, 16, 16)
    with Image.open(out / "v.webp") as variant:
        assert (variant.n_frames, variant.info["loop"]) == (frames, loop)
        assert near((16, 16, variant.convert("RGBA").getpixel((8, 8))), PLAIN)  # type: ignore[arg-type]


@pytest.mark.parametrize("image", [LOSSY, EXACT], ids=["lossy", "lossless"])
@pytest.mark.parametrize("missing", [1, 2, 10, 20])
def test_a_still_that_is_cut_off_is_refused(process: Process, image: Chunk, missing: int) -> None:
    whole = image[0] + struct.pack("<I", len(image[1])) + image[1]
    for body in (riff(whole), riff(head(EXIF), whole)):
        assert near(shown(process, body), PLAIN)  # without the byte that fills up to two
        with pytest.raises(ImageError) as failure:
            process(body[:-missing], LOSSLESS)
        assert failure.value.code == "corrupt_image"
