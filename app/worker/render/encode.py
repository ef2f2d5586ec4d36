"""Encoding of variants: one image, one format, one file, and no metadata except the author's rights."""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from PIL import Image

from app.domain.models import Format
from app.domain.recipe import DEFAULT_QUALITY, VariantSpec
from app.worker.jobs import Fault
from app.worker.render.content import has_sparse_edges, is_drawn, is_flat

#: Quality that the record shows for a lossless file.
LOSSLESS: Final = 100

# Steps of quality that compensate for the softness of the cheaper filter, and of an image that the decoder has halved
# to just above a size: they give the same SSIMULACRA2 as without either, against a full LANCZOS reference, on a crisp
# and a smooth photograph.
_STEPS_AFTER_BICUBIC: Final = {Format.WEBP: 2, Format.JPEG: 3, Format.AVIF: 2, Format.JXL: 2}
_STEPS_AFTER_HALVING: Final = {Format.WEBP: 2, Format.JPEG: 3, Format.AVIF: 2, Format.JXL: 2}

# AVIF, by the pixels of the image. On 32 images of up to 1280 pixels, speed 6 takes a fifth of the CPU time of sharp's
# default. That is 0.28 s per megapixel of a photograph and 1.6 s of noise with alpha. Speed 5 takes four times as long
# and saves 4 %; speed 7 takes half as long and costs 7 %. Full chroma costs photographs nothing and saves 20 % of text.
# Larger images get the speeds that keep them within the time limit of processing. Sharpness 2 (the tuning for stills
# has 7) saves 1 %. Only threads need tiles.
_AVIF_SPEEDS: Final = ((3_000_000, 6), (8_000_000, 8))
_AVIF_LARGEST: Final = {"speed": 9, "subsampling": "4:2:0"}
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


def choose_format(wanted: Format, image: Image.Image, *, animated: bool = False) -> Format:
    """Return the format to write.

    It is PNG instead of JPEG for an image with alpha. It is WebP instead of JPEG XL for an animation, of which JPEG XL
    would show the first frame only, and for text and drawings, also photographs of them on paper or a whiteboard, of
    which JPEG XL is larger. Each client that shows JPEG XL shows WebP.
    """
    if wanted is Format.JPEG and image.mode == "RGBA":
        return Format.PNG
    if wanted is Format.JXL and (animated or is_drawn(image) or has_sparse_edges(image)):
        return Format.WEBP
    return wanted


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
            return _write_webp(image, path, quality, options)
        case Format.JPEG:
            options |= {"quality": quality, "progressive": True}  # with Huffman tables made for the image
        case Format.AVIF:
            options |= {"quality": quality, **_avif_speed(image), **_AVIF_OPTIONS}
        case Format.JXL:
            from app.worker.render.jxl import encode_jxl  # noqa: PLC0415 - an optional package

            return Encoded(_write(path, lambda file: file.write(encode_jxl(image, quality, rights))), quality)
        case Format.PNG:
            quality = LOSSLESS
    return Encoded(_save(image, path, written, options), quality)


def _write_webp(image: Image.Image, path: Path, quality: int, options: dict[str, Any]) -> Encoded:
    """Encode a WebP: lossless if that is smaller, as it is for text. Only flat images are encoded twice."""
    lossy = {"quality": quality, "method": 4}
    if not is_flat(image):
        return Encoded(_save(image, path, Format.WEBP, options | lossy), quality)
    lossless = {"lossless": True, "quality": 75, "method": 4}
    made = [(_encode(image, options | each), used) for each, used in ((lossless, LOSSLESS), (lossy, quality))]
    smaller, used = min(made, key=lambda each: len(each[0]))
    return Encoded(_write(path, lambda file: file.write(smaller)), used)


def _encode(image: Image.Image, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()


def _avif_speed(image: Image.Image) -> dict[str, Any]:
    pixels = image.width * image.height
    return next(
        ({"speed": speed, "subsampling": "4:4:4"} for most, speed in _AVIF_SPEEDS if pixels <= most), _AVIF_LARGEST
    )


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
