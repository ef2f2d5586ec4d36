"""Animations: GIF, PNG and WebP."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from PIL import Image, ImageChops, ImageStat

from app.domain.errors import ImageError
from app.domain.models import Format
from app.domain.recipe import Fit, VariantSpec
from app.worker.render import encode
from tests.samples import photo
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import apng, saved

RECIPE = recipe_of(
    VariantSpec(name="thumb", width=20, height=20, fit=Fit.COVER),
    VariantSpec(name="w40", width=40, formats=(Format.WEBP, Format.JPEG)),
)
COLORS = ("red", "lime", "blue", "white")


def animation(file_format: str, frames: int = 4, loop: int | None = 0, size: tuple[int, int] = (80, 60)) -> bytes:
    pictures = [Image.new("RGB", size, COLORS[i % 4]) for i in range(frames)]
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
def test_an_animation_stays_one(process: Process, file_format: str) -> None:
    processed, out = process(animation(file_format), RECIPE)
    assert processed.frames == 4
    for name, size in (("thumb.webp", (20, 20)), ("w40.webp", (40, 30))):
        with Image.open(out / name) as image:
            assert (image.n_frames, image.size, image.info["loop"]) == (4, size, 0)
            for index, color in enumerate(COLORS):
                image.seek(index)
                image.load()
                assert image.info["duration"] == 100 * (index + 1)
                expected = Image.new("RGB", (1, 1), color).getpixel((0, 0))
                found = image.convert("RGB").getpixel((10, 15))
                assert max(abs(a - b) for a, b in zip(expected, found, strict=True)) < 12
    with Image.open(out / "w40.jpg") as still:
        assert getattr(still, "n_frames", 1) == 1


@pytest.mark.parametrize(("loop", "shown"), [(None, 1), (0, 0), (2, 3)])
def test_a_gif_is_shown_as_often_as_it_said(process: Process, loop: int | None, shown: int) -> None:
    _, out = process(animation("GIF", loop=loop), RECIPE)
    with Image.open(out / "w40.webp") as image:
        assert image.info["loop"] == shown


def frames_made(process: Process, body: bytes, **options: int) -> tuple[int, int]:
    """Frames in the record, and in a variant."""
    processed, out = process(body, RECIPE, **options)
    file = next(variant.file for variant in processed.variants if variant.name == "w40")
    with Image.open(out / file) as image:
        return processed.frames, image.n_frames


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
def test_too_many_frames_make_a_still(process: Process, file_format: str) -> None:
    assert frames_made(process, animation(file_format, 8), max_frames=8) == (8, 8)
    assert frames_made(process, animation(file_format, 8), max_frames=7) == (8, 1)


def test_too_many_pixels_over_all_frames_make_a_still(process: Process) -> None:
    body = animation("GIF")
    assert frames_made(process, body, max_pixels=4 * 80 * 60) == (4, 4)
    assert frames_made(process, body, max_pixels=4 * 80 * 60 - 1) == (4, 1)


def test_a_broken_later_frame_makes_a_still(process: Process) -> None:
    body = animation("PNG")
    at = body.rindex(b"fdAT")
    broken = body[: at + 8] + b"\xff" * 40 + body[at + 48 :]
    assert frames_made(process, broken)[1] == 1


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_with_a_broken_later_frame_is_a_still_of_its_first(process: Process, lossless: bool) -> None:
    first, *rest = (photo(80, 60, seed) for seed in range(3))
    body = saved(first, "WEBP", save_all=True, append_images=rest, duration=100, lossless=lossless, quality=90)
    at = body.rindex(b"VP8L" if lossless else b"VP8 ") + 18
    processed, out = process(body[:at] + b"\xff" * 50 + body[at + 50 :], RECIPE)
    assert processed.frames == 3
    with Image.open(out / "w40.webp") as still:
        assert still.n_frames == 1
        away = [ImageStat.Stat(ImageChops.difference(still, one.resize((40, 30)))).mean for one in (first, *rest)]
        assert max(away[0]) < 12
        assert min(max(away[1]), max(away[2])) > 40


def test_a_webp_that_is_cut_off_moves_as_far_as_its_frames_are_whole(process: Process) -> None:
    body = animation("WEBP")
    starts = [at for at in range(len(body)) if body[at : at + 4] == b"ANMF"]
    assert len(starts) == 4
    second, third, fourth = starts[1:]
    for whole, end in ((3, len(body) - 1), (3, fourth + 20), (2, third + 30), (1, second + 4), (1, second)):
        assert frames_made(process, body[:end]) == (whole, whole)
    with pytest.raises(ImageError) as failure:
        process(body[: starts[1] - 3], RECIPE)
    assert failure.value.code == "corrupt_image"


def test_ten_thousand_frames_are_counted_quickly(process: Process) -> None:
    whole = animation("GIF", 4, size=(8, 8))
    start = whole.index(b"\x21\xf9")
    body = whole[:start] + whole[start:-1] * 2500 + b";"
    assert frames_made(process, body) == (10_000, 1)


def test_a_gif_that_is_cut_off_in_a_later_frame_is_a_still_of_its_first(process: Process) -> None:
    body = animation("GIF", size=(300, 200))
    cut = body[: body.rindex(b"\x21\xf9") + 40]
    assert frames_made(process, cut)[1] == 1


PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
RED, GREEN, BLUE, WHITE = ((*color, 255) for color in PALETTE)
CLEAR = (0, 0, 0, 0)
ONE = recipe_of(VariantSpec(name="v", width=16))
Seen = Callable[..., list[list[tuple[int, ...]]]]


class Patch(NamedTuple):
    """A frame of one color, by its index: left, top, and its side; the transparent index; its disposal."""

    index: int
    at: int = 0
    side: int = 16
    clear: int | None = None
    disposal: int = 0


def gif_of(patches: Sequence[Patch]) -> bytes:
    """16 × 16 pixels. Every pixel is a code of three bits; clear codes keep them from getting longer."""
    body = b"GIF89a" + struct.pack("<HHBBB", 16, 16, 0x81, 0, 0) + bytes(part for color in PALETTE for part in color)
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
def seen(process: Process, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """For each frame that is to be encoded, its colors at some points of its diagonal."""
    given: list[Image.Image] = []
    write = encode.write_animation

    def watched(frames: Sequence[Image.Image], *others: Any) -> int:
        given.extend(frames)
        return write(frames, *others)

    def run(body: bytes, *points: int) -> list[list[tuple[int, ...]]]:
        given.clear()
        process(body, ONE)
        return [[pixel(frame, point) for point in points] for frame in given]

    monkeypatch.setattr(encode, "write_animation", watched)
    return run


def pixel(frame: Image.Image, point: int) -> tuple[int, ...]:
    found = frame.convert("RGBA").getpixel((point, point))
    return found if isinstance(found, tuple) and found[3] else CLEAR


@pytest.mark.parametrize("clear", [None, 3])
def test_the_transparent_index_of_the_first_frame_of_a_gif_may_be_a_color_in_the_next(
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


@pytest.mark.parametrize("clear", [None, 3], ids=["no color transparent", "one transparent"])
@pytest.mark.parametrize("first", [0, 1], ids=["after the first", "from the first"])
def test_a_frame_of_a_gif_is_taken_away_to_nothing(seen: Seen, first: int, clear: int | None) -> None:
    """As browsers do, which ignore the background color; here it is red."""
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
def test_nothing_is_around_the_only_frame_of_a_gif(process: Process, at: int, side: int) -> None:
    """As when a part is cut out and the canvas kept."""
    processed, out = process(
        gif_of([Patch(1, at, side)]), recipe_of(VariantSpec(name="v", formats=(Format.PNG,), width=16))
    )
    assert processed.has_alpha == (side < 16)
    with Image.open(out / "v.png") as still:
        assert [pixel(still, point) for point in (1, 6, 14)] == [
            GREEN if at <= point < at + side else CLEAR for point in (1, 6, 14)
        ]


KEEP, CLEARS, UNDO = 0, 1, 2
SOURCE, OVER = 0, 1
HALF = (0, 0, 255, 128)


def patch(color: tuple[int, ...], side: int = 16) -> Image.Image:
    return Image.new("RGBA", (side, side), color)


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
            return patch(colors[index], side).convert(mode)
        indexed = Image.new("P", (side, side), index)
        indexed.putpalette([part for color in PALETTE for part in color])
        return indexed

    colors = [RED, GREEN, BLUE, WHITE]
    one, two, three, four = [
        colors[index] if mode != "L" else (*[patch(colors[index]).convert("L").getpixel((0, 0))] * 3, 255)
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


def test_the_transparent_color_of_a_moving_png(seen: Seen) -> None:
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


def still(process: Process, body: bytes, *points: int) -> tuple[int, tuple[int, int], list[tuple[int, ...]]]:
    """Frames and size in the record, and colors of the lossless still."""
    spec = VariantSpec(name="v", formats=(Format.PNG,), width=64)
    processed, out = process(body, recipe_of(spec))
    with Image.open(out / "v.png") as image:
        return processed.frames, (processed.width, processed.height), [pixel(image, point) for point in points]


def test_a_hidden_image_of_a_png_is_never_shown(process: Process) -> None:
    """As in browsers, also when there is one frame only, and when that does not cover the canvas."""
    hidden = patch(RED)
    assert still(process, apng([(patch(GREEN), 0, KEEP, SOURCE)], hidden), 1, 14) == (1, (16, 16), [GREEN, GREEN])
    small = apng([(patch(GREEN, 8), 4, KEEP, SOURCE)], hidden)
    assert still(process, small, 1, 6, 14) == (1, (16, 16), [CLEAR, GREEN, CLEAR])
    gray = apng([(patch(GREEN, 8).convert("L"), 4, KEEP, SOURCE)], hidden.convert("L"))
    tone = patch(GREEN).convert("L").getpixel((0, 0))
    assert still(process, gray, 1, 6, 14) == (1, (16, 16), [CLEAR, (tone, tone, tone, 255), CLEAR])
    two = apng([(patch(GREEN), 0, KEEP, SOURCE), (patch(BLUE), 0, KEEP, SOURCE)], hidden)
    assert still(process, two, 1) == (2, (16, 16), [GREEN])


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def joined(chunks: Sequence[tuple[bytes, bytes]], wrong: int | None = None) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ (number == wrong))
        for number, (kind, body) in enumerate(chunks)
    )


Chunks = list[tuple[bytes, bytes]]
THREE = chunks_of(apng([(patch(color), 0, KEEP, SOURCE) for color in (RED, GREEN, BLUE)]))
HEAD, COUNT, FIRST, PIXELS, SECOND, MORE, THIRD, LAST, END = THREE


def changed(chunk: tuple[bytes, bytes], at: int, value: bytes) -> tuple[bytes, bytes]:
    return chunk[0], chunk[1][:at] + value + chunk[1][at + len(value) :]


@pytest.mark.parametrize(
    ("chunks", "wrong", "frames"),
    [
        (THREE, None, 3),
        ([HEAD, changed(COUNT, 0, struct.pack(">I", 9)), *THREE[2:]], None, 3),
        ([HEAD, changed(COUNT, 0, struct.pack(">I", 2)), *THREE[2:]], None, 2),
        ([HEAD, changed(COUNT, 0, bytes(4)), *THREE[2:]], None, 1),
        ([HEAD, changed(COUNT, 0, b"\x80\0\0\1"), *THREE[2:]], None, 1),
        ([*THREE[:5], changed(THIRD, 0, b"\0\0\0\2"), changed(LAST, 0, b"\0\0\0\3"), END], None, 2),
        ([HEAD, *THREE[2:]], None, 1),
        ([HEAD, FIRST, PIXELS, COUNT, *THREE[4:]], None, 1),
        ([HEAD, COUNT, changed(COUNT, 0, b"\0\0\0\1"), *THREE[2:]], None, 3),
        ([HEAD, (COUNT[0], COUNT[1] + b"x"), *THREE[2:]], None, 1),
        (THREE, 1, 1),
        (THREE, 4, 1),
        (THREE, 6, 2),
        (THREE, 7, 3),
        ([*THREE[:6], changed(THIRD, 0, struct.pack(">I", 7)), LAST, END], None, 2),
        ([*THREE[:6], changed(THIRD, 4, struct.pack(">I", 17)), LAST, END], None, 2),
        ([*THREE[:6], changed(THIRD, 12, struct.pack(">I", 1)), LAST, END], None, 2),
        ([*THREE[:6], changed(THIRD, 8, bytes(4)), LAST, END], None, 2),
        ([*THREE[:6], changed(THIRD, 24, b"\3"), LAST, END], None, 2),
        ([*THREE[:6], (THIRD[0], THIRD[1][:20]), LAST, END], None, 2),
        ([*THREE[:6], THIRD, (b"fdAT", b"\0"), END], None, 2),
        ([HEAD, COUNT, changed(FIRST, 4, struct.pack(">I", 8)), *THREE[3:]], None, 1),
        (THREE[:4], None, 1),
    ],
)  # fmt: skip
def test_an_animated_png_is_played_up_to_what_makes_no_sense(
    process: Process, chunks: Chunks, wrong: int | None, frames: int
) -> None:
    """As in Chromium; with fewer than two frames it is a still of its first."""
    assert still(process, joined(chunks, wrong), 1) == (frames, (16, 16), [RED])
    assert frames_made(process, joined(chunks, wrong)) == (frames, frames)


def test_the_checksums_of_frames_do_not_count(process: Process) -> None:
    chunks = [
        (kind, body[:-1] + bytes([body[-1] ^ 1])) if kind in {b"IDAT", b"fdAT"} else (kind, body)
        for kind, body in THREE
    ]
    assert frames_made(process, joined(chunks)) == (3, 3)


def test_a_later_frame_of_a_gif_is_cut_at_the_edge_of_the_canvas(seen: Seen) -> None:
    """Of the canvas that the file says, or that the first frame makes larger."""
    assert seen(
        gif_of([Patch(1), Patch(2, 8, 16), Patch(0, 20, 4), Patch(3, 12, 8, None, 2), Patch(0, 0, 4)]), 1, 14
    ) == [
        [GREEN, GREEN],
        [GREEN, BLUE],
        [GREEN, BLUE],
        [GREEN, WHITE],
        [RED, CLEAR],
    ]


def test_the_first_frame_of_a_gif_makes_the_canvas_larger(process: Process) -> None:
    body = gif_of([Patch(1, 8, 20), Patch(2, 0, 12)])
    assert still(process, body, 1, 10, 26) == (2, (28, 28), [CLEAR, GREEN, GREEN])
    assert frames_made(process, body) == (2, 2)
    assert still(process, gif_of([Patch(1)]).replace(struct.pack("<HH", 16, 16), bytes(4), 1), 1) == (
        1,
        (16, 16),
        [GREEN],
    )


FRAME = gif_of([Patch(1)])
AFTER_COLORS = 13 + 12
CONTROL = FRAME.index(b"!\xf9")
PICTURE = FRAME[CONTROL + 8 : -1]


@pytest.mark.parametrize(
    "between",
    [
        b"!\xf9\2\1\0\0", b"!\xf9\0", b"!\xf9\6\1\x0a\0\1\0\0\0", b"!\xf9\4\1\x0a\0\1\1\0\0", b"!\xfe\5hello\0",
        b"!\xfe\0", b"!\xff\3abc\0", b"!\xff\x0bNETSCAPE2.0\1\1\0", b"!\xff\x0bNETSCAPE2.0\0",
        b"!\xff\x0bXMP DataXMP\0",
        b"!\x01\x0c" + bytes(12) + b"\2hi\0", b"!\0\0", b"!\xab\xff" + bytes(255) + b"\0", b"!\xfe\1a\0" * 300,
        b"," + bytes(9) + b"\2\1\x2c\0",
    ],
)  # fmt: skip
def test_a_broken_extension_of_a_gif_is_dropped(process: Process, between: bytes) -> None:
    for body in (FRAME[:AFTER_COLORS], FRAME[:CONTROL]):
        assert still(process, body + between + PICTURE + b";", 1) == (1, (16, 16), [GREEN])
    moving = FRAME[:-1] + between + gif_of([Patch(2)])[CONTROL:-1]
    assert frames_made(process, moving + b";") == (2, 2)
    assert frames_made(process, moving) == (2, 2)


def test_bytes_after_the_blocks_of_a_gif_do_not_count(process: Process) -> None:
    for rest in (b"", b"\0\0junk", b"junk", b";" + FRAME, b"!\xfe\x40cut", b"!", b",", b",\0\0\0"):
        assert still(process, FRAME[:-1] + rest, 1) == (1, (16, 16), [GREEN])
    assert still(process, FRAME[:-2], 1) == (1, (16, 16), [GREEN])


@pytest.mark.parametrize("missing", [12, 40, 100])
def test_a_gif_that_lacks_rows_is_refused(process: Process, missing: int) -> None:
    with pytest.raises(ImageError) as failure:
        process(FRAME[:-missing], RECIPE)
    assert failure.value.code == "corrupt_image"


def test_a_gif_without_a_frame_is_refused(process: Process) -> None:
    for body in (
        FRAME[:CONTROL] + b";",
        FRAME[:CONTROL],
        FRAME[:CONTROL] + b"," + bytes(9) + b"\2\1\x2c\0;" + bytes(40),
    ):
        with pytest.raises(ImageError) as failure:
            process(body, RECIPE)
        assert failure.value.code == "corrupt_image"
