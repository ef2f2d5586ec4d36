"""Metadata blocks other than EXIF, in every place where a format has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from PIL import ImageFile

from app.worker.decode import gif, photoshop
from app.worker.decode.heif.isobmff import read_container
from app.worker.decode.heif.items import Container
from app.worker.metadata import xmp
from app.worker.metadata.exif_block import tiff_block

_MOST_BYTES: Final = 1 << 20
#: Photoshop's resources.
_THUMBNAILS: Final = (0x0409, 0x040C)
#: How the segments of JPEG begin.
_EXIF: Final = b"Exif\0\0"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_RAW: Final = "Raw profile type "
_XMP_TYPE: Final = b"application/rdf+xml"
#: Bytes of an Exif item, and items of one kind that are looked at.
_MOST_EXIF: Final = 1 << 22
_MOST_NOTES: Final = 8


@dataclass(frozen=True)
class EmbeddedMetadata:
    """Blocks other than EXIF. `texts` are those of a PNG by keyword; `thumbnail` is True if there is a thumbnail."""

    xmp: str = ""
    resources: Mapping[int, bytes] = field(default_factory=dict)
    iptc: Mapping[int, list[bytes]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    thumbnail: bool = False


def read_info(image: ImageFile.ImageFile, path: Path) -> dict[Any, Any]:
    """Return `Image.info` of an image with the blocks that Pillow leaves out."""
    info: dict[Any, Any] = dict(image.info)
    if image.format == "GIF":
        info.update(gif.read_notes(path))
    elif image.format == "PNG":
        texts = info.get("texts", {})
        if exif := raw_exif(texts):
            info.setdefault("exif", exif)
        elif (app1 := raw_profile(texts, "APP1")).startswith(_XMP):
            info.setdefault("xmp", app1.removeprefix(_XMP))
    elif image.format in {"AVIF", "HEIF"}:
        info.update(_items(read_container(path)))
    return info


def read_embedded(info: Mapping[Any, Any]) -> EmbeddedMetadata:
    """Read the blocks in what `read_info` returns."""
    resources = _resources(info)
    texts = info.get("texts", {})
    return EmbeddedMetadata(
        xmp=xmp.decode_packet(info.get("xmp") or raw_profile(texts, "xmp")),
        resources=resources,
        iptc=photoshop.parse_datasets(resources.get(photoshop.IPTC) or info.get("iptc") or raw_profile(texts, "iptc")),
        texts=texts,
        thumbnail=bool(info.get("thumbnails")) or any(code in resources for code in _THUMBNAILS),
    )


def _items(container: Container) -> dict[str, bytes]:
    """Return EXIF and XMP of a HEIC or AVIF, at any offset in their items (ISO/IEC 23008-12, annex A)."""
    found = {}
    exifs = (tiff_block(container.read(item, _MOST_EXIF)) for item in container.notes(b"Exif"))
    notes = (item for item in container.notes(b"mime") if item.content_type == _XMP_TYPE)
    for name, blocks in (("exif", exifs), ("xmp", (container.read(item, _MOST_BYTES) for item in notes))):
        if block := next((block for block in islice(blocks, _MOST_NOTES) if block), b""):
            found[name] = block
    return found


def raw_profile(texts: Mapping[str, str], kind: str) -> bytes:
    """Decode a block that ImageMagick put into a text of a PNG: a blank line, name, length, and hexadecimal lines."""
    lines = texts.get(_RAW + kind, "")[: 3 * _MOST_BYTES].split("\n", 3)
    try:
        return bytes.fromhex(lines[3]) if len(lines) == 4 else b""
    except ValueError:
        return b""


def raw_exif(texts: Mapping[str, str]) -> bytes:
    """Return the EXIF block in the texts of a PNG, or no bytes."""
    raw = raw_profile(texts, "APP1") or raw_profile(texts, "exif")
    return raw if raw.startswith(_EXIF) else b""


def _resources(info: Mapping[Any, Any]) -> dict[int, bytes]:
    read = info.get("photoshop")
    if isinstance(read, dict):
        return {code: block for code, block in read.items() if isinstance(block, bytes)}
    return photoshop.parse_resources(raw_profile(info.get("texts", {}), "iptc"))
