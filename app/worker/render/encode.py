"""Encoding of variants: one image, one format, one file, and no metadata except the author's rights."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from PIL import Image

from app.domain.models import Format
from app.domain.recipe import DEFAULT_QUALITY, VariantSpec
from app.worker.jobs import Fault

#: Quality that the record shows for a lossless file.
LOSSLESS: Final = 100

# Steps of quality that compensate for the softness of the cheaper filter, and of an image that the decoder has halved
# to just above a size: they give the same SSIMULACRA2 as without either, against a full LANCZOS reference, on a crisp
# and a smooth photograph.
_STEPS_AFTER_BICUBIC: Final = {Format.WEBP: 2, Format.JPEG: 3, Format.AVIF: 2, Format.JXL: 2}
_STEPS_AFTER_HALVING: Final = {Format.WEBP: 2, Format.JPEG: 3, Format.AVIF: 2, Format.JXL: 2}

# AVIF: speed 9 takes two fifths of the time of speed 8. Its files are 1 to 2 % larger, and as much better, on
# large images; on small ones, which take little time, they are 4 % larger. Pillow's default of 6 takes seconds.
# Sharpness 2 (the tuning for stills has 7) with four more steps of quality gives the same bytes: equal SSIMULACRA2 on a
# smooth image, up to 1.2 points better on a crisp one, equal by SSIM, PSNR and FLIP. Only threads need tiles.
_AVIF_LARGE: Final = 500_000
_AVIF_SPEEDS: Final = (8, 9)
_AVIF_OPTIONS: Final = {"advanced": {"color:sharpness": "2"}, "autotiling": False, "max_threads": 1}


@dataclass(frozen=True)
class Encoded:
    """Size of a written file in bytes, and the quality that it was encoded with: 100 if it is lossless."""

    bytes: int
    quality: int


def make_executor(threads: int) -> Executor:
    """Create an executor for encoding: threads that run during the next resize, or the calling thread."""
    return ThreadPoolExecutor(threads) if threads > 1 else _InlineExecutor()


class _InlineExecutor(Executor):
    """Runs each call when it is submitted."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(work(*args, **kwargs))
        return done


def choose_format(wanted: Format, image: Image.Image) -> Format:
    """Return the format to write: PNG instead of JPEG for an image with alpha."""
    return Format.PNG if wanted is Format.JPEG and image.mode == "RGBA" else wanted


def choose_quality(spec: VariantSpec, written: Format, *, halved: bool) -> int:
    """Return the requested quality, or the default raised to compensate for softness: see `_STEPS_AFTER_BICUBIC`."""
    asked = spec.quality.get(written)
    steps = (_STEPS_AFTER_HALVING if halved else _STEPS_AFTER_BICUBIC).get(written, 0)
    return DEFAULT_QUALITY[written] + steps if asked is None else asked


def write_still(image: Image.Image, path: Path, written: Format, quality: int, rights: bytes) -> Encoded:
    """Encode an image whose `info` is empty."""
    options: dict[str, Any] = {"exif": rights}
    match written:
        case Format.WEBP:
            options |= {"quality": quality, "method": 4}
        case Format.JPEG:
            options |= {"quality": quality, "progressive": True}  # with Huffman tables made for the image
        case Format.AVIF:
            speed = _AVIF_SPEEDS[image.width * image.height >= _AVIF_LARGE]
            options |= {"quality": quality, "speed": speed, **_AVIF_OPTIONS}
        case Format.JXL:
            from app.worker.render.jxl import encode_jxl  # noqa: PLC0415 - an optional package

            return Encoded(_write(path, lambda file: file.write(encode_jxl(image, quality, rights))), quality)
        case Format.PNG:
            quality = LOSSLESS
    return Encoded(_save(image, path, written, options), quality)


def write_animation(
    frames: Sequence[Image.Image], durations: Sequence[float], loop: int, path: Path, quality: int, rights: bytes
) -> Encoded:
    """Encode an animated WebP of at least two frames, `durations` in milliseconds."""
    exif = rights.removeprefix(b"Exif\0\0")  # the animation encoder writes the block unchanged
    options: dict[str, Any] = {
        "save_all": True,
        "append_images": frames[1:],
        "duration": [round(duration) for duration in durations],
        "loop": loop,
        "quality": quality,
        "method": 2,
        "exif": exif,
        "background": (0, 0, 0, 0),
    }
    return Encoded(_save(frames[0], path, Format.WEBP, options), quality)


def _save(image: Image.Image, path: Path, written: Format, options: dict[str, Any]) -> int:
    return _write(path, lambda file: image.save(cast("IO[bytes]", file), written.value.upper(), **options))


def _write(path: Path, encode: Callable[["_Sink"], object]) -> int:
    try:
        file = path.open("xb")
    except OSError as error:
        raise Fault(f"{path.name}: {error.strerror}") from error
    with file:
        encode(_Sink(file))
        return file.tell()


class _Sink:
    """A file whose errors are distinct from the encoder's."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        try:
            return int(self._file.write(data))
        except OSError as error:
            raise Fault(f"cannot write: {error.strerror}") from error

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise Fault(f"cannot write: {error.strerror}") from error

    def seek(self, *where: int) -> int:
        return int(self._file.seek(*where))

    def tell(self) -> int:
        return int(self._file.tell())
