"""The client of a Darkroom service."""

from typing import Unpack

from darkroom.downloads import DownloadCalls
from darkroom.keys.calls import KeyCalls
from darkroom.uploads import UploadCalls
from darkroom.urls import Size, build_url
from darkroom.webhooks.calls import WebhookCalls


class Client(UploadCalls, DownloadCalls, WebhookCalls, KeyCalls):
    """Client of one service.

    `key` is an API key, if the service requires one; it is sent to the service only. A request waits at most `timeout`
    seconds for each step, such as connecting or the next bytes. A request that fails is made up to `attempts` times,
    with pauses that grow and that honor `Retry-After`, where that cannot double anything.

    Close the client, or use it in a `with` statement. Threads can share it. Tests can pass a `transport` of httpx.

    >>> from darkroom import Client, NotFound
    >>> client = Client("http://127.0.0.1:8000")
    >>> image = client.upload("photo.jpg", alt="A lighthouse", wait=60)
    >>> image.status, client.url(image.id, width=640) == f"http://127.0.0.1:8000/i/{image.id}?w=640"
    ('ready', True)

    Every error is a `DarkroomError`: `Unreachable`, `NotAllowed`, `NotFound`, `Conflict`, `Refused`, `ServerError`,
    `FileError`, `InvalidArgument` or `NotDarkroom`.

    >>> try:
    ...     client.get("01a21211-8a9b-7bc8-801b-cadcca2023b7")
    ... except NotFound as error:
    ...     error.status, error.code, str(error)
    (404, 'image_not_found', 'There is no image with this id.')
    >>> client.close()
    """

    def url(self, image_id: str, **size: Unpack[Size]) -> str:
        """Return the url of an image in any size, or of a variant. Nothing is requested.

        User name and password in the url of the service are left out, because urls are shown to others.

        The parameters are `width`, `height`, `fit`, `format`, `quality`, or `variant`; `slug`, `version` and
        `signing_key`.

        >>> client.url("01a2", width=640, format="webp", slug="lighthouse").removeprefix(client.address)
        '/i/01a2/lighthouse?w=640&fm=webp'
        """
        return build_url(self._connection.public_url, image_id, size)
