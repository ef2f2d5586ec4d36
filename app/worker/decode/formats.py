"""Accepted image formats, the only ones that are decoded.

Pillow reads some forty formats, EPS with Ghostscript among them. Only the plugins of accepted formats are loaded, and
Pillow is kept from loading others. Each image is opened as the one format that was detected from its bytes.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pillow_heif
from PIL import (  # noqa: F401 - importing a plugin registers it, and these are all that shall be
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from app.worker.decode import pillow_private
from app.worker.decode.bmp import open_bmp
from app.worker.decode.gif import open_gif
from app.worker.decode.heif.reader import open_heif, refuse_large_pieces
from app.worker.decode.jpeg.reader import open_jpeg
from app.worker.decode.png.reader import open_png
from app.worker.decode.tiff.reader import add_metadata, open_tiff
from app.worker.decode.webp import open_webp

pillow_heif.register_heif_opener(thumbnails=True)

pillow_private.forbid_other_formats()
pillow_private.decode_avif_in_one_thread()
pillow_private.decode_tiff_by_libtiff()
ImageFile.LOAD_TRUNCATED_IMAGES = False

#: Pillow's name for each media type.
PLUGINS: Final = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
    "image/heif": "HEIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
}

#: Functions that pass the pixels of a file to Pillow and nothing else. For AVIF and HEIF see `heif`.
_OPENERS: Final[dict[str, Callable[[Path], ImageFile.ImageFile]]] = {
    "image/jpeg": open_jpeg,
    "image/webp": open_webp,
    "image/gif": open_gif,
    "image/tiff": open_tiff,
    "image/bmp": open_bmp,
}


def limit_pixels(max_pixels: int) -> None:
    """Make Pillow raise, not warn, for images above the limit, also for those whose header declares fewer pixels."""
    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.filterwarnings("ignore", module=r"PIL(\.|$)")  # its warnings on odd metadata
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def open_image(path: Path, media_type: str, *, threads: int = 1) -> ImageFile.ImageFile:
    """Open the file as that type, header only. Raises `ImageError` or an exception of Pillow if it is another.

    The pixels of a PNG and the tiles of a HEIC are decoded in up to `threads` threads.
    """
    if media_type == "image/png":
        return open_png(path, threads=threads)
    plugin = PLUGINS[media_type]
    if plugin in {"AVIF", "HEIF"}:
        return open_heif(path, plugin, Image.MAX_IMAGE_PIXELS or 0, threads=threads)
    return _OPENERS[media_type](path)


def load_pixels(image: ImageFile.ImageFile, path: Path) -> ImageFile.ImageFile:
    """Decode the pixels; return the image, or another one of the same file if a second way of decoding was needed."""
    try:
        image.load()
    except OSError:
        if image.format != "PNG":
            raise
        image.close()
        image = open_png(path, inflated=True)
        image.load()
    except ValueError:
        if image.format == "HEIF":
            refuse_large_pieces(path)
        raise
    if image.format == "TIFF":
        add_metadata(image, path)
    return image


def release(image: ImageFile.ImageFile) -> None:
    """Close an image whose pixels are no longer needed, and free its decoder."""
    image.close()
    pillow_private.free_decoder(image)
