"""Answers of a function's url to misses of a CDN: it renders the size of a key and returns its bytes."""

import base64
import json
import logging
from collections.abc import Mapping
from typing import Any

from app.domain.errors import Missing, NotRenderable, RendererBusy, Unavailable
from app.domain.keys import ON_DEMAND, size_id
from app.domain.models import Image, Status, Tombstone, Visibility
from app.domain.ports import ImageRepository, ObjectStore, OnDemandRenderer
from app.domain.sizes.operation import Operation
from app.domain.sizes.snapping import Ladder

log = logging.getLogger(__name__)

#: Largest size in bytes that an answer of a function can carry: 6 MB in base64, with headers.
MAX_ANSWER = 4_500_000
#: Seconds for which a CDN keeps the answer that there is no such size, and the advice when there may be one later.
ABSENT_SECONDS, RETRY_SECONDS = 60, 2
_FRESH = "public, max-age=3600"
_ABSENT = f"public, max-age={ABSENT_SECONDS}"
_UNSURE = "no-store"

Response = dict[str, Any]


class Misses:
    """Answers requests for `/ondemand/<id>/<operation>`. Without a `ladder` no size is offered to everybody.

    Only sizes of the ladder and of public images are rendered, because anybody can ask for them. An answer never holds
    more than is stored: an image that was hidden meanwhile is not shown.
    """

    def __init__(
        self, store: ObjectStore, images: ImageRepository, renderer: OnDemandRenderer, ladder: Ladder | None
    ) -> None:
        self._store = store
        self._images = images
        self._renderer = renderer
        self._ladder = ladder

    def answer(self, request: Mapping[str, Any]) -> Response:
        """Answer an event of a function's url, payload format 2.0."""
        http = request["requestContext"]["http"]
        method, path = str(http.get("method")), str(request.get("rawPath"))
        if method not in {"GET", "HEAD"}:
            return _problem(
                405, "method_not_allowed", "Sizes are read with GET and HEAD.", _UNSURE, {"allow": "GET, HEAD"}
            )
        key = path.removeprefix("/")
        operation = self._offered(key.rpartition("/")[2])
        image_id = size_id(key)
        if image_id is None or operation is None or key != f"{ON_DEMAND}{image_id}/{operation.name}":
            return _problem(404, "size_not_offered", "There is no such size. Ask for it at /i/{id}.", _ABSENT)
        return self._refuse(image_id) or self._render(image_id, operation, path, with_body=method == "GET")

    def _offered(self, name: str) -> Operation | None:
        """Return the operation with this name if the ladder has it."""
        try:
            operation = Operation.parse(name)
        except ValueError:
            return None
        return operation if self._ladder is not None and self._ladder.offers(operation) else None

    def _refuse(self, image_id: str) -> Response | None:
        """Return the answer for an image that has no sizes for everybody, or None."""
        found = self._images.get(image_id)
        if isinstance(found, Tombstone):
            return _problem(410, "image_deleted", "The image was deleted.", _ABSENT)
        if not isinstance(found, Image) or found.effective_visibility is not Visibility.PUBLIC:
            return _problem(404, "image_not_found", "There is no public image with this id.", _ABSENT)
        if found.status is Status.PENDING:
            return _later(409, "not_ready", "The image is not processed yet.", RETRY_SECONDS)
        if found.status is Status.FAILED:
            return _problem(404, "image_failed", "The image could not be processed.", _ABSENT)
        return None

    def _render(self, image_id: str, operation: Operation, path: str, *, with_body: bool) -> Response:
        try:
            size = self._renderer.render(image_id, operation)
            if size.key != path.removeprefix("/"):  # the image was made private
                raise Missing(image_id)
            with self._store.open(size.key) as stored:
                body = stored.read(MAX_ANSWER + 1)
        except NotRenderable as error:
            # A status that CDNs cache, so that such an image is not tried for each request.
            return _problem(404, "not_renderable", error.detail, _ABSENT)
        except Missing:
            return _later(503, "busy", "The image is changing.", RETRY_SECONDS)
        except RendererBusy as error:
            return _later(429, "renderer_busy", "Too many sizes wait to be rendered.", error.retry_after)
        except Unavailable as error:
            return _later(503, "unavailable", "The size cannot be rendered at the moment.", error.retry_after)
        if len(body) > MAX_ANSWER:  # it is stored now, so the CDN finds it
            return _answer(302, {"location": path, "cache-control": _UNSURE})
        headers = {"content-type": size.media_type, "cache-control": _FRESH, "etag": size.etag}
        return _answer(200, headers, body if with_body else b"")


def _later(status: int, code: str, detail: str, seconds: int) -> Response:
    return _problem(status, code, detail, _UNSURE, {"retry-after": str(seconds)})


def _problem(status: int, code: str, detail: str, cache: str, headers: Mapping[str, str] | None = None) -> Response:
    """Build a problem document (RFC 9457)."""
    content = json.dumps({"status": status, "code": code, "detail": detail}).encode()
    kind = {"content-type": "application/problem+json", "cache-control": cache}
    return _answer(status, kind | dict(headers or {}), content)


def _answer(status: int, headers: Mapping[str, str], body: bytes = b"") -> Response:
    return {
        "statusCode": status,
        "headers": dict(headers),
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
