"""Presigned GETs and HEADs: AWS Signature Version 4 in the query string.

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

from app.domain.access.file_seal import SIGNED_URL_SECONDS
from app.domain.errors import Unavailable


class Presigner:
    """Signs reads of the objects in one bucket.

    `client` is the SDK's and knows the endpoint of the bucket. `credentials` are the SDK's too; they are read for each
    url because those of a Lambda function are replaced while it runs. A url expires with its credentials. Otherwise it
    is valid for `seconds` at most, from the start of its window, and half of that at least, the length of a window.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        credentials: Any,
        clock: Callable[[], float] = time.time,
        seconds: int = SIGNED_URL_SECONDS,
    ) -> None:
        self.seconds = seconds
        self._client = client
        self._bucket = bucket
        self._region: str = client.meta.region_name
        self._credentials = credentials
        self._clock = clock

    def expires(self) -> int:
        """Return the time at which urls that are signed now expire, in seconds since 1970."""
        return self._signed_at() + self.seconds

    def edition(self) -> str:
        """Return a text that changes with the window and the credentials."""
        access_key, _, token = self._keys()
        return f"{self.expires():x}.{access_key}.{token}"

    def get(self, key: str, response: Mapping[str, str]) -> str:
        """Sign a GET of an object. See `sign`."""
        return self.sign("GET", key, response)

    def sign(self, method: str, key: str, response: Mapping[str, str]) -> str:
        """Sign the url of an object for GET or HEAD. `response` has headers of the response, such as
        `response-content-type`."""
        access_key, secret_key, token = self._keys()
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._signed_at()))
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        parameters = {
            **response,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{access_key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(self.seconds),
            "X-Amz-SignedHeaders": "host",
            **({"X-Amz-Security-Token": token} if token else {}),
        }
        query = _build_query(tuple(parameters.items()))
        name = quote(key, safe="/-_.~")
        place = urlsplit(self._base)
        request = f"{method}\n{place.path}{name}\n{query}\nhost:{place.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(_signing_key(secret_key, moment[:8], self._region), text.encode(), "sha256").hex()
        return f"{self._base}{name}?{query}&X-Amz-Signature={signature}"

    def _signed_at(self) -> int:
        """Return the start of the current window."""
        window = self.seconds // 2
        return int(self._clock()) // window * window

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


@lru_cache(maxsize=64)
def _build_query(parameters: tuple[tuple[str, str], ...]) -> str:
    """Return the canonical query. That of all variants in one format is the same for as long as their window."""
    return "&".join(sorted(f"{_quoted(name)}={_quoted(value)}" for name, value in parameters))


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
