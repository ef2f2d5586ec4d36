"""Unusual images in every format of variants: each shows the same as the lossless variant."""

import pytest
from PIL import Image, ImageCms, ImageDraw

from app.domain.models import Format
from app.domain.recipe import VariantSpec
from tests.samples import image_file, photo
from tests.worker.conftest import Process, recipe_of
from tests.worker.jxl_files import open_jxl
from tests.worker.render.test_variants import TURNS, corners, difference, opened, saved

LOSSY = (Format.WEBP, Format.JPEG, Format.AVIF, Format.JXL)
#: Largest mean difference from the lossless variant. WebP and JPEG have halved chroma.
MOST = {Format.WEBP: 6.0, Format.JPEG: 6.0, Format.AVIF: 2.5, Format.JXL: 2.5}
#: Formats that keep alpha; JPEG becomes PNG.
WITH_ALPHA = (Format.WEBP, Format.AVIF, Format.JXL)
ALL = recipe_of(VariantSpec(name="v", width=320, formats=(*LOSSY, Format.PNG), quality=dict.fromkeys(LOSSY, 100)))


def variants(process: Process, body: bytes) -> tuple[dict[Format, Image.Image], Image.Image]:
    """Return the variants in the lossy formats, and that in PNG."""
    processed, out = process(body, ALL)
    shown = {
        variant.format: open_jxl(out / variant.file) if variant.format is Format.JXL else opened(out, variant.file)
        for variant in processed.variants
    }
    return shown, shown.pop(Format.PNG)


def text() -> Image.Image:
    image = Image.new("RGB", (320, 200), "white")
    draw = ImageDraw.Draw(image)
    for line in range(12):
        draw.text((8, 16 * line), "An image arrives by one call.", ("black", "blue")[line % 2])
    return image


@pytest.mark.parametrize(
    ("image", "drawn"),
    [
        (photo(640, 480), False),
        (photo(640, 480).convert("L"), False),
        (photo(640, 480).convert("P"), False),
        (photo(640, 480).convert("CMYK"), False),
        (text(), True),
        (photo(1, 1), True),
        (photo(3, 200).convert("L"), False),
        (photo(320, 1), False),
        (Image.new("1", (200, 100), 1), True),
        (Image.linear_gradient("L").resize((300, 200)).convert("I;16"), True),
    ],
    ids=lambda value: f"{value.mode} {value.width} × {value.height}" if isinstance(value, Image.Image) else "",
)
def test_pixels_are_those_of_the_lossless_variant(process: Process, image: Image.Image, drawn: bool) -> None:
    """JPEG XL of text and drawings is WebP."""
    shown, png = variants(process, saved(image, "TIFF"))
    assert set(shown) == set(LOSSY) - ({Format.JXL} if drawn else set())
    for form, made in shown.items():
        assert made.size == png.size
        assert difference(made.convert("RGB"), png) < MOST[form], form


def test_alpha(process: Process) -> None:
    image = photo(640, 480).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((640, 480)))
    shown, png = variants(process, saved(image, "PNG"))
    assert set(shown) == set(WITH_ALPHA)
    for form, made in shown.items():
        assert (made.mode, made.size) == ("RGBA", png.size)
        assert difference(made.getchannel("A"), png.getchannel("A")) < 1
        on_white = [Image.alpha_composite(Image.new("RGBA", png.size, "white"), each) for each in (made, png)]
        assert difference(*on_white) < 2.5, form


@pytest.mark.parametrize("orientation", range(1, 9))
def test_variants_are_upright(process: Process, orientation: int) -> None:
    upright = corners().resize((400, 200), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(TURNS[orientation]) if orientation in TURNS else upright
    shown, _ = variants(process, saved(stored, "PNG", exif=exif))
    for form, made in shown.items():
        assert made.size == (320, 160)
        assert difference(made.convert("RGB"), upright.resize((320, 160))) < 5, form


def test_a_wide_gamut_becomes_srgb(process: Process) -> None:
    """No variant has a profile; without one it is sRGB."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    paris = image_file("libavif-tests__paris_icc_exif_xmp.png").read_bytes()
    for body in (paris, saved(photo(64, 48), "PNG", icc_profile=lab)):
        shown, png = variants(process, body)
        for form, made in shown.items():
            assert "icc_profile" not in made.info
            assert difference(made.convert("RGB"), png.convert("RGB")) < MOST[form], form


def test_only_webp_moves(process: Process) -> None:
    """So JPEG XL of an animation is WebP."""
    frames = [Image.new("RGB", (60, 40), color) for color in ("red", "lime", "blue")]
    shown, _ = variants(process, saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100))
    assert {form: getattr(made, "n_frames", 1) for form, made in shown.items()} == {
        Format.WEBP: 3, Format.JPEG: 1, Format.AVIF: 1,
    }  # fmt: skip
    for form, made in shown.items():
        assert difference(made.convert("RGB"), frames[0]) < 3, form


@pytest.mark.slow
@pytest.mark.parametrize("size", [(16383, 8), (8, 16383)])
def test_the_longest_side(process: Process, size: tuple[int, int]) -> None:
    recipe = recipe_of(VariantSpec(name="v", width=16383, formats=(*LOSSY, Format.PNG)))
    processed, _ = process(saved(photo(64, 64).resize(size), "PNG"), recipe)
    assert {(variant.width, variant.height) for variant in processed.variants} == {size}
