"""Statistics of an owner's images, as the API shows them."""

from collections.abc import Mapping

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.images.stats import FORMAT, RECIPE, OwnerCounts
from app.domain.models import Format, Model, Status
from app.domain.quota.usage import Quota
from app.domain.recipe import Recipe, build_recipe_id

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
