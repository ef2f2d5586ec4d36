"""Detection of gain maps: a second, smaller image that defines how much brighter an HDR screen shows each pixel.

Variants are made from the SDR image.
"""

import mmap
from pathlib import Path
from typing import Final

from PIL import ImageFile

from app.worker.decode.heif.isobmff import read_container

#: Marks of a gain map: Adobe's and Google's XMP, Apple's, and ISO 21496-1.
_MARKS: Final = (b"hdrgm:Version", b"HDRGainMapVersion", b"urn:iso:std:iso:ts:21496:-1")
_AUXILIARY: Final = b"hdrgainmap"
_SCAN: Final = 0xDA


def has_gain_map(image: ImageFile.ImageFile, path: Path) -> bool:
    """Return True if the file has a gain map for the image. Broken metadata counts as none."""
    if image.format in {"HEIF", "AVIF"}:
        return _in_items(path)
    return bool(image.info.get("several_images")) and _behind_first_image(path)


def _in_items(path: Path) -> bool:
    container = read_container(path)
    shown = container.image
    if shown is None:
        return False
    if any(shown.number in item.refs.get(b"dimg", ()) for item in container.items.values() if item.kind == b"tmap"):
        return True
    return any(_AUXILIARY in one.auxiliary() for one in container.auxiliaries.get(shown.number, ()))


def _behind_first_image(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = 2
        while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != bytes((_SCAN,)):
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
        return any(data.find(mark, at) >= 0 for mark in _MARKS)
