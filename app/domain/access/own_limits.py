"""Limits that an API key has in place of those of the installation."""

from typing import NamedTuple

from app.domain.access.token_buckets import MIN_RATE
from app.domain.errors import Invalid
from app.domain.quota.usage import Quota

#: Highest rate, in requests a second. No caller comes near it.
MAX_RATE = 10_000
#: Highest quota: JSON numbers are exact up to it.
MAX_QUOTA = 2**53 - 1
#: Names of the limits, in API, settings and entries of keys.
OWN_LIMITS = ("rate_limit", "quota_bytes", "quota_images")


class OwnLimits(NamedTuple):
    """Limits of a key. None: that of the installation. 0: no limit."""

    rate_limit: float | None = None
    quota_bytes: int | None = None
    quota_images: int | None = None

    def rate(self, default: float | None) -> float | None:
        """Return the requests a second that a caller with the key may send; None: no limit."""
        return default if self.rate_limit is None else self.rate_limit or None

    def quota(self, default: Quota) -> Quota:
        """Return the quota of uploads with the key to its owner.

        It counts if it has a limit, or if that of the installation has one: other keys of the owner need the count.
        """
        quota = Quota(
            default.bytes if self.quota_bytes is None else self.quota_bytes or None,
            default.images if self.quota_images is None else self.quota_images or None,
        )
        return Quota(quota.bytes, quota.images, is_counted=default.is_limited or quota.is_limited)


NO_OWN_LIMITS = OwnLimits()


def check_rate(value: float) -> float:
    """Return a rate. Raises ValueError."""
    if value and not MIN_RATE <= value <= MAX_RATE:
        raise ValueError(f"must be between {MIN_RATE:g} and {MAX_RATE:,} requests a second, or 0 for no limit")
    return value


def check_own_limits(rate_limit: float | None, quota_bytes: int | None, quota_images: int | None) -> OwnLimits:
    """Return the limits of a key. Raises `Invalid`."""
    try:
        check_rate(rate_limit or 0)
    except ValueError as error:
        raise _out_of_range("rate_limit", rate_limit or 0, str(error), 0, MAX_RATE) from None
    for name, value in (("quota_bytes", quota_bytes), ("quota_images", quota_images)):
        if value is not None and not 0 <= value <= MAX_QUOTA:
            raise _out_of_range(name, value, f"must be between 0 and {MAX_QUOTA:,}; 0 is no limit", 0, MAX_QUOTA)
    return OwnLimits(rate_limit, quota_bytes, quota_images)


def _out_of_range(field: str, found: float, rule: str, minimum: float, maximum: float) -> Invalid:
    shown = f"{found:,}" if abs(found) <= MAX_QUOTA else "a number of many digits"
    return Invalid("out_of_range", f"`{field}` {rule} (found: {shown}).", field=field, minimum=minimum, maximum=maximum)
