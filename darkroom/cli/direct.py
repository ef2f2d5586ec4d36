"""Client of `darkroom upload`: sends files that were hashed before, with upload tickets."""

from collections.abc import Callable
from typing import Any

import httpx

from darkroom.cli.image_file import ImageFile
from darkroom.client import Client
from darkroom.errors import NotAllowed, Refused
from darkroom.uploading import TicketUpload, clean_fields

#: Longest time until the service says that it is there.
_PING_SECONDS = 10
#: Attempts at a request. A run waits longer for a server that restarts.
_ATTEMPTS = 4
#: Status of an image that was sent with a key without the scope `read`.
SENT = "sent"
_NO_URLS = "Uploads from a url are off. Send the image, or ask the operator to set DARKROOM_FETCH_HOSTS."

Progress = Callable[[int], None]


class FileClient(Client):
    """Client for image files. Records are JSON documents. Tests pass a `transport` of httpx to work without a network.

    An upload that was interrupted, or that another client makes at the same time, is continued by the same request: the
    service returns the same ticket, or the record once the bytes have arrived.
    """

    def __init__(self, url: str, api_key: str | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(url, api_key, attempts=_ATTEMPTS, transport=transport)

    def ping(self) -> None:
        """Return if the service answers. Raises `Unreachable`."""
        self._connection.ping(_PING_SECONDS)

    def read(self, image_id: str) -> dict[str, Any]:
        """Return the record of an image."""
        return dict(self.get(image_id).raw)

    def send(self, image: ImageFile, progress: Progress = lambda _: None, **fields: Any) -> dict[str, Any]:
        """Send the image and return its record, which is `pending` unless the image was already stored.

        `duplicate` is true in the record if another upload brought the bytes. With a key without the scope `read`, the
        record has only `id` and the status `sent`. `progress` receives the number of bytes sent in the current attempt.
        """
        given = {name: value for name, value in clean_fields(fields).items() if value}
        found = TicketUpload(self._connection, image, given, lambda sent, _: progress(sent)).deliver()
        if found.raw:
            progress(image.bytes)
            return {**found.raw, "duplicate": found.duplicate}
        # Separate from sending, so that a failed look at the record does not send the bytes again.
        try:
            record = self.read(found.id)
        except NotAllowed as error:
            if error.code != "scope_missing":
                raise
            record = {"id": found.id, "status": SENT}
        return record | {"duplicate": True} if found.duplicate else record

    def send_url(self, url: str, **fields: Any) -> dict[str, Any]:
        """Have the service fetch an image from a url. Return its record, with `duplicate` as `send` does."""
        image = self.upload_url(url, **{name: value for name, value in clean_fields(fields).items() if value})
        return dict(image.raw)

    def max_bytes(self) -> int:
        """Return the limit of the size of an image."""
        return self._known_limits().max_direct_bytes

    def check_url_uploads(self) -> None:
        """Return if the service fetches urls. Raises `Refused` if it does not."""
        if not self._known_limits().url_uploads:
            raise Refused(_NO_URLS)

    def wait_until_processed(self, record: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return the record once it is ready or failed, or as it is after `seconds`."""
        if record["status"] != "pending" or seconds <= 0:
            return record
        known = {"duplicate": True} if record.get("duplicate") else {}
        return {**self.get(record["id"], wait=seconds).raw, **known}
