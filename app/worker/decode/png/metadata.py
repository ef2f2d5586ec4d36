"""Descriptive chunks of a PNG: colors, texts, EXIF and XMP. Invalid ones are skipped."""

import struct
import zlib
from typing import Any, Final

#: Bytes of a chunk that are read, and of its inflated content.
MOST_BYTES: Final = 1 << 22
_MOST_TEXT: Final = 1 << 20
_MOST_HELD: Final = 4 << 20
_MOST_TEXTS: Final = 1_000
_XMP: Final = "XML:com.adobe.xmp"
#: Chunks that count only before the pixels, with their lengths (section 11.3).
_COLORS: Final = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"cLLI": 8, b"mDCV": 24}


class Metadata:
    """Collects the content of chunks. The first of duplicates counts."""

    def __init__(self) -> None:
        self._info: dict[str, Any] = {}
        self._texts: dict[str, str] = {}
        self._held = 0

    def add(self, kind: bytes, body: bytes, size: int, *, early: bool) -> None:
        """Add a chunk of `size` bytes, cut to `MOST_BYTES`; `early` means before the pixels."""
        if kind in _COLORS:
            if early and size == _COLORS[kind]:
                self._color(kind, body)
        elif kind == b"iCCP":
            if early and "icc_profile" not in self._info and (profile := _profile(body)):
                self._info["icc_profile"] = profile
        elif kind == b"eXIf":
            self._keep("exif", b"Exif\0\0" + body.removeprefix(b"Exif\0\0"))
        elif kind in {b"tEXt", b"zTXt", b"iTXt"}:
            self._text(kind, body)

    def info(self) -> dict[str, Any]:
        """Return the metadata as Pillow has it in `Image.info`, except that `texts` maps keywords to texts."""
        return {**self._info, "texts": self._texts}

    def _color(self, kind: bytes, body: bytes) -> None:
        info = self._info
        if kind == b"cICP" and body[2:] == b"\0\1":  # RGB, over the full range
            info.setdefault("cicp", (body[0], body[1]))
        elif kind == b"sRGB" and body[0] <= 3:
            info.setdefault("srgb", body[0])
        elif kind == b"gAMA" and any(body):
            info.setdefault("gamma", int.from_bytes(body) / 100_000)
        elif kind == b"cLLI":
            info.setdefault("content_light", int.from_bytes(body[:4]) / 10_000)
        elif kind == b"mDCV":
            info.setdefault("display_light", int.from_bytes(body[16:20]) / 10_000)
        elif kind == b"cHRM":
            info.setdefault("chromaticity", tuple(value / 100_000 for value in struct.unpack(">8I", body)))

    def _text(self, kind: bytes, body: bytes) -> None:
        keyword, _, rest = body.partition(b"\0")
        name = keyword[:79].decode("latin-1")
        if kind == b"tEXt":
            text: str | bytes = rest[:_MOST_TEXT].decode("latin-1")
        elif kind == b"zTXt":
            text = _inflated(rest[1:], _MOST_TEXT).decode("latin-1")
        else:
            parts = rest[2:].split(b"\0", 2)
            if len(parts) < 3:
                return
            value = _inflated(parts[2], _MOST_TEXT) if rest[0] else parts[2][:_MOST_TEXT]
            if name == _XMP:
                self._keep("xmp", value)
                return
            text = value.decode(errors="replace")
        if name and len(self._texts) < _MOST_TEXTS and self._fits(len(text)):
            self._texts.setdefault(name, str(text))

    def _keep(self, name: str, block: bytes) -> None:
        if name not in self._info and self._fits(len(block)):
            self._info[name] = block

    def _fits(self, size: int) -> bool:
        self._held += size
        return self._held <= _MOST_HELD


def _profile(body: bytes) -> bytes:
    """Return the complete profile, or nothing."""
    _, _, rest = body.partition(b"\0")
    if rest[:1] != b"\0":
        return b""
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], MOST_BYTES)
    except zlib.error:
        return b""
    return profile if inflater.eof or not inflater.unconsumed_tail else b""


def _inflated(data: bytes, most: int) -> bytes:
    """Inflate the beginning of the data, as far as it is valid."""
    inflater = zlib.decompressobj()
    found = bytearray()
    for at in range(0, len(data), 4096):
        try:
            found += inflater.decompress(data[at : at + 4096], max(1, most - len(found)))
        except zlib.error:
            break
        if len(found) >= most:
            break
    return bytes(found)
