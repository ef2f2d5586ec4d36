"""Values that entry points derive from the settings: limits, signer, time-outs and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.domain.access.signing import Signer
from app.domain.errors import ConfigurationError
from app.domain.limits import MEBIBYTE, Limits
from app.domain.sizes.offer import OnDemand
from app.settings import Settings

if TYPE_CHECKING:  # only the API needs it
    from app.domain.images.urls import PageSizes

#: An invocation carries at most 6 MB, in base64 and with its envelope. An image of this size fits.
LAMBDA_UPLOAD_BYTES = 4 * MEBIBYTE
LAMBDA_JSON_BYTES = 5_750_000


def build_limits(settings: Settings) -> Limits:
    """Build the limits that `GET /limits` publishes."""
    inline, in_json = settings.max_upload_bytes, settings.max_json_bytes
    if not settings.self_hosted:
        inline, in_json = min(inline, LAMBDA_UPLOAD_BYTES), min(in_json, LAMBDA_JSON_BYTES)
    return Limits(
        max_upload_bytes=inline,
        max_json_bytes=in_json,
        max_direct_bytes=settings.max_upload_bytes,
        max_open_tickets=settings.max_open_tickets,
        quota_bytes=settings.quota_bytes or None,
        quota_images=settings.quota_images or None,
        rate_limit=settings.rate_limit or None,
        trash_days=settings.trash_days,
        url_uploads=bool(settings.fetch_hosts),
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
        accepted_types=settings.accepted_types,
        recipe=settings.recipe,
    )


def build_signer(settings: Settings) -> Signer:
    """Build the signer from `DARKROOM_SECRET` or, self-hosted, the secret in the data folder. The previous ones still
    verify. Raises `ConfigurationError` if there is no secret."""
    previous = [settings.previous_secret.get_secret_value().encode()] if settings.previous_secret else []
    if not settings.self_hosted:
        if not settings.secret:
            raise ConfigurationError("DARKROOM_SECRET: must be set with s3://; it signs cursors and share links")
        return Signer(settings.secret.get_secret_value().encode(), previous)
    from app.adapters.filesystem.secret_file import check_secret, read_secret

    file = settings.data_folder / "secret"
    if (kept := file.with_name("secret.previous")).exists():
        previous.append(check_secret(kept))
    return Signer(settings.secret.get_secret_value().encode() if settings.secret else read_secret(file), previous)


def visibility_seconds(settings: Settings) -> float:
    """Return the visibility time-out of a received event: two attempts at one image, and a minute to move bytes."""
    return 2 * settings.processing_timeout_seconds + 60


def page_sizes(settings: Settings) -> PageSizes | None:
    """Return the sizes that markup names; None if they are off or each needs a signature."""
    from app.domain.images.urls import PageSizes

    is_offered = settings.on_demand_mode is OnDemand.SNAP
    return PageSizes(settings.on_demand_widths, settings.cdn_url, settings.on_demand_jxl) if is_offered else None
