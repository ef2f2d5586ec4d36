"""Counts of an owner's images. They change with each record, so that reading them costs the same at any size."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple, Protocol

from app.domain.models import Image, Status, is_open_ticket
from app.domain.quota.usage import NO_USAGE, Usage

#: Fields of a record that the counts follow from.
COUNTED = frozenset({"status", "trashed_at", "upload_expires_at", "arrived_at", "bytes", "variants", "recipe_id"})
#: Prefix of the counter of a recipe: ready images whose variants were made with it.
RECIPE = "recipe:"
#: Prefix of the counters of a format: `format:webp:images`. The last parts are those of `_count_formats`.
FORMAT = "format:"
#: Time after which approximate counts are recounted.
RECOUNT_AFTER = timedelta(days=7)

#: A record before and after a change; None if there is none.
Change = tuple[Image | None, Image | None]


def count(image: Image | None) -> Mapping[str, int]:
    """Return the counts of one image by name. A trashed image has its own; an open upload ticket has none.

    `saved_bytes` compares the original with the smallest file of the largest variant.
    """
    if image is None or is_open_ticket(image):
        return {}
    variant_bytes = sum({variant.file: variant.bytes for variant in image.variants}.values())
    if image.trashed_at is not None:
        return {"trashed": 1, "trashed_bytes": image.bytes + variant_bytes}
    counts = {str(image.status): 1, "original_bytes": image.bytes, "variant_bytes": variant_bytes}
    if image.status is Status.READY:
        if image.variants:
            largest = min(image.variants, key=lambda each: (-each.width * each.height, each.bytes))
            counts["saved_bytes"] = max(0, image.bytes - largest.bytes)
        if image.recipe_id:
            counts[RECIPE + image.recipe_id] = 1
        counts |= _count_formats(image)
    return counts


def _count_formats(image: Image) -> Mapping[str, int]:
    """Return the counts of a ready image in each format of its variants."""
    counts: dict[str, int] = {}
    for form in {variant.format for variant in image.variants}:
        made = [variant for variant in image.variants if variant.format is form]
        largest = min(made, key=lambda each: (-each.width * each.height, each.bytes))
        counts |= {
            f"{FORMAT}{form}:images": 1,
            f"{FORMAT}{form}:original_bytes": image.bytes,
            f"{FORMAT}{form}:largest_bytes": largest.bytes,
            f"{FORMAT}{form}:variant_bytes": sum({variant.file: variant.bytes for variant in made}.values()),
        }
    return counts


def add_up(changes: Iterable[Change]) -> Mapping[str, Mapping[str, int]]:
    """Return by how much changes of records change the counts, by owner. Counts that stay are left out."""
    totals: dict[str, Counter[str]] = {}
    for before, after in changes:
        for image, add in ((after, Counter.update), (before, Counter.subtract)):
            if image is not None:
                add(totals.setdefault(image.owner, Counter()), count(image))
    changed = {owner: {name: value for name, value in total.items() if value} for owner, total in totals.items()}
    return {owner: values for owner, values in changed.items() if values}


class OwnerCounts(NamedTuple):
    """Counts of an owner's images by name, see `count`; absent ones are zero. `recounted_at` is None for counts that
    are exact, and for those that have not been recounted yet. `usage` is what counts towards the quota."""

    owner: str
    counts: Mapping[str, int] = MappingProxyType({})
    recounted_at: datetime | None = None
    usage: Usage = NO_USAGE


class Counters(Protocol):
    """Counts of images by owner. Implementations may raise `Unavailable`.

    With `exact`, the counts are those of the records at any time. Otherwise they may differ by changes that failed half
    way, until they are recounted.
    """

    exact: bool

    def get(self, owner: str) -> OwnerCounts:
        """Return the counts of an owner; none for an owner without images."""

    def list(self, limit: int, after: str | None = None) -> Sequence[OwnerCounts]:
        """Return the counts of at most `limit` owners, in the order of their names, after that name.

        Every owner who has images is in the list. One who had some may be.
        """

    def recount_usage(self, owner: str) -> Usage:
        """Count what the owner uses from the records, correct the usage, and return it.

        Records that were written without a quota are part of the usage from then on. Approximate counts of images are
        recounted by the next run of `Recount`. Raises `KeepsChanging` if other calls change the usage all the time.
        """


#: Recounts approximate counts that are due, while the function that it gets returns True. Returns the number of owners.
Recount = Callable[[Callable[[], bool]], int]
