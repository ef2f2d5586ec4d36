"""Odd sizes, odd containers, odd depths: each with its pixels."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from app.domain.errors import ImageError
from app.domain.models import Format
from app.domain.recipe import DEFAULT_RECIPE, Fit, VariantSpec
from tests.samples import encoded, photo
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import bmp, heic_in_one_piece, saved, tiff

LOSSLESS = recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,)))


def shown(folder: Path, file: str = "v.png") -> Image.Image:
    with Image.open(folder / file) as image:
        image.load()
        return image


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize(
    ("size", "widths", "height"),
    [
        ((1, 1), [1, 1, 1, 1, 1, 1], 1),
        ((1, 20_000), [1, 1, 1, 1, 1, 1], 16_383),
        ((20_000, 1), [1, 320, 640, 1280, 1280, 1920], 1),
    ],
)
def test_slivers(process: Process, file_format: str, size: tuple[int, int], widths: list[int], height: int) -> None:
    """No side is ever rounded to 0, nor longer than WebP can say."""
    processed, out = process(saved(Image.new("RGB", size, (200, 90, 60)), file_format), DEFAULT_RECIPE)
    assert (processed.width, processed.height) == size
    assert [variant.width for variant in processed.variants] == widths
    assert [variant.height for variant in processed.variants] == [1] + [height] * 5
    for variant in processed.variants:
        image = shown(out, variant.file)
        assert image.size == (variant.width, variant.height)
        assert max(abs(a - b) for a, b in zip(image.getpixel((0, 0)), (200, 90, 60), strict=True)) < 8


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP"])
def test_smaller_than_every_variant_is_never_enlarged(process: Process, file_format: str) -> None:
    processed, out = process(encoded(file_format, 40, 30), DEFAULT_RECIPE)
    assert {(v.width, v.height) for v in processed.variants if v.name != "thumb"} == {(40, 30)}
    assert {(v.width, v.height) for v in processed.variants if v.name == "thumb"} == {(30, 30)}
    with Image.open(io.BytesIO(encoded(file_format, 40, 30))) as original:
        assert difference(shown(out, "w320.webp"), original.convert("RGB")) < 16


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg", "tiff_adobe_deflate"])
def test_a_tiff_is_its_first_page(process: Process, compression: str) -> None:
    pages = [Image.new("RGB", (60, 40), "red"), Image.new("RGB", (20, 80), "blue")]
    body = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=compression)
    processed, out = process(body, LOSSLESS)
    assert (processed.width, processed.height, processed.frames) == (60, 40, 1)
    assert difference(shown(out), pages[0]) < 3


@pytest.mark.parametrize(
    ("tones", "bits", "photometric"),
    [([0.5, 1], 16, 1), ([0.1, 0.2, 0.3, 0.4, 1], 8, 5), ([0.1, 0.2, 0.3, 0.4, 1], 16, 5)],
    ids=["16-bit gray and alpha", "ink and alpha", "16-bit ink and alpha"],
)
def test_a_tiff_of_channels_that_nobody_here_reads_is_not_called_broken(
    process: Process, tones: list[float], bits: int, photometric: int
) -> None:
    whole = tiff(tones, bits=bits, photometric=photometric, extra=2)
    with pytest.raises(ImageError) as failure:
        process(whole, LOSSLESS)
    assert failure.value.code == "unsupported_image"
    with pytest.raises(ImageError) as failure:
        process(whole[:60], LOSSLESS)
    assert failure.value.code == "corrupt_image"


BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def test_a_bmp_whose_alpha_was_never_set_is_seen(process: Process) -> None:
    """As clipboards and screenshots write them, and viewers show them."""
    processed, out = process(bmp(0x00C85A3C, BGRA), LOSSLESS)
    assert not processed.has_alpha
    assert shown(out).convert("RGBA").getpixel((20, 20)) == (200, 90, 60, 255)


@pytest.mark.parametrize(("other", "alpha"), [(0x01C85A3C, 0), (None, 0x80)], ids=["in one pixel", "half"])
def test_a_bmp_whose_alpha_was_set_keeps_it(process: Process, other: int | None, alpha: int) -> None:
    processed, out = process(bmp(alpha << 24 | 0xC85A3C, BGRA, other=other), LOSSLESS)
    assert processed.has_alpha
    assert shown(out).getpixel((20, 20))[3] == alpha


@pytest.mark.parametrize(
    ("masks", "bits", "compression"),
    [((0x3FF00000, 0xFFC00, 0x3FF, 0), 32, 3), ((0xF00, 0xF0, 0xF, 0xF000), 16, 3), ((0,) * 4, 24, 5), (BGRA, 64, 0)],
    ids=["10 bits", "4 bits", "PNG within", "16 bits a channel"],
)
def test_a_bmp_of_bits_that_nobody_here_reads_is_not_called_broken(
    process: Process, masks: tuple[int, ...], bits: int, compression: int
) -> None:
    with pytest.raises(ImageError) as failure:
        process(bmp(0, masks, bits=bits, compression=compression), LOSSLESS)
    assert failure.value.code == "unsupported_image"


def test_a_picture_of_several_jpegs_is_its_first(process: Process) -> None:
    """As phones write them, with a gain map or the other eye's view behind."""
    first = photo(64, 48)
    body = saved(first, "MPO", save_all=True, append_images=[Image.new("RGB", (32, 24), "red")], quality=95)
    processed, out = process(body, LOSSLESS)
    assert (processed.width, processed.height, processed.frames) == (64, 48, 1)
    assert difference(shown(out), first) < 4


def test_a_heic_is_its_primary_picture(process: Process) -> None:
    pictures = [Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 48), "blue")]
    body = saved(pictures[0], "HEIF", save_all=True, append_images=pictures[1:], primary_index=1)
    processed, out = process(body, LOSSLESS)
    assert (processed.width, processed.height, processed.frames) == (64, 48, 1)
    assert difference(shown(out), pictures[1]) < 3


def test_a_heic_in_one_piece_that_is_too_large_is_not_called_broken(process: Process) -> None:
    small, large = (heic_in_one_piece(photo(64, 48), mebibytes << 20) for mebibytes in (1, 16))
    _, out = process(small, LOSSLESS)
    assert difference(shown(out), photo(64, 48)) < 12
    with pytest.raises(ImageError) as failure:
        process(large, LOSSLESS)
    assert failure.value.code == "unsupported_image"
    for broken in (large[:-1], small.replace(b"hvcC", b"free")):
        with pytest.raises(ImageError) as failure:
            process(broken, LOSSLESS)
        assert failure.value.code == "corrupt_image"


def test_an_avif_sequence_is_its_first_frame_and_says_how_many_there_are(process: Process) -> None:
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "blue", "lime")]
    body = saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], speed=10)
    processed, out = process(body, recipe_of(VariantSpec(name="v", width=64, formats=(Format.WEBP, Format.PNG))))
    assert processed.frames == 3
    assert difference(shown(out), frames[0]) < 6
    with Image.open(out / "v.webp") as variant:
        assert variant.n_frames == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_and_avif_carry_their_turn_in_the_container_and_are_turned_once(
    process: Process, orientation: int
) -> None:
    """As phones write them: boxes rotate the image, and EXIF repeats the rotation."""
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    upright = photo(64, 48)
    stored = upright.transpose(turned[orientation]) if orientation in turned else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for file_format in ("HEIF", "AVIF"):
        body = saved(stored, file_format, exif=exif.tobytes(), quality=95)
        assert (b"irot" in body or b"imir" in body) == (orientation > 1)
        processed, out = process(body, LOSSLESS)
        assert (processed.width, processed.height) == (64, 48)
        assert difference(shown(out), upright) < 12  # a wrong turn makes it 60 and more


SIDEWAYS = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("camera", ["", "Camera"], ids=["XMP", "EXIF and XMP"])
def test_an_avif_is_not_turned_by_its_xmp(process: Process, camera: str) -> None:
    exif = Image.Exif()
    if camera:
        exif[0x0110] = camera
    body = saved(photo(64, 48), "AVIF", xmp=SIDEWAYS, exif=exif.tobytes(), quality=95)
    assert b"irot" not in body
    processed, out = process(body, LOSSLESS)
    assert (processed.width, processed.height) == (64, 48)
    assert difference(shown(out), photo(64, 48)) < 12


@pytest.mark.parametrize("file_format", ["HEIF", "TIFF"])
def test_an_image_rotated_by_its_decoder_is_not_rotated_again_by_xmp(process: Process, file_format: str) -> None:
    stored = photo(64, 48).transpose(Image.Transpose.ROTATE_90)
    if file_format == "TIFF":
        body = saved(stored, "TIFF", tiffinfo={0x0112: 6, 700: SIDEWAYS})
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        body = saved(stored, file_format, xmp=SIDEWAYS, exif=exif.tobytes(), quality=95)
        assert b"irot" in body
    assert SIDEWAYS in body
    processed, out = process(body, LOSSLESS)
    assert (processed.width, processed.height) == (64, 48)
    assert difference(shown(out), photo(64, 48)) < 12


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_grays(process: Process, file_format: str) -> None:
    """Black and white turns, as fine as pixels, are gray at half the size: no row or column is dropped."""
    fine = Image.frombytes("1", (128, 96), b"\xaa" * (128 * 96 // 8))
    _, out = process(saved(fine, file_format), recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,))))
    with Image.open(out / "v.png") as made:
        grays = made.convert("L").crop((4, 4, 60, 44)).getextrema()
    assert all(abs(float(tone) - 127.5) < 8 for tone in grays if isinstance(tone, (int, float)))  # of one band


def test_no_fringes_in_any_format_that_has_alpha(process: Process) -> None:
    """A red disc on black that nobody can see: wherever anything shows, it is red."""
    mask = Image.new("L", (512, 512), 0)
    mask.paste(Image.radial_gradient("L").resize((512, 512)).point(lambda tone: 255 * (tone < 110)))
    image = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
    image.paste((230, 30, 30, 255), (0, 0), mask)
    formats = (Format.PNG, Format.WEBP, Format.AVIF)
    quality = {Format.WEBP: 95, Format.AVIF: 90}
    specs = (
        VariantSpec(name="v", width=100, formats=formats, quality=quality),
        VariantSpec(name="c", width=64, height=80, fit=Fit.COVER, formats=formats, quality=quality),
    )
    for file_format in ("PNG", "WEBP", "TIFF", "AVIF", "HEIF"):
        options = {} if file_format in {"PNG", "TIFF"} else {"quality": 95}
        processed, out = process(saved(image, file_format, **options), recipe_of(*specs))
        assert processed.has_alpha
        for variant in processed.variants:
            small = shown(out, variant.file)
            data = small.convert("RGBA").tobytes()
            seen = [data[at : at + 3] for at in range(0, len(data), 4) if data[at + 3] > 60]
            assert seen
            assert min(pixel[0] for pixel in seen) > (180 if variant.format is Format.PNG else 120), (
                file_format,
                variant.file,
            )


def test_a_phash_knows_every_variant_of_a_picture_and_no_other_picture(process: Process) -> None:
    """Within 6 bits of 64 after resizing and encoding again; 20 and more apart otherwise."""
    hashes = []
    for seed in range(4):
        processed, out = process(encoded("JPEG", 900, 700, seed), DEFAULT_RECIPE)
        known = int(str(processed.phash), 16)
        for variant in processed.variants:
            if variant.name != "thumb":
                again, _ = process((out / variant.file).read_bytes(), LOSSLESS)
                assert (known ^ int(str(again.phash), 16)).bit_count() <= 6
        poor, _ = process(saved(photo(900, 700, seed).resize((150, 117)), "JPEG", quality=25), LOSSLESS)
        assert (known ^ int(str(poor.phash), 16)).bit_count() <= 6
        hashes.append(known)
    for index, one in enumerate(hashes):
        assert all((one ^ other).bit_count() >= 16 for other in hashes[:index])
