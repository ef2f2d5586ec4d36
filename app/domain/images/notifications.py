"""The event an object store sends when an original has arrived, in S3's form."""

import json
import re
from datetime import datetime
from urllib.parse import quote_plus

from app.domain.keys import ORIGINALS
from app.domain.models import utcnow

# As it stands in a key, as it stands in a notification, and in whatever else these are wrapped.
_ORIGINAL = re.compile(ORIGINALS.replace("/", "(?:/|%2[Ff])") + "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def object_created(key: str, size: int, bucket: str = "darkroom", *, made: datetime | None = None) -> str:
    """An S3 event notification (message structure 2.1) for one object that was created at `made` or now, as JSON
    text: the same text for the same object and time."""
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
