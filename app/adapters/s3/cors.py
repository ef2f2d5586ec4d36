"""The bucket's rules for pages that send by ticket."""

from collections.abc import Sequence
from typing import Any


def cors_rules(origins: Sequence[str]) -> dict[str, Any]:
    """The bucket's CORS configuration: pages of these origins may PUT what a ticket grants, and see the bytes."""
    return {
        "CORSRules": [
            {
                "AllowedOrigins": list(origins),
                "AllowedMethods": ["GET", "HEAD", "PUT"],
                "AllowedHeaders": ["content-type", "if-none-match", "x-amz-checksum-sha256"],
                "ExposeHeaders": ["ETag"],
                "MaxAgeSeconds": 600,
            }
        ]
    }
