"""`Cdn` on CloudFront."""

import logging
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from app.domain.errors import Unavailable
from app.domain.keys import ON_DEMAND, PUBLIC, processed_prefix, size_prefix

log = logging.getLogger(__name__)

#: Quota of wildcard paths that a distribution may have in progress.
_MOST_PATHS = 15
#: Paths of sizes on demand as viewers ask for them.
_VIEWED = "i/"
# `Throttling` is the limit of calls per second, which CloudFront does not document.
_BUSY = frozenset({"TooManyInvalidationsInProgress", "Throttling", "ThrottlingException"})


class CloudFront:
    """Invalidations of one distribution. `client` is a botocore client of CloudFront.

    With `sizes`, the distribution has sizes on demand. They are invalidated under their keys and under the paths that
    viewers ask for, because a function of the distribution turns one into the other.
    """

    def __init__(self, client: Any, distribution: str, *, sizes: bool = False) -> None:
        self._client = client
        self._distribution = distribution
        self._sizes = sizes

    @property
    def shows_sizes(self) -> bool:
        """See `Cdn.shows_sizes`."""
        return self._sizes

    def invalidate(self, image_ids: Collection[str]) -> bool:
        """See `Cdn.invalidate`. One call with one path per image and prefix; more paths than the quota become one for
        all images.

        The reference is the same in the SDK's retries of a call, so a lost response starts no second invalidation.
        """
        ids = sorted(set(image_ids))
        if not ids:
            return True
        prefixes = [prefix for image_id in ids for prefix in self._prefixes(image_id)]
        if len(prefixes) > _MOST_PATHS:
            prefixes = [PUBLIC, ON_DEMAND, _VIEWED] if self._sizes else [PUBLIC]
        paths = {"Quantity": len(prefixes), "Items": [f"/{prefix}*" for prefix in prefixes]}
        try:
            self._client.create_invalidation(
                DistributionId=self._distribution,
                InvalidationBatch={"Paths": paths, "CallerReference": uuid4().hex},
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _BUSY:
                return False
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return True

    def _prefixes(self, image_id: str) -> list[str]:
        """Return the prefixes of the paths that show an image."""
        sizes = [size_prefix(image_id, public=True), f"{_VIEWED}{image_id}"] if self._sizes else []
        return [processed_prefix(image_id, public=True), *sizes]


def _unavailable(error: Exception) -> Unavailable:
    log.warning("CloudFront refused or did not answer", exc_info=error)
    return Unavailable("The CDN cannot be reached.")
