"""HEIC and AVIF files made box by box: metadata that is broken, structures that contradict themselves, odd kinds.

Pixels are those that Chromium and libheif show of the same bytes, where they show any.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.domain.errors import ImageError
from app.domain.media import media_type_of
from app.domain.models import Format
from app.domain.recipe import VariantSpec
from app.worker.jobs import Processed
from tests.samples import IMAGES
from tests.worker.conftest import Process, recipe_of
from tests.worker.decode.heif_files import (
    AVIF_BRANDS,
    HEIC_BRANDS,
    Item,
    auxc,
    box,
    clap,
    coded,
    find,
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
    walk,
)
from tests.worker.files import saved, srgb_profile

LOSSLESS = recipe_of(VariantSpec(name="v", width=1000, formats=(Format.PNG,)))
SIZE = (64, 64)
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
#: The corners of the image: upper left, upper right, lower left, lower right.
CORNERS = (RED, GREEN, BLUE, YELLOW)
SRGB = nclx(1, 13)
FORMATS = pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
ALPHA = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"


def picture() -> Image.Image:
    made = Image.new("RGB", SIZE)
    for at, color in zip(((0, 0), (32, 0), (0, 32), (32, 32)), CORNERS, strict=True):
        made.paste(color, (*at, at[0] + 32, at[1] + 32))
    return made


def plain(kind: str, *more: bytes, image: Image.Image | None = None) -> Item:
    options = {"subsampling": "4:4:4"} if kind == "AVIF" else {"chroma": 444}
    item = coded(image or picture(), kind, **options)
    item.properties = [*item.properties, SRGB, *more]
    return item


def swapped(item: Item, *changed: bytes) -> Item:
    """The item with other properties in place of those of the same kinds."""
    kinds = {one[4:8] for one in changed}
    kept = [one for one in item.properties if one[4:8] not in kinds]
    return Item(item.kind, item.data, [*kept, *changed], item.refs)


def without(item: Item, *kinds: bytes) -> Item:
    return Item(item.kind, item.data, [one for one in item.properties if one[4:8] not in kinds], item.refs)


def packed(kind: str, items: dict[int, Item], **options: object) -> bytes:
    brands = AVIF_BRANDS if kind == "AVIF" else HEIC_BRANDS
    return heif(items, **{"brands": brands, **options})


def corners(folder: Path, file: str = "v.png") -> tuple[tuple[int, ...], ...]:
    with Image.open(folder / file) as image:
        across, down = image.width // 6, image.height // 6
        places = ((across, down), (image.width - 1 - across, down))
        places += tuple((x, image.height - 1 - y) for x, y in places)
        return tuple(tuple(image.getpixel(at)) for at in places)


def near(one: tuple[int, ...], other: tuple[int, ...], most: int = 8) -> bool:
    return len(one) == len(other) and all(abs(a - b) <= most for a, b in zip(one, other, strict=True))


Shown = Callable[..., Processed]


@pytest.fixture
def shows(process: Process) -> Shown:
    """Process a file, and check its size and the colors of its corners."""

    def check(kind: str, body: bytes, size: tuple[int, int] = SIZE, colors: tuple[tuple[int, ...], ...] = CORNERS,
              most: int = 8) -> Processed:  # fmt: skip
        media_type = "image/avif" if kind == "AVIF" else "image/heic"
        processed, out = process(body, LOSSLESS, media_type=media_type)
        assert (processed.width, processed.height) == size
        found = corners(out)
        assert all(near(a, b, most) for a, b in zip(found, colors, strict=True)), found
        return processed

    return check


def refused(process: Process, kind: str, body: bytes) -> tuple[str, str]:
    with pytest.raises(ImageError) as failure:
        process(body, LOSSLESS, media_type="image/avif" if kind == "AVIF" else "image/heic")
    return str(failure.value.code), failure.value.detail


def tiff(maker: str = "Acme") -> bytes:
    exif = Image.Exif()
    exif[0x010F] = maker
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    return exif.tobytes().removeprefix(b"Exif\0\0")


def exif_item(data: bytes, extents: list[tuple[int, int]] | None = None) -> Item:
    return Item(b"Exif", data, refs={b"cdsc": [1]}, extents=extents)


EXIFS: dict[str, tuple[Callable[[], bytes], bool]] = {
    "as it should be": (lambda: b"\0\0\0\6Exif\0\0" + tiff(), True),
    "without a prefix": (lambda: b"\0\0\0\0" + tiff(), True),
    "without an offset": (tiff, True),
    "a wrong offset": (lambda: b"\0\0\0\x0aExif\0\0" + tiff(), True),
    "an offset beyond its end": (lambda: b"\xff\xff\xff\xff" + tiff(), True),
    "junk before it": (lambda: b"\0\0\0\x08junkjunk" + tiff(), True),
    "a prefix twice": (lambda: b"\0\0\0\x0cExif\0\0Exif\0\0" + tiff(), True),
    "no header": (lambda: b"\0\0\0\6Exif\0\0junk junk", False),
    "nothing": (lambda: b"", False),
    "three bytes": (lambda: b"\0\0\0", False),
    "an offset alone": (lambda: bytes(4), False),
    "a directory beyond its end": (lambda: b"\0\0\0\0MM\0*\xff\xff\xff\xff", False),
    "too many entries": (lambda: b"\0\0\0\0MM\0*\0\0\0\x08\xff\xff", False),
}


@FORMATS
@pytest.mark.parametrize("case", EXIFS)
def test_a_broken_exif_item_costs_no_image_and_is_read_where_it_can_be(shows: Shown, kind: str, case: str) -> None:
    data, readable = EXIFS[case]
    processed = shows(kind, packed(kind, {1: plain(kind), 2: exif_item(data())}))
    assert (processed.camera, processed.taken_at is not None) == (("Acme", True) if readable else (None, False))


@FORMATS
def test_of_two_exif_items_the_one_that_can_be_read_counts(shows: Shown, kind: str) -> None:
    items = {1: plain(kind), 2: exif_item(b"\0\0\0\0junkjunk"), 3: exif_item(bytes(4) + tiff())}
    assert shows(kind, packed(kind, items)).camera == "Acme"


@FORMATS
@pytest.mark.parametrize("place", [(10**6, 100), (100, 10**6)], ids=["all of it", "half of it"])
@pytest.mark.parametrize("metadata", [b"Exif", b"mime"])
def test_metadata_beyond_the_end_of_the_file(shows: Shown, kind: str, metadata: bytes, place: tuple[int, int]) -> None:
    item = Item(metadata, b"", refs={b"cdsc": [1]}, content_type=b"application/rdf+xml", extents=[place])
    shows(kind, packed(kind, {1: plain(kind), 2: item}))


def test_exif_in_idat_is_read(shows: Shown) -> None:
    item = exif_item(bytes(4) + tiff())
    item.idat = True
    assert shows("AVIF", packed("AVIF", {1: plain("AVIF"), 2: item})).camera == "Acme"


ODD_PROPERTIES: dict[str, Callable[[], list[bytes]]] = {
    "a profile of junk": lambda: [prof(b"junk")],
    "a profile of zeros": lambda: [prof(bytes(200))],
    "an empty profile": lambda: [prof(b"")],
    "colors of an unknown type": lambda: [box(b"colr", b"xyzw", b"abc")],
    "colors of no type": lambda: [box(b"colr")],
    "colors cut off": lambda: [box(b"colr", b"nclx\0")],
    "unspecified colors": lambda: [nclx(2, 2, 2)],
    "reserved colors": lambda: [nclx(3, 3, 3)],
    "unknown colors": lambda: [nclx(99, 99, 99)],
    "more unknown colors": lambda: [nclx(65535, 65535, 65535)],
    "an unknown matrix": lambda: [nclx(1, 13, 99)],
    "colors twice": lambda: [SRGB, nclx(1, 1)],
    "no bits": lambda: [full(b"pixi", 0, 0, b"\0")],
    "bits cut off": lambda: [full(b"pixi", 0, 0, b"\3")],
    "bits of one channel": lambda: [full(b"pixi", 0, 0, bytes((1, 8)))],
    "other bits": lambda: [full(b"pixi", 0, 0, bytes((3, 10, 10, 10)))],
    "an empty rotation": lambda: [box(b"irot")],
    "an empty mirror": lambda: [box(b"imir")],
    "an aperture cut off": lambda: [box(b"clap", b"abc")],
    "no aspect": lambda: [box(b"pasp", b"a")],
    "no light": lambda: [box(b"clli", b"a")],
    "no display": lambda: [box(b"mdcv", b"a")],
    "something unknown": lambda: [box(b"zzzz", b"a")],
}  # fmt: skip


@FORMATS
@pytest.mark.parametrize("case", ODD_PROPERTIES)
def test_an_odd_property_costs_no_image(shows: Shown, kind: str, case: str) -> None:
    shows(kind, packed(kind, {1: swapped(plain(kind), *ODD_PROPERTIES[case]())}))


@FORMATS
def test_reserved_bits_of_a_rotation_and_a_mirror_do_not_count(shows: Shown, kind: str) -> None:
    shows(kind, packed(kind, {1: plain(kind, irot(0xFF))}), SIZE, (BLUE, RED, YELLOW, GREEN))
    shows(kind, packed(kind, {1: plain(kind, imir(0xFF))}), SIZE, (GREEN, RED, YELLOW, BLUE))


def alpha(kind: str) -> Item:
    item = coded(Image.linear_gradient("L").resize(SIZE), kind)
    item.properties = [*item.properties, auxc(ALPHA)]
    item.refs = {b"auxl": [1]}
    return item


def odd_items(kind: str) -> Iterator[tuple[str, dict[int, Item]]]:
    image = plain(kind)
    thumbnail = plain(kind, image=Image.new("RGB", SIZE, "white"))
    depth = alpha(kind)
    depth.properties = [*depth.properties[:-1], auxc("urn:mpeg:mpegB:cicp:systems:auxiliary:depth")]
    nameless = alpha(kind)
    nameless.properties = nameless.properties[:-1]
    empty = alpha(kind)
    empty.data = b""
    yield "depth", {1: image, 2: depth}
    yield "broken depth", {1: image, 2: Item(depth.kind, b"xx", depth.properties, depth.refs)}
    yield "an auxiliary item for nothing", {1: image, 2: nameless}
    yield "alpha without bytes", {1: image, 2: empty}
    yield "a thumbnail", {1: image, 2: Item(image.kind, thumbnail.data, thumbnail.properties, {b"thmb": [1]})}
    yield "a broken thumbnail", {1: image, 2: Item(image.kind, b"??", [], {b"thmb": [1]})}
    yield "a thumbnail of nobody", {1: image, 2: Item(image.kind, thumbnail.data, image.properties, {b"thmb": [99]})}
    yield "its own thumbnail", {1: Item(image.kind, image.data, image.properties, {b"thmb": [1]})}
    yield "its own description", {1: Item(image.kind, image.data, image.properties, {b"cdsc": [1]})}
    yield "hidden", {1: Item(image.kind, image.data, image.properties, hidden=True)}
    yield "very many items", {1: image, **{number: Item(b"zzzz", b"x") for number in range(2, 3000)}}
    yield "very many descriptions", {1: image, **{number: exif_item(bytes(4) + tiff()) for number in range(2, 900)}}


ODD_ITEMS = [name for name, _ in odd_items("AVIF")]


@FORMATS
@pytest.mark.parametrize("case", ODD_ITEMS)
@pytest.mark.slow
def test_an_odd_item_beside_it_costs_no_image(shows: Shown, kind: str, case: str) -> None:
    processed = shows(kind, packed(kind, dict(odd_items(kind))[case]))
    assert not processed.has_alpha


@FORMATS
@pytest.mark.parametrize("damage", ["cut", "beyond"])
def test_alpha_of_which_pixels_are_missing_is_damage(process: Process, kind: str, damage: str) -> None:
    transparency = alpha(kind)
    if damage == "cut":
        transparency.data = transparency.data[:10]
    else:
        transparency.extents = [(10**7, 100)]
    assert refused(process, kind, packed(kind, {1: plain(kind), 2: transparency}))[0] == "corrupt_image"


@FORMATS
def test_pixels_that_are_missing_are_damage(process: Process, kind: str) -> None:
    image = plain(kind)
    whole = packed(kind, {1: image})
    no_bytes = packed(kind, {1: Item(image.kind, b"", image.properties)})
    nobody = packed(kind, {1: image}, primary=9)
    metadata = packed(kind, {1: image, 2: exif_item(bytes(4) + tiff())}, primary=2)
    no_config = packed(kind, {1: without(image, b"av1C", b"hvcC")})
    for body in (whole[:-10], no_bytes, nobody, metadata, no_config):
        assert refused(process, kind, body)[0] == "corrupt_image"


# What is cropped, in an image of 64 × 64, and the colors of the corners of what is left.
APERTURES: dict[str, tuple[tuple[bytes, ...], tuple[int, int], tuple[tuple[int, ...], ...]]] = {
    "the middle": ((clap(32, 48, 16, 8, SIZE),), (32, 48), CORNERS),
    "from the upper left": ((clap(40, 20, 0, 0, SIZE),), (40, 20), (RED, GREEN, RED, GREEN)),
    "elsewhere": ((clap(40, 24, 20, 36, SIZE),), (40, 24), (BLUE, YELLOW, BLUE, YELLOW)),
    "odd": ((clap(31, 31, 3, 5, SIZE),), (31, 31), (RED, RED, RED, RED)),
    "one pixel": ((clap(1, 1, 63, 0, SIZE),), (1, 1), (GREEN, GREEN, GREEN, GREEN)),
    "all": ((clap(64, 64, 0, 0, SIZE),), SIZE, CORNERS),
    "then turned": ((clap(40, 24, 20, 36, SIZE), irot(1)), (24, 40), (YELLOW, YELLOW, BLUE, BLUE)),
    "then mirrored": ((clap(40, 24, 20, 36, SIZE), imir(1)), (40, 24), (YELLOW, BLUE, YELLOW, BLUE)),
    "then upside down": ((clap(24, 40, 0, 12, SIZE), imir(0)), (24, 40), (BLUE, BLUE, RED, RED)),
    "then turned and mirrored": ((clap(40, 24, 0, 0, SIZE), irot(1), imir(1)), (24, 40), (GREEN, GREEN, RED, RED)),
}  # fmt: skip


@FORMATS
@pytest.mark.parametrize("case", APERTURES)
def test_the_clean_aperture_is_what_is_shown(shows: Shown, kind: str, case: str) -> None:
    """As libheif does, and Chromium where it begins in the upper left corner; elsewhere Chromium shows all."""
    properties, size, colors = APERTURES[case]
    shows(kind, packed(kind, {1: plain(kind, *properties)}), size, colors, 24)


def test_an_avif_is_cropped_turned_and_mirrored_in_that_order_whatever_is_written_first(shows: Shown) -> None:
    """MIAF allows one order, and libavif and Chromium know no other."""
    crop, turn, mirror = clap(40, 24, 20, 36, SIZE), irot(1), imir(0)
    for order in ((crop, turn, mirror), (mirror, turn, crop), (turn, mirror, crop)):
        shows("AVIF", packed("AVIF", {1: plain("AVIF", *order)}), (24, 40), (BLUE, BLUE, YELLOW, YELLOW), 24)


def test_a_heic_is_transformed_in_the_order_in_which_it_says_so(shows: Shown) -> None:
    crop, turn = clap(40, 24, 20, 36, SIZE), irot(1)
    shows("HEIF", packed("HEIF", {1: plain("HEIF", turn, crop)}), (40, 24), (RED, BLUE, RED, BLUE), 24)


def raw_clap(*numbers: int) -> bytes:
    return box(b"clap", struct.pack(">IIIIiIiI", *numbers))


@pytest.mark.parametrize(
    "numbers",
    [
        (80, 1, 32, 1, 0, 1, 0, 1), (32, 1, 32, 1, 40, 1, 0, 1), (0, 1, 0, 1, 0, 1, 0, 1), (32, 0, 32, 1, 0, 1, 0, 1),
        (65, 2, 32, 1, 0, 1, 0, 1), (33, 1, 33, 1, 0, 1, 0, 1), (32, 1, 32, 1, 0, 0, 0, 1), (-1, 1, 32, 1, 0, 1, 0, 1),
    ],
    ids=["too large", "outside", "nothing", "without a denominator", "half a pixel", "between pixels",
         "an offset without a denominator", "negative"],
)  # fmt: skip
def test_an_aperture_that_is_invalid_does_not_count(shows: Shown, numbers: tuple[int, ...]) -> None:
    numbers = tuple(number % 2**32 if at not in {4, 6} else number for at, number in enumerate(numbers))
    shows("AVIF", packed("AVIF", {1: plain("AVIF", raw_clap(*numbers))}))


def test_a_heic_whose_aperture_its_decoder_refuses_is_shown_whole(shows: Shown) -> None:
    for numbers in ((0, 1, 0, 1, 0, 1, 0, 1), (32, 0, 32, 1, 0, 1, 0, 1)):
        shows("HEIF", packed("HEIF", {1: plain("HEIF", raw_clap(*numbers))}))


def test_a_transformation_counts_even_if_it_is_not_called_essential(shows: Shown) -> None:
    image = plain("AVIF", irot(1), clap(40, 24, 20, 36, SIZE))
    image.essential = frozenset({b"av1C"})
    shows("AVIF", packed("AVIF", {1: image}), (24, 40), (YELLOW, YELLOW, BLUE, BLUE), 24)


def tiles(kind: str, first: Item, **options: object) -> bytes:
    items = {1: first}
    for number, color in ((2, RED), (3, BLUE)):
        items[number] = plain(kind, image=Image.new("RGB", SIZE, color))
        items[number].hidden = True
    return packed(kind, items, **options)


SIDE_BY_SIDE = (RED, BLUE, RED, BLUE)


@FORMATS
def test_a_grid_is_its_tiles_side_by_side(shows: Shown, kind: str) -> None:
    shows(kind, tiles(kind, grid(1, 2, 128, 64, [2, 3], SRGB)), (128, 64), SIDE_BY_SIDE)
    shows(kind, tiles(kind, grid(1, 2, 100, 50, [2, 3], SRGB)), (100, 50), SIDE_BY_SIDE)


@FORMATS
def test_a_grid_whose_size_is_told_differently_has_that_of_its_tiles(shows: Shown, kind: str) -> None:
    odd = grid(1, 2, 128, 64, [2, 3], SRGB)
    odd.properties = [ispe(64, 64), SRGB]
    shows(kind, tiles(kind, odd), (128, 64), SIDE_BY_SIDE)


@FORMATS
def test_a_tile_may_be_used_again_and_again(shows: Shown, kind: str) -> None:
    body = tiles(kind, grid(15, 15, 960, 960, [2, 3] * 112 + [2], SRGB))
    shows(kind, body, (960, 960), (RED, RED, RED, RED))


@FORMATS
@pytest.mark.parametrize(
    ("rows", "columns", "size", "refs"),
    [
        (1, 2, (128, 64), [2]), (1, 2, (128, 64), [2, 3, 2]), (1, 2, (200, 64), [2, 3]), (1, 2, (128, 64), [2, 77]),
        (1, 2, (128, 64), [2, 1]), (1, 1, (64, 64), [1]),
    ],
    ids=["a tile too few", "a tile too many", "too large", "of a tile that is not there", "of itself too", "of itself"],
)  # fmt: skip
def test_a_grid_without_its_tiles_is_damage(
    process: Process, kind: str, rows: int, columns: int, size: tuple[int, int], refs: list[int]
) -> None:
    assert refused(process, kind, tiles(kind, grid(rows, columns, *size, refs, SRGB)))[0] == "corrupt_image"


@FORMATS
def test_more_pixels_than_allowed_are_refused_however_they_are_told(process: Process, kind: str) -> None:
    """By the header alone: a grid of one tile used often, an image that is larger than it says, a large canvas."""
    grids = tiles(kind, grid(256, 256, 16384, 16384, [2] * 65535, SRGB))
    assert refused(process, kind, grids)[0] == "too_many_pixels"
    nothing = tiles(kind, grid(200, 200, 64, 64, [2] * 40_000 + [2], SRGB))
    with pytest.raises(ImageError) as failure:
        process(nothing, LOSSLESS, media_type="image/heic", max_pixels=10_000_000)
    assert failure.value.code == "too_many_pixels"
    large = plain(kind, image=Image.new("RGB", (1024, 1024)))
    with pytest.raises(ImageError) as failure:
        process(packed(kind, {1: swapped(large, ispe(64, 64))}), LOSSLESS, max_pixels=500_000)
    assert failure.value.code == "too_many_pixels"


@pytest.mark.parametrize("kind", ["HEIF"])
def test_an_overlay_that_doubles_again_and_again_ends_at_once(process: Process, kind: str) -> None:
    canvas = struct.pack(">BB4HHHhhhh", 0, 0, 0, 0, 0, 65535, 64, 64, 0, 0, 0, 0)
    items = {
        number: Item(b"iovl", canvas, [ispe(64, 64), SRGB], {b"dimg": [number + 1] * 2}, idat=True)
        for number in range(1, 40)
    }
    assert refused(process, kind, packed(kind, items | {40: plain(kind)}))[0] == "too_many_pixels"


@FORMATS
def test_circles_of_items_end(process: Process, kind: str) -> None:
    round_about = {
        number: Item(b"iden", b"", [ispe(64, 64), SRGB], {b"dimg": [number % 3 + 1]}) for number in range(1, 4)
    }
    assert refused(process, kind, packed(kind, round_about))[0] == "corrupt_image"


@FORMATS
def test_an_identity_is_what_it_stands_for_with_its_own_transformations(shows: Shown, kind: str) -> None:
    again = Item(b"iden", b"", [ispe(64, 64), SRGB, irot(1)], {b"dimg": [2]})
    shows(kind, packed(kind, {1: again, 2: plain(kind)}), SIZE, (GREEN, YELLOW, RED, BLUE))


def test_an_overlay_in_a_heic_is_shown_and_in_an_avif_named(process: Process, shows: Shown) -> None:
    canvas = struct.pack(">BB4HHHhhhh", 0, 0, 65535, 0, 0, 65535, 128, 64, 0, 0, 64, 0)
    item = Item(b"iovl", canvas, [ispe(128, 64), SRGB], {b"dimg": [2, 3]}, idat=True)
    shows("HEIF", tiles("HEIF", item), (128, 64), SIDE_BY_SIDE)
    code, detail = refused(process, "AVIF", tiles("AVIF", item))
    assert (code, "overlay" in detail) == ("unsupported_image", True)


@FORMATS
@pytest.mark.parametrize("primary", [1, 2], ids=["the base image", "the tone map"])
@pytest.mark.parametrize("broken", [False, True], ids=["sound", "broken"])
def test_of_a_gain_map_the_base_image_is_shown(shows: Shown, kind: str, primary: int, broken: bool) -> None:
    brands = (*(AVIF_BRANDS if kind == "AVIF" else HEIC_BRANDS), b"tmap")
    gains = coded(Image.linear_gradient("L").resize(SIZE), kind)
    gains.hidden = True
    metadata = bytes(5) + b"\x40" + bytes(40)
    tone_map = Item(b"tmap", b"x" if broken else metadata, [ispe(64, 64), nclx(9, 16, 0)], {b"dimg": [1, 3]})
    groups = box(b"grpl", full(b"altr", 0, 0, struct.pack(">IIII", 99, 2, 2, 1)))
    items = {1: plain(kind), 2: tone_map, 3: gains}
    assert shows(kind, packed(kind, items, primary=primary, brands=brands, groups=groups)).hdr == "gain_map"


@FORMATS
@pytest.mark.parametrize(
    ("codec", "name"),
    [(b"jpeg", "JPEG"), (b"avc1", "H.264"), (b"j2k1", "JPEG 2000"), (b"vvc1", "VVC"), (b"unci", "uncompressed")],
)
def test_a_codec_that_is_not_read_is_named(process: Process, kind: str, codec: bytes, name: str) -> None:
    data = saved(picture(), "JPEG") if codec == b"jpeg" else b"x" * 50
    code, detail = refused(process, kind, packed(kind, {1: Item(codec, data, [ispe(*SIZE), SRGB])}))
    assert (code, name in detail) == ("unsupported_image", True)


@FORMATS
def test_an_unknown_essential_property_is_named(process: Process, kind: str) -> None:
    image = plain(kind, box(b"zzzz", b"a"))
    image.essential |= {b"zzzz"}
    code, detail = refused(process, kind, packed(kind, {1: image}))
    assert (code, "zzzz" in detail) == ("unsupported_image", True)


@FORMATS
def test_colors_that_are_not_converted_are_named(process: Process, kind: str) -> None:
    code, detail = refused(process, kind, packed(kind, {1: swapped(plain(kind), nclx(9, 16, 14))}))
    assert (code, "ICtCp" in detail) == ("unsupported_image", True)


def test_more_tiles_than_its_decoder_reads_are_named(process: Process) -> None:
    code, detail = refused(process, "HEIF", tiles("HEIF", grid(32, 32, 2048, 2048, [2, 3] * 512, SRGB)))
    assert (code, "1,024 tiles" in detail) == ("unsupported_image", True)


@pytest.mark.parametrize("brands", [(b"mif1", b"miaf"), (b"avif", b"mif1"), (b"heic", b"mif1")])
@FORMATS
def test_the_codec_decides_and_not_the_brand(shows: Shown, kind: str, brands: tuple[bytes, ...]) -> None:
    shows(kind, heif({1: plain(kind)}, brands=brands))


def contradicting(item: Item, change: Callable[[bytes], bytes]) -> Item:
    configuration = next(one for one in item.properties if one[4:8] in {b"av1C", b"hvcC"})
    return swapped(item, box(configuration[4:8], change(configuration[8:])))


@FORMATS
@pytest.mark.parametrize("what", ["depth", "channels"])
def test_a_configuration_that_contradicts_the_pixels_does_not_count(shows: Shown, kind: str, what: str) -> None:
    changes: dict[tuple[str, str], Callable[[bytes], bytes]] = {
        ("AVIF", "depth"): lambda body: body[:2] + bytes((body[2] | 0x40,)) + body[3:],
        ("AVIF", "channels"): lambda body: body[:2] + bytes((body[2] | 0x1C,)) + body[3:],
        ("HEIF", "depth"): lambda body: body[:17] + b"\xfa\xfa" + body[19:],
        ("HEIF", "channels"): lambda body: body[:16] + b"\xfc" + body[17:],
    }
    shows(kind, packed(kind, {1: contradicting(plain(kind), changes[kind, what])}))


def test_a_size_that_contradicts_the_pixels(shows: Shown) -> None:
    """An AVIF is scaled to it, as in Chromium; a HEIC has that of its pixels, as in libheif before 1.20."""
    for size in ((32, 32), (128, 64)):
        shows("AVIF", packed("AVIF", {1: swapped(plain("AVIF"), ispe(*size))}), size)
        shows("HEIF", packed("HEIF", {1: swapped(plain("HEIF"), ispe(*size))}), SIZE)


@FORMATS
def test_a_sequence_without_a_still_is_its_first_frame(shows: Shown, kind: str) -> None:
    brands = (b"avis",) if kind == "AVIF" else (b"hevc", b"msf1", b"heic")
    for brand in brands:
        shows(kind, sequence(plain(kind), SIZE, brand))


def layered(*more: bytes) -> bytes:
    """The color of an image of two layers, without the property that gives their sizes."""
    body = (IMAGES / "libavif-tests__draw_points_idat_progressive.avif").read_bytes()
    stored = find(body, b"meta", b"idat")
    ((_, item), *_) = walk(find(body, b"meta", b"iprp"))
    kept = [box(kind, inner) for kind, inner in walk(item) if kind != b"a1lx"][:4]
    return heif({1: Item(b"av01", stored[0x1D:0x54] + stored[0x65:0x76], [*kept, *more])})


#: As libavif and Chromium show it.
LAYERED = ((255, 0, 0), (0, 0, 253), (255, 0, 0), (0, 0, 253))


def test_of_a_picture_in_layers_the_last_is_shown(shows: Shown) -> None:
    body = (IMAGES / "libavif-tests__draw_points_idat_progressive.avif").read_bytes()
    shows("AVIF", body, (33, 11), ((*LAYERED[0], 255), (*LAYERED[1], 136), (*LAYERED[2], 255), (*LAYERED[3], 136)))


@pytest.mark.parametrize("sizes", [b"", b"\0\xff\0\0\0\0\0", b"\0\0\x37\0\0\0\0", b"\1\xff"])
def test_sizes_of_layers_do_not_count(shows: Shown, sizes: bytes) -> None:
    shows("AVIF", layered(box(b"a1lx", sizes)), (33, 11), LAYERED)


@pytest.mark.parametrize("layer", [0, 1, 0xFFFF])
def test_a_layer_may_be_chosen(shows: Shown, layer: int) -> None:
    shows("AVIF", layered(box(b"lsel", struct.pack(">H", layer))), (33, 11), LAYERED)


@pytest.mark.parametrize("chosen", [box(b"lsel", b"\0\2"), box(b"lsel", b"\0"), box(b"a1op", b"\x40")])
def test_a_layer_that_is_not_there_is_damage(process: Process, chosen: bytes) -> None:
    assert refused(process, "AVIF", layered(chosen))[0] == "corrupt_image"


def test_an_avif_sequence_with_broken_metadata_is_its_still(shows: Shown) -> None:
    frames = [picture(), picture().rotate(180)]
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    body = saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], exif=exif.tobytes(), quality=90,
                 subsampling="4:4:4")  # fmt: skip
    assert shows("AVIF", body).frames == 2
    broken = body.replace(b"\0\0\0\6Exif\0\0", b"\0\0\0\x99Exif\0\0")
    assert broken != body
    assert shows("AVIF", broken).camera == "Acme"


@FORMATS
def test_the_low_overhead_form_is_read(shows: Shown, kind: str) -> None:
    image = plain(kind)
    bare = mini(image, SIZE)
    assert media_type_of(bare[:64]) == ("image/avif" if kind == "AVIF" else "image/heic")
    assert shows(kind, bare).hdr is None
    turned = mini(image, SIZE, orientation=6, exif=tiff(), xmp=b"<x/>", colors=(1, 13, 6), profile=srgb_profile())
    assert shows(kind, turned, SIZE, (BLUE, RED, YELLOW, GREEN)).camera == "Acme"
    see_through = shows(
        kind, mini(image, SIZE, alpha=alpha(kind)), SIZE, ((*RED, 42), (*GREEN, 42), (*BLUE, 213), (*YELLOW, 213))
    )
    assert see_through.has_alpha


def test_the_low_overhead_form_tells_hdr_and_gain_maps(shows: Shown) -> None:
    gray = plain("AVIF", image=Image.new("RGB", SIZE, (148, 148, 148)))  # 203 cd/m² in PQ
    shown = ((187,) * 3,) * 4
    assert shows("AVIF", mini(gray, SIZE, colors=(9, 16, 6), light=1000), SIZE, shown, 3).hdr == "pq"
    assert shows("AVIF", mini(plain("AVIF"), SIZE, gains=True)).hdr == "gain_map"


def test_the_low_overhead_form_cut_off_is_damage(process: Process) -> None:
    whole = mini(plain("AVIF"), SIZE)
    for size in (20, 30, 40, len(whole) - 10):
        assert refused(process, "AVIF", whole[:size])[0] == "corrupt_image"
