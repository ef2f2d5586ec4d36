"""Port of the CDN."""

from collections.abc import Collection
from typing import Protocol


class Cdn(Protocol):
    """A content delivery network in front of the public prefixes."""

    @property
    def shows_sizes(self) -> bool:
        """True if it shows sizes on demand, whose urls stay the same when the focal point moves."""

    def invalidate(self, image_ids: Collection[str]) -> bool:
        """Start to remove the cached public variants of these images. Return False if too many removals are in
        progress: try again later. Raises `Unavailable`."""
