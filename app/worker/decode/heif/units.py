"""HEICs whose pixels are in one piece that is larger than their decoder reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final

from PIL import ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.heif.isobmff import read_container

#: Bytes of a unit that libde265 takes, at most; of one that is larger it says no more than that nothing came out.
_LARGEST_UNIT: Final = 16 * 1024 * 1024
#: Units that are looked at.
_MOST: Final = 10_000


@contextmanager
def told_from_large_units(image: ImageFile.ImageFile, path: Path) -> Iterator[None]:
    """Refuse as unsupported a HEIC that fails and has more in one unit than its decoder takes: it may well be whole."""
    try:
        yield
    except ValueError as error:
        largest = max(islice(_units(path), _MOST), default=0) if image.format == "HEIF" else 0
        if largest <= _LARGEST_UNIT:
            raise
        detail = (
            f"The image is in one piece of {largest:,} bytes; at most {_LARGEST_UNIT:,} can be processed. HEICs in "
            "tiles, as phones write them, have smaller ones."
        )
        raise ImageError(FailureCode.UNSUPPORTED_IMAGE, detail) from error


def _units(path: Path) -> Iterator[int]:
    """How many bytes each unit of HEVC has that is wholly in the file: each is told by four bytes before it (ISO/IEC
    14496-15, 9.2.2)."""
    container = read_container(path)
    with path.open("rb") as file:
        for item in container.items.values():
            for offset, length in item.extents if item.method == 0 else ():
                at, end = offset, min(offset + length, container.size)
                while at + 4 < end:
                    unit = _number(file, at)
                    at += 4 + unit
                    if at <= end:
                        yield unit


def _number(file: IO[bytes], at: int) -> int:
    file.seek(at)
    return int.from_bytes(file.read(4))
