"""Limits of uploads, which a client can check before an upload."""

from typing import NamedTuple

from app.domain.media import MEDIA_TYPES
from app.domain.quota.usage import Quota
from app.domain.recipe import DEFAULT_RECIPE, Recipe

MEBIBYTE = 1024 * 1024


class Limits(NamedTuple):
    """Limits of an installation. `LimitsView` describes each; None is no limit."""

    max_upload_bytes: int = 50 * MEBIBYTE
    max_json_bytes: int = 16 * MEBIBYTE
    max_direct_bytes: int = 50 * MEBIBYTE
    max_pixels: int = 100_000_000
    max_open_tickets: int = 1000
    quota_bytes: int | None = None
    quota_images: int | None = None
    rate_limit: float | None = None
    trash_days: int = 0
    max_frames: int = 60
    url_uploads: bool = False
    accepted_types: tuple[str, ...] = MEDIA_TYPES
    recipe: Recipe = DEFAULT_RECIPE

    @property
    def quota(self) -> Quota:
        """Quota of each owner."""
        return Quota(self.quota_bytes, self.quota_images)
