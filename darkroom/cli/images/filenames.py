"""Names of downloaded files: safe on every system, and distinct."""

import hashlib
from pathlib import Path

from darkroom.records import Image, Variant

_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/tiff": "tif",
    "image/bmp": "bmp",
}
#: Characters that some file system does not allow.
_FORBIDDEN = frozenset('<>:"/\\|?*')
#: Names that Windows does not allow, with any extension.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}
#: Longest name without extension, in bytes. File systems allow 255 with it and with what tells two files apart.
_BYTES = 180
_PIECE = 1024 * 1024


def full_name(variant: Variant) -> str:
    """Return the name of a variant with the extension of its format, such as `w640.webp`."""
    return f"{variant.name}.{'jpg' if variant.format == 'jpeg' else variant.format}"


def safe_name(image: Image, variant: Variant | None = None) -> str:
    """Return a name for the original or a variant: that of the uploaded file as far as it is safe.

    It is a name only, also if the record is that of a hostile server.
    """
    given, _, extension = (image.filename or "").rpartition(".")
    if not given:
        given, extension = extension, ""
    if variant is not None:
        extension = "jpg" if variant.format == "jpeg" else variant.format
    elif not (extension.isascii() and extension.isalnum() and len(extension) <= 8):
        given, extension = image.filename or "", _EXTENSIONS.get(image.content_type or "", "")
    stem = _clean(_clean(given).encode()[:_BYTES].decode(errors="ignore")) or _clean(image.id) or "image"
    if stem.partition(".")[0].lower() in _DEVICES:
        stem = f"_{stem}"
    stem = f"{stem}-{variant.name}" if variant else stem
    return _clean(f"{stem}.{extension}" if extension else stem)


def distinct_name(name: str, image: Image) -> str:
    """Return the name with the end of the image's id, for an image whose name another one has."""
    path = Path(name)
    return _clean(f"{path.stem}-{image.id[-12:]}{path.suffix}")


def _clean(name: str) -> str:
    """Replace the characters that a name cannot have."""
    return "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in name).strip(" .")


def has_content(path: Path, image: Image, variant: Variant | None = None) -> bool:
    """Return True if the file is the original or the variant. Of a variant, only the size is known."""
    try:
        if variant is not None:
            return path.stat().st_size == variant.bytes
        if path.stat().st_size != image.bytes:
            return False
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError:
        return False
    return digest.hexdigest() == image.sha256
