"""The event an object store sends when an original has arrived, in S3's form."""

import json
from urllib.parse import quote_plus

from app.domain.models import utcnow


def object_created(key: str, size: int, bucket: str = "darkroom") -> str:
    """An S3 event notification (message structure 2.1) for one created object, as JSON text."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": utcnow().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket},
            "object": {"key": quote_plus(key, safe="/"), "size": size},
        },
    }
    return json.dumps({"Records": [record]}, separators=(",", ":"))
