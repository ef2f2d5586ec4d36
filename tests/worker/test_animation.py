"""Moving pictures."""

import io
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from PIL import Image, ImageChops, ImageStat

from app.domain.errors import PictureError
from app.domain.models import Format
from app.domain.recipe import Fit, VariantSpec
from app.worker import encode
from tests.samples import photo
from tests.worker.conftest import Develop, recipe_of
from tests.worker.files import apng, saved

RECIPE = recipe_of(
    VariantSpec(name="thumb", width=20, height=20, fit=Fit.COVER),
    VariantSpec(name="w40", width=40, formats=(Format.WEBP, Format.JPEG)),
)
COLOURS = ("red", "lime", "blue", "white")


def animation(file_format: str, frames: int = 4, loop: int | None = 0, size: tuple[int, int] = (80, 60)) -> bytes:
    pictures = [Image.new("RGB", size, COLOURS[i % 4]) for i in range(frames)]
    for number, picture in enumerate(pictures):
        picture.putpixel((number % size[0], number // size[0]), (1, 2, 3))  # else encoders merge equal frames
    out = io.BytesIO()
    options = {} if loop is None else {"loop": loop}
    if file_format == "WEBP":
        options["lossless"] = True
    first, *rest = pictures
    first.save(
        out, file_format, save_all=True, append_images=rest, duration=[100, 200, 300, 400] * (frames // 4), **options
    )
    return out.getvalue()


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
def test_an_animation_stays_one(develop: Develop, file_format: str) -> None:
    developed, out = develop(animation(file_format), RECIPE)
    assert developed.frames == 4
    for name, size in (("thumb.webp", (20, 20)), ("w40.webp", (40, 30))):
        with Image.open(out / name) as image:
            assert (image.n_frames, image.size, image.info["loop"]) == (4, size, 0)
            for index, colour in enumerate(COLOURS):
                image.seek(index)
                image.load()
                assert image.info["duration"] == 100 * (index + 1)
                expected = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
                found = image.convert("RGB").getpixel((10, 15))
                assert max(abs(a - b) for a, b in zip(expected, found, strict=True)) < 12
    with Image.open(out / "w40.jpg") as still:
        assert getattr(still, "n_frames", 1) == 1


@pytest.mark.parametrize(("loop", "shown"), [(None, 1), (0, 0), (2, 3)])
def test_a_gif_is_shown_as_often_as_it_said(develop: Develop, loop: int | None, shown: int) -> None:
    _, out = develop(animation("GIF", loop=loop), RECIPE)
    with Image.open(out / "w40.webp") as image:
        assert image.info["loop"] == shown


def frames_made(develop: Develop, body: bytes, **options: int) -> tuple[int, int]:
    """Frames in the record, and in a variant."""
    developed, out = develop(body, RECIPE, **options)
    file = next(variant.file for variant in developed.variants if variant.name == "w40")
    with Image.open(out / file) as image:
        return developed.frames, image.n_frames


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
def test_too_many_frames_make_a_still(develop: Develop, file_format: str) -> None:
    assert frames_made(develop, animation(file_format, 8), max_frames=8) == (8, 8)
    assert frames_made(develop, animation(file_format, 8), max_frames=7) == (8, 1)


def test_too_many_pixels_over_all_frames_make_a_still(develop: Develop) -> None:
    body = animation("GIF")
    assert frames_made(develop, body, max_pixels=4 * 80 * 60) == (4, 4)
    assert frames_made(develop, body, max_pixels=4 * 80 * 60 - 1) == (4, 1)


def test_a_broken_later_frame_makes_a_still(develop: Develop) -> None:
    body = animation("PNG")
    at = body.rindex(b"fdAT")
    broken = body[: at + 8] + b"\xff" * 40 + body[at + 48 :]
    assert frames_made(develop, broken)[1] == 1


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_with_a_broken_later_frame_is_a_still_of_its_first(develop: Develop, lossless: bool) -> None:
    first, *rest = (photo(80, 60, seed) for seed in range(3))
    body = saved(first, "WEBP", save_all=True, append_images=rest, duration=100, lossless=lossless, quality=90)
    at = body.rindex(b"VP8L" if lossless else b"VP8 ") + 18
    developed, out = develop(body[:at] + b"\xff" * 50 + body[at + 50 :], RECIPE)
    assert developed.frames == 3
    with Image.open(out / "w40.webp") as still:
        assert still.n_frames == 1
        away = [ImageStat.Stat(ImageChops.difference(still, one.resize((40, 30)))).mean for one in (first, *rest)]
        assert max(away[0]) < 12
        assert min(max(away[1]), max(away[2])) > 40


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_webp_that_is_cut_off_cannot_be_read_at_all(develop: Develop, share: float) -> None:
    """Its decoder wants all of the file before it tells anything of it."""
    body = animation("WEBP")
    with pytest.raises(PictureError) as failure:
        develop(body[: int(len(body) * share)], RECIPE)
    assert failure.value.code == "corrupt_image"


def test_ten_thousand_frames_are_counted_quickly(develop: Develop) -> None:
    whole = animation("GIF", 4, size=(8, 8))
    start = whole.index(b"\x21\xf9")
    body = whole[:start] + whole[start:-1] * 2500 + b";"
    assert frames_made(develop, body) == (10_000, 1)


def test_a_gif_that_is_cut_off_in_a_later_frame_is_a_still_of_its_first(develop: Develop) -> None:
    body = animation("GIF", size=(300, 200))
    cut = body[: body.rindex(b"\x21\xf9") + 40]
    assert frames_made(develop, cut)[1] == 1


PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
RED, GREEN, BLUE, WHITE = ((*colour, 255) for colour in PALETTE)
CLEAR = (0, 0, 0, 0)
ONE = recipe_of(VariantSpec(name="v", width=16))
Seen = Callable[..., list[list[tuple[int, ...]]]]


class Patch(NamedTuple):
    """A frame of one colour, by its index: left, top, and its side; which index is transparent; how it goes away."""

    index: int
    at: int = 0
    side: int = 16
    clear: int | None = None
    disposal: int = 0


def gif_of(patches: Sequence[Patch]) -> bytes:
    """16 × 16 pixels. Every pixel is a code of three bits, with so many clear codes that they never get longer."""
    body = b"GIF89a" + struct.pack("<HHBBB", 16, 16, 0x81, 0, 0) + bytes(part for colour in PALETTE for part in colour)
    body += b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    for patch in patches:
        flags = patch.disposal << 2 | (patch.clear is not None)
        body += b"!\xf9\x04" + bytes((flags, 10, 0, patch.clear or 0, 0))
        body += b"," + struct.pack("<HHHHB", patch.at, patch.at, patch.side, patch.side, 0)
        codes = [4, patch.index, patch.index] * (patch.side**2 // 2) + [5]
        bits = sum(code << 3 * place for place, code in enumerate(codes))
        data = bits.to_bytes(len(codes) * 3 // 8 + 1, "little")
        blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
        body += b"\x02" + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"
    return body + b";"


@pytest.fixture
def seen(develop: Develop, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """For each frame that is to be encoded, its colours at some points of its diagonal."""
    given: list[Image.Image] = []
    write = encode.write_animation

    def watched(frames: Sequence[Image.Image], *others: Any) -> int:
        given.extend(frames)
        return write(frames, *others)

    def run(body: bytes, *points: int) -> list[list[tuple[int, ...]]]:
        given.clear()
        develop(body, ONE)
        return [[pixel(frame, point) for point in points] for frame in given]

    monkeypatch.setattr(encode, "write_animation", watched)
    return run


def pixel(frame: Image.Image, point: int) -> tuple[int, ...]:
    found = frame.convert("RGBA").getpixel((point, point))
    return found if isinstance(found, tuple) and found[3] else CLEAR


@pytest.mark.parametrize("clear", [None, 3])
def test_what_is_transparent_in_the_first_frame_of_a_gif_may_be_a_colour_in_the_next(
    seen: Seen, clear: int | None
) -> None:
    body = gif_of([Patch(0, clear=1), Patch(1, 4, 8, clear), Patch(2, 0, 4, clear)])
    assert seen(body, 1, 6, 14) == [[RED, RED, RED], [RED, GREEN, RED], [BLUE, GREEN, RED]]


def test_a_frame_of_a_gif_that_says_nothing_of_how_it_goes_away_stays(seen: Seen) -> None:
    body = gif_of([Patch(0, 0, 12, 3), Patch(1, 0, 8, 3, 2), Patch(2, 8, 8, 3), Patch(1, 4, 2, 3, 1)])
    assert seen(body, 1, 5, 14) == [
        [RED, RED, CLEAR],
        [GREEN, GREEN, CLEAR],
        [CLEAR, CLEAR, BLUE],
        [CLEAR, GREEN, BLUE],
    ]


@pytest.mark.parametrize("clear", [None, 3], ids=["no colour transparent", "one transparent"])
@pytest.mark.parametrize("first", [0, 1], ids=["after the first", "from the first"])
def test_a_frame_of_a_gif_is_taken_away_to_nothing(seen: Seen, first: int, clear: int | None) -> None:
    """As browsers do, whatever the background colour, which is red."""
    frames = [Patch(1), Patch(2, 0, 12, clear, 2), Patch(1, 4, 4, clear, 2), Patch(2, 12, 4, clear, 3)]
    shown = [
        [GREEN, GREEN, GREEN, GREEN],
        [BLUE, BLUE, BLUE, GREEN],
        [CLEAR, GREEN, CLEAR, GREEN],
        [CLEAR, CLEAR, CLEAR, BLUE],
        [GREEN, CLEAR, CLEAR, GREEN],
    ]
    if first:
        frames = [frames[1]._replace(side=16), *frames[2:]]
        shown = [[BLUE] * 4, [CLEAR, GREEN, CLEAR, CLEAR], [CLEAR, CLEAR, CLEAR, BLUE], [GREEN, CLEAR, CLEAR, CLEAR]]
    assert seen(gif_of([*frames, Patch(1, 0, 4, clear)]), 2, 6, 10, 14) == shown


def test_the_first_frame_of_a_gif_is_undone_to_nothing(seen: Seen) -> None:
    assert seen(gif_of([Patch(1, disposal=3), Patch(2, 0, 8)]), 2, 14) == [[GREEN, GREEN], [BLUE, CLEAR]]


@pytest.mark.parametrize("disposal", [0, 2, 3])
def test_nothing_is_where_no_frame_of_a_gif_has_been(seen: Seen, disposal: int) -> None:
    after = GREEN if disposal == 0 else CLEAR
    assert seen(gif_of([Patch(1, 4, 8, None, disposal), Patch(2, 0, 6)]), 2, 5, 10, 14) == [
        [CLEAR, GREEN, GREEN, CLEAR],
        [BLUE, BLUE, after, CLEAR],
    ]


@pytest.mark.parametrize(("at", "side"), [(0, 16), (0, 12), (4, 8)])
def test_nothing_is_around_the_only_frame_of_a_gif(develop: Develop, at: int, side: int) -> None:
    """As when a part is cut out and the canvas kept."""
    developed, out = develop(
        gif_of([Patch(1, at, side)]), recipe_of(VariantSpec(name="v", formats=(Format.PNG,), width=16))
    )
    assert developed.has_alpha == (side < 16)
    with Image.open(out / "v.png") as still:
        assert [pixel(still, point) for point in (1, 6, 14)] == [
            GREEN if at <= point < at + side else CLEAR for point in (1, 6, 14)
        ]


KEEP, CLEARS, UNDO = 0, 1, 2
SOURCE, OVER = 0, 1
HALF = (0, 0, 255, 128)


def patch(colour: tuple[int, ...], side: int = 16) -> Image.Image:
    return Image.new("RGBA", (side, side), colour)


@pytest.mark.parametrize("hidden", [None, patch((9, 9, 9, 255))], ids=["all shown", "the first hidden"])
def test_a_png_frame_is_composited_as_its_blending_says(seen: Seen, hidden: Image.Image | None) -> None:
    frames = [
        (patch(RED), 0, KEEP, SOURCE),
        (patch(HALF, 8), 0, KEEP, OVER),
        (patch(HALF, 4), 12, KEEP, SOURCE),
        (patch(HALF, 8), 8, KEEP, OVER),
        (patch(CLEAR, 4), 0, KEEP, OVER),
        (patch(CLEAR, 4), 0, KEEP, SOURCE),
    ]
    mixed, twice = (127, 0, 128, 255), (0, 0, 255, 192)
    assert seen(apng(frames, hidden), 2, 6, 10, 14) == [
        [RED, RED, RED, RED],
        [mixed, mixed, RED, RED],
        [mixed, mixed, RED, HALF],
        [mixed, mixed, mixed, twice],
        [mixed, mixed, mixed, twice],
        [CLEAR, mixed, mixed, twice],
    ]


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "P", "L"])
@pytest.mark.parametrize("hidden", [False, True], ids=["all shown", "the first hidden"])
def test_a_png_frame_goes_away_as_it_says(seen: Seen, hidden: bool, mode: str) -> None:
    """To nothing at all, also where no pixel of the file is transparent; and undone to nothing, if it is the first."""

    def plain(index: int, side: int = 16) -> Image.Image:
        if mode != "P":
            return patch(colours[index], side).convert(mode)
        indexed = Image.new("P", (side, side), index)
        indexed.putpalette([part for colour in PALETTE for part in colour])
        return indexed

    colours = [RED, GREEN, BLUE, WHITE]
    one, two, three, four = [
        colours[index] if mode != "L" else (*[patch(colours[index]).convert("L").getpixel((0, 0))] * 3, 255)
        for index in range(4)
    ]
    frames = [
        (plain(0), 0, KEEP, SOURCE),
        (plain(1, 8), 0, CLEARS, OVER),
        (plain(2, 4), 4, UNDO, OVER),
        (plain(3, 4), 12, UNDO, SOURCE),
        (plain(1, 4), 8, KEEP, SOURCE),
    ]
    shown = [
        [one, one, one, one],
        [two, two, one, one],
        [CLEAR, three, one, one],
        [CLEAR, CLEAR, one, four],
        [CLEAR, CLEAR, two, one],
    ]
    assert seen(apng(frames, plain(3) if hidden else None), 2, 6, 10, 14) == shown
    first, second = (plain(0), 0, UNDO, SOURCE), (plain(1, 8), 4, KEEP, OVER)
    assert seen(apng([first, second], plain(3) if hidden else None), 2, 6, 14)[1] == [CLEAR, two, CLEAR]


def test_the_transparent_colour_of_a_moving_png(seen: Seen) -> None:
    frames = [
        (patch(RED).convert("RGB"), 0, KEEP, SOURCE),
        (patch(GREEN, 8).convert("RGB"), 0, CLEARS, OVER),
        (patch(BLUE, 12).convert("RGB"), 0, KEEP, OVER),
        (patch(BLUE, 12).convert("RGB"), 0, KEEP, SOURCE),
    ]
    assert seen(apng(frames, tRNS=struct.pack(">3H", 0, 0, 255)), 2, 10, 14) == [
        [RED, RED, RED],
        [GREEN, RED, RED],
        [CLEAR, RED, RED],
        [CLEAR, CLEAR, RED],
    ]
