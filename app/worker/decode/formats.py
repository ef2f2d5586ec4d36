"""The picture formats that are decoded, and no others.

Pillow knows some forty formats, EPS by way of Ghostscript among them. Here only the plugins of accepted formats are
loaded, and Pillow is told that it has loaded all there are. Every picture is opened as the one format that its bytes
showed.
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

# One thread: the child's CPU is bounded by wall time × threads, and HEIC's own threads would not count in that.
pillow_heif.register_heif_opener(thumbnails=True, decode_threads=1)

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

#: Functions that give Pillow the pixels of a file and nothing else. AVIF and HEIF have their own, see `heif`.
_OPENERS: Final[dict[str, Callable[[Path], ImageFile.ImageFile]]] = {
    "image/jpeg": open_jpeg,
    "image/webp": open_webp,
    "image/gif": open_gif,
    "image/tiff": open_tiff,
    "image/bmp": open_bmp,
}


def limit_pixels(max_pixels: int) -> None:
    """Have Pillow refuse, and not just mention, whatever grows past the limit behind the header's back."""
    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.filterwarnings("ignore", module=r"PIL(\.|$)")  # its remarks on odd metadata are of no use to anyone
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def open_picture(path: Path, media_type: str, *, threads: int = 1) -> ImageFile.ImageFile:
    """Open the file as that type, header only. Raises `ImageError`, or whatever Pillow does, when it is none."""
    if media_type == "image/png":
        return open_png(path, threads=threads)
    plugin = PLUGINS[media_type]
    if plugin in {"AVIF", "HEIF"}:
        return open_heif(path, plugin, Image.MAX_IMAGE_PIXELS or 0)
    return _OPENERS[media_type](path)


def load_pixels(image: ImageFile.ImageFile, path: Path) -> ImageFile.ImageFile:
    """Decode the pixels; the image itself, or another of the same file if its pixels had to be read in another way."""
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


def let_go(image: ImageFile.ImageFile) -> None:
    """Close a picture whose pixels are no longer needed, and free what its decoder holds, which `close` does not: half
    of what a WebP takes."""
    image.close()
    pillow_private.free_decoder(image)
