"""Writing variants: one picture, one format, one file, and no metadata but the author's rights."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Final, cast

from PIL import Image

from app.domain.models import Format
from app.domain.recipe import DEFAULT_QUALITY, VariantSpec
from app.worker.jobs import Fault

# Steps of quality that make up for the softness of the cheaper filter, and for what the decoder has halved to just
# above a size: the same SSIMULACRA2 as without, against a full LANCZOS reference, on a crisp and a smooth photograph.
_STEPS_AFTER_BICUBIC: Final = {Format.WEBP: 2, Format.JPEG: 3, Format.AVIF: 2}
_STEPS_AFTER_HALVING: Final = {Format.WEBP: 2, Format.JPEG: 3, Format.AVIF: 2}

# Of AVIF's speeds 9 takes two fifths of the time of 8; on large pictures its files are 1 to 2 % larger and as much
# better, on small ones, which take little time, 4 %. Pillow's default of 6 takes seconds. Sharpness of 2, where the
# tuning for stills has 7, and four steps of quality more weigh the same: as good in SSIMULACRA2 on a smooth picture, up
# to 1.2 points better on a crisp one, and alike by SSIM, PSNR and FLIP. Tiles are for threads alone.
_AVIF_LARGE: Final = 500_000
_AVIF_SPEEDS: Final = (8, 9)
_AVIF_OPTIONS: Final = {"advanced": {"color:sharpness": "2"}, "autotiling": False, "max_threads": 1}


def encoders(threads: int) -> Executor:
    """Where encoding is submitted: other threads, beside the resizing of the next picture, or at once in this one."""
    return ThreadPoolExecutor(threads) if threads > 1 else _AtOnce()


class _AtOnce(Executor):
    """Runs what is submitted before it goes on."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(work(*args, **kwargs))
        return done


def format_for(wanted: Format, image: Image.Image) -> Format:
    """The format to write: what knows no WebP and must show alpha reads PNG."""
    return Format.PNG if wanted is Format.JPEG and image.mode == "RGBA" else wanted


def quality_for(spec: VariantSpec, written: Format, *, halved: bool) -> int:
    """The quality asked for; where the default serves, as many steps more as make up for a softer picture."""
    asked = spec.quality.get(written)
    steps = (_STEPS_AFTER_HALVING if halved else _STEPS_AFTER_BICUBIC).get(written, 0)
    return DEFAULT_QUALITY[written] + steps if asked is None else asked


def write_still(image: Image.Image, path: Path, written: Format, quality: int, rights: bytes) -> int:
    """Encode a picture whose `info` is empty; the file's size in bytes."""
    options: dict[str, Any] = {"exif": rights}
    match written:
        case Format.WEBP:
            options |= {"quality": quality, "method": 4}
        case Format.JPEG:
            options |= {"quality": quality, "progressive": True}  # with Huffman tables made for the image
        case Format.AVIF:
            speed = _AVIF_SPEEDS[image.width * image.height >= _AVIF_LARGE]
            options |= {"quality": quality, "speed": speed, **_AVIF_OPTIONS}
        case Format.PNG:
            pass
    return _write(image, path, written, options)


def write_animation(
    frames: Sequence[Image.Image], durations: Sequence[float], loop: int, path: Path, quality: int, rights: bytes
) -> int:
    """Encode an animated WebP of at least two frames, `durations` in milliseconds; the file's size in bytes."""
    exif = rights.removeprefix(b"Exif\0\0")  # the animation encoder takes the block as it is
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
    return _write(frames[0], path, Format.WEBP, options)


def _write(image: Image.Image, path: Path, written: Format, options: dict[str, Any]) -> int:
    try:
        file = path.open("xb")
    except OSError as error:
        raise Fault(f"{path.name}: {error.strerror}") from error
    with file:
        image.save(cast("IO[bytes]", _Sink(file)), written.value.upper(), **options)
        return file.tell()


class _Sink:
    """A file whose failures cannot be mistaken for the encoder's."""

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
