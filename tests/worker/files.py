"""Images that Pillow does not write: odd TIFFs, chunks, boxes and profiles by hand."""

import io
import struct
import zlib
from collections.abc import Sequence

from PIL import Image, ImageCms, MpoImagePlugin  # noqa: F401 - the last registers what writes several JPEGs


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The file of an image."""
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def tiff(
    tones: Sequence[float], *, bits: int = 8, photometric: int = 2, extra: int | None = None, order: str = "<"
) -> bytes:
    """40 × 40 pixels of one color, each tone from 0 to 1. `extra` is ExtraSamples: 1 premultiplied, 2 not."""
    side = 40
    samples = [int(tone * (2**bits - 1)) for tone in tones]
    if bits == 12:
        packed = "".join(format(sample, "012b") for sample in samples * side * side)
        pixels = int(packed, 2).to_bytes(len(packed) // 8)
    else:
        pixels = struct.pack(f"{order}{len(tones)}{'B' if bits == 8 else 'H'}", *samples) * side * side
    entries: list[tuple[int, Sequence[int], str]] = [
        (256, [side], "I"), (257, [side], "I"), (258, [bits] * len(tones), "H"), (259, [1], "H"),
        (262, [photometric], "H"), (273, [0], "I"), (277, [len(tones)], "H"), (278, [side], "I"),
        (279, [len(pixels)], "I"),
    ]  # fmt: skip
    if extra is not None:
        entries.append((338, [extra], "H"))
    bodies_at = 8 + 2 + 12 * len(entries) + 4
    bodies, table = b"", b""
    long = {tag: struct.pack(f"{order}{len(values)}{kind}", *values) for tag, values, kind in entries}
    pixels_at = bodies_at + sum(len(body) for body in long.values() if len(body) > 4)
    long[273] = struct.pack(f"{order}I", pixels_at)
    for tag, values, kind in entries:
        body = long[tag]
        if len(body) > 4:
            body, bodies = struct.pack(f"{order}I", bodies_at + len(bodies)), bodies + body
        table += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + body.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return head + table + bytes(4) + bodies + pixels


def png_with(png: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    return png[:33] + struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) + png[33:]


def apng(frames: Sequence[tuple[Image.Image, int, int, int]], hidden: Image.Image | None = None, **key: bytes) -> bytes:
    """An animated PNG as large as its first frame. Each frame has its distance from the left and the top, its
    disposal and its blending; `key` may be the `tRNS`."""
    first = hidden or frames[0][0]
    kinds = {"L": 0, "RGB": 2, "P": 3, "RGBA": 6}
    head = struct.pack(">IIBBBBB", *first.size, 8, kinds[first.mode], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"acTL", struct.pack(">II", len(frames), 0))]
    if first.mode == "P":
        chunks.append((b"PLTE", bytes(first.getpalette() or ())))
    chunks += [(kind.encode(), body) for kind, body in key.items()]
    if hidden:
        chunks.append((b"IDAT", _rows(hidden)))
    number = 0
    for index, (picture, at, disposal, blending) in enumerate(frames):
        control = struct.pack(">IIIIIHHBB", number, *picture.size, at, at, 1, 10, disposal, blending)
        chunks.append((b"fcTL", control))
        number += 1
        if index or hidden:
            chunks.append((b"fdAT", struct.pack(">I", number) + _rows(picture)))
            number += 1
        else:
            chunks.append((b"IDAT", _rows(picture)))
    return _png(chunks)


def _rows(image: Image.Image) -> bytes:
    data, row = image.tobytes(), len(image.getbands()) * image.width
    return zlib.compress(b"".join(b"\0" + data[at : at + row] for at in range(0, len(data), row)))


def deep_png(row: Sequence[Sequence[int]], depth: int, kind: int, **key: bytes) -> bytes:
    """A PNG of 8 rows that are all the same, given as samples of that many bits; `kind` is its color type."""
    bits = "".join(format(sample, f"0{depth}b") for pixel in row for sample in pixel)
    line = b"\0" + int(bits, 2).to_bytes(len(bits) // 8)
    head = struct.pack(">IIBBBBB", len(row), 8, depth, kind, 0, 0, 0)
    hidden = [(name.encode(), body) for name, body in key.items()]
    return _png([(b"IHDR", head), *hidden, (b"IDAT", zlib.compress(line * 8))])


def _png(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in [*chunks, (b"IEND", b"")]
    )


def bmp(pixel: int, masks: Sequence[int], *, bits: int = 32, compression: int = 3, other: int | None = None) -> bytes:
    """40 × 40 pixels that are all the same, in a BITMAPV4HEADER that says where the bits of red, green, blue and alpha
    are; the first may be another."""
    size = bits // 8
    pixels = (pixel if other is None else other).to_bytes(size, "little") + pixel.to_bytes(size, "little") * 1599
    head = struct.pack("<IiiHHIIiiII", 108, 40, 40, 1, bits, compression, len(pixels), 2835, 2835, 0, 0)
    head = (head + struct.pack("<4I", *masks) + b"BGRs").ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 14 + 108) + head + pixels


def heic_in_one_piece(image: Image.Image, more: int) -> bytes:
    """A HEIC whose only unit is longer than the image needs, by a number of bytes that are there."""
    body = saved(image, "HEIF")
    at = body.index(b"mdat")
    box, unit = (int.from_bytes(body[start : start + 4]) for start in (at - 4, at + 4))
    assert box == 8 + 4 + unit
    located = body.index(b"iloc")
    size = body.index(struct.pack(">I", 4 + unit), located)
    body = body[:size] + struct.pack(">I", 4 + unit + more) + body[size + 4 :]
    return body[: at - 4] + struct.pack(">I4sI", box + more, b"mdat", unit + more) + body[at + 8 :] + bytes(more)


def without_segment(jpeg: bytes, marker: int) -> bytes:
    """A JPEG without its first segment of that marker."""
    at = jpeg.index(bytes((0xFF, marker)))
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4]) :]


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with one more segment at its beginning."""
    return jpeg[:2] + bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body + jpeg[2:]


def cmyk_profile() -> bytes:
    """A profile of an odd press: its cyan ink prints a pure green, and black what black does; the others nothing."""
    line = bytes(range(256))
    nodes = b""
    for node in range(16):
        cyan, black = node & 8, node & 1
        lightness, a, b = (0, 0, 0) if black else (88, -79, 81) if cyan else (100, 0, 0)
        nodes += bytes((round(lightness * 2.55), a + 128, b + 128))
    identity = struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + line * 4 + nodes + line * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    head = struct.pack(">I4xI4s4s4s12x4s", 144 + len(table), 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    return head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061).ljust(60, b"\0") + tags + table


def srgb_profile() -> bytes:
    """lcms's own sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
