"""Look-alikes: images whose perceptual hashes differ in few bits. A hash has 64 bits, written as 16 hex digits."""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from typing import NamedTuple

from app.domain.images.service import check_ready
from app.domain.models import Image, Status
from app.domain.ports import ImageRepository

#: Parts that an index contains of each hash, of 16 bits each.
BANDS = 4
#: Distance up to which every look-alike is found. Beyond it, those are found whose bits differ in suitable bands.
EXACT_DISTANCE = 6
#: Largest distance that can be asked for. Unrelated images are seldom as close (`benchmarks/look_alikes.py`).
MAX_DISTANCE = 10
#: Images that are compared for each band looked up, the newest. Large collections of nearly equal images have more.
CANDIDATES = 1000
_DIGITS = 4
#: Hashes with fewer ones, or with fewer zeros, are those of nearly uniform images: they match each other and nothing
#: that looks like them.
_FEWEST_ONES = 8


def is_flat(phash: str) -> bool:
    """Return True for the hash of a nearly uniform image, which has no look-alikes."""
    ones = int(phash, 16).bit_count()
    return not _FEWEST_ONES <= ones <= BANDS * _DIGITS * 4 - _FEWEST_ONES


def bands(phash: str | None) -> Sequence[str]:
    """Return the values that an image is indexed under: the number of each band and its digits, such as `0:d2c3`.

    There is none for an image without a hash, nor for a flat one.
    """
    if phash is None or is_flat(phash):
        return ()
    return [f"{number}:{digits}" for number, digits in enumerate(_split(phash))]


def bands_within(phash: str, distance: int) -> Iterator[str]:
    """Yield bands of which each hash within the distance has at least one, up to `EXACT_DISTANCE`.

    Multi-index hashing with the pigeonhole principle refined (M. Norouzi, A. Punjani, D. Fleet, "Fast Exact Search in
    Hamming Space with Multi-Index Hashing", 2014, section 3.2): of hashes that differ in `4 * flips + rest` bits or
    fewer, one of the first `rest + 1` bands differs in at most `flips` bits, or one of the others in fewer. For 6 bits
    these are 52 bands: 17 for each of three, and one.
    """
    flips, rest = divmod(min(distance, EXACT_DISTANCE), BANDS)
    for number, digits in enumerate(_split(phash)):
        for count in range(flips + 1 if number <= rest else flips):
            for bits in combinations(range(4 * _DIGITS), count):
                flipped = int(digits, 16) ^ sum(1 << bit for bit in bits)
                yield f"{number}:{flipped:0{_DIGITS}x}"


def hash_distance(one: str, other: str) -> int:
    """Return the number of bits in which two hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


class LookAlike(NamedTuple):
    """An image, and the distance of its hash."""

    distance: int
    image: Image


class LookAlikes(NamedTuple):
    """Look-alikes of an image, the closest first and the newest of each distance.

    `comparable` is False if the image is not compared with others, because it is nearly uniform. `complete` is False if
    there may be more within the distance than were compared or asked for.
    """

    items: Sequence[LookAlike] = ()
    comparable: bool = True
    complete: bool = True


class LookAlikeSearch:
    """Finds the look-alikes of an image among those of its owner."""

    def __init__(self, images: ImageRepository) -> None:
        self._images = images

    def find(self, image: Image, distance: int, limit: int) -> LookAlikes:
        """Return at most `limit` look-alikes within the distance: ready images that are neither flat nor in the trash.

        Raises `Conflict` if the image is not ready: only processing computes its hash.
        """
        check_ready(image)
        if image.phash is None or is_flat(image.phash):
            return LookAlikes(comparable=False)
        complete = True
        close: dict[tuple[str, str], int] = {}
        for candidates in self._images.find_bands(image.owner, list(bands_within(image.phash, distance)), CANDIDATES):
            complete = complete and len(candidates) < CANDIDATES
            for image_id, phash in candidates:
                apart = hash_distance(image.phash, phash)
                if apart <= distance and image_id != image.id:
                    close[image_id, phash] = apart
        newest = sorted(close, reverse=True)
        found = self._read(image.owner, sorted(newest, key=close.__getitem__), limit + 1)
        items = [LookAlike(hash_distance(image.phash, each.phash or ""), each) for each in found[:limit]]
        return LookAlikes(items, complete=complete and len(found) <= limit)

    def _read(self, owner: str, candidates: Sequence[tuple[str, str]], wanted: int) -> Sequence[Image]:
        """Return the first records that are as the index says. Further ones are read only to replace stale ones."""
        found: list[Image] = []
        left = iter(candidates)
        while len(found) < wanted and (batch := list(islice(left, wanted))):
            records = self._images.get_many([image_id for image_id, _ in batch])
            found += [
                image
                for image_id, phash in batch
                if (image := records.get(image_id)) is not None
                and (image.owner, image.phash, image.status) == (owner, phash, Status.READY)
                and image.trashed_at is None
            ]
        return found[:wanted]


def _split(phash: str) -> Sequence[str]:
    """Return the digits of each band."""
    return [phash[at : at + _DIGITS] for at in range(0, BANDS * _DIGITS, _DIGITS)]
