"""JSON of the views of stored records, kept for the records that are read again."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from app.api.http.public_address import BasePath
from app.api.views.image import view
from app.api.views.responses import etag
from app.api.views.stored import StoredFields, view_json
from app.domain.images.service import not_found
from app.domain.images.urls import UrlSource
from app.domain.models import Status
from app.domain.ports import StoredImage

#: Most bytes of the JSON that a process keeps, and of the records that it belongs to.
CACHE_BYTES = 8 * 1024 * 1024

_OVERHEAD = 1000  # bytes of the Python objects of an entry


class ViewJson(NamedTuple):
    """JSON of the view of a record, and what a route needs to know of the record."""

    id: str
    owner: str
    status: Status
    etag: str
    json: bytes

    def check_owner(self, owner: str | None) -> None:
        """Raise `NotFound` unless the image belongs to the owner; None stands for every owner."""
        if owner not in {None, self.owner}:
            raise not_found()


class ViewCache:
    """Views as JSON.

    A view depends on nothing but the record, the signatures of its urls and the address of the service, which make up
    the key. So an entry never becomes wrong, only useless. The entries that were not used for longest go first.
    """

    def __init__(self, urls: UrlSource, max_bytes: int = CACHE_BYTES) -> None:
        self._urls = urls
        self._left = max_bytes
        self._entries: OrderedDict[Hashable, ViewJson] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, stored: StoredImage, base: BasePath) -> ViewJson:
        """Return the view of a record as JSON."""
        return self.get_all([stored], base)[0]

    def get_all(self, many: Sequence[StoredImage], base: BasePath) -> Sequence[ViewJson]:
        """Return the views of records as JSON."""
        place = (self._urls.signatures(), base, base.origin)
        keys = [(stored.key, place) for stored in many]
        with self._lock:
            kept = [self._find(key) for key in keys]
        shown = [found or self._build(stored, base) for found, stored in zip(kept, many, strict=True)]
        if None in kept:
            with self._lock:
                for key, entry in zip(keys, shown, strict=True):
                    self._keep(key, entry)
        return shown

    def _find(self, key: Hashable) -> ViewJson | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def _keep(self, key: Hashable, entry: ViewJson) -> None:
        if key not in self._entries:
            self._entries[key] = entry
            self._left -= _size(entry)
        while self._left < 0:
            self._left += _size(self._entries.popitem(last=False)[1])

    def _build(self, stored: StoredImage, base: BasePath) -> ViewJson:
        try:
            fields = StoredFields(stored.fields())
            tag = etag(fields, self._urls)
            text = view_json(fields, self._urls, base)
            owner, status = str(fields.fields["owner"]), Status(fields.fields.get("status", Status.PENDING))
        except (LookupError, TypeError, ValueError):  # let the model find out what is wrong with the record
            image = stored.read()
            tag, owner, status = etag(image, self._urls), image.owner, image.status
            text = view(image, self._urls, base).model_dump_json().encode()
            return ViewJson(image.id, owner, status, tag, text)
        return ViewJson(fields.id, owner, status, tag, text)


def _size(entry: ViewJson) -> int:
    return 2 * len(entry.json) + _OVERHEAD  # the record in the key is about as large
