"""Undocumented parts of Pillow that Darkroom depends on; nothing else may use any. Checked against Pillow 13.0.0.

`tests/worker/decode/test_pillow_private.py` has a test for each and fails when Pillow changes it. `pyproject.toml`
bounds Pillow's major version.
"""

from typing import Any, Final

from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin

#: Raw modes of TIFF in which Pillow expects the byte order of the file, and their equivalent in native order.
_NATIVE: Final = {
    "I;16BS": "I;16NS", "I;16S": "I;16NS", "I;32BS": "I;32NS", "I;32S": "I;32NS", "F;32BF": "F;32NF", "F;32F": "F;32NF",
}  # fmt: skip


def forbid_other_formats() -> None:
    """Keep Pillow from loading further plugins: `Image.preinit` and `Image.init` return at once from now on."""
    Image._initialized = 2  # noqa: SLF001


def decode_avif_in_one_thread() -> None:
    """Limit the AVIF decoder to one thread. By default it starts one per core."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def decode_tiff_by_libtiff() -> None:
    """Decode uncompressed TIFFs with libtiff as well: Pillow's own decoder garbles planes of more than 8 bits."""
    TiffImagePlugin.READ_LIBTIFF = True


def read_native_numbers(image: ImageFile.ImageFile) -> None:
    """Read the wide samples of an opened TIFF in native byte order, which is what libtiff returns."""
    image.tile = [tile._replace(args=_in_native_order(tile.args)) for tile in image.tile]


def _in_native_order(args: Any) -> Any:
    if isinstance(args, tuple) and args and args[0] in _NATIVE:
        return (_NATIVE[args[0]], *args[1:])
    return args


def free_decoder(image: ImageFile.ImageFile) -> None:
    """Free the decoder of a decoded WebP or AVIF, which `close` keeps: half the memory that a WebP takes."""
    vars(image).pop("_decoder", None)


def jpeg_components(image: ImageFile.ImageFile) -> list[tuple[int, int, int, int]]:
    """Return id, horizontal and vertical sampling factor and quantization table of each component of a JPEG."""
    components: list[tuple[int, int, int, int]] = getattr(image, "layer", [])
    return components
