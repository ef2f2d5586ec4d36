"""Event of a new original, in the format of S3."""

import json
import re
from datetime import datetime
from urllib.parse import quote_plus

from app.domain.keys import ORIGINALS
from app.domain.models import utcnow

# Matches the key itself, its form in a notification, and both inside other messages.
_ORIGINAL = re.compile(ORIGINALS.replace("/", "(?:/|%2[Ff])") + "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def object_created(key: str, size: int, bucket: str = "darkroom", *, made: datetime | None = None) -> str:
    """Build an S3 event notification (message structure 2.1) for one object created at `made` or now, as JSON. The same
    object and time give the same text."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": (made or utcnow()).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket},
            "object": {"key": quote_plus(key, safe="/"), "size": size},
        },
    }
    return json.dumps({"Records": [record]}, separators=(",", ":"))


def images_named(event: str) -> str:
    """Return the ids of all originals that an event names, in order; the event itself if it names none."""
    return ",".join(sorted(set(_ORIGINAL.findall(event)))) or event
