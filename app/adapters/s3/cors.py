"""The bucket's CORS rules for pages that upload by ticket."""

from collections.abc import Sequence
from typing import Any


def cors_rules(origins: Sequence[str]) -> dict[str, Any]:
    """Return the bucket's CORS configuration: pages of these origins may PUT what a ticket grants, and read bytes.

    Any request header is allowed, because upload widgets and tracing add their own. What a ticket signs is checked by
    its signature, not by these rules.
    """
    return {
        "CORSRules": [
            {
                "AllowedOrigins": list(origins),
                "AllowedMethods": ["GET", "HEAD", "PUT"],
                "AllowedHeaders": ["*"],
                "ExposeHeaders": [
                    "Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag", "Last-Modified",
                    "x-amz-checksum-sha256", "x-amz-id-2", "x-amz-request-id",
                ],
                "MaxAgeSeconds": 600,
            }
        ]
    }  # fmt: skip
