"""HEIC and AVIF files made box by box (ISO/IEC 14496-12 and 23008-12), from what an encoder has written."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from tests.worker.files import saved


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box with its size."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def walk(data: bytes, start: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """The names and bodies of the boxes in a run of them."""
    at = start
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4]) or len(data) - at
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def find(data: bytes, *names: bytes) -> bytes:
    """The body of the first box of the last name inside those named before it."""
    for name in names:
        start = {b"meta": 4}.get(name, 0)
        data = next(body for kind, body in walk(data) if kind == name)[start:]
    return data


def ispe(width: int, height: int) -> bytes:
    """The size of an item."""
    return full(b"ispe", 0, 0, struct.pack(">II", width, height))


def clap(width: int, height: int, left: float, top: float, size: tuple[int, int]) -> bytes:
    """A clean aperture that keeps a rectangle of an image of that size."""
    across, down = round(2 * left + width - size[0]), round(2 * top + height - size[1])
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2))


def irot(angle: int) -> bytes:
    """Quarter turns against the clock."""
    return box(b"irot", bytes((angle,)))


def imir(axis: int) -> bytes:
    """A mirror: 0 turns it upside down, 1 swaps left and right."""
    return box(b"imir", bytes((axis,)))


def nclx(primaries: int, transfer: int, matrix: int = 6, *, full_range: bool = True) -> bytes:
    """Colors by their numbers."""
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, full_range << 7))


def prof(profile: bytes) -> bytes:
    """Colors by a profile."""
    return box(b"colr", b"prof", profile)


def auxc(urn: str) -> bytes:
    """Type of an auxiliary item."""
    return full(b"auxC", 0, 0, urn.encode() + b"\0")


@dataclass
class Item:
    """One item: its type, its bytes and its properties; a transformation must be last and is essential."""

    kind: bytes
    data: bytes
    properties: Sequence[bytes] = ()
    refs: dict[bytes, Sequence[int]] = field(default_factory=dict)
    hidden: bool = False
    content_type: bytes = b""
    idat: bool = False
    #: As (offset, length), instead of where the data is put.
    extents: Sequence[tuple[int, int]] | None = None
    essential: frozenset[bytes] = frozenset({b"clap", b"irot", b"imir", b"av1C", b"hvcC", b"lsel", b"a1op"})


AVIF_BRANDS = (b"avif", b"mif1", b"miaf")
HEIC_BRANDS = (b"heic", b"mif1")


def heif(
    items: dict[int, Item], primary: int = 1, brands: Sequence[bytes] = AVIF_BRANDS, more: Sequence[bytes] = (),
    groups: bytes = b"",
) -> bytes:  # fmt: skip
    """A file of items; `more` are boxes of `meta`."""
    properties: list[bytes] = []
    places: dict[int, list[int]] = {}
    for number, item in items.items():
        for one in item.properties:
            if one not in properties:
                properties.append(one)
            index = properties.index(one) + 1
            places.setdefault(number, []).append(index | (0x8000 if one[4:8] in item.essential else 0))
    wide = any(number > 65535 for number in items)
    number_of = (lambda number: struct.pack(">I", number)) if wide else (lambda number: struct.pack(">H", number))
    ipma = full(
        b"ipma", int(wide), 1, struct.pack(">I", len(places)),
        *(number_of(number) + bytes((len(many),)) + struct.pack(f">{len(many)}H", *many)
          for number, many in places.items()),
    )  # fmt: skip
    infos = [
        full(b"infe", 3 if wide else 2, int(item.hidden), number_of(number), b"\0\0", item.kind, b"\0",
             *([item.content_type + b"\0"] if item.kind == b"mime" else []))
        for number, item in items.items()
    ]  # fmt: skip
    refs = [
        box(kind, number_of(number), struct.pack(">H", len(to)), *map(number_of, to))
        for number, item in items.items()
        for kind, to in item.refs.items()
    ]
    ftyp = box(b"ftyp", brands[0], bytes(4), *brands)
    stored = b"".join(item.data for item in items.values() if item.idat)

    def meta(at: int) -> bytes:
        entries, inside = [], 0
        for number, item in items.items():
            start = inside if item.idat else at
            extents = item.extents if item.extents is not None else [(start, len(item.data))]
            entries.append(
                number_of(number) + struct.pack(">HHH", int(item.idat), 0, len(extents))
                + b"".join(struct.pack(">II", *extent) for extent in extents)
            )  # fmt: skip
            inside, at = (inside + len(item.data), at) if item.idat else (inside, at + len(item.data))
        count = struct.pack(">I", len(items)) if wide else struct.pack(">H", len(items))
        return full(
            b"meta", 0, 0,
            full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", int(wide), 0, number_of(primary)),
            full(b"iloc", 2 if wide else 1, 0, b"\x44\0", count, *entries),
            full(b"iinf", 0, 0, struct.pack(">H", len(infos)), *infos),
            *([full(b"iref", int(wide), 0, *refs)] if refs else []),
            box(b"iprp", box(b"ipco", *properties), ipma),
            *([box(b"idat", stored)] if stored else []),
            *([groups] if groups else []),
            *more,
        )  # fmt: skip

    at = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(at) + box(b"mdat", *(item.data for item in items.values() if not item.idat))


def coded(image: Image.Image, file_format: str = "AVIF", **options: Any) -> Item:
    """The image as one coded item, without colors: its bytes, its size and its decoder's configuration.

    A HEIC needs sides that are multiples of 64: of others its encoder fills what is missing.
    """
    settings = {"quality": 90, "speed": 9} if file_format == "AVIF" else {"quality": 95}
    body = saved(image, file_format, **settings | options)
    kinds = {b"AVIF": (b"av01", b"av1C"), b"HEIF": (b"hvc1", b"hvcC")}[file_format.encode()]
    properties = list(walk(find(body, b"meta", b"iprp", b"ipco")))
    configuration = next(inner for kind, inner in properties if kind == kinds[1])
    at = body.index(b"mdat") + 4
    size = int.from_bytes(body[at - 8 : at - 4])
    kept = [box(kind, inner) for kind, inner in properties if kind in {b"ispe", b"pixi"}][:2]
    return Item(kinds[0], body[at : at - 8 + size], [*kept, box(kinds[1], configuration)])


def grid(rows: int, columns: int, width: int, height: int, tiles: Sequence[int], *properties: bytes) -> Item:
    """A derived item that lays tiles side by side."""
    body = bytes((0, 1, rows - 1, columns - 1)) + struct.pack(">II", width, height)
    return Item(b"grid", body, [ispe(width, height), *properties], {b"dimg": tiles}, idat=True)


def sequence(item: Item, size: tuple[int, int], brand: bytes = b"hevc") -> bytes:
    """A sequence of one frame without a still: a track and nothing else."""
    names = {b"av01": b"av01", b"hvc1": b"hvc1"}
    visual = bytes(6) + struct.pack(">H16xHHIIIH32sHh", 1, *size, 72 << 16, 72 << 16, 0, 1, bytes(32), 24, -1)
    kept = [one for one in item.properties if one[4:8] in {b"av1C", b"hvcC", b"colr"}]
    matrix = struct.pack(">9I", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)

    def moov(at: int) -> bytes:
        table = box(
            b"stbl",
            full(b"stsd", 0, 0, struct.pack(">I", 1), box(names[item.kind], visual, *kept)),
            full(b"stts", 0, 0, struct.pack(">III", 1, 1, 1)),
            full(b"stsc", 0, 0, struct.pack(">IIII", 1, 1, 1, 1)),
            full(b"stsz", 0, 0, struct.pack(">III", 0, 1, len(item.data))),
            full(b"stco", 0, 0, struct.pack(">II", 1, at)),
        )
        media = box(
            b"mdia",
            full(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, 1, 1, 0, 0)),
            full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            box(b"minf", full(b"vmhd", 0, 1, bytes(8)), table),
        )
        head = struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, 1, 0, 0, 0, 0) + matrix
        track = box(b"trak", full(b"tkhd", 0, 7, head, struct.pack(">II", size[0] << 16, size[1] << 16)), media)
        movie = full(
            b"mvhd", 0, 0, struct.pack(">IIIIIH10x", 0, 0, 1, 1, 65536, 256), matrix, bytes(24), bytes((0,) * 3 + (2,))
        )
        return box(b"moov", movie, track)

    ftyp = box(b"ftyp", brand, bytes(4), brand, b"msf1", b"iso8")
    at = len(ftyp) + len(moov(0)) + 8
    return ftyp + moov(at) + box(b"mdat", item.data)


def mini(
    item: Item, size: tuple[int, int], *, alpha: Item | None = None, colors: tuple[int, int, int] | None = None,
    profile: bytes = b"", exif: bytes = b"", xmp: bytes = b"", orientation: int = 1, light: int | None = None,
    gains: bool = False,
) -> bytes:  # fmt: skip
    """The low-overhead form of one item with full chroma and its transparency (23008-12, section O.3)."""
    flags = (0, 0, 1, alpha, colors, light is not None or gains, profile, exif, xmp)
    fields = "00" + "".join("1" if flag else "0" for flag in flags)
    fields += f"{3:02b}{orientation - 1:03b}1{size[0] - 1:015b}{size[1] - 1:015b}0" + ("0" if alpha else "")
    fields += "".join(f"{number:08b}" for number in colors or ())
    if light is not None or gains:
        fields += "1" if gains else "0"
        if gains:
            fields += f"{7:015b}{7:015b}{6:08b}1" + "00" + "0" + "0" + "0" + "0"
        fields += f"{int(light is not None)}00000" + ("" if light is None else f"{light:016b}{0:016b}")
        fields += "000000" if gains else ""
    has_metadata = bool(profile or exif or xmp or gains)
    configuration, second = (
        next((one[8:] for one in (part.properties if part else ()) if one[4:8] in {b"av1C", b"hvcC"}), b"")
        for part in (item, alpha)
    )
    fields += ("1" if has_metadata else "") + "11"
    fields += f"{len(profile) - 1:020b}" if profile else ""
    fields += f"{0:020b}{0:028b}" if gains else ""
    fields += f"{len(configuration):012b}{len(item.data) - 1:028b}"
    fields += f"{len(alpha.data):028b}{len(second):012b}" if alpha else ""
    fields += "0" if exif or xmp else ""
    fields += "".join(f"{len(block) - 1:020b}" for block in (exif, xmp) if block)
    fields += "0" * (-len(fields) % 8)
    head = int(fields, 2).to_bytes(len(fields) // 8)
    body = head + configuration + second + profile + (alpha.data if alpha else b"") + item.data + exif + xmp
    codec = {b"av01": b"avif", b"hvc1": b"heic"}[item.kind]
    return box(b"ftyp", b"mif3", codec) + box(b"mini", body)
