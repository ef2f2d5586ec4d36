"""Variants in JPEG XL."""

import io
from pathlib import Path

import pytest
from PIL import Image

from app.domain.models import Format
from app.domain.recipe import Fit, VariantSpec
from app.worker.jobs import Job
from app.worker.sandbox.parent import Sandbox
from tests.samples import encoded, photo
from tests.worker.conftest import Process, recipe_of
from tests.worker.jxl_files import boxes, open_jxl, read_exif
from tests.worker.render.test_variants import difference, opened, saved

BOTH = recipe_of(VariantSpec(name="v", width=320, formats=(Format.JXL, Format.PNG), quality={Format.JXL: 100}))


def test_only_the_rights_survive(process: Process) -> None:
    exif = Image.Exif()
    exif[0x013B], exif[0x8298], exif[0x010F] = "Ann Author", "(c) Ann", "Maker"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    body = saved(photo(80, 60), "JPEG", exif=exif, comment=b"<script>", xmp=b"<x:xmpmeta>secret</x:xmpmeta>")
    _, out = process(body, BOTH)
    found = boxes((out / "v.jxl").read_bytes())
    assert list(found) == [b"JXL ", b"ftyp", b"Exif", b"jxlc"]
    assert found[b"Exif"][:4] == bytes(4)
    assert dict(read_exif(out / "v.jxl")) == {0x013B: "Ann Author", 0x8298: "(c) Ann"}
    _, out = process(saved(photo(80, 60), "JPEG"), BOTH)
    assert list(boxes((out / "v.jxl").read_bytes())) == [b"JXL ", b"ftyp", b"jxlc"]


def test_a_higher_quality_is_nearer_and_larger(process: Process) -> None:
    body = saved(Image.effect_noise((300, 200), 40).convert("RGB"), "PNG")
    sizes, distances = [], []
    for quality in (20, 29, 30, 50, 75, 100):
        spec = VariantSpec(name="v", width=320, formats=(Format.JXL, Format.PNG), quality={Format.JXL: quality})
        processed, out = process(body, recipe_of(spec))
        sizes.append(processed.variants[0].bytes)
        distances.append(difference(open_jxl(out / "v.jxl"), opened(out, "v.png")))
    assert sizes == sorted(set(sizes))
    assert distances[0] > distances[3] > 3 * distances[-1]


@pytest.mark.slow
def test_a_recipe_in_the_confined_process(sandbox: Sandbox, tmp_path: Path) -> None:
    source, out = tmp_path / "original", tmp_path / "out"
    out.mkdir()
    source.write_bytes(encoded("JPEG", 2600, 1700))
    specs = [VariantSpec(name=f"w{width}", width=width, formats=(Format.JXL, Format.WEBP)) for width in (2560, 640, 64)]
    specs.append(VariantSpec(name="cover", width=50, height=50, fit=Fit.COVER, formats=(Format.JXL,)))
    for threads in (1, 4):
        job = Job(recipe=recipe_of(*specs), media_type="image/jpeg", max_pixels=10**8, max_frames=1, threads=threads)
        made = sandbox.process(source, out, job)
        files = [variant.file for variant in made.variants if variant.format is Format.JXL]
        assert files == ["w2560.jxl", "w640.jxl", "w64.jxl", "cover.jxl"]
        assert [open_jxl(out / file).width for file in files] == [2560, 640, 64, 50]
        data = [(out / file).read_bytes() for file in files]
        assert [variant.bytes for variant in made.variants if variant.format is Format.JXL] == list(map(len, data))
        for file in out.iterdir():
            file.unlink()


def test_repeated_runs_give_the_same_bytes(process: Process) -> None:
    body = encoded("JPEG", 700, 500)
    one, other = ((process(body, BOTH)[1] / "v.jxl").read_bytes() for _ in range(2))
    assert one == other
    assert io.BytesIO(one).read(12) == b"\0\0\0\x0cJXL \r\n\x87\n"
