"""HEIC and AVIF files of every structure that is read: tiles, derived items, transformations, sequences, HDR."""

import struct
from collections.abc import Callable

from PIL import Image

from tests.samples import photo
from tests.worker.decode.heif_files import (
    AVIF_BRANDS,
    HEIC_BRANDS,
    Item,
    auxc,
    box,
    clap,
    coded,
    full,
    grid,
    heif,
    imir,
    irot,
    ispe,
    mini,
    nclx,
    prof,
    sequence,
)
from tests.worker.files import srgb_profile

_SIZE = (64, 64)
_SRGB = nclx(1, 13)
_XMP = b'<x:xmpmeta><rdf:Description exif:DateTimeOriginal="2020-06-01T12:00:00+02:00"/></x:xmpmeta>'


def heif_seeds(exif: bytes) -> dict[str, bytes]:
    """By name; `exif` is a block with its prefix."""
    made = {}
    for kind, ending, brands in (("AVIF", "avif", AVIF_BRANDS), ("HEIF", "heic", HEIC_BRANDS)):
        for name, body in _structures(kind, brands, exif).items():
            made[f"{name}.{ending}"] = body
    return made


def _structures(kind: str, brands: tuple[bytes, ...], exif: bytes) -> dict[str, bytes]:
    picture = photo(*_SIZE)
    plain, gray = _item(picture, kind, _SRGB), _item(Image.linear_gradient("L").resize(_SIZE), kind)
    alpha = Item(gray.kind, gray.data, [*gray.properties, auxc("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")],
                 {b"auxl": [1]})  # fmt: skip
    gains = Item(gray.kind, gray.data, [*gray.properties, auxc("urn:com:apple:photo:2020:aux:hdrgainmap")],
                 {b"auxl": [1]})  # fmt: skip
    told = {
        2: Item(b"Exif", b"\0\0\0\6" + exif, refs={b"cdsc": [1]}),
        3: Item(b"mime", _XMP, refs={b"cdsc": [1]}, content_type=b"application/rdf+xml"),
    }
    odd = {2: Item(b"Exif", exif, refs={b"cdsc": [1]}), 3: Item(b"Exif", b"", extents=[(9000, 50)])}
    tiles = {number: Item(plain.kind, plain.data, plain.properties, hidden=True) for number in (2, 3)}
    overlay = Item(b"iovl", struct.pack(">BB4HHHhhhh", 0, 0, 0, 0, 0, 65535, 128, 64, 0, 0, 64, 0),
                   [ispe(128, 64), _SRGB], {b"dimg": [2, 3]}, idat=True)  # fmt: skip
    tone_map = Item(b"tmap", bytes(46), [ispe(*_SIZE), nclx(9, 16, 0)], {b"dimg": [1, 3]})
    group = box(b"grpl", full(b"altr", 0, 0, struct.pack(">IIII", 9, 2, 2, 1)))
    turned = [*plain.properties, clap(40, 24, 20, 36, _SIZE), irot(1), imir(1)]
    bright = [*plain.properties[:-1], nclx(9, 16), box(b"clli", struct.pack(">HH", 1000, 200)),
              box(b"mdcv", struct.pack(">8HII", *[15000] * 8, 10_000_000, 50))]  # fmt: skip

    def packed(items: dict[int, Item], primary: int = 1, groups: bytes = b"") -> bytes:
        return heif(items, primary, brands, groups=groups)

    makers: dict[str, Callable[[], bytes]] = {
        "told": lambda: packed({1: plain, **told}),
        "odd": lambda: packed({1: plain, **odd}),
        "alpha": lambda: packed({1: plain, 2: alpha, 3: gains}),
        "turned": lambda: packed({1: Item(plain.kind, plain.data, turned)}),
        "profile": lambda: packed({1: Item(plain.kind, plain.data, [*plain.properties, prof(srgb_profile())])}),
        "bright": lambda: packed({1: Item(plain.kind, plain.data, bright)}),
        "hlg": lambda: packed({1: Item(plain.kind, plain.data, [*plain.properties[:-1], nclx(9, 18)])}),
        "tiles": lambda: packed({1: grid(1, 2, 120, 60, [2, 3], _SRGB), **tiles}),
        "repeated": lambda: packed({1: grid(2, 2, 128, 128, [2, 2, 3, 2], _SRGB), **tiles}),
        "overlay": lambda: packed({1: overlay, **tiles}),
        "identity": lambda: packed({1: Item(b"iden", b"", [ispe(*_SIZE), irot(1)], {b"dimg": [2]}), 2: plain}),
        "gains": lambda: packed({1: plain, 2: tone_map, 3: Item(gray.kind, gray.data, gray.properties)}, groups=group),
        "sequence": lambda: sequence(plain, _SIZE, b"avis" if kind == "AVIF" else b"hevc"),
        "mini": lambda: mini(plain, _SIZE, alpha=alpha, exif=exif[6:], xmp=_XMP, profile=srgb_profile(), orientation=6),
        "mini-bright": lambda: mini(plain, _SIZE, colors=(9, 16, 6), light=1000, gains=True),
    }
    return {name: make() for name, make in makers.items()}


def _item(picture: Image.Image, kind: str, *more: bytes) -> Item:
    full_chroma = {"subsampling": "4:4:4"} if kind == "AVIF" else {"chroma": 444}
    item = coded(picture, kind, quality=40, **(full_chroma if picture.mode == "RGB" else {}))
    item.properties = [*item.properties, *more]
    return item
