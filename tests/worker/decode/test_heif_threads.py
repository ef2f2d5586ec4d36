"""HEICs in tiles: several threads decode the same pixels as one thread, and only where their number is bounded."""

from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from app.worker.decode.formats import load_pixels, open_image
from tests.samples import photo
from tests.worker.decode.heif_files import HEIC_BRANDS, Item, auxc, coded, grid, heif, nclx

ALPHA = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
SIDE = 64


def in_tiles(*, rows: int = 3, columns: int = 4, first: int = 2) -> dict[int, Item]:
    """A grid, the item before `first`, and its tiles from `first` on, which reach over its edges."""
    whole = photo(columns * SIDE, rows * SIDE)
    tiles: dict[int, Item] = {}
    for row in range(rows):
        for column in range(columns):
            box = (column * SIDE, row * SIDE, (column + 1) * SIDE, (row + 1) * SIDE)
            tile = coded(whole.crop(box), "HEIF")
            tiles[first + len(tiles)] = Item(tile.kind, tile.data, [*tile.properties, nclx(1, 13)], hidden=True)
    return {first - 1: grid(rows, columns, columns * SIDE - 6, rows * SIDE - 10, list(tiles), nclx(1, 13)), **tiles}


def transparency(of: int) -> Item:
    item = coded(Image.linear_gradient("L").resize((SIDE, SIDE)), "HEIF")
    return Item(item.kind, item.data, [*item.properties, auxc(ALPHA)], {b"auxl": [of]}, hidden=True)


def decode(path: Path, threads: int) -> tuple[str, bytes, int]:
    """Return mode and pixels, and the number of threads that the decoder was allowed."""
    with load_pixels(open_image(path, "image/heic", threads=threads), path) as image:
        return image.mode, image.tobytes(), pillow_heif.options.DECODE_THREADS


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
def test_threads_decode_the_same_pixels(tmp_path: Path, *, alpha: bool) -> None:
    items = in_tiles()
    if alpha:
        items |= {100 + number: transparency(number) for number in list(items) if number > 1}
    path = tmp_path / "original"
    path.write_bytes(heif(items, brands=HEIC_BRANDS))
    mode, pixels, _ = decode(path, 1)
    assert mode == ("RGBA" if alpha else "RGB")
    assert len(set(pixels)) > 50
    assert [decode(path, threads) for threads in (1, 2, 4)] == [(mode, pixels, threads) for threads in (1, 2, 4)]


def test_a_missing_tile_is_damage_in_threads_too(tmp_path: Path) -> None:
    items = in_tiles()
    items[5].data = items[5].data[:40]
    path = tmp_path / "original"
    path.write_bytes(heif(items, brands=HEIC_BRANDS))
    outcomes = []
    for threads in (1, 3):
        try:
            outcomes.append(decode(path, threads)[1])
        except Exception as error:  # noqa: BLE001 - any exception of a decoder, as long as it is the same
            outcomes.append(repr(error).encode())
    assert outcomes[0] == outcomes[1]


def test_a_grid_of_grids_has_one_thread(tmp_path: Path) -> None:
    """Each inner grid would have as many threads as the outer one."""
    inner = in_tiles(rows=1, columns=2, first=11)
    inner[10].hidden = True
    items = {1: grid(2, 1, 2 * SIDE - 6, 2 * (SIDE - 10), [10, 10], nclx(1, 13)), **inner}
    path = tmp_path / "original"
    path.write_bytes(heif(items, brands=HEIC_BRANDS))
    assert decode(path, 4)[2] == 1


def test_a_tile_whose_transparency_is_a_grid_has_one_thread(tmp_path: Path) -> None:
    items = in_tiles()
    parts = {200: transparency(0), 201: transparency(0)}
    for part in parts.values():
        part.refs = {}
    shade = grid(1, 2, SIDE, SIDE, list(parts), auxc(ALPHA))
    shade.refs = {**shade.refs, b"auxl": [2]}
    shade.hidden = True
    path = tmp_path / "original"
    path.write_bytes(heif({**items, **parts, 199: shade}, brands=HEIC_BRANDS))
    open_image(path, "image/heic", threads=4).close()
    assert pillow_heif.options.DECODE_THREADS == 1


def test_an_image_in_one_piece_has_one_thread(tmp_path: Path) -> None:
    path = tmp_path / "original"
    photo(SIDE, SIDE).save(path, "HEIF")
    assert decode(path, 4)[2] == 1
