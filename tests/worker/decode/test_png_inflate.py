"""The pixels of PNGs, in one thread and in two: the same pixels and texts, and the same files are called damaged.

Decided here: a PNG is accepted when every row of it can be inflated. Its checksums do not count, neither that of the
stream nor those of its chunks, and what follows the last row may be missing.
"""

import io
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from app.domain.errors import ImageError
from app.worker.decode.formats import load_pixels, open_image

SIZE = (1250, 900)
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
_Change = Callable[[bytes], bytes]


@cache
def _picture(mode: str) -> Image.Image:
    red = Image.linear_gradient("L").resize(SIZE)
    grain = Image.effect_noise(SIZE, 40)
    if mode in {"1", "L"}:
        return grain.convert(mode)
    if mode == "I;16":
        return red.convert("I").point(lambda tone: tone * 257).convert("I;16")
    if mode == "P":
        return Image.merge("RGB", (red, grain, red)).quantize(200)
    return Image.merge("RGBA", (red, grain, red.transpose(Image.Transpose.ROTATE_180), grain)).convert(mode)


@cache
def _png(mode: str = "L") -> bytes:
    told = PngImagePlugin.PngInfo()
    told.add_text("Author", "Ann", zip=False)
    body = io.BytesIO()
    _picture(mode).save(body, "PNG", pnginfo=told, compress_level=1)
    return body.getvalue()


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def _joined(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in chunks
    )


def _with_stream(png: bytes, stream: bytes, sizes: int = 5000) -> bytes:
    """The same with other compressed pixels, in chunks of that size, an empty one between, and a text after them."""
    before = [(kind, data) for kind, data in _chunks(png) if kind == b"IHDR"]
    pixels = [(b"IDAT", stream[at : at + sizes]) for at in range(0, len(stream), sizes)]
    return _joined([*before, *pixels[:1], (b"IDAT", b""), *pixels[1:], (b"tEXt", b"Copyright\0Bo"), (b"IEND", b"")])


def _stream(png: bytes) -> bytes:
    return b"".join(data for kind, data in _chunks(png) if kind == b"IDAT")


def _with_more_rows(stream: bytes) -> bytes:
    return zlib.compress(zlib.decompress(stream) + bytes(range(256)) * 40, 1)


def _interlaced(png: bytes) -> bytes:
    """The seven passes (PNG, 8.2) of an image of 8-bit gray, without filters."""
    gray = Image.open(io.BytesIO(png))
    pixels = gray.tobytes()
    rows = [
        b"\0" + pixels[y * gray.width + left : (y + 1) * gray.width : across]
        for left, top, across, down in _PASSES
        for y in range(top, gray.height, down)
    ]
    header = _chunks(png)[0][1]
    return _joined([(b"IHDR", header[:12] + b"\1"), (b"IDAT", zlib.compress(b"".join(rows), 1)), (b"IEND", b"")])


def _outcome(path: Path, threads: int) -> tuple[object, ...]:
    try:
        image = load_pixels(open_image(path, "image/png", threads=threads), path)
    except (OSError, SyntaxError, ImageError):
        return ("damaged",)
    with image:
        return image.mode, image.size, dict(image.info), image.tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA"])
@pytest.mark.slow
def test_every_mode_has_the_same_pixels(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(_png(mode))
    alone, shared = _outcome(path, 1), _outcome(path, 2)
    assert alone == shared
    assert alone[3] == _picture(mode).tobytes()


def test_interlaced_pictures_have_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(_interlaced(_png("L")))
    alone, shared = _outcome(path, 1), _outcome(path, 2)
    assert alone == shared
    assert (*alone[:2], alone[3]) == ("L", SIZE, _picture("L").tobytes())


@pytest.mark.parametrize(
    ("change", "damaged"),
    [
        (lambda stream: stream, False),
        (lambda stream: stream[: len(stream) // 2], True),
        (lambda stream: stream[:-4], False),
        (lambda stream: stream[:-1] + bytes([stream[-1] ^ 1]), False),
        (lambda stream: stream[:-2], False),
        (lambda stream: stream[:-8], True),
        (lambda stream: stream[:9000] + b"\xff" * 40 + stream[9040:], True),
        (lambda stream: b"", True),
        (lambda stream: b"\x00" + stream[1:], True),
        (lambda stream: stream + b"what follows", False),
        (lambda stream: zlib.compress(zlib.decompress(stream) + bytes(10_000_000)), False),
        (lambda stream: zlib.compress(zlib.decompress(stream)[:-1], 1), True),
        (lambda stream: zlib.compress(b"\x09" + zlib.decompress(stream)[1:], 1), True),
        (lambda stream: _with_more_rows(stream)[:-1] + b"\0", False),
    ],
    ids=[
        "sound",
        "half",
        "no checksum",
        "wrong checksum",
        "half a checksum",
        "cut in the last row",
        "garbled",
        "empty",
        "no zlib",
        "more after",
        "bomb",
        "short",
        "no such filter",
        "more rows and a wrong checksum",
    ],
)
def test_damaged_streams_are_recognized(change: _Change, *, damaged: bool, tmp_path: Path) -> None:
    png = _png()
    path = tmp_path / "picture.png"
    path.write_bytes(_with_stream(png, change(_stream(png))))
    alone, shared = _outcome(path, 1), _outcome(path, 2)
    assert alone == shared
    assert (alone == ("damaged",)) is damaged


def test_chunks_of_a_byte_cost_what_they_cost_pillow(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(_with_stream(_png("1"), _stream(_png("1")), sizes=1))
    outcomes, seconds = [], []
    for threads in (1, 2):
        started = time.process_time()
        outcomes.append(_outcome(path, threads))
        seconds.append(time.process_time() - started)
    assert outcomes[0] == outcomes[1] != ("damaged",)
    assert seconds[1] < 4 * seconds[0] + 0.3, seconds


@pytest.mark.parametrize("left", [200, 5_000, 400_000])
def test_a_file_that_is_cut_off_is_found_wrong(left: int, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(_png()[:left])
    assert _outcome(path, 2) == _outcome(path, 1) == ("damaged",)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
@pytest.mark.parametrize("missing", [13, 16, 18, 20])
def test_a_file_that_lacks_no_pixel_but_its_end_is_whole(mode: str, missing: int, tmp_path: Path) -> None:
    """Of the file's end the last 12 bytes are a chunk that says so, and the 8 before them checksums."""
    path = tmp_path / "picture.png"
    path.write_bytes(_png(mode)[:-missing])
    alone, shared = _outcome(path, 1), _outcome(path, 2)
    assert alone == shared
    assert alone != ("damaged",)


def test_texts_behind_the_pixels_are_read(tmp_path: Path) -> None:
    png = _png()
    path = tmp_path / "picture.png"
    path.write_bytes(_with_stream(png, _stream(png)))
    with open_image(path, "image/png", threads=2) as image:
        assert image.info["texts"]["Copyright"] == "Bo"


@pytest.mark.parametrize("threads", [1, 2])
def test_a_wrong_checksum_of_a_chunk_of_pixels_does_not_count(threads: int, tmp_path: Path) -> None:
    png = bytearray(_png())
    first = png.index(b"IDAT")
    end = first + 4 + int.from_bytes(png[first - 4 : first])
    png[end : end + 4] = b"\0\0\0\0"
    path = tmp_path / "picture.png"
    path.write_bytes(png)
    assert _outcome(path, threads)[3] == _picture("L").tobytes()
