"""Presigned GETs: AWS Signature Version 4 in the query string.

As in "Authenticating Requests: Using Query Parameters" of the S3 API reference. The SDK's own signer takes the time of
the call, and about 0.3 ms: here the time is the start of a window, so that within it one object has one url that
browsers can keep, and a page of 200 records costs milliseconds.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.exceptions import BotoCoreError, NoCredentialsError

from app.domain.errors import Unavailable

#: Seconds that a url is good for from the start of its window.
LIFE = 15 * 60
#: Seconds in which the urls of an object stay the same: a fresh one is good for at least `LIFE - WINDOW`.
WINDOW = 5 * 60


class Presigner:
    """Signs GETs of one bucket's objects.

    `client` is the SDK's, and knows where the bucket is; `credentials` are the SDK's too, asked each time, for a
    function's are exchanged while it runs. A url also ends when the credentials that signed it do.
    """

    def __init__(self, client: Any, bucket: str, credentials: Any, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._bucket = bucket
        self._region: str = client.meta.region_name
        self._credentials = credentials
        self._clock = clock

    def window(self) -> int:
        """The number of the present window: a new one, new urls."""
        return int(self._clock() // WINDOW)

    def get(self, key: str, response: Mapping[str, str]) -> str:
        """The url of an object. `response` are the headers to answer with, such as `response-content-type`."""
        access_key, secret_key, token = self._keys()
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.window() * WINDOW))
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        parameters = {
            **response,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{access_key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(LIFE),
            "X-Amz-SignedHeaders": "host",
            **({"X-Amz-Security-Token": token} if token else {}),
        }
        query = "&".join(sorted(f"{_quoted(name)}={_quoted(value)}" for name, value in parameters.items()))
        name = quote(key, safe="/-_.~")
        place = urlsplit(self._base)
        request = f"GET\n{place.path}{name}\n{query}\nhost:{place.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(_signing_key(secret_key, moment[:8], self._region), text.encode(), "sha256").hex()
        return f"{self._base}{name}?{query}&X-Amz-Signature={signature}"

    @cached_property
    def _base(self) -> str:
        """Where the bucket's objects are, `/` at the end."""
        parameters = {"Bucket": self._bucket, "Key": "-"}
        url: str = self._client.generate_presigned_url("get_object", Params=parameters)
        return url.partition("?")[0].removesuffix("-")

    def _keys(self) -> tuple[str, str, str | None]:
        try:
            if self._credentials is None:
                raise NoCredentialsError
            frozen = self._credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise Unavailable("The objects' urls cannot be signed.") from error
        return frozen.access_key, frozen.secret_key, frozen.token


@lru_cache(maxsize=8)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
