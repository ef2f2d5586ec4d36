"""Encodings that depend on the content and the size of an image."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from app.domain.models import Format
from app.worker.render.encode import choose_format, write_still
from tests.samples import photo


def text(mode: str = "RGB") -> Image.Image:
    """Draw lines of text in two colors."""
    image = Image.new(mode, (320, 240), "white")
    draw = ImageDraw.Draw(image)
    for line in range(16):
        draw.text((4, 15 * line), "An image arrives by one call.", ("black", "blue")[line % 2])
    return image


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_text_is_a_lossless_webp(tmp_path: Path, mode: str) -> None:
    encoded = write_still(text(mode), tmp_path / "v", Format.WEBP, 82, b"")
    assert (encoded.quality, encoded.bytes) == (100, (tmp_path / "v").stat().st_size)
    with Image.open(tmp_path / "v") as shown:
        assert ImageChops.difference(shown.convert(mode), text(mode)).getbbox(alpha_only=False) is None


@pytest.mark.parametrize(
    "image",
    [
        photo(320, 240),
        photo(320, 240).convert("L").convert("RGB"),  # few colors
    ],
    ids=["a photograph", "a gray photograph"],
)
def test_a_webp_is_lossy_where_that_is_smaller(tmp_path: Path, image: Image.Image) -> None:
    encoded = write_still(image, tmp_path / "v", Format.WEBP, 30, b"")
    image.save(tmp_path / "lossless", "WEBP", lossless=True)
    assert (encoded.quality, encoded.bytes < (tmp_path / "lossless").stat().st_size) == (30, True)


def test_the_same_quality_as_lossless_may_be_asked_for(tmp_path: Path) -> None:
    assert write_still(text(), tmp_path / "text", Format.WEBP, 100, b"").quality == 100
    assert write_still(photo(80, 60), tmp_path / "photo", Format.WEBP, 100, b"").quality == 100


def once_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return Image.open(file).convert("RGB")


def photographed(image: Image.Image) -> Image.Image:
    """Return the image as a variant of a photograph of it: a little blurred, in uneven light, with noise, halved."""
    light = Image.linear_gradient("L").resize(image.size).convert("RGB")
    seen = Image.blend(image.filter(ImageFilter.GaussianBlur(0.7)), light, 0.15)
    return ImageChops.add(seen, Image.effect_noise(image.size, 2).convert("RGB"), offset=-128).reduce(2)


def whiteboard() -> Image.Image:
    """Draw two boxes and an arrow."""
    image = Image.new("RGB", (640, 480), "#f0f0f0")
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 80, 220, 200), outline="blue", width=6)
    draw.rectangle((400, 280, 580, 400), outline="black", width=6)
    draw.line((220, 140, 400, 340), "red", 6)
    return image


def on_plain_ground(image: Image.Image) -> Image.Image:
    ground = Image.new("RGB", (image.width * 2, image.height * 2), "#e8e8e8")
    ground.paste(image, (image.width // 2, image.height // 2))
    return ground


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (text(), Format.WEBP),
        (text("RGBA"), Format.WEBP),
        (text().resize((240, 180), Image.Resampling.BICUBIC), Format.WEBP),
        (once_jpeg(text()), Format.WEBP),
        (photo(320, 240), Format.JXL),
        (photo(2560, 240), Format.JXL),  # three quarters of the pixels equal the one before them
        (photo(320, 240).convert("L").convert("RGB"), Format.JXL),
        (photographed(whiteboard()), Format.WEBP),
        (photographed(on_plain_ground(photo(320, 240))), Format.JXL),
    ],
    ids=[
        "text",
        "text with alpha",
        "smaller text",
        "text that was JPEG",
        "photo",
        "smooth",
        "gray",
        "photographed whiteboard",
        "object on a plain ground",
    ],
)
def test_jpeg_xl_is_for_photographs(image: Image.Image, expected: Format) -> None:
    assert choose_format(Format.JXL, image) is expected
    assert choose_format(Format.JXL, image, animated=True) is Format.WEBP
    assert choose_format(Format.AVIF, image, animated=True) is Format.AVIF


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_an_image_of_one_row_or_column(tmp_path: Path, size: tuple[int, int]) -> None:
    write_still(Image.new("RGB", size, "red"), tmp_path / "v", Format.WEBP, 82, b"")
    with Image.open(tmp_path / "v") as shown:
        assert shown.size == size


def test_an_avif_keeps_the_edges_of_colors(tmp_path: Path) -> None:
    stripes = Image.new("RGB", (64, 64), "red")
    for x in range(0, 64, 2):
        stripes.paste("blue", (x, 0, x + 1, 64))
    write_still(stripes, tmp_path / "v", Format.AVIF, 61, b"")
    with Image.open(tmp_path / "v") as shown:
        red, _, blue = shown.convert("RGB").getpixel((31, 32))  # type: ignore[misc]  # of three channels
    assert red > 200
    assert blue < 60
