"""An image is processed in exactly the estimated memory, and refused by its header with less."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app.domain.errors import ImageError
from app.domain.models import Format
from app.domain.recipe import DEFAULT_RECIPE, Recipe, VariantSpec
from app.worker.decode.formats import open_image
from app.worker.jobs import Job, Processed
from app.worker.pipeline.plan import make_plan
from app.worker.sandbox.parent import Sandbox
from tests.samples import image_file, photo
from tests.worker import stubs
from tests.worker.conftest import recipe_of
from tests.worker.kinds import KINDS, in_tiles

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="this system does not bound a process's address space"),
    pytest.mark.slow,
]

MIB = 1_048_576
#: Quickly made, and so small that reading the original is what takes most.
TINY = recipe_of(VariantSpec(name="v", width=200))
JOB = Job(recipe=TINY, media_type="image/png", max_pixels=10**9, max_frames=60)
Attempt = Callable[[Path, Job, int], Processed]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    """Process a file in the real child, with that many MB."""

    def run(source: Path, job: Job, memory_mb: int) -> Processed:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        for file in out.iterdir():
            file.unlink()
        return Sandbox(60, memory_mb).process(source, out, job)

    return run


def megabytes(source: Path, job: Job) -> int:
    with open_image(source, job.media_type) as image:
        return int(-(-make_plan(image, source, job).memory.still // MIB))


def fits_exactly(attempt: Attempt, source: Path, job: Job) -> Processed:
    """Process it with what its header says it takes, and have it refused with one MB less."""
    enough = megabytes(source, job)
    processed = attempt(source, job, enough)
    with pytest.raises(ImageError) as failure:
        attempt(source, job, enough - 1)
    assert failure.value.code == "too_many_pixels"
    assert f"about {enough} MB of memory; there are {enough - 1} MB" in failure.value.detail
    return processed


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_each_kind_fits_into_what_it_is_said_to_take(attempt: Attempt, tmp_path: Path, kind: str) -> None:
    media_type, write = KINDS[kind]
    write(photo(2400, 1800), tmp_path / "original")
    job = JOB.model_copy(update={"media_type": media_type})
    assert 2398 <= fits_exactly(attempt, tmp_path / "original", job).width <= 2400


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("side", [512, 1536], ids=["as phones write them", "far over the edges"])
def test_tiles_that_are_decoded_at_once_count(attempt: Attempt, tmp_path: Path, side: int, threads: int) -> None:
    in_tiles("HEIF", side)(photo(1600, 1600), tmp_path / "original")
    job = JOB.model_copy(update={"media_type": "image/heic", "threads": threads})
    assert fits_exactly(attempt, tmp_path / "original", job).width == 1600


def test_an_avif_of_many_bits_takes_more(attempt: Attempt) -> None:
    job = JOB.model_copy(update={"media_type": "image/avif"})
    assert fits_exactly(attempt, image_file("made__avif-10-bit-alpha.avif"), job).has_alpha


def test_a_tiff_that_lies_is_held_twice_while_it_is_turned(attempt: Attempt, tmp_path: Path) -> None:
    photo(2400, 1800).save(tmp_path / "original", "TIFF", compression="tiff_lzw", exif=lying())
    processed = fits_exactly(attempt, tmp_path / "original", JOB.model_copy(update={"media_type": "image/tiff"}))
    assert (processed.width, processed.height) == (1800, 2400)


def lying() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_half_resized_pixels_count(attempt: Attempt, tmp_path: Path) -> None:
    """When nothing is averaged first, which is so just above each whole factor."""
    photo(6000, 5000).save(tmp_path / "original", "PNG", compress_level=1)
    wide = recipe_of(VariantSpec(name="v", width=990))
    fits_exactly(attempt, tmp_path / "original", JOB.model_copy(update={"recipe": wide}))


def test_pixels_resized_in_bands_count(attempt: Attempt, tmp_path: Path) -> None:
    KINDS["BMP alpha"][1](photo(4000, 3300), tmp_path / "original")
    wide = recipe_of(VariantSpec(name="v", width=1000))
    job = JOB.model_copy(update={"recipe": wide, "media_type": "image/bmp", "threads": 2})
    fits_exactly(attempt, tmp_path / "original", job)


def test_a_file_that_is_read_whole_counts(attempt: Attempt, tmp_path: Path) -> None:
    noise(2000, 1500).save(tmp_path / "original", "WEBP", lossless=True, quality=0, method=0)
    assert (tmp_path / "original").stat().st_size > 8 * MIB
    fits_exactly(attempt, tmp_path / "original", JOB.model_copy(update={"media_type": "image/webp"}))


def noise(width: int, height: int) -> Image.Image:
    """Make an image of noise, the largest case in files and in encoders."""
    return Image.merge("RGB", [Image.effect_noise((width, height), 120) for _ in range(3)])


def in_format(wanted: Format) -> Recipe:
    return Recipe(
        variants=tuple(spec.model_copy(update={"formats": (wanted,)}) for spec in DEFAULT_RECIPE.variants),
    )


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.nightly), 4])
@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
@pytest.mark.parametrize("wanted", Format)
def test_writing_fits_too(attempt: Attempt, tmp_path: Path, wanted: Format, alpha: bool, threads: int) -> None:
    """An image at its full size, which takes more memory to write than to read."""
    picture = noise(1900, 1900)
    if alpha:
        picture.putalpha(Image.effect_noise(picture.size, 120))
    picture.save(tmp_path / "original", "PNG", compress_level=1)
    job = JOB.model_copy(update={"recipe": in_format(wanted), "threads": threads})
    fits_exactly(attempt, tmp_path / "original", job)


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
def test_a_tall_picture_takes_more_to_write_than_to_read(attempt: Attempt, tmp_path: Path, alpha: bool) -> None:
    """As a screenshot of a whole page is."""
    picture = noise(1000, 6000)
    if alpha:
        picture.putalpha(Image.effect_noise(picture.size, 120))
    picture.save(tmp_path / "original", "PNG", compress_level=1)
    fits_exactly(attempt, tmp_path / "original", JOB.model_copy(update={"recipe": DEFAULT_RECIPE, "threads": 2}))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_that_its_decoder_makes_smaller_takes_less(attempt: Attempt, tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(4800, 3600).save(tmp_path / "original", "JPEG", exif=exif)
    job = JOB.model_copy(update={"recipe": DEFAULT_RECIPE, "threads": 2, "media_type": "image/jpeg"})
    assert fits_exactly(attempt, tmp_path / "original", job).width == (4800 if orientation == 1 else 3600)
    narrow = recipe_of(VariantSpec(name="v", width=4700))
    assert megabytes(tmp_path / "original", job) < megabytes(
        tmp_path / "original", job.model_copy(update={"recipe": narrow})
    )


@pytest.mark.parametrize("kind", ["GIF moving", "PNG moving", "WebP moving"])
def test_an_animation_moves_when_that_fits_and_is_a_still_when_it_does_not(
    attempt: Attempt, tmp_path: Path, kind: str
) -> None:
    media_type, write = KINDS[kind]
    source = tmp_path / "original"
    write(photo(1200, 900), source)
    job = JOB.model_copy(update={"media_type": media_type, "recipe": DEFAULT_RECIPE, "threads": 2})
    with open_image(source, media_type) as image:
        enough = int(-(-make_plan(image, source, job).memory.animation // MIB))
    assert enough > megabytes(source, job)

    def frames(memory_mb: int) -> int:
        attempt(source, job, memory_mb)
        with Image.open(tmp_path / "out" / "w640.webp", formats=["WEBP"]) as variant:
            return int(getattr(variant, "n_frames", 1))

    assert (frames(enough), frames(enough - 1)) == (2, 1)


@pytest.mark.parametrize("wanted", [Format.WEBP, Format.AVIF])
def test_an_encoder_that_runs_out_of_memory_is_no_crash(tmp_path: Path, wanted: Format) -> None:
    """As if an image takes more than the estimate."""
    picture = noise(1500, 1500)
    picture.save(tmp_path / "original", "PNG", compress_level=1)
    (tmp_path / "out").mkdir()
    job = JOB.model_copy(update={"recipe": recipe_of(VariantSpec(name="v", width=1500, formats=(wanted,)))})
    enough_to_read = 19  # of 18 for the pixels and their copy, and 2 for the rest
    with pytest.raises(ImageError) as failure:
        Sandbox(60, enough_to_read, work=stubs.skip_the_check).process(tmp_path / "original", tmp_path / "out", job)
    assert failure.value.code == "memory"
