"""TIFF: the whole image and not a thumbnail, right pixels of every layout, and names for kinds that are not decoded.

The layouts were compared with libvips and tifffile. Decided here: of a file with several images the first counts that
is no reduced image and no mask; cameras' raw files are refused, since all that can be decoded of them is a thumbnail.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from PIL import Image

from app.domain.errors import ImageError
from app.domain.models import Format
from app.domain.recipe import VariantSpec
from tests.samples import photo
from tests.worker.conftest import Process, recipe_of
from tests.worker.decode.tiffs import Page, tiff_of
from tests.worker.files import saved

LOSSLESS = recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,)))
SIDE = 24
#: Top left, top right and bottom left: red to the right, green down, blue in the middle of both.
POINTS = ((0, 0), (SIDE - 1, 0), (0, SIDE - 1))
Pixel = tuple[float, ...]


def ramp(x: int, y: int) -> Pixel:
    return x / (SIDE - 1), y / (SIDE - 1), (x + y) / (2 * SIDE - 2)


def rgba(x: int, y: int) -> Pixel:
    return (*ramp(x, y), 0.5)


def samples(pixel: Callable[[int, int], Pixel], bits: int, order: str, *, planes: bool = False) -> list[bytes]:
    """The strips of an image: all of it, or one for each sample."""
    letter = {8: "B", 16: "H", 32: "I"}[bits]
    pixels = [[round(value * (2**bits - 1)) for value in pixel(x, y)] for y in range(SIDE) for x in range(SIDE)]
    if planes:
        return [struct.pack(f"{order}{len(pixels)}{letter}", *plane) for plane in zip(*pixels, strict=True)]
    flat = [value for values in pixels for value in values]
    return [struct.pack(f"{order}{len(flat)}{letter}", *flat)]


def layout(
    pixel: Callable[[int, int], Pixel], bits: int, order: str = "<", *, planes: bool = False, packed: bool = False,
    big: bool = False, **tags: Any,
) -> bytes:  # fmt: skip
    strips = samples(pixel, bits, order, planes=planes)
    count = len(pixel(0, 0))
    fixed = {
        256: SIDE, 257: SIDE, 258: [bits] * count, 259: 8 if packed else 1, 262: 2 if count > 2 else 1, 277: count,
        278: SIDE, 284: 2 if planes else 1,
    }  # fmt: skip
    given = {int(name[1:]): value for name, value in tags.items()}
    return tiff_of(Page(fixed | given, [zlib.compress(s) if packed else s for s in strips]), order=order, big=big)


@pytest.fixture
def shown(process: Process) -> Callable[..., list[tuple[int, ...]]]:
    def run(body: bytes, points: Sequence[tuple[int, int]] = POINTS, mode: str = "RGBA") -> list[tuple[int, ...]]:
        _, out = process(body, LOSSLESS)
        with Image.open(out / "v.png") as image:
            found = image.convert(mode)
            return [pixel if isinstance(pixel := found.getpixel(at), tuple) else (pixel,) for at in points]  # type: ignore[misc]

    return run


Shown = Callable[..., list[tuple[int, ...]]]


def near(found: Sequence[tuple[int, ...]], expected: Sequence[tuple[int, ...]], most: int = 2) -> bool:
    return all(
        abs(a - b) <= most for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True)
    )


RAMP = [(0, 0, 0, 255), (255, 0, 128, 255), (0, 255, 128, 255)]


@pytest.mark.parametrize("packed", [False, True], ids=["uncompressed", "deflated"])
@pytest.mark.parametrize("planes", [False, True], ids=["pixels", "planes"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["II", "MM"])
@pytest.mark.parametrize("bits", [8, 16])
def test_colors_of_every_layout(shown: Shown, bits: int, order: str, planes: bool, packed: bool) -> None:
    given: dict[str, Any] = {"order": order, "planes": planes, "packed": packed}
    half = [(*color[:3], 128) for color in RAMP]
    assert near(shown(layout(ramp, bits, **given)), RAMP)
    assert near(shown(layout(ramp, bits, big=True, **given)), RAMP)
    assert near(shown(layout(rgba, bits, t338=2, **given)), half)
    assert near(shown(layout(rgba, bits, t338=0, **given)), RAMP)
    premultiplied = layout(lambda x, y: (*(value / 2 for value in ramp(x, y)), 0.5), bits, t338=1, **given)
    assert near(shown(premultiplied), half)
    ink = layout(lambda x, y: (*(1 - value for value in ramp(x, y)), 0), bits, t262=5, **given)
    assert near(shown(ink), RAMP)
    extra = layout(lambda x, y: (*(1 - value for value in ramp(x, y)), 0, 0.5), 8, t262=5, t338=0, **given)
    assert near(shown(extra), RAMP)


@pytest.mark.parametrize("packed", [False, True], ids=["uncompressed", "deflated"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["II", "MM"])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_grays_of_every_depth(shown: Shown, bits: int, order: str, packed: bool) -> None:
    """Also when 0 is white, and of 32 bits without a sign, whose upper half is negative in Pillow."""
    across = ((0, 0), (12, 0), (SIDE - 1, 0))
    tones = [(0,), (133,), (255,)]
    given: dict[str, Any] = {"order": order, "packed": packed}
    assert near(shown(layout(lambda x, y: ramp(x, y)[:1], bits, **given), across, "L"), tones)
    white = layout(lambda x, y: (1 - ramp(x, y)[0],), bits, t262=0, **given)
    assert near(shown(white, across, "L"), tones)
    unspecified = layout(lambda x, y: (ramp(x, y)[0], 0.3), bits, t338=0, planes=True, **given)
    assert near(shown(unspecified, across, "L"), tones)


@pytest.mark.parametrize("order", ["<", ">"], ids=["II", "MM"])
@pytest.mark.parametrize("white", [False, True])
def test_floating_point_grays(shown: Shown, order: str, white: bool) -> None:
    values = [x / (SIDE - 1) for _ in range(SIDE) for x in range(SIDE)]
    strip = struct.pack(f"{order}{len(values)}f", *values)
    tags = {256: SIDE, 257: SIDE, 258: 32, 259: 1, 262: 0 if white else 1, 277: 1, 278: SIDE, 339: 3}
    found = shown(tiff_of(Page(tags, [strip]), order=order), ((0, 0), (12, 0), (SIDE - 1, 0)), "L")
    assert near(found, [(255,), (122,), (0,)] if white else [(0,), (133,), (255,)])


@pytest.mark.parametrize("half", [False, True])
def test_uncompressed_ycbcr(shown: Shown, half: bool) -> None:
    """Luma in squares of four with one pair of differences, or all of them."""
    size = 2 if half else 1
    strip = b"".join(
        bytes([128] * size * size) + bytes([90, 200]) for _ in range(SIDE // size) for _ in range(SIDE // size)
    )
    tags = {256: SIDE, 257: SIDE, 258: [8] * 3, 259: 1, 262: 6, 277: 3, 278: SIDE, 530: [size, size]}
    assert near(shown(tiff_of(Page(tags, [strip]))), [(229, 90, 61, 255)] * 3, 3)


WHOLE = {256: 48, 257: 36, 258: [8] * 3, 259: 1, 262: 2, 277: 3, 278: 36}
SMALL = {256: 16, 257: 12, 258: [8] * 3, 259: 1, 262: 2, 277: 3, 278: 12}
PICTURE = photo(48, 36)
BIG = Page(WHOLE, [PICTURE.tobytes()])
THUMB = Page({254: 1, **SMALL}, [PICTURE.resize((16, 12)).tobytes()])
PLAIN_THUMB = Page(SMALL, [PICTURE.resize((16, 12)).tobytes()])
MASK = Page({254: 4, 256: 48, 257: 36, 258: 8, 259: 1, 262: 4, 277: 1, 278: 36}, [PICTURE.convert("L").tobytes()])
OLD_THUMB = Page({255: 2, **SMALL}, THUMB.strips)


def under(page: Page, *subs: Page) -> Page:
    return Page(page.tags, page.strips, subs)


@pytest.mark.parametrize("order", ["<", ">"], ids=["II", "MM"])
@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
@pytest.mark.parametrize(
    ("pages", "size"),
    [
        ([THUMB, BIG], (48, 36)),
        ([OLD_THUMB, BIG], (48, 36)),
        ([MASK, BIG], (48, 36)),
        ([THUMB, MASK, THUMB, BIG], (48, 36)),
        ([under(THUMB, BIG)], (48, 36)),
        ([under(THUMB, THUMB, BIG)], (48, 36)),
        ([under(PLAIN_THUMB, BIG)], (48, 36)),
        ([THUMB, under(THUMB, BIG)], (48, 36)),
        ([BIG, THUMB], (48, 36)),
        ([under(BIG, THUMB), THUMB], (48, 36)),
        ([PLAIN_THUMB, BIG], (16, 12)),  # pages, of which the first is shown
        ([THUMB, THUMB], (16, 12)),
        ([THUMB], (16, 12)),
    ],
)
def test_the_whole_image_is_shown_and_not_its_thumbnail(
    process: Process, pages: list[Page], size: tuple[int, int], big: bool, order: str
) -> None:
    processed, out = process(tiff_of(*pages, order=order, big=big), LOSSLESS)
    assert (processed.width, processed.height) == size
    with Image.open(out / "v.png") as image:
        assert image.convert("RGB").tobytes() == (PICTURE if size == (48, 36) else PICTURE.resize((16, 12))).tobytes()


def refused(process: Process, body: bytes) -> tuple[str, str]:
    with pytest.raises(ImageError) as failure:
        process(body, LOSSLESS)
    return failure.value.code, failure.value.detail


SENSOR = Page({254: 0, 256: 48, 257: 36, 258: 8, 259: 1, 262: 32803, 277: 1}, [PICTURE.convert("L").tobytes()])


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (tiff_of(Page({**THUMB.tags, 50706: b"\1\4\0\0"}, THUMB.strips, [SENSOR])), "raw file (DNG)"),
        (tiff_of(under(THUMB, SENSOR)), "raw file,"),
        (tiff_of(THUMB, SENSOR, order=">"), "raw file,"),
        (tiff_of(THUMB, Page({**SENSOR.tags, 259: 34713, 262: 1}, SENSOR.strips)), "raw file (NEF)"),
        (tiff_of(THUMB, Page({**SENSOR.tags, 259: 32767, 262: 1}, SENSOR.strips)), "raw file (ARW)"),
        (tiff_of(THUMB, Page({**SENSOR.tags, 259: 65535, 262: 1}, SENSOR.strips)), "raw file (PEF)"),
        (tiff_of(Page({**SENSOR.tags, 262: 34892}, SENSOR.strips)), "raw file,"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(4) + tiff_of(THUMB)[16:], "raw file (CR2)"),
    ],
)
def test_a_raw_file_is_refused_by_name(process: Process, body: bytes, name: str) -> None:
    if body[8:10] == b"CR":
        body = body[:4] + tiff_of(THUMB)[4:8] + body[8:]
    code, detail = refused(process, body)
    assert code == "unsupported_image"
    assert name in detail


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({259: 50001}, "RGB, 3 samples of 8 bits, WebP"),
        ({259: 34712}, "JPEG 2000"),
        ({259: 50002}, "JPEG XL"),
        ({259: 34887}, "LERC"),
        ({259: 12345}, "compression 12345"),
        ({258: [32] * 3, 339: [3] * 3}, "3 floating-point samples of 32 bits"),
        ({258: 64, 277: 1, 262: 1, 339: 3}, "gray, 1 floating-point sample of 64 bits"),
        ({258: 16, 277: 1, 262: 1, 339: 3}, "gray, 1 floating-point sample of 16 bits"),
        ({258: [16] * 3, 262: 8}, "CIE Lab"),
        ({258: 10, 277: 1, 262: 1}, "1 sample of 10 bits"),
        ({258: [8, 8], 277: 2, 262: 1, 338: 2, 284: 2}, "in planes"),
        ({262: 32845}, "LogLuv"),
        ({258: [8] * 7, 277: 7}, "7 samples"),
    ],
)
def test_a_kind_that_is_not_decoded_is_named(process: Process, changes: dict[int, Any], name: str) -> None:
    code, detail = refused(process, tiff_of(Page({**WHOLE, **changes}, BIG.strips)))
    assert code == "unsupported_image"
    assert name in detail


WILD = 2**31 + 5
METADATA = (
    270,
    271,
    272,
    282,
    283,
    296,
    305,
    306,
    315,
    330,
    700,
    33432,
    33723,
    34377,
    34665,
    34675,
    34853,
    40965,
    50341,
)


@pytest.mark.parametrize(
    "raw",
    [
        (7, 2**31, WILD),
        (5, 9, 3),
        (2, 5000, 100),
        (99, 1, 1),
        (0, 0, 0),
        (12, 1, 8),
        (4, 1, 8),
        (4, 1, WILD),
        (13, 3, 0),
    ],
)
@pytest.mark.parametrize("tag", METADATA)
@pytest.mark.slow
def test_a_tag_that_pixels_do_not_need_makes_no_image_fail(
    process: Process, tag: int, raw: tuple[int, int, int]
) -> None:
    """Of a wrong type, count or place."""
    _, out = process(tiff_of(Page(WHOLE, BIG.strips, raw={tag: raw})), LOSSLESS)
    with Image.open(out / "v.png") as image:
        assert image.convert("RGB").tobytes() == PICTURE.tobytes()


def test_directories_that_lead_in_a_circle_are_read_once(process: Process) -> None:
    for follows in (2, 8, 16, 1_000_000, 2**32 - 1):
        for page in (
            Page(WHOLE, BIG.strips, next=follows),
            Page({**WHOLE, 34665: 16, 34853: 16, 330: [16, 8]}, BIG.strips),
        ):
            processed, _ = process(tiff_of(page), LOSSLESS)
            assert processed.width == 48
    looped = tiff_of(BIG)
    itself = int.from_bytes(looped[4:8], "little")
    assert process(looped[:-4] + struct.pack("<I", itself), LOSSLESS)[0].width == 48


@pytest.mark.parametrize("order", ["<", ">"], ids=["II", "MM"])
@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
def test_metadata_of_a_tiff_is_read(process: Process, big: bool, order: str) -> None:
    tags = {271: "Acme", 272: "Rusty", 315: "Ann", 33432: "Bo", 700: b"<x:xmpmeta/>", 274: 6}
    thumb_first = tiff_of(Page({**THUMB.tags, **tags}, THUMB.strips), BIG, order=order, big=big)
    for body in (thumb_first, tiff_of(Page({**WHOLE, **tags}, BIG.strips), order=order, big=big)):
        processed, _ = process(body, LOSSLESS)
        assert processed.camera == "Acme Rusty"
        assert (processed.rights.artist, processed.rights.copyright) == ("Ann", "Bo")
        assert (processed.width, processed.height) == (36, 48)  # turned


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"])
def test_a_tiff_that_lacks_rows_is_refused(process: Process, compression: str) -> None:
    noise = Image.merge("RGB", [Image.effect_noise((200, 150), 90)] * 3)
    body = saved(noise, "TIFF", compression=compression)
    if int.from_bytes(body[4:8], "little") < len(body) // 2:
        for missing in (20, 3000):
            assert refused(process, body[:-missing])[0] == "corrupt_image"
    else:  # the directory comes last
        page = Page({256: 200, 257: 150, 258: [8] * 3, 259: 1, 262: 2, 277: 3, 278: 150, 273: 200_000, 279: 90_000})
        assert refused(process, tiff_of(page).ljust(200_000 + 89_000, b"x"))[0] == "corrupt_image"


def test_the_decoders_copy_of_a_file_that_was_cut_off_holds_nothing_behind_it(process: Process) -> None:
    page = Page({**WHOLE, 273: 1_000, 279: 48 * 36 * 3})
    assert process(tiff_of(page).ljust(1_000 + 48 * 36 * 3, b"x"), LOSSLESS)[0].width == 48
    assert refused(process, tiff_of(page).ljust(1_000 + 48 * 36 * 3 - 1, b"x"))[0] == "corrupt_image"


@pytest.mark.parametrize("lacking", [256, 257, 273])
def test_a_tiff_that_does_not_say_where_its_pixels_are_is_refused(process: Process, lacking: int) -> None:
    tags = {tag: value for tag, value in {**WHOLE, 273: 16, 279: 5184}.items() if tag != lacking}
    assert refused(process, tiff_of(Page(tags)))[0] == "corrupt_image"
    assert refused(process, b"II*\0\0\0\0\0" + bytes(80))[0] == "corrupt_image"
    assert refused(process, b"MM\0*\xff\xff\xff\xff" + bytes(80))[0] == "corrupt_image"
