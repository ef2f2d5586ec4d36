"""The colors of variants, against the published matrices of each space."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageCms, ImageDraw

from app.domain.models import Format
from app.domain.recipe import VariantSpec
from app.worker.pixels.icc import Primaries, build_gray_profile, build_rgb_profile
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import (
    cmyk_profile,
    deep_png,
    png_with,
    saved,
    srgb_profile,
    tiff,
    with_segment,
    without_segment,
)
from tests.worker.leaks import find_leaks

LOSSLESS = recipe_of(VariantSpec(name="v", width=64, formats=(Format.PNG,)))
P3 = Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = Primaries((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
COLORS = [(200, 90, 60), (60, 140, 90), (90, 110, 170), (128, 128, 128), (255, 255, 255), (0, 0, 0), (40, 20, 10)]

# Linear light to that of sRGB (CSS Color 4, sample code; BT.2087).
TO_SRGB = {
    "p3": ((1.2249402, -0.2249402, 0.0), (-0.0420570, 1.0420570, 0.0), (-0.0196376, -0.0786360, 1.0982736)),
    "adobe": ((1.3983557, -0.3983557, 0.0), (0.0, 1.0, 0.0), (0.0, -0.0429290, 1.0429290)),
    "2020": ((1.6604910, -0.5876411, -0.0728499), (-0.1245505, 1.1328999, -0.0083494),
             (-0.0181508, -0.1005789, 1.1187297)),
}  # fmt: skip


def srgb_light(tone: float) -> float:
    return tone / 12.92 if tone <= 0.04045 else ((tone + 0.055) / 1.055) ** 2.4


def srgb_tone(light: float) -> float:
    light = min(1.0, max(0.0, light))
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def adobe_light(tone: float) -> float:
    return tone ** (563 / 256)


def expected(space: str, color: tuple[int, ...], light: Callable[[float], float] = srgb_light) -> tuple[int, ...]:
    linear = [light(tone / 255) for tone in color]
    return tuple(round(255 * srgb_tone(sum(a * b for a, b in zip(row, linear, strict=True)))) for row in TO_SRGB[space])


def pixel(folder: Path, at: tuple[int, int] = (5, 5)) -> tuple[int, ...]:
    with Image.open(folder / "v.png") as image:
        return tuple(image.getpixel(at))


def off(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    assert len(one) == len(other)
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def plain(color: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (40, 30), color)


def nclx(color: tuple[int, ...], file_format: str, primaries: int, transfer: int) -> bytes:
    options = {"speed": 10} if file_format == "AVIF" else {"color_primaries": 1, "transfer_characteristics": 13}
    body = saved(plain(color), file_format, quality=100, **options)
    at = body.index(b"colrnclx") + 8
    return body[:at] + struct.pack(">HH", primaries, transfer) + body[at + 4 :]


CHRM = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
P3_FILES: dict[str, Callable[[tuple[int, ...]], bytes]] = {
    "JPEG": lambda c: saved(plain(c), "JPEG", quality=100, icc_profile=build_rgb_profile(P3, srgb_light)),
    "PNG": lambda c: saved(plain(c), "PNG", icc_profile=build_rgb_profile(P3, srgb_light)),
    "WebP": lambda c: saved(plain(c), "WEBP", lossless=True, icc_profile=build_rgb_profile(P3, srgb_light)),
    "TIFF": lambda c: saved(plain(c), "TIFF", icc_profile=build_rgb_profile(P3, srgb_light)),
    "HEIC": lambda c: saved(plain(c), "HEIF", quality=100, icc_profile=build_rgb_profile(P3, srgb_light)),
    "AVIF": lambda c: saved(plain(c), "AVIF", quality=100, speed=10, icc_profile=build_rgb_profile(P3, srgb_light)),
    "HEIC, no profile": lambda c: nclx(c, "HEIF", 12, 13),
    "AVIF, no profile": lambda c: nclx(c, "AVIF", 12, 13),
    "AVIF, BT.709's curve": lambda c: nclx(c, "AVIF", 12, 1),
    "PNG, cICP": lambda c: png_with(saved(plain(c), "PNG"), b"cICP", bytes((12, 13, 0, 1))),
    "PNG, cICP before its profile": lambda c: png_with(
        saved(plain(c), "PNG", icc_profile=srgb_profile()), b"cICP", bytes((12, 13, 0, 1))
    ),
    "PNG, cHRM": lambda c: png_with(
        png_with(saved(plain(c), "PNG"), b"cHRM", CHRM), b"gAMA", struct.pack(">I", 45455)
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", P3_FILES)
def test_display_p3_becomes_srgb(process: Process, kind: str) -> None:
    for color in COLORS:
        processed, out = process(P3_FILES[kind](color), LOSSLESS)
        assert off(pixel(out), expected("p3", color)) <= 4, color
        assert find_leaks(out / processed.variants[0].file) == []  # no profile stays behind


def _stripes() -> Image.Image:
    """Stripes of gray and strong red, which Display P3 changes least and most, 1400 by 1202."""
    stripes = Image.new("RGB", (1400, 1202), (128, 128, 128))
    for at in range(0, 1400, 8):
        ImageDraw.Draw(stripes).rectangle((at, 0, at + 3, 1202), (200, 40, 40))
    return stripes


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colors_of_a_large_drawing_are_exact(process: Process, mode: str) -> None:
    scene = _stripes()
    if mode == "RGBA":
        scene.putalpha(Image.linear_gradient("L").resize(scene.size))
    body = saved(scene, "PNG", icc_profile=build_rgb_profile(P3, srgb_light))
    _, out = process(body, recipe_of(VariantSpec(name="v", width=1400, formats=(Format.PNG,))), threads=2)
    with Image.open(io.BytesIO(body)) as sent, Image.open(out / "v.png") as image:
        profile = io.BytesIO(sent.info["icc_profile"])
        exact = ImageCms.profileToProfile(sent.convert("RGB"), profile, ImageCms.createProfile("sRGB"))
        assert exact is not None
        assert image.convert("RGB").tobytes() == exact.tobytes()
        assert mode == "RGB" or image.getchannel("A").tobytes() == sent.getchannel("A").tobytes()


@pytest.mark.parametrize("file_format", ["HEIF", "AVIF"])
def test_bt2020_becomes_srgb(process: Process, file_format: str) -> None:
    for color in COLORS:
        _, out = process(nclx(color, file_format, 9, 13), LOSSLESS)
        assert off(pixel(out), expected("2020", color)) <= 4, color


def test_adobe_rgb_becomes_srgb_whether_a_profile_or_a_camera_says_so(process: Process) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    for color in COLORS:
        for body in (
            saved(plain(color), "JPEG", quality=100, icc_profile=build_rgb_profile(ADOBE, adobe_light)),
            saved(plain(color), "JPEG", quality=100, exif=exif),
        ):
            _, out = process(body, LOSSLESS)
            assert off(pixel(out), expected("adobe", color, adobe_light)) <= 4, color


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (1, 1), (2, 2), (0, 0), (99, 99), (1, 6)])
def test_colors_that_are_srgb_or_unknown_are_left_alone(process: Process, primaries: int, transfer: int) -> None:
    for file_format in ("HEIF", "AVIF"):
        _, out = process(nclx((200, 90, 60), file_format, primaries, transfer), LOSSLESS)
        assert off(pixel(out), (200, 90, 60)) <= 4


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_gamma_of_a_png(process: Process, mode: str) -> None:
    linear = png_with(saved(plain((100, 100, 100)).convert(mode), "PNG"), b"gAMA", struct.pack(">I", 100_000))
    _, out = process(linear, LOSSLESS)
    assert off(pixel(out), (168, 168, 168)) <= 2  # 100/255 of the light


@pytest.mark.parametrize(
    ("chunks"),
    [
        [(b"gAMA", struct.pack(">I", 45455))],
        [(b"gAMA", struct.pack(">I", 0))],
        [(b"gAMA", struct.pack(">I", 2**32 - 1))],
        [(b"cHRM", bytes(32))],
        [(b"cHRM", struct.pack(">8I", *[31270, 32900] * 4))],
        [(b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0")],
        [(b"cICP", b"\x0c")],
        [(b"cICP", bytes((1, 13, 0, 1)))],
    ],
)
def test_numbers_that_say_srgb_or_nothing_at_all(process: Process, chunks: list[tuple[bytes, bytes]]) -> None:
    body = saved(plain((200, 90, 60)), "PNG")
    for kind, given in chunks:
        body = png_with(body, kind, given)
    _, out = process(body, LOSSLESS)
    assert pixel(out) == (200, 90, 60)


def test_a_gray_profile(process: Process) -> None:
    for file_format in ("JPEG", "PNG", "TIFF"):
        _, out = process(
            saved(plain((128,), "L"), file_format, icc_profile=build_gray_profile(lambda tone: tone)), LOSSLESS
        )
        assert off(pixel(out), (188, 188, 188)) <= 2
    wide = plain((128 * 257,), "I").convert("I;16")
    _, out = process(saved(wide, "PNG", icc_profile=build_gray_profile(lambda tone: tone)), LOSSLESS)
    assert off(pixel(out), (188, 188, 188)) <= 2


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "profile",
    [cmyk_profile(), build_gray_profile(lambda tone: tone), build_rgb_profile(P3, srgb_light)[:-100], b"\xff" * 4000],
)
def test_a_profile_of_another_kind_or_a_broken_one_is_ignored(
    process: Process, file_format: str, profile: bytes
) -> None:
    _, out = process(saved(plain((200, 90, 60)), file_format, quality=100, icc_profile=profile), LOSSLESS)
    assert off(pixel(out), (200, 90, 60)) <= 3


INK = {"cyan": (255, 0, 0, 0), "yellow": (0, 0, 255, 0), "paper": (0, 0, 0, 0), "black": (0, 0, 0, 255)}


def cmyk(color: tuple[int, ...], kind: str, profile: bytes | None) -> bytes:
    options = {"icc_profile": profile} if profile else {}
    if kind == "TIFF":
        return saved(plain(color, "CMYK"), "TIFF", **options)
    if kind == "Adobe":
        body = saved(plain(color, "CMYK"), "JPEG", quality=100, **options)
        return body if b"Adobe" in body else with_segment(body, 0xEE, b"Adobe\0\x64\0\0\0\0\0")
    upright = saved(plain(tuple(255 - ink for ink in color), "CMYK"), "JPEG", quality=100, **options)
    return without_segment(upright, 0xEE) if b"Adobe" in upright else upright


@pytest.mark.parametrize("kind", ["TIFF", "Adobe", "plain"])
def test_cmyk(process: Process, kind: str) -> None:
    shown = {"cyan": (0, 255, 255), "yellow": (255, 255, 0), "paper": (255, 255, 255), "black": (0, 0, 0)}
    for ink, color in INK.items():
        _, out = process(cmyk(color, kind, None), LOSSLESS)
        assert off(pixel(out), shown[ink]) <= 4, ink


@pytest.mark.parametrize("kind", ["TIFF", "Adobe", "plain"])
def test_cmyk_with_a_profile(process: Process, kind: str) -> None:
    """Of a press whose cyan is green and whose yellow is none: nothing but the profile can have said so."""
    shown = {"cyan": (0, 255, 0), "yellow": (255, 255, 255), "paper": (255, 255, 255), "black": (0, 0, 0)}
    for ink, color in INK.items():
        _, out = process(cmyk(color, kind, cmyk_profile()), LOSSLESS)
        assert off(pixel(out), shown[ink]) <= 30, ink


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("tones", "options", "color"),
    [
        ((0.8, 0.4, 0.2), {"bits": 16}, (204, 102, 51)),
        ((0.8, 0.4, 0.2, 0.5), {"bits": 16, "extra": 2}, (204, 102, 51, 127)),
        ((0.4, 0.2, 0.1, 0.5), {"bits": 16, "extra": 1}, (204, 102, 51, 127)),
        ((0.4, 0.2, 0.1, 0.5), {"extra": 1}, (204, 102, 51, 127)),
        ((0.8, 0.4, 0.2, 0.5), {"extra": 2}, (204, 102, 51, 127)),
        ((0.8, 0.4, 0.2, 0.5), {"extra": 0}, (204, 102, 51)),
        ((0.8,), {"bits": 16, "photometric": 1}, (204, 204, 204)),
        ((0.8,), {"photometric": 0}, (51, 51, 51)),
        ((0.8, 0.5), {"photometric": 1, "extra": 2}, (204, 204, 204, 127)),
        ((0.0, 1.0, 1.0, 0.0), {"bits": 16, "photometric": 5}, (255, 0, 0)),
    ],
)
def test_tiffs_of_every_depth(
    process: Process, order: str, tones: tuple[float, ...], options: dict[str, int], color: tuple[int, ...]
) -> None:
    _, out = process(tiff(tones, order=order, **options), LOSSLESS)
    assert off(pixel(out), color) <= 2


def test_a_16_bit_tiff_whose_zero_is_white(process: Process) -> None:
    _, out = process(tiff((0.8,), bits=16, photometric=0), LOSSLESS)
    assert pixel(out) == (51, 51, 51)


@pytest.mark.parametrize("tone", [0, 0.2, 0.8, 1])
def test_a_12_bit_tiff(process: Process, tone: float) -> None:
    _, out = process(tiff((tone,), bits=12, photometric=1), LOSSLESS)
    assert off(pixel(out), (round(tone * 255),) * 3) <= 1


@pytest.mark.parametrize(
    ("kind", "tones", "color"),
    [
        (2, (0.8, 0.4, 0.2), (204, 102, 51)),
        (6, (0.8, 0.4, 0.2, 0.6), (204, 102, 51, 153)),
        (0, (0.8,), (204, 204, 204)),
        (4, (0.8, 0.6), (204, 204, 204, 153)),
    ],
    ids=["color", "color and alpha", "gray", "gray and alpha"],
)
def test_a_16_bit_png(process: Process, kind: int, tones: tuple[float, ...], color: tuple[int, ...]) -> None:
    _, out = process(deep_png([[round(tone * 65535) for tone in tones]] * 16, 16, kind), LOSSLESS)
    assert off(pixel(out), color) <= 1


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_tone_of_a_gray_png(process: Process, depth: int) -> None:
    """Two tones next to each other, at any depth; the lower is the transparent one."""
    most = 2**depth - 1
    key = most // 2
    body = deep_png([(key,)] * 16 + [(key + 1,)] * 16, depth, 0, tRNS=key.to_bytes(2))
    processed, out = process(body, LOSSLESS)
    assert processed.has_alpha
    assert pixel(out, (4, 4))[3] == 0
    assert pixel(out, (28, 4)) == (*[round((key + 1) * 255 / most)] * 3, 255)


@pytest.mark.parametrize(
    ("depth", "key", "stored"),
    [
        (8, (3, 60, 200), (3, 60, 200)),
        (8, (3, 60, 200), (0xFF03, 60, 0x01C8)),
        (16, (0, 0, 0), (0, 0, 0)),
        (16, (0, 0, 0), (7, 90, 255)),
        (16, (0x0305, 0x3CAA, 0xC801), (0x0305, 0x3CAA, 0xC801)),
    ],
    ids=["8 bits", "more than 8 bits for 8", "black", "nearly black", "16 bits"],
)
def test_the_transparent_color_of_a_png(
    process: Process, depth: int, key: tuple[int, ...], stored: tuple[int, ...]
) -> None:
    """Two colors next to each other, of which the first is transparent."""
    shown = tuple(part + (16 << depth - 8) for part in key)
    hidden = stored if depth == 16 else key
    tRNS = struct.pack(">3H", *stored)  # noqa: N806 - the chunk's name
    processed, out = process(deep_png([hidden] * 16 + [shown] * 16, depth, 2, tRNS=tRNS), LOSSLESS)
    assert processed.has_alpha
    assert pixel(out, (4, 4))[3] == 0
    assert off(pixel(out, (28, 4)), (*(part >> depth - 8 for part in shown), 255)) <= 1


def test_profiles_made_from_numbers_are_those_of_lcms() -> None:
    """Our sRGB profile equals that of lcms: the image stays unchanged."""
    ours = ImageCms.ImageCmsProfile(
        io.BytesIO(build_rgb_profile(Primaries((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), srgb_light))
    )
    transform = ImageCms.buildTransform(ours, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    for color in COLORS:
        converted = ImageCms.applyTransform(plain(color), transform)
        assert converted is not None
        assert off(tuple(converted.getpixel((0, 0))), color) <= 1
