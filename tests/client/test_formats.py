"""The client detects formats as the service does."""

import csv

import pytest

from app.domain import media, other_formats
from darkroom import formats
from tests.samples import IMAGES, image_file

SAMPLES = [row["file"] for row in csv.DictReader((IMAGES / "expected.csv").read_text().splitlines())]

#: Continuations of signatures of which the client compares only the start.
_REST = {b"8BPS": b"\0\x01", b"\0\0\0\x0cJXL ": b"\r\n\x87\n", b"\0\0\0\x0cjP  ": b"\r\n\x87\n"}


def test_the_accepted_formats_are_those_of_the_service() -> None:
    assert media.NAMES == formats.ACCEPTED


def test_every_sample_is_detected_as_by_the_service() -> None:
    assert len(SAMPLES) > 50
    heads = {name: image_file(name).read_bytes()[: formats.HEAD_BYTES] for name in SAMPLES}
    assert {name: formats.detect(head) for name, head in heads.items()} == {
        name: media.media_type_of(head) for name, head in heads.items()
    }


@pytest.mark.parametrize("brand", [b"mif1", b"mif2", b"mif3", b"msf1", b"heic", b"hevx", b"avif", b"avis", b"mp42"])
@pytest.mark.parametrize("other", [b"avif", b"heic", b"mif1", b"\0\0\0\0"])
def test_brands_are_read_as_by_the_service(brand: bytes, other: bytes) -> None:
    for minor in (b"\0\0\0\0", b"avif", b"heic"):
        head = b"\0\0\0\x18ftyp" + brand + minor + b"miaf" + other
        assert formats.detect(head) == media.media_type_of(head)


@pytest.mark.parametrize(
    "head",
    [
        *(start + _REST.get(start, b"\0\0\0\0") for start in formats._OTHER_STARTS),
        *(b"\0\0\0\x18ftyp" + brand for brand in formats._OTHER_BRANDS),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg>", b"<!DOCTYPE html>",
        b"plain text with an <svg> in it\n", "cut in two: ä".encode()[:-1],
    ],
)  # fmt: skip
def test_other_formats_have_the_names_of_the_service(head: bytes) -> None:
    found = other_formats.recognize(head)
    assert formats.detect(head) is None
    assert found is not None
    assert formats.name_other(head) == found.name


def test_unknown_bytes_have_no_name() -> None:
    assert formats.name_other(b"") is None
    assert formats.name_other(b"\0\1\2\3") is None
    assert formats.name_other(b"caf\xe9 and more") is None
