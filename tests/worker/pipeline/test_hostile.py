"""Hostile images through the worker, within the default settings: each has its outcome, and no file is left."""

import csv
import random
import resource
import struct
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from app.domain.limits import Limits
from app.domain.models import Image as Record
from app.domain.models import Status
from app.domain.recipe import DEFAULT_RECIPE
from app.settings import Settings
from app.worker.sandbox.parent import Sandbox
from tests.samples import IMAGES, SHARED, encoded
from tests.sides import self_hosted
from tests.worker.conftest import Bench
from tests.worker.files import png_with, saved


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    table = folder / "expected.csv"
    return {row["file"]: row for row in csv.DictReader(table.read_text().splitlines())} if table.exists() else {}


#: Of a file that is in both folders the word of the tests' own counts.
ROWS = list((rows_of(SHARED) | rows_of(IMAGES)).values())


@pytest.fixture
def bench(tmp_path: Path, production: Sandbox) -> Iterator[Bench]:
    """On files and SQLite: an image has the same effect on its process on every side."""
    for name in ("data", "scratch"):
        (tmp_path / name).mkdir()
    with self_hosted(tmp_path / "data") as side:
        yield Bench(side, tmp_path / "scratch", production)


@pytest.fixture(scope="module")
def production() -> Iterator[Sandbox]:
    settings = Settings()
    made = Sandbox(settings.processing_timeout_seconds, settings.processing_memory_mb)
    made.start()
    yield made
    made.close()


def ending(bench: Bench, production: Sandbox, body: bytes, limits: Limits | None = None) -> Record:
    """The record when the worker is done; checks that a failure leaves no variant and that `ready` has all."""
    image_id = bench.upload(body)
    bench.worker(sandbox=production, recipe=DEFAULT_RECIPE, limits=limits).handle(image_id)
    found = bench.side.images.get(image_id)
    assert isinstance(found, Record)
    objects = {key for key in bench.side.objects() if key.startswith("processed/")}
    expected = {f"processed/{image_id}/{found.rendering_id}/{variant.file}" for variant in found.variants}
    assert objects == expected
    assert bool(expected) == (found.status is Status.READY)
    assert list(bench.scratch.iterdir()) == []
    return found


def file_of(row: dict[str, str]) -> Path:
    return next(path for folder in (IMAGES, SHARED) if (path := folder / row["file"]).exists())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_the_corpus(bench: Bench, production: Sandbox, row: dict[str, str]) -> None:
    found = ending(bench, production, file_of(row).read_bytes())
    if row["expected"] != "either-but-no-crash":
        assert found.status is (Status.READY if row["expected"] == "accept" else Status.FAILED)
    if found.status is Status.FAILED:
        assert found.error
        assert found.error.code in {"corrupt_image", "too_many_pixels", "not_an_image", "unsupported_image"}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    assert peak < Settings().processing_memory_mb + 256


def code(found: Record) -> str:
    return str(found.error.code) if found.error else str(found.status)


def png_header(width: int, height: int) -> bytes:
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
    return head + encoded("PNG", 8, 8)[33:]


@pytest.mark.parametrize("length", [10_001, 60_000, 300_000, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_flood_of_pixels_is_refused_by_its_header(bench: Bench, production: Sandbox, length: int) -> None:
    assert code(ending(bench, production, png_header(length, length))) in {"too_many_pixels", "corrupt_image"}


def test_the_refusal_says_what_was_measured_and_what_the_limit_is(bench: Bench, production: Sandbox) -> None:
    found = ending(bench, production, png_header(10_001, 10_000))
    assert found.error
    assert "100,010,000" in found.error.detail
    assert "100,000,000" in found.error.detail


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"eXIf", b"PLTE", b"tRNS", b"IDAT", b"acTL"])
@pytest.mark.parametrize("length", [2**31 - 1, 2**30, 2**32 - 1])
@pytest.mark.slow
def test_a_chunk_of_an_absurd_length(bench: Bench, production: Sandbox, kind: bytes, length: int) -> None:
    png = encoded("PNG", 8, 8)
    body = png[:33] + struct.pack(">I", length) + kind + png[33:]
    assert code(ending(bench, production, body)) in {"corrupt_image", "ready"}


@cache
def gigabyte() -> bytes:
    """A gigabyte of zeros, packed: the same block again and again, for they are all alike."""
    packer = zlib.compressobj(9, wbits=-15)
    first = packer.compress(bytes(1 << 22)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + first * 256 + b"\x03\0" + ((1 << 30) % 65521 << 16 | 1).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("kind", "head"), [(b"iCCP", b"x\0\0"), (b"zTXt", b"Comment\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")]
)
def test_a_chunk_that_inflates_to_a_gigabyte(bench: Bench, production: Sandbox, kind: bytes, head: bytes) -> None:
    body = png_with(encoded("PNG", 8, 8), kind, head + gigabyte())
    assert code(ending(bench, production, body)) in {"corrupt_image", "ready"}


@pytest.mark.slow
def test_pixels_that_inflate_a_thousand_times_too_far(bench: Bench, production: Sandbox) -> None:
    rows = zlib.compress(bytes(1 << 28), 9)
    png = encoded("PNG", 8, 8)
    body = (
        png[:33]
        + struct.pack(">I", len(rows))
        + b"IDAT"
        + rows
        + struct.pack(">I", zlib.crc32(b"IDAT" + rows))
        + png[-12:]
    )
    assert code(ending(bench, production, body)) in {"corrupt_image", "ready"}


@pytest.mark.slow
def test_a_jpeg_of_very_many_scans_ends(bench: Bench, production: Sandbox) -> None:
    """Each scan of a progressive JPEG goes over the whole image again."""
    body = saved(Image.effect_noise((1000, 1000), 60), "JPEG", progressive=True, quality=50)
    last = body.rindex(b"\xff\xda")
    started = time.monotonic()
    found = ending(bench, production, body[:last] + body[last:-2] * 60 + b"\xff\xd9")
    assert code(found) in {"ready", "corrupt_image", "timeout"}
    assert time.monotonic() - started < Settings().processing_timeout_seconds + 60


def test_a_tiff_of_directories_that_never_end(bench: Bench, production: Sandbox) -> None:
    page = bytearray(saved(Image.new("L", (8, 8)), "TIFF"))
    at = int.from_bytes(page[4:8], "little")
    after = at + 2 + 12 * int.from_bytes(page[at : at + 2], "little")
    page[after : after + 4] = at.to_bytes(4, "little")  # the next directory is this one
    assert code(ending(bench, production, bytes(page))) == "ready"
    for tag, value in ((0x0102, 2**32 - 1), (0x0111, 2**32 - 1), (0x0116, 0), (0x0117, 2**32 - 1), (0x0100, 2**31)):
        bad = bytearray(page)
        for entry in range(at + 2, after, 12):
            if int.from_bytes(bad[entry : entry + 2], "little") == tag:
                bad[entry + 4 : entry + 12] = struct.pack("<II", 1, value)
        assert code(ending_again(bench, production, bytes(bad))) in {"ready", "corrupt_image", "too_many_pixels"}


def test_a_tiff_whose_tags_all_name_the_same_bytes(bench: Bench, production: Sandbox) -> None:
    """Read each for itself they would be gigabytes."""
    body = struct.pack("<2sHI", b"II", 42, 8)
    for more in (True,) * 20 + (False,):
        entries = b"".join(struct.pack("<HHII", 1000 + tag, 7, 900_000, 100) for tag in range(4000))
        behind = len(body) + 2 + len(entries) + 4
        body += struct.pack("<H", 4000) + entries + struct.pack("<I", behind if more else 0)
    assert code(ending(bench, production, body)) == "corrupt_image"


def test_pieces_that_are_all_broken_are_not_searched_for_long(bench: Bench, production: Sandbox) -> None:
    """After a broken piece the next sound one is looked for, ten times in a file."""
    png, jpeg, gif, webp = (encoded(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP"))
    candidates = (struct.pack(">I", 400_000) + b"IDAT" + bytes(20)) * 3000
    segments = b"\xff\xe1\0\x09ab" + (b"\xff\xdb\0\x02" * 90 + b"\xff\xc0\0\x02") * 100
    for body in (
        png[:33] + (struct.pack(">I", 2**31 - 1) + b"tEXt" + candidates) * 10 + bytes(500_000),
        png[:33] + (struct.pack(">I", 4) + b"tEXtabcd" + bytes(4)) * 100_000 + png[33:],
        jpeg[:2] + segments * 100 + jpeg[2:],
        gif[:13] + b"!\xfe\x05hello" * 100_000 + gif[13:],
        webp[:12] + (b"EXIF\xff\xff\xff\x7f" + b"VP8 \0\0\0\0" * 30) * 1000 + webp[12:],
    ):
        started = time.process_time()
        assert code(ending_again(bench, production, body)) in {"corrupt_image", "unsupported_image", "ready"}
        assert time.process_time() - started < 5


def ending_again(bench: Bench, production: Sandbox, body: bytes, limits: Limits | None = None) -> Record:
    for key in bench.side.objects():
        bench.side.store.delete(key)
    return ending(bench, production, body, limits)


@pytest.mark.parametrize(("file_format", "at", "size"), [("WEBP", 24, 3), ("GIF", 6, 2)])
def test_a_canvas_that_is_not_the_pictures(
    bench: Bench, production: Sandbox, file_format: str, at: int, size: int
) -> None:
    """Container and bitstream disagree about the size of the image."""
    alpha = Image.new("RGBA", (60, 40), (9, 9, 9, 90))
    body = bytearray(saved(alpha, file_format))
    for claim in (1, 5000, 256**size - 1):
        body[at : at + size] = claim.to_bytes(size, "little")
        assert code(ending_again(bench, production, bytes(body))) in {"ready", "corrupt_image", "too_many_pixels"}


def test_more_frames_than_anybody_watches(bench: Bench, production: Sandbox) -> None:
    """As in fuzzdb's uber.gif: one still, at once."""
    whole = saved(Image.new("P", (8, 8)), "GIF", save_all=True, append_images=[Image.new("P", (8, 8), 1)], duration=10)
    start = whole.index(b"\x21\xf9")
    found = ending(bench, production, whole[:start] + whole[start:-1] * 20_000 + b";")
    assert (code(found), found.frames) == ("ready", 20_000)


@pytest.mark.parametrize(
    "body",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) run",
        b"push graphic-context\nviewbox 0 0 640 480\nimage over 0,0 0,0 'https://127.0.0.1/x'",
        b"%PDF-1.4", b"8BPS\0\1" + bytes(40), b"\0\0\1\0" + bytes(40), b"PK\3\4" + bytes(40), b"MZ" + bytes(80),
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), b"SIMPLE  =                    T".ljust(2880),
        b"P6 9 9 255 " + bytes(243), b"\xff\x0a" + bytes(60), b"qoif" + bytes(60), b"DDS " + bytes(124),
        b"<?php system($_GET[0]);", b"\0" * 100, b"GIF80a" + bytes(60),
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_other_formats_are_never_opened(bench: Bench, production: Sandbox, body: bytes) -> None:
    assert code(ending(bench, production, body)) == "not_an_image"
    jpeg = b"\xff\xd8\xff" + body  # and under a signature of ours it is no better
    assert code(ending_again(bench, production, jpeg)) == "corrupt_image"


def test_a_format_that_is_switched_off_is_unsupported(bench: Bench, production: Sandbox) -> None:
    for file_format in ("TIFF", "AVIF", "BMP", "JPEG"):
        found = ending_again(bench, production, encoded(file_format), Limits(accepted_types=("image/png",)))
        assert code(found) == "unsupported_image"


def test_a_picture_after_each_hostile_one_is_fine(bench: Bench, production: Sandbox) -> None:
    """No state of one image's process is left for the next one."""
    hostile = [file_of(row).read_bytes() for row in ROWS if row["expected"] == "reject"]
    random.Random(1).shuffle(hostile)
    for number, body in enumerate(hostile[:6]):
        ending_again(bench, production, body)
        assert code(ending_again(bench, production, encoded("JPEG", 64, 48, seed=number))) == "ready"
