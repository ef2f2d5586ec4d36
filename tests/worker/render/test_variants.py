"""The pixels of variants."""

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from app.domain.errors import ImageError
from app.domain.models import FocalPoint, Format
from app.domain.recipe import DEFAULT_RECIPE, Fit, VariantSpec
from tests.samples import encoded, image_file, photo
from tests.tiers import smoke
from tests.worker.conftest import Process, recipe_of

WEBP = recipe_of(VariantSpec(name="v", width=64))
LOSSLESS = recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,)))


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def opened(folder: Path, name: str) -> Image.Image:
    with Image.open(folder / name) as image:
        image.load()
        return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean distance of two images, 0-255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def corners() -> Image.Image:
    """40 × 20 with a color of its own in each corner."""
    image = Image.new("RGB", (40, 20), "gray")
    for box, color in (((0, 0), "red"), ((30, 0), "lime"), ((0, 10), "blue"), ((30, 10), "white")):
        image.paste(color, (*box, box[0] + 10, box[1] + 10))
    return image


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("file_format", smoke(["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"], 3))
@pytest.mark.parametrize("orientation", range(1, 9))
def test_variants_are_upright(process: Process, file_format: str, orientation: int) -> None:
    upright = corners().resize((400, 200), Image.Resampling.NEAREST)
    stored = upright.transpose(TURNS[orientation]) if orientation in TURNS else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {} if file_format == "TIFF" else {"quality": 95}
    processed, out = process(saved(stored, file_format, exif=exif.tobytes(), **options), LOSSLESS)
    assert (processed.width, processed.height) == (400, 200)
    image = opened(out, "v.png")
    assert image.size == (64, 32)
    assert 0x0112 not in image.getexif()
    assert difference(image, upright.resize((64, 32), Image.Resampling.LANCZOS)) < 4


@pytest.mark.parametrize("compression", smoke(["raw", "tiff_lzw"]))
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiffs_of_every_mode_are_upright(process: Process, mode: str, compression: str, orientation: int) -> None:
    """Those in one strip, too, which Pillow reads without any decoder."""
    upright = corners().convert("L" if mode == "I;16" else mode)
    stored = upright.transpose(TURNS[orientation]) if orientation in TURNS else upright
    if mode == "I;16":
        stored = stored.convert("I").point(lambda tone: tone * 257).convert("I;16")
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = saved(stored, "TIFF", exif=exif.tobytes(), compression=compression, strip_size=2**20)
    processed, out = process(body, LOSSLESS)
    assert (processed.width, processed.height) == (40, 20)
    assert difference(opened(out, "v.png"), upright) < 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_counts_as_upright(process: Process, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    processed, _ = process(saved(corners(), "JPEG", exif=exif), WEBP)
    assert (processed.width, processed.height) == (40, 20)


@pytest.mark.slow
def test_the_default_recipe_on_a_large_photo(process: Process) -> None:
    processed, out = process(encoded("JPEG", 2600, 1950), focal_point=FocalPoint(x=0.5, y=0.5))
    assert [(v.name, v.format, v.width, v.height) for v in processed.variants] == [
        ("thumb", "webp", 256, 256),
        ("w320", "webp", 320, 240),
        ("w640", "webp", 640, 480),
        ("w1280", "webp", 1280, 960),
        ("w1280", "jpeg", 1280, 960),
        ("w1920", "webp", 1920, 1440),
    ]
    original = photo(2600, 1950)
    assert {(v.format.value, v.quality) for v in processed.variants} == {("webp", 82), ("jpeg", 83)}
    for variant in processed.variants:
        image = opened(out, variant.file)
        assert image.mode == "RGB"
        box = (325, 0, 2275, 1950) if variant.name == "thumb" else None
        assert difference(image, original.resize(image.size, Image.Resampling.LANCZOS, box=box)) < 3


def test_names_that_come_out_alike_share_an_object(process: Process) -> None:
    processed, out = process(encoded("JPEG", 500, 400))
    assert {(v.name, v.format.value): v.file for v in processed.variants} == {
        ("thumb", "webp"): "thumb.webp",
        ("w320", "webp"): "w320.webp",
        ("w640", "webp"): "w640.webp",
        ("w1280", "webp"): "w640.webp",
        ("w1280", "jpeg"): "w1280.jpg",
        ("w1920", "webp"): "w640.webp",
    }
    assert {path.name for path in out.iterdir()} == {variant.file for variant in processed.variants}
    assert all((out / variant.file).stat().st_size == variant.bytes for variant in processed.variants)


def test_different_qualities_do_not_share(process: Process) -> None:
    specs = [VariantSpec(name=f"q{q}", width=9999, quality={Format.WEBP: q}) for q in (30, 90)]
    processed, _ = process(encoded("JPEG", 200, 100), recipe_of(*specs))
    assert [(variant.file, variant.quality) for variant in processed.variants] == [("q30.webp", 30), ("q90.webp", 90)]


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_the_same_bytes_in_are_the_same_bytes_out(process: Process, file_format: str) -> None:
    def digests(threads: int) -> list[str]:
        processed, out = process(encoded(file_format, 900, 700), threads=threads)
        return [hashlib.sha256((out / variant.file).read_bytes()).hexdigest() for variant in processed.variants]

    assert digests(1) == digests(4)


def test_a_recipe_by_setting(process: Process) -> None:
    recipe = recipe_of(
        VariantSpec(name="wide", width=300, height=100, fit=Fit.COVER, formats=(Format.AVIF, Format.PNG)),
        VariantSpec(name="box", width=200, height=50),
    )
    processed, out = process(encoded("JPEG", 800, 600), recipe)
    assert [(v.file, v.width, v.height) for v in processed.variants] == [
        ("wide.avif", 300, 100),
        ("wide.png", 300, 100),
        ("box.webp", 67, 50),
    ]
    assert opened(out, "wide.avif").size == (300, 100)


def test_cover_keeps_the_focal_point(process: Process) -> None:
    image = Image.new("RGB", (800, 200), "black")
    image.paste("red", (600, 0, 800, 200))
    recipe = recipe_of(VariantSpec(name="v", width=100, height=100, fit=Fit.COVER, formats=(Format.PNG,)))
    _, left = process(saved(image, "PNG"), recipe, focal_point=FocalPoint(x=0.1, y=0.5))
    _, right = process(saved(image, "PNG"), recipe, focal_point=FocalPoint(x=0.95, y=0.5))
    assert opened(left, "v.png").getpixel((50, 50)) == (0, 0, 0)
    assert opened(right, "v.png").getpixel((50, 50)) == (255, 0, 0)


def test_jpeg_becomes_png_where_there_is_alpha(process: Process) -> None:
    image = photo(300, 200).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((300, 200)))
    processed, out = process(saved(image, "PNG"), DEFAULT_RECIPE)
    assert processed.has_alpha
    fallback = [v for v in processed.variants if v.name == "w1280" and v.format is not Format.WEBP]
    assert [(v.format, v.file, v.quality) for v in fallback] == [(Format.PNG, "w1280.png", 100)]
    assert difference(opened(out, "w1280.png").getchannel("A").convert("RGB"), image.getchannel("A").convert("RGB")) < 1


def test_alpha_that_hides_nothing_is_none(process: Process) -> None:
    processed, _ = process(saved(photo(30, 20).convert("RGBA"), "PNG"), DEFAULT_RECIPE)
    assert not processed.has_alpha
    assert {variant.format for variant in processed.variants} == {Format.WEBP, Format.JPEG}


def test_no_dark_fringes(process: Process) -> None:
    """White on transparent black: what shows after shrinking is white, only less of it."""
    image = Image.new("RGBA", (640, 640), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (100, 100, 333, 333))
    _, out = process(saved(image, "PNG"), LOSSLESS)
    small = opened(out, "v.png")
    data = small.convert("RGBA").tobytes()
    shown = [data[at : at + 3] for at in range(0, len(data), 4) if data[at + 3] > 8]
    assert min(min(pixel) for pixel in shown) >= 250


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF"])
def test_truncated_files_fail(process: Process, file_format: str, cut: float) -> None:
    whole = encoded(file_format, 300, 200)
    with pytest.raises(ImageError) as failure:
        process(whole[: int(len(whole) * cut)], WEBP, media_type=media_type(file_format))
    assert failure.value.code == "corrupt_image"


def media_type(file_format: str) -> str:
    return {"HEIF": "image/heic"}.get(file_format, f"image/{file_format.lower()}")


def test_only_the_rights_survive(process: Process) -> None:
    exif = Image.Exif()
    exif[0x013B], exif[0x8298], exif[0x010F] = "Ann Ö. Author".encode(), "© 2024 Ann".encode(), "Maker"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    source = saved(photo(80, 60), "JPEG", exif=exif, comment=b"<script>", xmp=b"<x:xmpmeta>secret</x:xmpmeta>")
    formats = (Format.WEBP, Format.JPEG, Format.PNG, Format.AVIF)
    processed, out = process(source, recipe_of(VariantSpec(name="v", width=64, formats=formats)))
    assert processed.privacy_report.gps
    for variant in processed.variants:
        raw = (out / variant.file).read_bytes()
        assert b"script" not in raw
        assert b"secret" not in raw
        assert b"Maker" not in raw
        kept = opened(out, variant.file).getexif()
        assert set(kept) == {0x013B, 0x8298}
        assert kept[0x8298].encode("latin-1").decode() == "© 2024 Ann"


def test_too_many_pixels_are_refused_by_the_header(process: Process) -> None:
    header = bytearray(encoded("PNG", 8, 8))
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    with pytest.raises(ImageError) as failure:
        process(bytes(header))
    assert failure.value.code == "too_many_pixels"
    assert "3,600,000,000" in failure.value.detail
    assert "100,000,000" in failure.value.detail


def test_the_pixel_limit_is_exact(process: Process) -> None:
    for file_format in ("JPEG", "PNG", "WEBP", "GIF"):
        body = encoded(file_format, 50, 40)
        assert process(body, WEBP, max_pixels=2000)[0].width == 50
        with pytest.raises(ImageError) as failure:
            process(body, WEBP, max_pixels=1999)
        assert "2000" in failure.value.detail.replace(",", "")
        assert "1,999" in failure.value.detail


def test_a_format_that_needs_more_memory_than_there_is_is_refused(process: Process) -> None:
    body = encoded("WEBP", 3000, 2500)
    assert process(body, WEBP)[0].width == 3000
    with pytest.raises(ImageError) as failure:
        process(body, WEBP, memory_mb=120)
    assert failure.value.code == "too_many_pixels"
    assert "there are 120 MB" in failure.value.detail


def test_profiles_are_converted_to_srgb(process: Process) -> None:
    """A profile whose red and blue are exchanged shows at once whether it was applied."""
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    name = swapped.index("sRGB built".encode("utf-16-be"))
    swapped[name : name + 8] = "mine".encode("utf-16-be")
    image = Image.new("RGB", (20, 20), (220, 40, 40))
    _, out = process(saved(image, "PNG", icc_profile=bytes(swapped)), LOSSLESS)
    red_now, _, blue_now = opened(out, "v.png").getpixel((5, 5))
    assert blue_now > 200
    assert red_now < 60


@pytest.mark.parametrize("profile", [b"junk", b"\0" * 200, "lab", "huge", "cut"])
def test_a_profile_that_is_no_good_is_ignored(process: Process, profile: bytes | str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    made = {"lab": lab, "huge": srgb + b"\0" * 4_200_000, "cut": srgb[:300]}
    given = profile if isinstance(profile, bytes) else made[profile]
    image = photo(50, 40)
    _, out = process(saved(image, "WEBP", lossless=True, icc_profile=given), LOSSLESS)
    assert difference(opened(out, "v.png"), image) < 1


def test_modes(process: Process) -> None:
    """Each mode that a file can hold comes out in its own tones."""
    gray = photo(60, 40).convert("L")
    wide = gray.convert("I").point(lambda tone: tone * 257).convert("I;16")
    floats = gray.convert("F").point(lambda tone: tone / 255 + 0.0)
    palette = photo(60, 40).quantize(200)
    cases = [
        (saved(gray, "PNG"), gray),
        (saved(wide, "PNG"), gray),
        (saved(wide, "TIFF"), gray),
        (saved(floats, "TIFF"), gray),
        (saved(gray.convert("1"), "PNG"), gray.convert("1")),
        (saved(palette, "PNG"), palette.convert("RGB")),
        (saved(photo(60, 40).convert("LAB"), "TIFF"), photo(60, 40)),
        (saved(photo(60, 40).convert("CMYK"), "JPEG", quality=95), photo(60, 40)),
        (saved(photo(60, 40).convert("CMYK"), "TIFF"), photo(60, 40)),
    ]
    for index, (body, expected) in enumerate(cases):
        _, out = process(body, LOSSLESS)
        assert difference(opened(out, "v.png"), expected) < 4, index


def test_transparency_of_every_kind(process: Process) -> None:
    stripes = Image.new("L", (40, 40), 0)
    stripes.paste(255, (0, 0, 20, 40))
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.paste(1, (20, 0, 40, 40))
    colored = palette.convert("RGB")
    wide = stripes.convert("I").point(lambda tone: tone * 257).convert("I;16")
    cases = [
        saved(palette, "PNG", transparency=0),
        saved(palette, "GIF", transparency=0),
        saved(colored, "PNG", transparency=(255, 0, 0)),
        saved(stripes, "PNG", transparency=255),
        saved(wide, "PNG", transparency=65535),
        saved(Image.merge("LA", (stripes, Image.eval(stripes, lambda a: 255 - a))), "PNG"),
    ]
    for index, body in enumerate(cases):
        processed, out = process(body, LOSSLESS)
        image = opened(out, "v.png")
        assert processed.has_alpha, index
        assert (image.getpixel((5, 20))[3], image.getpixel((35, 20))[3]) == (0, 255), index


def test_adobe_cmyk_is_not_inverted(process: Process) -> None:
    with Image.open(image_file("pillow-tests__pil_sample_cmyk.jpg")) as source:
        expected = source.convert("RGB")
    _, out = process(image_file("pillow-tests__pil_sample_cmyk.jpg").read_bytes(), recipe_of(
        VariantSpec(name="v", width=100, formats=(Format.PNG,))))  # fmt: skip
    assert difference(opened(out, "v.png"), expected) < 40


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_is_progressive_and_weighs_a_tenth_less_for_it(process: Process, mode: str) -> None:
    """The same coefficients in other scans and with Huffman tables made for them: no pixel changes."""
    body = saved(photo(1000, 700).convert(mode), "JPEG", quality=95)
    _, out = process(
        body, recipe_of(VariantSpec(name="v", width=800, formats=(Format.JPEG,), quality={Format.JPEG: 80}))
    )
    with Image.open(out / "v.jpg") as variant:
        assert variant.info["progressive"]
        plain = io.BytesIO()
        variant.save(plain, "JPEG", qtables=variant.quantization, subsampling="4:2:0")  # its own pixels, in one scan
        plain.seek(0)
        with Image.open(plain) as again:
            assert difference(variant, again) < 1
    assert (out / "v.jpg").stat().st_size < 0.92 * plain.getbuffer().nbytes
