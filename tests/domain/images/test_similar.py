"""Bands of perceptual hashes: which of them a search looks up."""

import itertools
import random

import pytest

from app.domain.images.similar import EXACT_DISTANCE, bands, bands_within, hash_distance, is_flat

HASH = "d2c3aec9e93f12c0"


def flipped(phash: str, bits: list[int]) -> str:
    return f"{int(phash, 16) ^ sum(1 << bit for bit in bits):016x}"


@pytest.mark.parametrize(
    ("distance", "count"), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 20), (5, 36), (6, 52), (7, 52), (10, 52)]
)
def test_a_search_looks_up_few_bands(distance: int, count: int) -> None:
    found = list(bands_within(HASH, distance))
    assert (len(found), len(set(found))) == (count, count)
    assert found[0] == "0:d2c3"


@pytest.mark.parametrize("distance", range(EXACT_DISTANCE + 1))
def test_every_hash_within_the_distance_has_a_band_that_is_looked_up(distance: int) -> None:
    """However the flipped bits are spread over the bands."""
    wanted = set(bands_within(HASH, distance))
    dice = random.Random(distance)
    for spread in itertools.product(range(distance + 1), repeat=4):
        if sum(spread) > distance:
            continue
        for _ in range(20):
            bits = [16 * band + bit for band, count in enumerate(spread) for bit in dice.sample(range(16), count)]
            other = flipped(HASH, bits)
            assert hash_distance(HASH, other) == sum(spread)
            assert wanted & set(bands(other)), other


def test_hashes_beyond_the_exact_distance_can_be_missed() -> None:
    spread = [0, 16, 17, 32, 33, 48, 49]  # two bits in three bands, one in the other
    assert not set(bands_within(HASH, 10)) & set(bands(flipped(HASH, spread)))


def test_nearly_uniform_hashes_have_no_bands() -> None:
    for ones in (0, 1, 7, 57, 63, 64):
        phash = f"{(1 << ones) - 1:016x}"
        assert is_flat(phash)
        assert bands(phash) == ()
    for ones in (8, 32, 56):
        phash = f"{(1 << ones) - 1:016x}"
        assert not is_flat(phash)
        assert len(bands(phash)) == 4
    assert bands(None) == ()
    assert bands(HASH) == ["0:d2c3", "1:aec9", "2:e93f", "3:12c0"]
