"""`RateLimit` fields of responses (draft-ietf-httpapi-ratelimit-headers-11), and the refusal of a request."""

from collections.abc import Mapping

from starlette.types import Scope

from app.api.http.problem_catalog import refusal
from app.domain.access.token_buckets import BURST_SECONDS, Standing, get_burst

#: Names of the fields, for CORS and the description of the API.
RATE_LIMIT, RATE_LIMIT_POLICY = "RateLimit", "RateLimit-Policy"
_FIELDS = "rate_limit_fields"


def note_standing(scope: Scope, standing: Standing | None, *, has_key: bool = False) -> None:
    """Have the response say what is left of the limit; None says nothing. Raises `TooManyRequests` if nothing was.

    The policy is named `key` for callers with a valid key, `address` for others.
    """
    if standing is None:
        return
    name, burst = "key" if has_key else "address", get_burst(standing.rate)
    scope["state"][_FIELDS] = {
        RATE_LIMIT_POLICY: f'"{name}";q={burst};w={BURST_SECONDS}',
        RATE_LIMIT: f'"{name}";r={standing.remaining};t={standing.seconds}',
    }
    if not standing.is_taken:
        raise refusal(
            "rate_limited", policy=name, limit=burst, rate=standing.rate, retry_after=standing.seconds,
        )  # fmt: skip


def get_rate_fields(scope: Scope) -> Mapping[str, str]:
    """Return the fields of the response to a request."""
    found: Mapping[str, str] = scope["state"].get(_FIELDS, {})
    return found
