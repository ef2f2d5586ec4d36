"""The event an object store sends when an original has arrived, in S3's form."""

import json
from datetime import datetime
from urllib.parse import quote_plus

from app.domain.models import utcnow


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
