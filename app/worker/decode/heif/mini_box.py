"""Low-overhead container of HEIC and AVIF: one box of bit fields instead of tables (ISO/IEC 23008-12, `mini`)."""

import struct
from typing import Final

from app.worker.decode.heif.bits import Bits
from app.worker.decode.heif.items import Item, Property

#: Item type and configuration by the codec that the file's minor version names.
_CODECS: Final = {b"avif": (b"av01", b"av1C"), b"heic": (b"hvc1", b"hvcC")}
_ALPHA: Final = bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
#: Quarter turns against the clock, and a mirror, by EXIF's orientation.
_TURNS: Final = {3: 2, 5: 1, 6: 3, 7: 3, 8: 1}
_MIRRORS: Final = {2: 1, 4: 0, 5: 0, 7: 0}
#: Bits of properties that are not read: display, ambient light, viewing environment, diffuse white.
_DISPLAY, _AMBIENT, _VIEWING, _WHITE = 192, 64, 128, 32


def read_items(body: bytes, start: int, codec: bytes) -> dict[int, Item]:
    """Read the items of a `mini` box whose body begins at `start` in the file; none if it is truncated."""
    fields = _Fields(Bits(body[: 1 << 16]), codec)
    if fields.bits.ended or fields.codec is None:
        return {}
    at = fields.bits.bytes_read
    configuration = body[at : at + fields.configuration]
    at += fields.configuration
    alpha_configuration = body[at : at + fields.alpha_configuration] or configuration
    at += fields.alpha_configuration + fields.gains_configuration
    profile = body[at : at + fields.profile]
    at += fields.profile + fields.tone_map_profile + fields.gains_metadata + start
    alpha, at = (at, fields.alpha), at + fields.alpha + fields.gains
    pixels, at = (at, fields.pixels), at + fields.pixels
    exif, xmp = (at, fields.exif), (at + fields.exif, fields.xmp)
    kind, configured = fields.codec
    size = Property(b"ispe", struct.pack(">4xII", *fields.size))
    turns = fields.transformations()
    colors = [Property(b"colr", b"prof" + profile)] if profile else []
    colors.append(Property(b"colr", b"nclx" + struct.pack(">HHHB", *fields.colors, fields.full_range << 7)))
    shown = [size, Property(configured, configuration, essential=True), *colors, *fields.light, *turns]
    items = {1: Item(1, kind, extents=[pixels], properties=shown, refs={b"prem": [2]} if fields.premultiplied else {})}
    if fields.alpha:
        properties = [
            size,
            Property(configured, alpha_configuration, essential=True),
            Property(b"auxC", _ALPHA),
            *turns,
        ]
        items[2] = Item(2, kind, extents=[alpha], properties=properties, refs={b"auxl": [1]})
    if fields.has_gains:
        items[3] = Item(3, b"tmap", refs={b"dimg": [1]})
    if fields.exif:
        items[6] = Item(6, b"Exif", extents=[exif], refs={b"cdsc": [1]})
    if fields.xmp:
        items[7] = Item(7, b"mime", b"application/rdf+xml", extents=[xmp], refs={b"cdsc": [1]})
    return items


class _Fields:
    """Bit fields of the box, in order."""

    def __init__(self, bits: Bits, codec: bytes) -> None:
        self.bits = bits
        bits.skip(2)
        explicit_codec, is_float = bits.flag(), bits.flag()
        self.full_range = bits.flag()
        has_alpha, explicit_colors, has_light, has_profile, has_exif, has_xmp = (bits.flag() for _ in range(6))
        chroma, self.orientation = bits.read(2), bits.read(3) + 1
        side = 15 if bits.flag() else 7
        self.size = (bits.read(side) + 1, bits.read(side) + 1)
        self._skip_samples(chroma, is_float=is_float)
        self.premultiplied = has_alpha and bits.flag()
        self.colors = self._read_colors(chroma) if explicit_colors else (2, 2, 6) if has_profile else (1, 13, 6)
        self.codec = (bits.bytes(4), bits.bytes(4)) if explicit_codec else _CODECS.get(codec)
        self.has_gains = has_light and bits.flag()
        tone_map_has_profile = self._skip_gains(side) if self.has_gains else False
        self.light = self._read_light() if has_light else []
        if self.has_gains:
            self._read_light()
        has_metadata = has_profile or has_exif or has_xmp or self.has_gains
        metadata = 20 if has_metadata and bits.flag() else 10
        configuration, data = (12 if bits.flag() else 3), (28 if bits.flag() else 15)
        self.profile = bits.read(metadata) + 1 if has_profile else 0
        self.tone_map_profile = bits.read(metadata) + 1 if tone_map_has_profile else 0
        self.gains_metadata = bits.read(metadata) if self.has_gains else 0
        self.gains = bits.read(data) if self.has_gains else 0
        self.gains_configuration = bits.read(configuration) if self.gains else 0
        self.configuration, self.pixels = bits.read(configuration), bits.read(data) + 1
        self.alpha = bits.read(data) if has_alpha else 0
        self.alpha_configuration = bits.read(configuration) if self.alpha else 0
        compressed = bits.flag() if has_exif or has_xmp else False
        self.exif = bits.read(metadata) + 1 if has_exif else 0
        self.xmp = bits.read(metadata) + 1 if has_xmp else 0
        if compressed:
            self.exif = self.xmp = 0

    def transformations(self) -> list[Property]:
        """Return rotation and mirroring as boxes of the long form."""
        turn, mirror = _TURNS.get(self.orientation), _MIRRORS.get(self.orientation)
        boxes = ((b"irot", turn), (b"imir", mirror))
        return [Property(kind, bytes((value,)), essential=True) for kind, value in boxes if value is not None]

    def _skip_samples(self, chroma: int, *, is_float: bool) -> None:
        self.bits.skip({1: 2, 2: 1}.get(chroma, 0))
        if is_float:
            self.bits.skip(2)
        elif self.bits.flag():
            self.bits.skip(3)

    def _read_colors(self, chroma: int) -> tuple[int, int, int]:
        return self.bits.read(8), self.bits.read(8), self.bits.read(8) if chroma else 2

    def _skip_gains(self, side: int) -> bool:
        self.bits.skip(2 * side + 8 + 1)
        self._skip_samples(self.bits.read(2), is_float=self.bits.flag())
        has_profile = self.bits.flag()
        if self.bits.flag():
            self.bits.skip(25)
        return has_profile

    def _read_light(self) -> list[Property]:
        content, display, volume, ambient, viewing, white = (self.bits.flag() for _ in range(6))
        light = [Property(b"clli", self.bits.bytes(4))] if content else []
        self.bits.skip(_DISPLAY * display)
        if volume:
            self.bits.skip(2)
            primaries, least, most, average = (self.bits.flag() for _ in range(4))
            self.bits.skip(2 + 192 * primaries + 32 * (least + most + average))
        self.bits.skip(_AMBIENT * ambient + _VIEWING * viewing + _WHITE * white)
        return light
