"""Undocumented parts of Pillow that Darkroom depends on: each test fails when Pillow changes one of them."""

import io
import subprocess
import sys
from pathlib import Path

import PIL
import pytest
from PIL import AvifImagePlugin, Image, TiffImagePlugin

from app.worker.decode import formats, pillow_private
from tests.worker.decode.tiffs import Page, tiff_of
from tests.worker.files import saved

FORMATS = {"AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"}


def test_the_version_is_one_that_was_checked() -> None:
    assert f"Pillow {PIL.__version__}" in (pillow_private.__doc__ or "")


def test_no_other_format_is_ever_loaded() -> None:
    """In a process of its own, since another test may have loaded all plugins."""
    code = f"""
import io
import app.worker.decode.formats
from PIL import Image
try:
    Image.open(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\\n%%BoundingBox: 0 0 9 9\\n"))
except Image.UnidentifiedImageError:
    pass
Image.init()
assert set(Image.OPEN) <= {FORMATS}, set(Image.OPEN)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_avif_is_decoded_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    decoder = AvifImagePlugin._avif.AvifDecoder

    def recorded(*args: object) -> object:
        asked.append(args[-1])
        return decoder(*args)

    monkeypatch.setattr(AvifImagePlugin._avif, "AvifDecoder", recorded)
    with Image.open(io.BytesIO(saved(Image.new("RGB", (64, 48)), "AVIF")), formats=["AVIF"]) as image:
        image.load()
    assert asked == [1]
    assert formats.PLUGINS["image/avif"] == "AVIF"


def test_an_uncompressed_tiff_is_decoded_by_libtiff() -> None:
    with Image.open(io.BytesIO(saved(Image.new("RGB", (64, 48)), "TIFF")), formats=["TIFF"]) as image:
        assert [tile.codec_name for tile in image.tile] == ["libtiff"]
    assert TiffImagePlugin.READ_LIBTIFF


def test_wide_samples_of_a_tiff_are_read_in_native_order() -> None:
    numbers = bytes(range(8))
    page = Page({256: 2, 257: 2, 258: 16, 259: 1, 262: 1, 277: 1, 278: 2, 339: 2}, [numbers])
    with Image.open(io.BytesIO(tiff_of(page, order=">")), formats=["TIFF"]) as image:
        before = image.tile[0].args[0]
        pillow_private.read_native_numbers(image)  # type: ignore[arg-type]
        assert (before, image.tile[0].args[0]) == ("I;16BS", "I;16NS")
        image.load()
        assert image.getpixel((0, 0)) == 0x0001


@pytest.mark.parametrize("name", ["WEBP", "AVIF"])
def test_the_decoder_is_freed(name: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(saved(Image.new("RGB", (64, 48), "red"), name))
    with Image.open(path, formats=[name]) as image:
        image.load()
        assert vars(image)["_decoder"]
        pillow_private.free_decoder(image)  # type: ignore[arg-type]
        assert "_decoder" not in vars(image)
        assert image.getpixel((1, 1))[0] > 250  # type: ignore[index]


def test_components_of_a_jpeg() -> None:
    body = saved(Image.new("RGB", (64, 48)), "JPEG", subsampling="4:2:0")
    with Image.open(io.BytesIO(body), formats=["JPEG"]) as image:
        assert [part[:3] for part in pillow_private.jpeg_components(image)] == [(1, 2, 2), (2, 1, 1), (3, 1, 1)]  # type: ignore[arg-type]
