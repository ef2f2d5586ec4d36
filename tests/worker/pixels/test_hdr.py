"""PQ and HLG images as Chromium shows them on a screen without HDR, and what the record says of them.

The levels below are Chromium 156's for the same bytes, by `drawImage` and by a screenshot of an `<img>` alike.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.domain.models import Format
from app.domain.recipe import VariantSpec
from app.worker.pixels.icc import Primaries, build_gray_profile, build_rgb_profile
from tests.tiers import smoke
from tests.worker.conftest import Bench, Process, recipe_of
from tests.worker.decode.heif_files import AVIF_BRANDS, HEIC_BRANDS, Item, auxc, box, coded, heif, nclx
from tests.worker.files import png_with, saved, with_segment

#: The tallest is above all others, so that the variant is as large as the original and nothing is resized.
LOSSLESS = recipe_of(VariantSpec(name="v", width=2000, formats=(Format.PNG,)))
STEP = 16
PQ, HLG = 16, 18
BT709, BT2020, P3 = 1, 9, 12

LIGHT = (0, 1, 10, 50, 100, 203, 400, 700, 1000, 2000, 10_000)
SHOWN = (0, 8, 43, 98, 137, 187, 223, 244, 255, 255, 255)
HLG_SHOWN = (0, 2, 9, 20, 31, 43, 54, 65, 76, 88, 99, 111, 126, 143, 164, 188, 207, 221, 233, 245, 255)


def pq(light: float) -> int:
    """The tone of a light in cd/m² (SMPTE ST 2084), of 255."""
    power = (light / 10_000) ** 0.1593017578125
    return round(255 * ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


PQ_TONES = [(pq(light),) * 3 for light in LIGHT]
HLG_TONES = [(round(255 * step / 20),) * 3 for step in range(21)]


def steps(colors: list[tuple[int, ...]]) -> Image.Image:
    """Squares side by side."""
    made = Image.new("RGB", (STEP * len(colors), 64))
    for at, color in enumerate(colors):
        made.paste(color, (STEP * at, 0, STEP * (at + 1), 64))
    return made


def png(colors: list[tuple[int, ...]], primaries: int, transfer: int, *chunks: tuple[bytes, bytes]) -> bytes:
    body = saved(steps(colors), "PNG")
    for kind, data in ((b"cICP", bytes((primaries, transfer, 0, 1))), *chunks):
        body = png_with(body, kind, data)
    return body


def avif(colors: list[tuple[int, ...]], primaries: int, transfer: int, *more: bytes) -> bytes:
    item = coded(steps(colors), "AVIF", quality=100, subsampling="4:4:4")
    item.properties = [*item.properties, nclx(primaries, transfer), *more]
    return heif({1: item}, brands=AVIF_BRANDS)


def heic(colors: list[tuple[int, ...]], primaries: int, transfer: int, *more: bytes) -> bytes:
    padded = [*colors, *[(0, 0, 0)] * (-len(colors) % 4)]  # to whole blocks
    item = coded(steps(padded), "HEIF", quality=100, chroma=444)
    item.properties = [*item.properties, nclx(primaries, transfer), *more]
    return heif({1: item}, brands=HEIC_BRANDS)


MAKERS: dict[str, Callable[..., bytes]] = {"PNG": png, "AVIF": avif, "HEIC": heic}


def levels(folder: Path, count: int) -> list[tuple[int, ...]]:
    with Image.open(folder / "v.png") as image:
        return [tuple(image.getpixel((STEP * at + STEP // 2, 32))) for at in range(count)]


def off(found: list[tuple[int, ...]], expected: list[tuple[int, ...]]) -> int:
    pairs = (pair for one, other in zip(found, expected, strict=True) for pair in zip(one, other, strict=True))
    return max(abs(a - b) for a, b in pairs)


def grays(expected: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [(level,) * 3 for level in expected]


@pytest.mark.parametrize("kind", MAKERS)
def test_pq_is_rolled_off_up_to_its_peak(process: Process, kind: str) -> None:
    processed, out = process(MAKERS[kind](PQ_TONES, BT2020, PQ), LOSSLESS)
    assert processed.hdr == "pq"
    found = levels(out, len(LIGHT))
    assert off(found, grays(SHOWN)) <= 3
    assert found[5] < found[6] < found[7] < found[8]  # white and what is brighter are not the same


@pytest.mark.parametrize("kind", MAKERS)
def test_hlg_is_shown_as_on_its_reference_display(process: Process, kind: str) -> None:
    processed, out = process(MAKERS[kind](HLG_TONES, BT2020, HLG), LOSSLESS)
    assert processed.hdr == "hlg"
    assert off(levels(out, len(HLG_TONES)), grays(HLG_SHOWN)) <= 3


COLORS = [(150, 120, 90), (120, 150, 120), (100, 110, 150), (170, 150, 150), (190, 160, 100), (140, 140, 90)]
#: What Chromium shows of them, by primaries and transfer.
COLORS_SHOWN = {
    (BT709, PQ): [(194, 114, 61), (114, 194, 114), (76, 94, 194), (242, 174, 174), (255, 172, 55), (163, 163, 61)],
    (BT709, HLG): [(118, 93, 70), (96, 121, 96), (76, 84, 115), (146, 123, 123), (178, 137, 84), (111, 111, 72)],
    (BT2020, PQ): [(229, 98, 44), (0, 201, 101), (35, 94, 201), (255, 154, 163), (255, 138, 0), (168, 164, 23)],
    (BT2020, HLG): [(133, 90, 67), (76, 124, 93), (67, 84, 118), (159, 120, 123), (201, 131, 73), (113, 111, 65)],
    (P3, PQ): [(206, 109, 46), (83, 196, 104), (72, 94, 200), (249, 167, 169), (255, 160, 0), (163, 163, 33)],
    (P3, HLG): [(123, 92, 67), (89, 122, 93), (75, 84, 118), (151, 122, 123), (185, 135, 74), (111, 111, 66)],
}


@pytest.mark.parametrize("code", COLORS_SHOWN)
def test_colors(process: Process, code: tuple[int, int]) -> None:
    _, out = process(png(list(COLORS), *code), LOSSLESS)
    found = levels(out, len(COLORS))
    assert off(found, list(COLORS_SHOWN[code])) <= 10  # at the edge of sRGB, where the table has a corner
    inside = [at for at, color in enumerate(COLORS_SHOWN[code]) if 0 not in color]
    assert off([found[at] for at in inside], [COLORS_SHOWN[code][at] for at in inside]) <= 3


def test_hues_stay_while_light_is_rolled_off(process: Process) -> None:
    """All channels are scaled alike: cut off one by one, a bright orange would be yellow."""
    bright, dim = (pq(2000), pq(700), pq(100)), (pq(200), pq(70), pq(10))
    _, out = process(png([bright, dim], BT709, PQ), LOSSLESS)
    assert off(levels(out, 2), [(255, 183, 74), (187, 116, 43)]) <= 4


CONTENT = {
    "PNG": lambda light: (b"cLLI", struct.pack(">II", light * 10_000, 0)),
    "AVIF": lambda light: box(b"clli", struct.pack(">HH", light, 0)),
    "HEIC": lambda light: box(b"clli", struct.pack(">HH", light, 0)),
}
DISPLAY = struct.pack(">8HII", 35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450, 600 * 10_000, 50)


@pytest.mark.parametrize("kind", smoke(MAKERS))
@pytest.mark.parametrize(
    ("light", "shown"),
    [
        (400, (0, 12, 55, 121, 169, 229, 255, 255, 255, 255, 255)),
        (4000, (0, 8, 43, 98, 137, 187, 207, 218, 226, 240, 255)),
        (203, (0, 15, 62, 135, 188, 255, 255, 255, 255, 255, 255)),
        (0, SHOWN),
    ],
)  # fmt: skip
def test_the_peak_is_what_the_content_says(process: Process, kind: str, light: int, shown: tuple[int, ...]) -> None:
    _, out = process(MAKERS[kind](PQ_TONES, BT2020, PQ, CONTENT[kind](light)), LOSSLESS)
    assert off(levels(out, len(LIGHT)), grays(shown)) <= (8 if light == 203 else 4)  # where the curve has a corner


def test_the_peak_is_otherwise_that_of_the_mastering_display(process: Process) -> None:
    """600 cd/m² in a PNG and a HEIC. Chromium does not read it of an AVIF."""
    made = {
        "PNG": (b"mDCV", DISPLAY),
        "HEIC": box(b"mdcv", DISPLAY),
        "AVIF": box(b"mdcv", DISPLAY),
    }
    found = {}
    for kind, told in made.items():
        _, out = process(MAKERS[kind](PQ_TONES, BT2020, PQ, told), LOSSLESS)
        found[kind] = levels(out, len(LIGHT))[5][0]
    assert found["AVIF"] == pytest.approx(187, abs=2)
    assert found["PNG"] == pytest.approx(212, abs=3)
    assert found["HEIC"] == pytest.approx(found["PNG"], abs=2)


def test_gray_images(process: Process) -> None:
    for transfer, tones, shown, name in ((PQ, PQ_TONES, SHOWN, "pq"), (HLG, HLG_TONES, HLG_SHOWN, "hlg")):
        body = png_with(saved(steps(list(tones)).convert("L"), "PNG"), b"cICP", bytes((BT2020, transfer, 0, 1)))
        processed, out = process(body, LOSSLESS)
        assert processed.hdr == name
        assert off(levels(out, len(tones)), grays(shown)) <= 2


def profile_with_cicp(primaries: int, transfer: int) -> bytes:
    """A profile whose curves say one thing and whose `cicp` tag says another."""
    plain = build_rgb_profile(Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), lambda tone: tone**2.2)
    count = int.from_bytes(plain[128:132])
    tag = b"cicp" + bytes(4) + bytes((primaries, transfer, 0, 1))
    table = b"".join(
        plain[at : at + 4] + struct.pack(">I", int.from_bytes(plain[at + 4 : at + 8]) + 12) + plain[at + 8 : at + 12]
        for at in range(132, 132 + 12 * count, 12)
    )
    bodies = plain[132 + 12 * count :]
    end = 132 + 12 * (count + 1) + len(bodies)
    whole = (
        plain[:128] + struct.pack(">I", count + 1) + table + struct.pack(">4sII", b"cicp", end, len(tag)) + bodies + tag
    )
    return struct.pack(">I", len(whole)) + whole[4:]


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}),
        ("AVIF", {"quality": 100, "speed": 9}), ("HEIF", {"quality": 100, "chroma": 444}),
    ],
)  # fmt: skip
def test_a_profile_may_say_it_in_any_format(process: Process, file_format: str, options: dict[str, Any]) -> None:
    tones = [*PQ_TONES, (0, 0, 0)] if file_format == "HEIF" else PQ_TONES
    body = saved(steps(list(tones)), file_format, icc_profile=profile_with_cicp(BT2020, PQ), **options)
    processed, out = process(body, LOSSLESS)
    assert processed.hdr == "pq"
    assert off(levels(out, len(LIGHT)), grays(SHOWN)) <= 4


@pytest.mark.parametrize("transfer", [1, 13])
def test_a_profile_that_says_no_hdr_counts_by_its_curves(process: Process, transfer: int) -> None:
    body = saved(steps([(128, 128, 128)]), "PNG", icc_profile=profile_with_cicp(BT2020, transfer))
    processed, out = process(body, LOSSLESS)
    assert processed.hdr is None
    assert abs(levels(out, 1)[0][0] - 129) <= 1  # the gamma of 2.2


def test_a_bitstream_says_it_where_the_container_is_silent(process: Process) -> None:
    """An AV1 image without `colr` has the colors of its sequence header, which are sRGB's here."""
    item = coded(steps(list(PQ_TONES)), "AVIF", quality=100, subsampling="4:4:4")
    processed, out = process(heif({1: item}), LOSSLESS)
    assert processed.hdr is None
    assert off(levels(out, len(LIGHT)), list(PQ_TONES)) <= 3


def test_the_colors_of_another_item_do_not_count(process: Process) -> None:
    """A gain map has colors of its own, and its box may come first."""
    image = coded(steps([(128, 128, 128)] * 4), "AVIF", quality=100, subsampling="4:4:4")
    gains = coded(steps([(90, 90, 90)] * 4).convert("L"), "AVIF")
    gains.properties = [nclx(BT2020, PQ), *gains.properties, auxc("urn:com:apple:photo:2020:aux:hdrgainmap")]
    gains.refs = {b"auxl": [1]}
    image.properties = [*image.properties, nclx(BT709, 13)]
    processed, out = process(heif({2: gains, 1: image}), LOSSLESS)
    assert processed.hdr == "gain_map"
    assert off(levels(out, 4), [(128, 128, 128)] * 4) <= 2


def test_a_heic_of_an_iphone_tells_its_gain_map(process: Process) -> None:
    image = coded(Image.new("RGB", (64, 64), "orange"), "HEIF", chroma=444)
    image.properties = [*image.properties, nclx(BT709, 13)]
    gains = coded(Image.new("L", (64, 64), 90), "HEIF")
    gains.properties = [*gains.properties, auxc("urn:com:apple:photo:2020:aux:hdrgainmap")]
    gains.refs = {b"auxl": [1]}
    assert process(heif({1: image, 2: gains}, brands=HEIC_BRANDS), LOSSLESS)[0].hdr == "gain_map"
    depth = Item(gains.kind, gains.data, [*gains.properties[:-1], auxc("urn:mpeg:hevc:2015:auxid:2")], gains.refs)
    assert process(heif({1: image, 2: depth}, brands=HEIC_BRANDS), LOSSLESS)[0].hdr is None


MARKS = {
    "Adobe and Google": b'http://ns.adobe.com/xap/1.0/\0<rdf:Description hdrgm:Version="1.0"/>',
    "Apple": b"http://ns.adobe.com/xap/1.0/\0<HDRGainMap:HDRGainMapVersion>65536</HDRGainMap:HDRGainMapVersion>",
    "ISO": None,
}


@pytest.mark.parametrize("maker", MARKS)
def test_a_jpeg_of_a_phone_tells_its_gain_map(process: Process, maker: str) -> None:
    small = saved(Image.new("L", (16, 16), 90), "JPEG")
    mark = MARKS[maker]
    gains = (
        with_segment(small, 0xE1, mark)
        if mark
        else with_segment(small, 0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    )
    with_gains = two_images(saved(Image.new("RGB", (64, 64), "orange"), "JPEG"), gains)
    assert process(with_gains, LOSSLESS)[0].hdr == "gain_map"
    assert process(two_images(saved(Image.new("RGB", (64, 64), "orange"), "JPEG"), small), LOSSLESS)[0].hdr is None
    alone = with_segment(saved(Image.new("RGB", (64, 64), "orange"), "JPEG"), 0xE1, MARKS["Adobe and Google"] or b"")
    assert process(alone, LOSSLESS)[0].hdr is None  # as when the second image was cut off


def two_images(first: bytes, second: bytes) -> bytes:
    """A file of the multi-picture format (CIPA DC-007)."""

    def segment(offset: int) -> bytes:
        entries = struct.pack(">IIIHH", 0x030000, 0, 0, 0, 0) + struct.pack(">IIIHH", 0, len(second), offset, 0, 0)
        tags = struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, 2)
        tags += struct.pack(">HHII", 0xB002, 7, len(entries), 8 + 2 + 36 + 4)
        return b"MPF\0" + b"MM\0*" + struct.pack(">IH", 8, 3) + tags + bytes(4) + entries

    body = with_segment(first, 0xE2, segment(0))
    start = body.index(b"MPF\0") + 4
    return with_segment(first, 0xE2, segment(len(body) - start)) + second


@pytest.mark.parametrize("kind", MAKERS)
def test_sdr_images_have_no_hdr(process: Process, kind: str) -> None:
    assert process(MAKERS[kind]([(90, 90, 90)] * 4, BT709, 13), LOSSLESS)[0].hdr is None


def test_a_gray_profile_with_the_tag_is_ignored(process: Process) -> None:
    body = saved(steps([(128,) * 3]).convert("L"), "PNG", icc_profile=build_gray_profile(lambda tone: tone))
    assert process(body, LOSSLESS)[0].hdr is None


@pytest.mark.parametrize("kind", ["pq", "hlg", "gain_map", None])
def test_the_record_keeps_it(bench: Bench, kind: str | None) -> None:
    gains = with_segment(saved(Image.new("L", (16, 16), 90), "JPEG"), 0xE1, MARKS["Apple"] or b"")
    bodies = {
        "pq": lambda: png(PQ_TONES, BT2020, PQ),
        "hlg": lambda: png(HLG_TONES, BT2020, HLG),
        "gain_map": lambda: two_images(saved(Image.new("RGB", (64, 64), "orange"), "JPEG"), gains),
        None: lambda: saved(steps([(90, 90, 90)]), "PNG"),
    }
    image_id = bench.upload(bodies[kind]())
    bench.worker().handle(image_id)
    found = bench.image(image_id)
    assert found.hdr == kind
    assert found.model_dump(mode="json")["hdr"] == kind
