"""Reading what a presigned url holds, as a browser would."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx
import requests

from app.domain.access.file_seal import SIGNED_URL_SECONDS
from app.domain.models import utcnow

Fetch = Callable[[str], httpx.Response]


def by_moto(url: str) -> httpx.Response:
    """The bytes from moto, which listens to this library alone, and takes any signature."""
    answer = requests.get(url, timeout=60)
    return httpx.Response(answer.status_code, headers=list(answer.headers.items()), content=answer.content)


def by_network(url: str) -> httpx.Response:
    """The bytes from an engine that checks signatures: changed anywhere, the url is refused."""
    answer = httpx.get(url, timeout=60)
    if answer.status_code == 200:
        path, _, query = url.partition("?")
        signature = query.rpartition("=")[2]
        forged = signature[:-1] + ("0" if signature[-1] != "0" else "1")
        changed = (
            url.replace(signature, forged),
            f"{path}?{query.replace('response-cache-control=private', 'response-cache-control=public')}",
            f"{path}?{query.replace(f'X-Amz-Expires={SIGNED_URL_SECONDS}', 'X-Amz-Expires=604800')}",
            path,
        )
        for each in changed:
            assert each != url
            assert httpx.get(each, timeout=60).status_code == 403, each
    return answer


def reader(fetch: Fetch, base: str) -> Fetch:
    """`fetch`, for urls of objects below `base` alone, signed for no longer than a while and for long enough."""

    def read(url: str) -> httpx.Response:
        assert url.startswith(base), url
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        age = utcnow().timestamp() - _moment(parameters["X-Amz-Date"])
        assert 0 <= age <= SIGNED_URL_SECONDS // 2 + 60
        assert int(parameters["X-Amz-Expires"]) == SIGNED_URL_SECONDS == 3600
        assert parameters["X-Amz-SignedHeaders"] == "host"
        assert "response-cache-control" in parameters
        return fetch(url)

    return read


def _moment(text: str) -> float:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
