"""Limits of uploads: the answer of `GET /limits`."""

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.media import MEDIA_TYPES
from app.domain.models import Model
from app.domain.quota.usage import Quota
from app.domain.recipe import DEFAULT_RECIPE, Recipe

MEBIBYTE = 1024 * 1024


class Limits(Model):
    """Limits that a client can check before an upload."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(examples=[_defaults()]))

    max_upload_bytes: int = Field(default=50 * MEBIBYTE, description="Largest image for `/upload`, in decoded bytes.")
    max_json_bytes: int = Field(
        default=16 * MEBIBYTE, description="Largest JSON body of `/upload`, in bytes. Base64 has 4 for 3 of the image."
    )
    max_direct_bytes: int = Field(default=50 * MEBIBYTE, description="Largest image for an upload ticket, in bytes.")
    max_pixels: int = Field(default=100_000_000, description="Width × height, and × frames for an animation.")
    max_open_tickets: int = Field(
        default=1000, description="Upload tickets of one owner that are not used yet; more are refused with 429."
    )
    quota_bytes: int | None = Field(
        default=None,
        description="Most bytes of originals that one owner may store, with the trash and upload tickets; more are "
        "refused with 507. Null: no limit.",
    )
    quota_images: int | None = Field(
        default=None,
        description="Most images of one owner, with the trash and upload tickets; more are refused with 507. Null: no "
        "limit.",
    )
    rate_limit: float | None = Field(
        default=None,
        description="Requests a second that the caller may send on average, and ten times as many at once; more are "
        "refused with 429. Requests for image bytes, uploads with a ticket and health checks do not count. Null: no "
        "limit.",
    )
    trash_days: int = Field(
        default=0, description="Days in which a deleted image can be restored; 0: deletes are permanent."
    )
    max_frames: int = Field(default=60, description="Frames kept of an animation; with more it becomes a still.")
    url_uploads: bool = Field(
        default=False,
        description="True if `/upload` accepts the `url` of an image of up to `max_direct_bytes`, and fetches it.",
    )
    accepted_types: tuple[str, ...] = MEDIA_TYPES
    recipe: Recipe = DEFAULT_RECIPE

    @property
    def quota(self) -> Quota:
        """Quota of each owner."""
        return Quota(self.quota_bytes, self.quota_images)


def _defaults() -> JsonDict:
    return Limits().model_dump(mode="json")
