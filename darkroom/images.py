"""Calls about images: read, list, edit, delete."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

from darkroom.base import BaseClient
from darkroom.errors import InvalidArgument
from darkroom.records import FocalPoint, Image, ShareLink, SimilarImages, Status, Visibility, json_value
from darkroom.uploading import WAIT_SECONDS

#: Pause before another request if the service does not wait, because too many requests wait already.
_PAUSE_SECONDS = 0.5


class Changes(TypedDict, total=False):
    """Fields of an image that can be edited. None removes a value.

    `tags` replaces all tags. Keys that `metadata` does not name stay, and a key with the value None is removed.
    """

    title: str | None
    alt: str | None
    filename: str | None
    tags: Sequence[str] | None
    metadata: Mapping[str, str | None] | None
    focal_point: FocalPoint | Mapping[str, float] | None
    visibility: Visibility


class Filters(TypedDict, total=False):
    """Filters of a list. An image in the list matches all of them. With several tags, it has each."""

    tag: str | Sequence[str]
    status: Status
    content_type: str
    visibility: Visibility
    #: Uploaded at this time or later, and before it. Times need a zone.
    uploaded_after: datetime
    uploaded_before: datetime
    #: Images in the trash. All other lists are without them.
    trashed: bool
    #: Images of this owner. Any but your own needs the scope `admin`.
    owner: str
    #: `desc`, the default, is newest first.
    order: Literal["asc", "desc"]


class ImageCalls(BaseClient):
    """Calls about images that are stored."""

    def images(self, *, page_size: int = 100, **filters: Unpack[Filters]) -> Iterator[Image]:
        """Yield all images that match the filters, newest first. Pages are requested as they are needed.

        >>> [each.title for each in client.images(tag="sea")]
        ['Lighthouse']
        """
        params: dict[str, Any] = {name: _parameter(name, value) for name, value in filters.items() if value is not None}
        params["limit"] = page_size
        yield from self._pages(Image, "/images", params)

    def get(self, image_id: str, *, wait: float = 0) -> Image:
        """Return the record of an image: with `wait`, once it is ready or failed, or as it is after these seconds.

        >>> client.get(image.id, wait=60).status
        'ready'
        """
        end = time.monotonic() + wait
        image = self._read(image_id, wait)
        while image.status == "pending" and (left := end - time.monotonic()) > 0:
            asked = time.monotonic()
            image = self._read(image_id, max(left, 1))
            if image.status == "pending" and time.monotonic() - asked < _PAUSE_SECONDS:
                self._connection.pause(min(_PAUSE_SECONDS, left))
        return image

    def edit(self, image_id: str, *, if_match: Image | int | str | None = None, **changes: Unpack[Changes]) -> Image:
        """Change the given fields of an image and return its record. None removes a value.

        With `if_match`, a record, its version or its ETag, the change is made only if the image has not changed since.
        Otherwise `Conflict` is raised. Such a request is not repeated after a lost connection.

        >>> client.edit(image.id, alt="A lighthouse at dusk", tags=["sea", "evening"]).tags
        ('sea', 'evening')
        """
        headers = {} if if_match is None else {"If-Match": _etag(if_match)}
        body = {name: json_value(value) for name, value in changes.items()}
        answer = self._connection.call(
            "PATCH", image_path(image_id), json=body, headers=headers, repeatable=if_match is None
        )
        return self._connection.decode(Image, answer)

    def delete(self, image_id: str, *, permanent: bool = False) -> None:
        """Delete an image: to the trash if the service has one, or for good. Unknown ids are not an error.

        >>> client.delete(image.id)
        """
        params = {"permanent": "true"} if permanent else {}
        self._connection.call("DELETE", image_path(image_id), params=params, expected={204})

    def restore(self, image_id: str) -> Image:
        """Restore an image from the trash and return its record.

        >>> client.delete(image.id)
        >>> client.restore(image.id).trashed_at is None
        True
        """
        return self._connection.decode(Image, self._connection.call("POST", image_path(image_id, "/restore")))

    def reprocess(self, image_id: str) -> Image:
        """Render an image again, or try a failed one again. It keeps its variants until the new ones are there.

        >>> client.reprocess(image.id).id == image.id
        True
        """
        answer = self._connection.call("POST", image_path(image_id, "/reprocess"), expected={202})
        return self._connection.decode(Image, answer)

    def similar(self, image_id: str, *, max_distance: int = 6, limit: int = 50) -> SimilarImages:
        """Return the look-alikes of an image: the same photograph in another size, format or quality.

        >>> client.similar(image.id).items
        ()
        """
        params = {"max_distance": max_distance, "limit": limit}
        answer = self._connection.call("GET", image_path(image_id, "/similar"), params=params)
        return self._connection.decode(SimilarImages, answer)

    def share(self, image_id: str, *, expires_in: int | None = None, variant: str | None = None) -> ShareLink:
        """Make a url that shows an image to people without a key, for `expires_in` seconds (a day by default).

        >>> client.share(image.id, expires_in=3600).url.startswith(client.address)
        True
        """
        body = {"expires_in": expires_in, "variant": variant}
        given = {name: value for name, value in body.items() if value is not None}
        answer = self._connection.call("POST", image_path(image_id, "/share"), json=given, expected={201})
        return self._connection.decode(ShareLink, answer)

    def _read(self, image_id: str, wait: float = 0) -> Image:
        seconds = int(min(wait, WAIT_SECONDS))
        params = {"wait": seconds} if seconds > 0 else {}
        answer = self._connection.call("GET", image_path(image_id), params=params, wait=seconds)
        return self._connection.decode(Image, answer)


def image_path(image_id: str, rest: str = "") -> str:
    if not isinstance(image_id, str) or not image_id:
        raise InvalidArgument(f"Expected the id of an image (found: {image_id!r:.80}).")
    return f"/images/{quote(image_id, safe='')}{rest}"


def _etag(condition: Image | int | str) -> str:
    if isinstance(condition, str):
        return condition
    version = condition.version if isinstance(condition, Image) else condition
    return f'"v{version}"'


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidArgument(f"{name} needs a time zone (found: {value}). Use datetime.now(UTC), for example.")
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else list(value)
