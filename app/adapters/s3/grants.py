"""Grants of upload tickets: presigned PUTs to the bucket."""

from datetime import timedelta
from typing import Any

from app.domain.keys import original_key
from app.domain.models import Image
from app.domain.uploads.grants import CHECKSUM, CONTENT_TYPE, WRITE_ONCE, grant_headers


class PresignedGrants:
    """`GrantSource` by presigned PUTs.

    Length, type, write-once and checksum are signed headers: the bucket refuses a request that differs in any of them.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def grant(self, image: Image, life: timedelta) -> tuple[str, dict[str, str]]:
        """See `GrantSource.grant`."""
        headers = grant_headers(image)
        arguments = {
            "Bucket": self._bucket,
            "Key": original_key(image.id),
            "ContentLength": image.bytes,
            "ContentType": headers[CONTENT_TYPE],
            "IfNoneMatch": headers[WRITE_ONCE],
        }
        if CHECKSUM in headers:
            arguments["ChecksumSHA256"] = headers[CHECKSUM]
        url = self._client.generate_presigned_url("put_object", Params=arguments, ExpiresIn=int(life.total_seconds()))
        return str(url), headers
