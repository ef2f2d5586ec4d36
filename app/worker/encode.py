"""Writing variants: one picture, one format, one file, and no metadata but the author's rights."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import IO, Any, Final, cast

from PIL import Image

from app.domain.models import Format
from app.domain.recipe import DEFAULT_QUALITY, VariantSpec
from app.worker.jobs import Fault


class Loss(Enum):
    """What a picture has lost on the way to its size."""

    NONE = "none"
    SOFT = "soft"  # by the cheaper of the filters
    HALVED = "halved"  # by the decoder, to just above a size that the better filter then made


# Steps of quality that make up for it: the same SSIMULACRA2 as without, against a full LANCZOS reference, on a crisp
# and on a smooth photograph. AVIF has none: see `render.resizer_for`.
_STEPS: Final = {
    (Loss.SOFT, Format.WEBP): 2,
    (Loss.SOFT, Format.JPEG): 3,
    (Loss.HALVED, Format.WEBP): 2,
    (Loss.HALVED, Format.JPEG): 3,
}


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


def quality_for(spec: VariantSpec, written: Format, loss: Loss) -> int:
    """The quality asked for; where the default serves, as many steps more as make up for a loss."""
    asked = spec.quality.get(written)
    return DEFAULT_QUALITY[written] + _STEPS.get((loss, written), 0) if asked is None else asked


def write_still(image: Image.Image, path: Path, written: Format, quality: int, rights: bytes) -> int:
    """Encode a picture whose `info` is empty; the file's size in bytes."""
    options: dict[str, Any] = {"exif": rights}
    match written:
        case Format.WEBP:
            options |= {"quality": quality, "method": 4}
        case Format.JPEG:
            options |= {"quality": quality}
        case Format.AVIF:  # Pillow's default speed of 6 takes seconds, and threads would not change the bytes
            options |= {"quality": quality, "speed": 8, "max_threads": 1}
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
