"""View of the limits: with what the caller may do."""

from typing import Literal, Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.access.api_keys import ANONYMOUS_CALLER, Caller, Scope
from app.domain.access.own_limits import NO_OWN_LIMITS
from app.domain.limits import Limits
from app.domain.models import Model
from app.domain.recipe import Recipe


class LimitsView(Model, defer_build=True):
    """The limits, and the scopes of the caller."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(examples=[_example()]))

    max_upload_bytes: int = Field(description="Largest image for `/upload`, in decoded bytes.")
    max_json_bytes: int = Field(
        description="Largest JSON body of `/upload`, in bytes. Base64 has 4 for 3 of the image."
    )
    max_direct_bytes: int = Field(description="Largest image for an upload ticket, in bytes.")
    max_pixels: int = Field(description="Width × height, and × frames for an animation.")
    max_open_tickets: int = Field(
        description="Upload tickets of one owner that are not used yet; more are refused with 429."
    )
    quota_bytes: int | None = Field(
        description="Most bytes of originals that one owner may store, with the trash and upload tickets; more are "
        "refused with 507. Null: no limit.",
    )
    quota_images: int | None = Field(
        description="Most images of one owner, with the trash and upload tickets; more are refused with 507. Null: no "
        "limit.",
    )
    rate_limit: float | None = Field(
        description="Requests a second that the caller may send on average, and ten times as many at once; more are "
        "refused with 429. Requests for image bytes, uploads with a ticket and health checks do not count. Null: no "
        "limit.",
    )
    trash_days: int = Field(description="Days in which a deleted image can be restored; 0: deletes are permanent.")
    max_frames: int = Field(description="Frames kept of an animation; with more it becomes a still.")
    url_uploads: bool = Field(
        description="True if `/upload` accepts the `url` of an image of up to `max_direct_bytes`, and fetches it.",
    )
    accepted_types: tuple[str, ...]
    recipe: Recipe
    authentication: Literal["none", "required"] = Field(
        description="`none`: requests need no API key. `required`: send a key."
    )
    scopes: tuple[Scope, ...] = Field(
        description="Scopes of the API key of this request, with those that `admin` includes. Empty without a valid "
        "key. Without authentication all except `admin`."
    )

    @classmethod
    def build(cls, limits: Limits, caller: Caller | None, *, authentication: bool) -> Self:
        """Build the view for a caller; None for a request without a valid key."""
        has = frozenset[Scope]() if caller is None else caller.scopes
        own = NO_OWN_LIMITS if caller is None else caller.own_limits
        quota = own.quota(limits.quota)
        return cls(
            **{
                **limits._asdict(),
                "rate_limit": own.rate(limits.rate_limit),
                "quota_bytes": quota.bytes,
                "quota_images": quota.images,
            },
            authentication="required" if authentication else "none",
            scopes=tuple(Scope) if Scope.ADMIN in has else tuple(scope for scope in Scope if scope in has),
        )


def _example() -> JsonDict:
    return LimitsView.build(Limits(), ANONYMOUS_CALLER, authentication=False).model_dump(mode="json")
