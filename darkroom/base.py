"""Start and end of a client, and the calls about the service."""

import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from darkroom.connection import Connection
from darkroom.errors import NotDarkroom
from darkroom.records import Limits, Stats

T = TypeVar("T")
#: Most hashes in one lookup.
MAX_HASHES = 1000


class BaseClient:
    """Connections of a client, and the calls that concern no single image."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30,
        attempts: int = 5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(url, key, timeout=timeout, attempts=attempts, transport=transport)
        self._limits: Limits | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    @property
    def address(self) -> str:
        """Scheme and host of the service, without user name and password."""
        return self._connection.address

    @property
    def public_url(self) -> str:
        """Url of the service with its path, without user name and password.

        >>> client.public_url
        'http://127.0.0.1:8000'
        """
        return self._connection.public_url

    def close(self) -> None:
        """Close all connections. Calls of other threads end with an error."""
        self._connection.close()

    def limits(self) -> Limits:
        """Return the limits of uploads, the accepted types, and the scopes of the key.

        >>> client.limits().max_upload_bytes
        52428800
        """
        found = self._connection.decode(Limits, self._connection.call("GET", "/limits"))
        self._limits = found
        return found

    def stats(self, owner: str | None = None) -> Stats:
        """Return numbers and sizes of your images, or with the scope `admin` of those of an `owner`.

        >>> client.stats().ready
        1
        """
        params = {} if owner is None else {"owner": owner}
        return self._connection.decode(Stats, self._connection.call("GET", "/stats", params=params))

    def lookup(self, hashes: Iterable[str], owner: str | None = None) -> dict[str, str]:
        """Return the ids of the stored images with these SHA-256. Unknown hashes are left out.

        >>> import hashlib
        >>> from pathlib import Path
        >>> digest = hashlib.sha256(Path("photo.jpg").read_bytes()).hexdigest()
        >>> client.lookup([digest]) == {digest: client.get(image.id).id}
        True
        """
        known: dict[str, str] = {}
        left = iter(hashes)
        while batch := list(islice(left, MAX_HASHES)):
            body: dict[str, Any] = {"sha256": batch} | ({} if owner is None else {"owner": owner})
            known |= self._connection.read(self._connection.call("POST", "/images/lookup", json=body), "known", dict)
        return known

    def _pages(self, kind: type[T], path: str, params: dict[str, Any]) -> Iterator[T]:
        """Yield the items of all pages of a list. Raises `NotDarkroom` if a page refers to itself."""
        while True:
            answer = self._connection.call("GET", path, params=params)
            for item in self._connection.read(answer, "items", list):
                yield self._connection.decode(kind, item)
            cursor = answer.json().get("next_cursor")
            if cursor is None:
                return
            if cursor == params.get("cursor"):
                raise NotDarkroom(self._connection.address)
            params["cursor"] = cursor

    def _known_limits(self) -> Limits:
        """Return the limits as they were at the first call."""
        with self._lock:
            return self._limits or self.limits()
