"""Counts of an owner's images. They change with each record, so that reading them costs the same at any size."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.models import Format, Image, Model, Status, is_open_ticket
from app.domain.quota.usage import NO_USAGE, Quota, Usage
from app.domain.recipe import Recipe, build_recipe_id

#: Fields of a record that the counts follow from.
COUNTED = frozenset({"status", "trashed_at", "upload_expires_at", "arrived_at", "bytes", "variants", "recipe_id"})
#: Prefix of the counter of a recipe: ready images whose variants were made with it.
RECIPE = "recipe:"
#: Prefix of the counters of a format: `format:webp:images`. The last parts are the fields of `FormatStats`.
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


@dataclass(frozen=True)
class OwnerCounts:
    """Counts of an owner's images by name, see `count`; absent ones are zero. `recounted_at` is None for counts that
    are exact, and for those that have not been recounted yet. `usage` is what counts towards the quota."""

    owner: str
    counts: Mapping[str, int] = field(default_factory=dict)
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


#: Statistics as the documentation shows them.
EXAMPLE: JsonDict = {
    "owner": "ann",
    "images": 1204,
    "pending": 1,
    "ready": 1200,
    "failed": 3,
    "stale": 17,
    "original_bytes": 4_213_004_118,
    "variant_bytes": 154_220_871,
    "saved_bytes": 4_110_212_006,
    "formats": [
        {
            "format": "webp",
            "images": 1200,
            "original_bytes": 4_201_112_500,
            "largest_bytes": 60_412_774,
            "variant_bytes": 104_031_009,
        },
        {
            "format": "jpeg",
            "images": 1192,
            "original_bytes": 4_188_020_114,
            "largest_bytes": 50_189_862,
            "variant_bytes": 50_189_862,
        },
    ],
    "trashed": 6,
    "trashed_bytes": 18_553_090,
    "used_bytes": 4_231_102_433,
    "used_images": 1210,
    "quota_bytes": 10_000_000_000,
    "quota_images": None,
    "exact": True,
    "recounted_at": None,
}


class FormatStats(Model, defer_build=True):
    """Bytes of the variants in one format, and of the originals that they stand for."""

    format: Format
    images: int = Field(description="Ready images with variants in this format.")
    original_bytes: int = Field(description="Size of the originals of these images.")
    largest_bytes: int = Field(description="Size of the largest variant of each: what is sent instead of the original.")
    variant_bytes: int = Field(description="Size of all variants in this format.")


class Stats(Model, defer_build=True):
    """Numbers and sizes of an owner's images."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    owner: str
    images: int = Field(description="Images of any status, without those in the trash.")
    pending: int
    ready: int
    failed: int
    stale: int = Field(description="Ready images whose variants were made with another recipe than the present one.")
    original_bytes: int = Field(description="Size of the originals, without those in the trash.")
    variant_bytes: int = Field(description="Size of the variants, without those in the trash.")
    saved_bytes: int = Field(
        description="Bytes that are not sent when pages show the largest variant instead of the original: the sum of "
        "the differences."
    )
    formats: list[FormatStats] = Field(
        description="Originals against variants, for each format of ready images, that of the most images first."
    )
    trashed: int = Field(description="Images in the trash.")
    trashed_bytes: int = Field(description="Size of the originals and variants in the trash.")
    used_bytes: int | None = Field(
        description="Size of the originals that counts towards the quota, with the trash and upload tickets; null "
        "without a quota."
    )
    used_images: int | None = Field(
        description="Images that count towards the quota, with the trash and upload tickets; null without a quota."
    )
    quota_bytes: int | None = Field(description="Limit of `used_bytes`; null: none.")
    quota_images: int | None = Field(description="Limit of `used_images`; null: none.")
    exact: bool = Field(
        description="False if the counts are approximate: a change that failed half way is missing until they are "
        "recounted, which happens every week."
    )
    recounted_at: AwareDatetime | None = Field(
        description="Time of the last recount of approximate counts; null if there was none."
    )


def build_stats(found: OwnerCounts, recipe: Recipe, quota: Quota, *, exact: bool) -> Stats:
    """Build the answer from the counts. An approximate count can be negative for some time: it is shown as zero."""
    names = (*Status, "original_bytes", "variant_bytes", "saved_bytes", "trashed", "trashed_bytes")
    counts = {str(name): max(0, found.counts.get(name, 0)) for name in names}
    current = max(0, found.counts.get(RECIPE + build_recipe_id(recipe), 0))
    return Stats(
        owner=found.owner,
        images=sum(counts[status] for status in Status),
        formats=_build_formats(found.counts),
        stale=max(0, counts[Status.READY] - current),
        used_bytes=found.usage.bytes if quota.is_limited else None,
        used_images=found.usage.images if quota.is_limited else None,
        quota_bytes=quota.bytes,
        quota_images=quota.images,
        exact=exact,
        recounted_at=found.recounted_at,
        **counts,
    )


def _build_formats(counts: Mapping[str, int]) -> list[FormatStats]:
    names = [name for name in FormatStats.model_fields if name != "format"]
    made = [
        FormatStats(format=form, **{name: max(0, counts.get(f"{FORMAT}{form}:{name}", 0)) for name in names})
        for form in Format
    ]
    return sorted((each for each in made if each.images), key=lambda each: -each.images)
