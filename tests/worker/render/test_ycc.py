"""Photographs that stay in luma and differences from JPEG to JPEG look as those that go by way of RGB."""

from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from app.domain.models import Format
from app.domain.recipe import Fit, VariantSpec
from app.worker.pixels.icc import Primaries, rgb_profile
from app.worker.render import ycc
from tests.samples import photograph
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import saved, with_segment, without_segment

P3 = rgb_profile(Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), lambda tone: tone**2.2)


def scene(size: tuple[int, int]) -> Image.Image:
    """Smooth shades with strong colours on them, each corner another."""
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    draw = ImageDraw.Draw(picture)
    width, height = size
    draw.ellipse((width * 0.1, height * 0.1, width * 0.4, height * 0.4), (200, 60, 50))
    draw.rectangle((width * 0.6, height * 0.1, width * 0.9, height * 0.3), (40, 150, 70))
    draw.ellipse((width * 0.6, height * 0.6, width * 0.9, height * 0.9), (60, 80, 190))
    return picture


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def both(process: Process, body: bytes, **spec: Any) -> tuple[Image.Image, Image.Image]:
    """The variant as JPEG, and without loss by way of RGB."""
    made = []
    for wanted in (Format.JPEG, Format.PNG):
        asked = VariantSpec(name="v", formats=(wanted,), quality={Format.JPEG: 95}, **spec)
        processed, out = process(body, recipe_of(asked))
        with Image.open(out / processed.variants[0].file) as image:
            made.append(image.convert("RGB"))
    return made[0], made[1]


def no_worse(process: Process, body: bytes, **spec: Any) -> None:
    """Assert that JPEG by way of planes is about as near to the picture without loss as JPEG by way of RGB is."""
    jpeg, exact = both(process, body, **spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.worker.pipeline.plan.suits", lambda *_: False)
        by_rgb, _ = both(process, body, **spec)
    apart, means = distance(jpeg, exact)
    usual, usual_means = distance(by_rgb, exact)
    assert apart <= usual + 0.4
    assert means <= usual_means + 0.4


def distance(one: Image.Image, other: Image.Image) -> tuple[float, float]:
    """The mean difference of channels, and that of the means of the pictures' channels."""
    assert one.size == other.size
    apart = ImageStat.Stat(ImageChops.difference(one, other)).mean
    means = [abs(a - b) for a, b in zip(ImageStat.Stat(one).mean, ImageStat.Stat(other).mean, strict=True)]
    return max(apart), max(means)


@pytest.fixture
def planar(monkeypatch: pytest.MonkeyPatch) -> list[ycc.Planes]:
    """Pictures that were split into planes while the test ran."""
    seen: list[ycc.Planes] = []
    split = ycc.planes_of

    def watched(image: Image.Image) -> ycc.Planes:
        made = split(image)
        if image.mode == "YCbCr":
            seen.append(made)
        return made

    monkeypatch.setattr("app.worker.render.variants.planes_of", watched)
    return seen


@pytest.mark.parametrize("profile", [None, P3], ids=["srgb", "p3"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_and_profile(
    process: Process, planar: list[ycc.Planes], orientation: int, profile: bytes | None
) -> None:
    options = {"icc_profile": profile} if profile else {}
    body = saved(scene((1400, 1040)), "JPEG", quality=95, exif=exif(orientation), **options)
    no_worse(process, body, width=520)
    assert planar


@pytest.mark.parametrize(
    ("size", "subsampling"), [((1400, 1040), 0), ((1399, 1041), 2), ((641, 479), 2), ((333, 77), 0)], ids=str
)
@pytest.mark.parametrize(
    "spec",
    [{"width": 320}, {"width": 321}, {"width": 320, "height": 240, "fit": Fit.COVER}],
    ids=["even", "odd", "cover"],
)
def test_every_size(process: Process, size: tuple[int, int], subsampling: int, spec: dict[str, Any]) -> None:
    body = saved(scene(size), "JPEG", quality=95, subsampling=subsampling, icc_profile=P3)
    no_worse(process, body, **spec)


def test_a_ladder_and_its_looks(process: Process, planar: list[ycc.Planes]) -> None:
    body = photograph("photo-12mp.jpg")
    ladder = (960, 480, 240, 120)

    def made(wanted: Format) -> tuple[object, list[Image.Image]]:
        specs = (VariantSpec(name=f"w{width}", width=width, formats=(wanted,)) for width in ladder)
        processed, out = process(body, recipe_of(*specs), threads=2)
        return processed, [Image.open(out / variant.file).convert("RGB") for variant in processed.variants]

    jpeg, smaller = made(Format.JPEG)
    assert planar
    png, exact = made(Format.PNG)
    assert [image.size for image in smaller] == [image.size for image in exact]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.worker.pipeline.plan.suits", lambda *_: False)
        _, by_rgb = made(Format.JPEG)
    for one, usual, other in zip(smaller, by_rgb, exact, strict=True):
        assert distance(one, other)[0] <= distance(usual, other)[0] + 0.4
    for looks in ("width", "height", "has_alpha"):
        assert getattr(jpeg, looks) == getattr(png, looks)
    differing = int(jpeg.phash, 16) ^ int(png.phash, 16)
    assert differing.bit_count() <= 4


@pytest.mark.parametrize("kind", ["letters for components", "Adobe's marker"])
def test_a_jpeg_of_rgb_is_not_taken_for_luma(process: Process, planar: list[ycc.Planes], kind: str) -> None:
    body = saved(scene((800, 600)), "JPEG", quality=95, keep_rgb=True)
    body = without_segment(body, 0xE0) if b"JFIF" in body[:20] else body
    if kind == "letters for components":
        body = without_segment(body, 0xEE) if b"Adobe" in body[:64] else body
    elif b"Adobe" not in body[:64]:
        body = with_segment(body, 0xEE, b"Adobe" + bytes((0, 100, 0, 0, 0, 0, 0)))
    apart, _ = distance(*both(process, body, width=400))
    assert apart < 1.5
    assert not planar


def test_edges_of_strong_colours_keep_to_their_places(process: Process, planar: list[ycc.Planes]) -> None:
    picture = Image.new("RGB", (1200, 900), (128, 128, 128))
    ImageDraw.Draw(picture).rectangle((602, 0, 1200, 900), (200, 40, 40))
    jpeg, exact = both(process, saved(picture, "JPEG", quality=98, subsampling=0, icc_profile=P3), width=1200)
    assert planar
    for left, right in ((0, 598), (608, 1200)):  # without the edge, where JPEG's halved colours mix
        box = (left, 0, right, 900)
        worst = ImageChops.difference(jpeg.crop(box), exact.crop(box)).getextrema()
        assert max(high for _, high in worst) <= 8


@pytest.mark.parametrize("name", ["grey", "ink", "several pictures"])
def test_other_jpegs_go_on_as_they_did(process: Process, name: str) -> None:
    picture = scene((800, 600))
    match name:
        case "grey":
            body = saved(picture.convert("L"), "JPEG")
        case "ink":
            body = saved(picture.convert("CMYK"), "JPEG")
        case _:
            body = saved(picture, "MPO", save_all=True, append_images=[Image.new("RGB", (800, 600), "red")])
    assert distance(*both(process, body, width=400))[0] < 2


def test_a_broken_one_fails(process: Process) -> None:
    from app.domain.errors import ImageError

    body = photograph("photo-12mp.jpg")
    with pytest.raises(ImageError):
        process(body[: len(body) // 2], recipe_of(VariantSpec(name="v", width=400, formats=(Format.JPEG,))))
