"""JPEG: what applications say cannot make an image fail, kinds that are not decoded are named, and no pixel is missing.

Decided here: without an end of image a JPEG is accepted when every pixel of it is there, and a progressive one when
every coefficient is there to its last bit; otherwise it is refused. Browsers show what there is.
"""

from functools import cache

import pytest
from PIL import Image, ImageChops

from app.domain.errors import ImageError
from app.domain.models import Format
from app.domain.recipe import VariantSpec
from app.worker.pixels.icc import Primaries, build_rgb_profile
from tests.samples import image_file, photo
from tests.tiers import smoke
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import saved, srgb_profile, with_segment

LOSSLESS = recipe_of(VariantSpec(name="v", width=96, formats=(Format.PNG,)))
KINDS = {
    "baseline": {}, "optimized": {"optimize": True}, "progressive": {"progressive": True}, "4:4:4": {"subsampling": 0},
    "progressive 4:4:4": {"progressive": True, "subsampling": 0}, "intervals": {"restart_marker_blocks": 3},
    "intervals of a row": {"restart_marker_rows": 1},
    "progressive intervals": {"progressive": True, "restart_marker_rows": 1},
}  # fmt: skip
THUMBNAIL = saved(photo(32, 24, 5), "JPEG", quality=60)
CAMERA = Image.Exif()
CAMERA[0x010F], CAMERA[0x0110] = "Acme", "Rusty"


@cache
def picture() -> Image.Image:
    return Image.merge("RGB", [Image.effect_noise((91, 67), spread) for spread in (60, 80, 100)])


@cache
def jpeg(kind: str = "baseline", mode: str = "RGB") -> bytes:
    noise = (
        picture() if mode == "RGB" else Image.merge(mode, [*picture().split(), picture().getchannel(0)][: len(mode)])
    )
    return saved(noise, "JPEG", quality=85, **KINDS[kind])


def shown(process: Process, body: bytes) -> Image.Image:
    _, out = process(body, LOSSLESS)
    with Image.open(out / "v.png") as image:
        return image.convert("RGB")


def is_same(process: Process, body: bytes, clean: bytes) -> bool:
    one, other = shown(process, body), shown(process, clean)
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


EXIF = CAMERA.tobytes()
SEGMENTS = {
    "EXIF": (0xE1, EXIF), "EXIF with a thumbnail": (0xE1, EXIF + THUMBNAIL), "XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),
    "profile": (0xE2, b"ICC_PROFILE\0\1\1" + srgb_profile()), "MPF": (0xE2, b"MPF\0" + bytes(40)),
    "Photoshop": (0xED, b"Photoshop 3.0\08BIM\4\4\0\0\0\0\0\3abc"), "comment": (0xFE, b"hello"),
    "JFXX": (0xE0, b"JFXX\0\x10" + THUMBNAIL), "Adobe": (0xEE, b"Adobe\0d\0\0\0\0\1"),
    "ducky": (0xEC, b"Ducky" + bytes(20)), "APP15": (0xEF, bytes(300)),
}  # fmt: skip


@pytest.mark.parametrize("wrong", [-30_000, -200, -7, -2, -1, 1, 2, 9, 300, 2000, 60_000], ids="{:+}".format)
@pytest.mark.parametrize("name", SEGMENTS)
@pytest.mark.slow
def test_a_segment_of_an_application_may_have_a_wrong_length(process: Process, name: str, wrong: int) -> None:
    marker, body = SEGMENTS[name]
    sound = with_segment(jpeg(), marker, body)
    claimed = min(0xFFFF, max(0, len(body) + 2 + wrong))
    assert is_same(process, sound[:4] + claimed.to_bytes(2) + sound[6:], jpeg())


@pytest.mark.parametrize("kept", [0, 1, 5, 6, 11, 13, 14, 20, 40])
@pytest.mark.parametrize("name", SEGMENTS)
@pytest.mark.slow
def test_a_segment_of_an_application_may_be_cut(process: Process, name: str, kept: int) -> None:
    marker, body = SEGMENTS[name]
    assert is_same(process, with_segment(jpeg(), marker, body[:kept]), jpeg())
    assert is_same(process, with_segment(with_segment(jpeg(), marker, body), marker, body[:kept]), jpeg())


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_segment_of_an_application_may_be_there_often(process: Process, name: str) -> None:
    marker, body = SEGMENTS[name]
    many = jpeg()
    for _ in range(100):
        many = with_segment(many, marker, body)
    assert is_same(process, many, jpeg())


@pytest.mark.parametrize("offset", [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x08\0\0\0", b"\0\1\0\0"])
def test_broken_exif_is_dropped(process: Process, offset: bytes) -> None:
    body = EXIF[:10] + offset + EXIF[14:]
    assert is_same(process, with_segment(jpeg(), 0xE1, body), jpeg())
    assert is_same(process, with_segment(jpeg(), 0xE1, EXIF[:14] + b"\xff" * 3000), jpeg())


def test_junk_between_segments_is_skipped(process: Process) -> None:
    for junk in (b"\xff\xff\xff", b"\xff\0", b"\0\0\0", b"abcdef", b"\xff\xd3", b"\xff\1"):
        sound = with_segment(jpeg(), 0xE1, EXIF)
        end = 2 + 2 + int.from_bytes(sound[4:6])
        assert is_same(process, sound[:end] + junk + sound[end:], jpeg())


def test_a_camera_is_read_beside_a_broken_segment(process: Process) -> None:
    sound = with_segment(with_segment(jpeg(), 0xE1, EXIF), 0xED, bytes(50))
    processed, _ = process(sound[:4] + b"\0\x28" + sound[6:], LOSSLESS)
    assert processed.camera == "Acme Rusty"


@pytest.mark.parametrize("pieces", [2, 3])
def test_a_profile_in_pieces_is_put_together(process: Process, pieces: int) -> None:
    """In their order, each once; and dropped when one is missing."""
    profile = build_rgb_profile(Primaries((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), lambda tone: tone**2.2)
    size = -(-len(profile) // pieces)
    parts = [profile[at : at + size] for at in range(0, len(profile), size)]
    body = jpeg()
    for number, part in enumerate(parts, 1):  # so that the last comes first
        body = with_segment(body, 0xE2, b"ICC_PROFILE\0" + bytes((number, len(parts))) + part)
    whole = saved(picture(), "JPEG", quality=85, icc_profile=profile)
    assert is_same(process, body, whole)
    assert (
        is_same(process, with_segment(body, 0xE2, b"ICC_PROFILE\0" + bytes((1, len(parts))) + b"junk"), whole) is False
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("made__12-bit.jpg", "12-bit JPEG"),
        ("made__lossless-16-bit.jpg", "Lossless 16-bit JPEG"),
        ("made__jpeg-ls.jpg", "JPEG-LS"),
    ],
)
def test_a_kind_that_is_not_decoded_is_named(process: Process, name: str, kind: str) -> None:
    with pytest.raises(ImageError) as failure:
        process(image_file(name).read_bytes(), LOSSLESS)
    assert (failure.value.code, failure.value.detail) == ("unsupported_image", f"{kind} cannot be decoded.")


def reframed(marker: int = 0xC0, at: int = 0, value: bytes = b"") -> bytes:
    """With another kind of frame, or another number in it."""
    body = bytearray(jpeg())
    frame = body.index(b"\xff\xc0")
    body[frame + 1] = marker
    body[frame + 4 + at : frame + 4 + at + len(value)] = value
    return bytes(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (reframed(0xC5), "Hierarchical JPEG"),
        (reframed(0xCE), "Hierarchical JPEG"),
        (reframed(0xDE), "Hierarchical JPEG"),
        (reframed(0xCB), "Lossless JPEG with arithmetic coding"),
        (reframed(0xC8), "JPEG of a reserved kind"),
        (reframed(0xC1, 0, b"\x0c"), "12-bit JPEG"),
        (reframed(0xC9, 0, b"\x0c"), "12-bit JPEG"),
        (reframed(0xC3, 0, b"\x0f"), "Lossless 15-bit JPEG"),
        (reframed(0xC0, 1, b"\0\0"), "JPEG whose height follows its pixels (DNL)"),
        (reframed(0xC0, 5, b"\2"), "JPEG of 2 components"),
    ],
)
def test_each_kind_of_frame_that_is_not_decoded_is_named(process: Process, body: bytes, kind: str) -> None:
    with pytest.raises(ImageError) as failure:
        process(body, LOSSLESS)
    assert (failure.value.code, failure.value.detail) == ("unsupported_image", f"{kind} cannot be decoded.")


def test_a_lossless_jpeg_of_8_bits_is_decoded(process: Process) -> None:
    """At its size, which is the only one that it has."""
    body = image_file("made__lossless-8-bit.jpg").read_bytes()
    image = shown(process, body)
    assert [image.getpixel(at) for at in ((5, 3), (15, 15))] == [(80, 48, 90), (240, 240, 90)]
    recipe = recipe_of(VariantSpec(name="v", width=4, formats=(Format.JPEG,)))
    processed, out = process(body, recipe)
    assert (processed.width, processed.height) == (16, 16)
    with Image.open(out / "v.jpg") as small:
        assert small.size == (4, 4)
        gray = small.convert("L")
        assert all(abs(gray.getpixel(at) - tone) < 12 for at, tone in (((3, 0), 89), ((0, 3), 144), ((3, 3), 202)))


@pytest.mark.parametrize("mode", smoke(["RGB", "L", "CMYK"]))
@pytest.mark.parametrize("kind", KINDS)
def test_without_its_end_a_jpeg_is_whole_as_long_as_no_pixel_is_missing(process: Process, kind: str, mode: str) -> None:
    body = jpeg(kind, mode)
    assert is_same(process, body[:-2], body)
    assert is_same(process, body[:-1], body)
    for missing in (3, 4, 12, 60, 400, len(body) // 2, len(body) - 700):
        with pytest.raises(ImageError) as failure:
            process(body[:-missing], LOSSLESS)
        assert failure.value.code == "corrupt_image"


@pytest.mark.parametrize("mode", smoke(["RGB", "L", "CMYK"]))
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "progressive" not in kind])
def test_an_end_after_missing_pixels_does_not_make_a_jpeg_whole(process: Process, kind: str, mode: str) -> None:
    """As some programs write it, which libjpeg fills up with gray."""
    body = jpeg(kind, mode)
    for missing in (60, 400, len(body) // 2, len(body) - 700):
        with pytest.raises(ImageError) as failure:
            process(body[:-missing] + b"\xff\xd9", LOSSLESS)
        assert failure.value.code == "corrupt_image"
    for rest in (b"\xff\xff\xd9", b"\xff\xd9" + bytes(50), b"\xff\xd9" + THUMBNAIL, b"\0\0\xff\xd9"):
        assert is_same(process, body[:-2] + rest, body)


@pytest.mark.parametrize("kind", ["progressive", "progressive 4:4:4"])
def test_a_progressive_jpeg_needs_all_of_its_scans(process: Process, kind: str) -> None:
    body = jpeg(kind)
    scans = [at for at in range(len(body)) if body[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for scan in scans[1:]:
        tables = body.rindex(b"\xff\xc4", 0, scan)
        end = tables if tables > scans[scans.index(scan) - 1] else scan
        with pytest.raises(ImageError) as failure:
            process(body[:end], LOSSLESS)
        assert failure.value.code == "corrupt_image"


@pytest.mark.parametrize("width", [7, 8, 9, 15, 16, 17, 64])
def test_the_last_block_of_any_size_is_told_from_a_missing_one(process: Process, width: int) -> None:
    for plain in (False, True):
        image = Image.new("RGB", (width, width), (200, 100, 50)) if plain else picture().crop((0, 0, width, width))
        body = saved(image, "JPEG", quality=90)
        assert is_same(process, body[:-2], body)
        if not plain:
            with pytest.raises(ImageError):
                process(body[:-6], LOSSLESS)


def test_a_jpeg_that_ends_before_its_pixels_is_refused(process: Process) -> None:
    body = jpeg()
    for end in (body.index(b"\xff\xc0"), body.index(b"\xff\xda"), body.index(b"\xff\xda") + 6, 20, 4):
        with pytest.raises(ImageError) as failure:
            process(body[:end], LOSSLESS)
        assert failure.value.code == "corrupt_image"
