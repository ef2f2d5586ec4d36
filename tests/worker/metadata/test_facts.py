"""Facts about an image: metadata, placeholders, formats."""

import base64
import io
import math
import random
import statistics
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import thumbhash as package
from PIL import ExifTags, Image, TiffImagePlugin

from app.worker.analysis.placeholder import describe_looks
from app.worker.analysis.thumbhash import thumbhash
from tests.samples import encoded, image_file, photo
from tests.worker.conftest import SMALL, Process


def with_exif(
    main: dict[int, Any], photo_tags: dict[int, Any] | None = None, gps: dict[int, Any] | None = None
) -> bytes:
    exif = Image.Exif()
    exif.update(main)
    exif.get_ifd(ExifTags.IFD.Exif).update(photo_tags or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    out = io.BytesIO()
    photo(40, 30).save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_exif_of_a_camera(process: Process) -> None:
    body = with_exif(
        {0x010F: "NIKON CORPORATION", 0x0110: "NIKON D70", 0x8298: "me"},
        {
            0x829A: TiffImagePlugin.IFDRational(1, 250),
            0x829D: 2.8,
            0x8827: 400,
            0x920A: 50.0,
            0xA434: "AF-S 50mm",
            0x9003: "2023:05:06 07:08:09",
            0x9011: "+02:00",
            0x9291: "5",
            0xA431: "SN123",
            0xA430: "Ann",
        },
        {2: (1.0, 2.0, 3.0)},
    )
    processed, _ = process(body, SMALL)
    assert processed.camera == "NIKON D70"
    assert processed.taken_at == datetime(2023, 5, 6, 7, 8, 9, 500_000, timezone(timedelta(hours=2)))
    assert processed.exif == {
        "make": "NIKON CORPORATION",
        "model": "NIKON D70",
        "exposure_time": 0.004,
        "f_number": 2.8,
        "iso": 400,
        "focal_length": 50.0,
        "lens_model": "AF-S 50mm",
    }
    assert processed.rights.model_dump() == {"artist": None, "copyright": "me"}
    privacy = processed.privacy_report
    assert (privacy.gps, privacy.serial, privacy.owner_name, privacy.thumbnail) == (True, True, True, False)
    assert "SN123" not in processed.model_dump_json()


def test_a_picture_that_tells_nothing(process: Process) -> None:
    processed, _ = process(encoded(), SMALL)
    assert (processed.camera, processed.taken_at, processed.exif) == (None, None, {})
    assert not any(processed.privacy_report.model_dump().values())


def test_taken_at_has_a_zone_only_if_the_camera_said_so(process: Process) -> None:
    processed, _ = process(with_exif({}, {0x9003: "2023:05:06 07:08:09"}), SMALL)
    assert processed.taken_at == datetime(2023, 5, 6, 7, 8, 9)  # noqa: DTZ001 - a camera's clock


@pytest.mark.parametrize(
    "when", ["0000:00:00 00:00:00", "2023:13:01 00:00:00", "    :  :     :  :  ", "yesterday", "\0"]
)
def test_a_time_that_is_none(process: Process, when: str) -> None:
    assert process(with_exif({}, {0x9003: when}), SMALL)[0].taken_at is None


def test_texts_are_made_safe(process: Process) -> None:
    hostile = {0x010F: b"A\x00B", 0x0110: "x\r\n\x1b[31m\u202ey".encode(), 0x013B: b"\xff" * 9000, 0x0131: b" \t "}
    processed, _ = process(with_exif(hostile), SMALL)
    exif = processed.exif
    assert exif["make"] == "A"
    assert exif["model"] == "x [31my"
    assert processed.rights.artist == "ÿ" * 200
    assert "software" not in exif


def test_numbers_that_are_none_are_dropped(process: Process) -> None:
    body = with_exif(
        {}, {0x829A: TiffImagePlugin.IFDRational(1, 0), 0x829D: TiffImagePlugin.IFDRational(0, 0), 0x8827: 200}
    )
    assert process(body, SMALL)[0].exif == {"iso": 200}


EXPOSURE = {0x829A: 0.01, 0x829D: 1.7, 0x9204: -0.5, 0x920A: 4.4, 0xA404: 0.0, 0x8827: 47, 0xA405: 27, 0x8822: 2,
            0x9207: 255, 0x9209: 16, 0xA403: 1}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "tag", "nonsense"),
    [
        ("exposure_time", 0x829A, (0.0, TiffImagePlugin.IFDRational(4294967295, 1))),
        ("f_number", 0x829D, (0.0, 65535.0)),
        ("exposure_bias", 0x9204, (-100.0, 2147483647.0)),
        ("focal_length", 0x920A, (0.0, TiffImagePlugin.IFDRational(4294967295, 1))),
        ("digital_zoom", 0xA404, (TiffImagePlugin.IFDRational(4294967295, 1),)),
        ("iso", 0x8827, (0, 4294967295)),
        ("focal_length_35mm", 0xA405, (0, 65535)),
        ("exposure_program", 0x8822, (10, 65535)),
        ("metering_mode", 0x9207, (256, 65535)),
        ("flash", 0x9209, (128, 65535)),
        ("white_balance", 0xA403, (2, 65535)),
    ],
)
def test_implausible_values_are_dropped_one_by_one(
    process: Process, name: str, tag: int, nonsense: tuple[object, ...]
) -> None:
    kept = process(with_exif({}, EXPOSURE), SMALL)[0].exif
    assert len(kept) == len(EXPOSURE)
    for value in nonsense:
        found = process(with_exif({}, EXPOSURE | {tag: value}), SMALL)[0].exif
        assert found == {known: said for known, said in kept.items() if known != name}


def test_junk_exif_costs_no_picture(process: Process) -> None:
    """Any byte of an EXIF block may be anything."""
    good = bytearray(image_file("pillow-tests__exif_gps.jpg").read_bytes())
    start = good.index(b"Exif\0\0") + 6
    end = start + int.from_bytes(good[start - 8 : start - 6], "big") - 8
    for seed in range(60):
        dice, bad = random.Random(seed), bytearray(good)
        for _ in range(12):
            bad[dice.randrange(start, end)] = dice.randrange(256)
        processed, _ = process(bytes(bad), SMALL)
        assert {processed.width, processed.height} == {8}
        processed.model_dump_json()


@pytest.mark.parametrize("size", [(32, 24), (24, 32), (1, 1), (32, 1), (1, 32), (31, 17)])
def test_thumbhash_is_that_of_the_reference(size: tuple[int, int]) -> None:
    image = photo(*size, seed=sum(size)).convert("RGBA")
    assert thumbhash(*size, image.tobytes()) == bytes(package.rgba_to_thumb_hash(*size, list(image.tobytes())))


def test_thumbhash_of_alpha() -> None:
    """Against the package's decoder: its encoder fails on alpha."""
    image = Image.new("RGBA", (32, 16), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (16, 0, 32, 16))
    hashed = list(thumbhash(32, 16, image.tobytes()))
    red, green, blue, alpha = package.thumb_hash_to_average_rgba(hashed)
    assert red > 0.9
    assert max(green, blue) < 0.1
    assert 0.4 < alpha < 0.6


def test_looks() -> None:
    image = Image.new("RGB", (600, 400), "#204080")
    image.paste("#ff8000", (0, 0, 150, 400))
    looks = describe_looks(image)
    assert looks.dominant_color == "#204080"
    assert looks.palette[0] == "#204080"
    assert 2 <= len(looks.palette) <= 5
    assert 20 <= len(base64.b64decode(looks.thumbhash)) <= 30


def test_transparent_pixels_have_no_color() -> None:
    image = Image.new("RGBA", (60, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 20, 40))
    assert describe_looks(image).palette == ["#0000ff"]
    assert describe_looks(Image.new("RGBA", (5, 5), (1, 2, 3, 0))).dominant_color == "#ffffff"


def test_phash_knows_a_picture_again() -> None:
    def distance(one: Image.Image, other: Image.Image) -> int:
        return (int(describe_looks(one).phash, 16) ^ int(describe_looks(other).phash, 16)).bit_count()

    picture = photo(800, 600, seed=3)
    assert distance(picture, picture.resize((200, 150))) <= 4
    assert distance(picture, photo(800, 600, seed=4)) > 12
    assert (
        describe_looks(Image.new("RGB", (99, 50), "#777777")).phash
        == describe_looks(Image.new("RGB", (50, 80), "#777777")).phash
    )


def test_phash_is_the_signs_of_the_lowest_frequencies() -> None:
    """Computed here by its definition: stored hashes are compared with new ones."""
    picture = photo(32, 32, seed=3).convert("L")
    gray = picture.tobytes()

    def wave(x: int, u: int) -> float:
        return math.cos(math.pi / 32 * (x + 0.5) * u)

    frequencies = [
        sum(gray[32 * y + x] * wave(x, u) * wave(y, v) for y in range(32) for x in range(32))
        for v in range(8)
        for u in range(8)
    ]
    middle = statistics.median(frequencies)
    assert (
        describe_looks(picture.convert("RGB")).phash
        == f"{int(''.join(str(int(f > middle)) for f in frequencies), 2):016x}"
    )


def test_only_accepted_formats_can_be_opened() -> None:
    """In a process of its own, where no test has loaded others."""
    code = """
import io
from app.worker.decode import formats
from PIL import Image
Image.new("RGB", (2, 2)).save(io.BytesIO(), "PNG")
for hint in (b"%!PS-Adobe-3.0 EPSF-3.0", b"P6 1 1 255 abc"):
    try:
        Image.open(io.BytesIO(hint.ljust(64)))
    except Image.UnidentifiedImageError:
        pass
Image.init()
print(sorted(Image.OPEN))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == str(["AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "PNG", "TIFF", "WEBP"])


def test_no_picture_is_opened_as_anything_else(process: Process) -> None:
    """The type found in the bytes decides, not other decoders that accept them."""
    from app.domain.errors import ImageError

    with pytest.raises(ImageError) as failure:
        process(encoded("PNG"), SMALL, media_type="image/jpeg")
    assert failure.value.code == "corrupt_image"
