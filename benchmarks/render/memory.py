"""Memory that developing takes, by format and size: `python -m benchmarks.render.memory [megapixels ...]`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image

from benchmarks.render.peers import ROOT, SCRATCH
from benchmarks.render.pictures import FOLDER

SIZES = {12: (4000, 3000), 24: (6000, 4000), 48: (8000, 6000), 100: (11547, 8660)}
FORMATS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("RGB", "JPEG", {"quality": 90}),
    "jpeg progressive": ("RGB", "JPEG", {"quality": 90, "progressive": True}),
    "jpeg cmyk": ("CMYK", "JPEG", {"quality": 90}),
    "png": ("RGB", "PNG", {"compress_level": 1}),
    "png alpha": ("RGBA", "PNG", {"compress_level": 1}),
    "webp": ("RGB", "WEBP", {"quality": 80, "method": 0}),
    "webp alpha": ("RGBA", "WEBP", {"quality": 80, "method": 0}),
    "gif": ("P", "GIF", {}),
    "avif": ("RGB", "AVIF", {"quality": 60, "speed": 10}),
    "avif alpha": ("RGBA", "AVIF", {"quality": 60, "speed": 10}),
    "heic": ("RGB", "HEIF", {"quality": 40}),
    "heic alpha": ("RGBA", "HEIF", {"quality": 40}),
    "tiff": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "tiff alpha": ("RGBA", "TIFF", {"compression": "tiff_lzw"}),
    "bmp": ("RGB", "BMP", {}),
}
_ONE = """
import json, sys, tempfile
from pathlib import Path
from app.domain.media import media_type_of
from app.domain.recipe import DEFAULT_RECIPE
from app.worker.develop import develop
from app.worker.jobs import Job

def status():
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmHWM", "VmPeak"))}

source = Path(sys.argv[1])
job = Job(recipe=DEFAULT_RECIPE, media_type=media_type_of(source.read_bytes()[:64]), max_pixels=10**9, max_frames=60,
          memory_mb=10**6, seconds=600, threads=2)
before = status()
with tempfile.TemporaryDirectory() as out:
    develop(source, Path(out), job)
after = status()
added = {name: after[name] - before[name] for name in after}
print(json.dumps({"rss": added["VmHWM"], "space": added["VmPeak"], "peak": after["VmHWM"]}))
"""


def measured(sizes: tuple[int, ...] = tuple(SIZES)) -> list[dict[str, Any]]:
    """For each format and size: peak resident `mb` of the whole process, and what the job added to resident memory and
    to address space, which is what the child's bound counts."""
    pillow_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None
    rows = []
    for name, how in FORMATS.items():
        for megapixels in sizes:
            path = _picture(name, megapixels, *how)
            command = [sys.executable, "-c", _ONE, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
            row: dict[str, Any] = {
                "format": name,
                "megapixels": megapixels,
                "file_mb": round(path.stat().st_size / 2**20, 1),
            }
            if done.returncode:
                row["error"] = done.stderr.strip().splitlines()[-1][:200]
            else:
                said = json.loads(done.stdout)
                row |= {
                    "mb": round(said["peak"]),
                    "added_mb": round(said["rss"]),
                    "added_space_mb": round(said["space"]),
                }
            rows.append(row)
            print(f"{name:17} {megapixels:4} MP  {row}", file=sys.stderr, flush=True)
    return rows


def _picture(name: str, megapixels: int, mode: str, file_format: str, options: dict[str, Any]) -> Path:
    path = SCRATCH / "memory" / f"{name.replace(' ', '-')}-{megapixels}.{file_format.lower()}"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with Image.open(FOLDER / "smooth.jpg", formats=["JPEG"]) as source:
            image = source.convert("RGB").resize(SIZES[megapixels], Image.Resampling.BILINEAR)
        if mode == "RGBA":
            image.putalpha(Image.radial_gradient("L").resize(image.size))
        elif mode != "RGB":
            image = image.quantize(64) if mode == "P" else image.convert(mode)
        image.info = {}
        unfinished = path.with_suffix(".part")
        image.save(unfinished, file_format, **options)
        unfinished.rename(path)
    return path


if __name__ == "__main__":
    measured(tuple(int(size) for size in sys.argv[1:]) or tuple(SIZES))
