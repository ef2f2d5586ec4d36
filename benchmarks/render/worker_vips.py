"""Jobs for pyvips, one JSON line each: `worker_vips.py cascade|floor THREADS`. Runs in the environment of the peers.

`cascade` is the fastest way that we found with libvips: one shrink-on-load to the largest width, each next width from
the one before. `floor` times the parts that no engine can omit, each alone and on one thread: libjpeg-turbo's decoding
at half size (through Pillow), libvips's SIMD resize of the cascade (pillow-simd has no wheels), and the encoders
(through Pillow). Color conversion is timed too, but not counted.
"""

import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

mode, threads = sys.argv[1], int(sys.argv[2])
os.environ["VIPS_CONCURRENCY"] = str(threads)

import pyvips  # noqa: E402 - reads the variable when it is loaded
from PIL import Image  # noqa: E402

pyvips.cache_set_max(0)
SAVE: dict[str, tuple[str, dict[str, Any]]] = {
    "webp": (".webp", {"Q": 80, "effort": 4, "keep": "none"}),
    "jpeg": (".jpg", {"Q": 80, "keep": "none"}),
    "avif": (".avif", {"keep": "none"}),
}
PILLOW: dict[str, dict[str, Any]] = {
    "webp": {"format": "WEBP", "quality": 80, "method": 4},
    "jpeg": {"format": "JPEG", "quality": 80},
}
pool = ThreadPoolExecutor(threads) if threads > 1 else None


def cascade(data: bytes, job: dict[str, Any]) -> list[bytes]:
    suffix, options = SAVE[job["format"]]

    def encode(image: Any) -> bytes:
        return bytes(image.write_to_buffer(suffix, **options))

    image = None
    made: list[Any] = []
    for width in job["widths"]:
        if image is None:
            image = pyvips.Image.thumbnail_buffer(data, width, height=100_000, size="down", export_profile="srgb")
        else:
            image = image.thumbnail_image(width, height=100_000)
        image = image.copy_memory()
        made.append(pool.submit(encode, image) if pool else encode(image))
    return [future.result() for future in made] if pool else made


def floor(data: bytes, job: dict[str, Any]) -> dict[str, float]:
    """Return CPU milliseconds of each part."""
    parts: dict[str, float] = {}

    def part(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        made = work()
        parts[name] = parts.get(name, 0) + (time.process_time() - start) * 1000
        return made

    def decode() -> Image.Image:
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", (image.width // 2, image.height // 2))
        image.load()
        return image

    half = part("decode", decode)
    profile = half.info.get("icc_profile")
    image = pyvips.Image.new_from_memory(half.tobytes(), half.width, half.height, 3, "uchar")
    image = image.copy(interpretation="srgb").copy_memory()
    upright = half.height > half.width
    for width in job["widths"]:
        scale = width / (image.height if upright else image.width)
        image = part("resize", lambda scale=scale, image=image: image.resize(scale).copy_memory())
        if width == job["widths"][0] and profile:
            tagged = image.copy()
            tagged.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
            part("color", lambda tagged=tagged: tagged.icc_transform("srgb", intent="perceptual").copy_memory())
        pixels = Image.frombytes("RGB", (image.width, image.height), image.write_to_memory())
        part("encode", lambda pixels=pixels: pixels.save(io.BytesIO(), **PILLOW[job["format"]]))
    return parts


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def _high_water() -> float:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    versions = {"pyvips": pyvips.__version__, "libvips": ".".join(str(pyvips.version(part)) for part in range(3))}
    for line in sys.stdin:
        job = json.loads(line)
        data = Path(job["input"]).read_bytes()
        cpu, start = _cpu(), time.monotonic()
        if mode == "floor":
            parts = floor(data, job)
            total = sum(ms for name, ms in parts.items() if name != "color")
            answer = {"wall": total, "cpu": total, "bytes": [], "parts": parts}
        else:
            made = cascade(data, job)
            answer = {"wall": (time.monotonic() - start) * 1000, "cpu": _cpu() - cpu, "bytes": [len(b) for b in made]}
            if job.get("out"):
                for width, body in zip(job["widths"], made, strict=True):
                    Path(job["out"], f"{width}.{job['format']}").write_bytes(body)
        print(json.dumps(answer | {"rss": _high_water(), "versions": versions}), flush=True)


main()
