"""Presigned GETs: AWS Signature Version 4 in the query string.

Follows "Authenticating Requests: Using Query Parameters" of the S3 API reference. The SDK's signer signs the time of
the call and takes about 0.3 ms per url. This one signs the start of a time window: within the window an object keeps
its url, so that browsers can cache it, and a page of 200 records costs milliseconds.
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

#: Lifetime of a url in seconds, from the start of its window.
LIFE = 15 * 60
#: Length of a window in seconds. A new url is valid for at least `LIFE - WINDOW`.
WINDOW = 5 * 60


class Presigner:
    """Signs GETs of the objects in one bucket.

    `client` is the SDK's and knows the endpoint of the bucket. `credentials` are the SDK's too; they are read for each
    url because those of a Lambda function are replaced while it runs. A url expires with its credentials.
    """

    def __init__(self, client: Any, bucket: str, credentials: Any, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._bucket = bucket
        self._region: str = client.meta.region_name
        self._credentials = credentials
        self._clock = clock

    def window(self) -> int:
        """Return the number of the current window. Urls change with it."""
        return int(self._clock() // WINDOW)

    def get(self, key: str, response: Mapping[str, str]) -> str:
        """Sign the url of an object. `response` has headers of the response, such as `response-content-type`."""
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
        """Url of the bucket, with a trailing `/`."""
        parameters = {"Bucket": self._bucket, "Key": "-"}
        url: str = self._client.generate_presigned_url("get_object", Params=parameters)
        return url.partition("?")[0].removesuffix("-")

    def _keys(self) -> tuple[str, str, str | None]:
        try:
            if self._credentials is None:
                raise NoCredentialsError
            frozen = self._credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise Unavailable("Urls of objects cannot be signed: no credentials.") from error
        return frozen.access_key, frozen.secret_key, frozen.token


@lru_cache(maxsize=8)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
