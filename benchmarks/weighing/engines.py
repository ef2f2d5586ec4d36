"""Engines that encode the same pixels: Darkroom's own encoder, sharp and libvips."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from app.domain.models import Format
from app.domain.recipe import DEFAULT_QUALITY
from app.worker.render import encode
from benchmarks.render.peers import NODE, PYTHON

_HERE = Path(__file__).parent


class Engine(Protocol):
    """Encodes an image in a format and quality to a file; returns the milliseconds of CPU."""

    def encode(self, image: Path, wanted: str, quality: int, out: Path) -> float: ...


@dataclass(frozen=True)
class Curve:
    """Settings of one engine in one format. `default` is the quality that its users get unless they choose one."""

    engine: str
    format: str
    default: int
    qualities: Sequence[int]


#: Curves of all engines. The qualities of a peer lie around its default: at its score there the curves are compared.
CURVES: tuple[Curve, ...] = (
    Curve("darkroom", "jpeg", DEFAULT_QUALITY[Format.JPEG], (55, 66, 74, 80, 86, 92)),
    Curve("darkroom", "webp", DEFAULT_QUALITY[Format.WEBP], (55, 68, 76, 80, 86, 93)),
    Curve("darkroom", "avif", DEFAULT_QUALITY[Format.AVIF], (35, 45, 53, 61, 70, 82)),
    Curve("darkroom", "jxl", DEFAULT_QUALITY[Format.JXL], (50, 65, 75, 82, 89, 94)),
    Curve("delivered", "jxl", DEFAULT_QUALITY[Format.JXL], (50, 65, 75, 82, 89, 94)),
    Curve("sharp", "jpeg", 80, (70, 80, 88)),
    Curve("sharp", "webp", 80, (70, 80, 88)),
    Curve("sharp", "avif", 50, (40, 50, 62)),
    Curve("libvips", "jpeg", 75, (65, 75, 85)),
    Curve("libvips", "webp", 75, (65, 75, 85)),
    Curve("libvips", "avif", 50, (40, 50, 62)),
)


class Darkroom:
    """The encoder of the service, in this process. It writes JPEG XL of every image."""

    def encode(self, image: Path, wanted: str, quality: int, out: Path) -> float:
        with Image.open(image) as file:
            pixels = file.copy()
        pixels.info = {}
        target = Format(wanted)
        out.unlink(missing_ok=True)
        before = time.process_time()
        written, used = self.choose(target, pixels, quality)
        encode.write_still(pixels, out, written, used, b"")
        return (time.process_time() - before) * 1000

    def choose(self, wanted: Format, image: Image.Image, quality: int) -> tuple[Format, int]:
        """Return the format to write and its quality."""
        return (wanted if wanted is Format.JXL else encode.choose_format(wanted, image)), quality


class Delivered(Darkroom):
    """The encoder as it answers requests for JPEG XL: with WebP of its default quality for text and drawings."""

    def choose(self, wanted: Format, image: Image.Image, quality: int) -> tuple[Format, int]:
        """See `Darkroom.choose`."""
        written = encode.choose_format(wanted, image)
        return written, quality if written is wanted else DEFAULT_QUALITY[written]


class _Peer:
    """A process that encodes a file for each line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def encode(self, image: Path, wanted: str, quality: int, out: Path) -> float:
        asked = {"image": str(image), "format": wanted, "out": str(out), "options": self.options(quality)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline())["cpu"])

    def options(self, quality: int) -> Mapping[str, Any]:
        raise NotImplementedError


class Sharp(_Peer):
    """sharp with the options that its users get by default: of AVIF effort 4."""

    def options(self, quality: int) -> Mapping[str, Any]:
        return {"quality": quality}


class Libvips(_Peer):
    """libvips by pyvips with its defaults."""

    def options(self, quality: int) -> Mapping[str, Any]:
        return {"Q": quality}


@contextmanager
def engines() -> Iterator[Mapping[str, Engine]]:
    """Start the engines, and end them with the block."""
    with ExitStack() as stack:

        def start(command: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            assert process.stdin is not None
            stack.callback(process.stdin.close)
            return process

        yield {
            "darkroom": Darkroom(),
            "delivered": Delivered(),
            "sharp": Sharp(start(["node", str(_HERE / "encode_sharp.mjs")], NODE)),
            "libvips": Libvips(start([str(PYTHON), "-W", "ignore", str(_HERE / "encode_vips.py")], _HERE)),
        }


def suffix(wanted: str) -> str:
    """Return the ending of a file of that format."""
    return Format(wanted).extension if wanted in set(Format) else wanted
