"""View of the limits: with what the caller may do."""

from typing import Literal, Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.access.api_keys import ANONYMOUS_CALLER, Caller, Scope
from app.domain.access.own_limits import NO_OWN_LIMITS
from app.domain.limits import Limits


class LimitsView(Limits, defer_build=True):
    """The limits, and the scopes of the caller."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(examples=[_example()]))

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
                **dict(limits),
                "rate_limit": own.rate(limits.rate_limit),
                "quota_bytes": quota.bytes,
                "quota_images": quota.images,
            },
            authentication="required" if authentication else "none",
            scopes=tuple(Scope) if Scope.ADMIN in has else tuple(scope for scope in Scope if scope in has),
        )


def _example() -> JsonDict:
    return LimitsView.build(Limits(), ANONYMOUS_CALLER, authentication=False).model_dump(mode="json")
