"""Storage that an owner uses, and the quota that limits it."""

from typing import NamedTuple


class Usage(NamedTuple):
    """Bytes of an owner's originals and number of the owner's images, with the trash and upload tickets."""

    bytes: int = 0
    images: int = 0


NO_USAGE = Usage()


class Quota(NamedTuple):
    """Most that an owner may use; None: no limit. With `is_counted` images count without a limit too: other uploads of
    the owner have one."""

    bytes: int | None = None
    images: int | None = None
    is_counted: bool = False

    @property
    def is_limited(self) -> bool:
        """True if there is a limit."""
        return self.bytes is not None or self.images is not None

    def allows(self, usage: Usage, size: int) -> bool:
        """Return True if one more image of this size fits."""
        fits = self.bytes is None or usage.bytes + size <= self.bytes
        return fits and (self.images is None or usage.images < self.images)


NO_QUOTA = Quota()
