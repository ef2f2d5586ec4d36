"""`Cdn` on CloudFront."""

import logging
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from app.domain.errors import Unavailable
from app.domain.keys import PUBLIC, processed_prefix

log = logging.getLogger(__name__)

#: Quota of wildcard paths that a distribution may have in progress.
_MOST_PATHS = 15
# `Throttling` is the limit of calls per second, which CloudFront does not document.
_BUSY = frozenset({"TooManyInvalidationsInProgress", "Throttling", "ThrottlingException"})


class CloudFront:
    """Invalidations of one distribution. `client` is a boto3 CloudFront client."""

    def __init__(self, client: Any, distribution: str) -> None:
        self._client = client
        self._distribution = distribution

    def invalidate(self, image_ids: Collection[str]) -> bool:
        """See `Cdn.invalidate`. One call with one path per image; more images than the quota are one path for all.

        The reference is the same in the SDK's retries of a call, so a lost response starts no second invalidation.
        """
        ids = sorted(set(image_ids))
        if not ids:
            return True
        prefixes = (
            [processed_prefix(image_id, public=True) for image_id in ids] if len(ids) <= _MOST_PATHS else [PUBLIC]
        )
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


def _unavailable(error: Exception) -> Unavailable:
    log.warning("CloudFront refused or did not answer", exc_info=error)
    return Unavailable("The CDN cannot be reached.")
