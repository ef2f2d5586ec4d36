"""Adapters that the settings select, as the entry points receive them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.domain.images.renderings import Renderings
from app.domain.images.stats import Counters, Recount
from app.domain.ports import Cdn, EventQueue, ImageRepository, ObjectStore, OnDemandRenderer
from app.domain.work import RENDERING_LIFE

if TYPE_CHECKING:  # see `ApiBackends`
    from app.domain.delivery.backends import Webhooks
    from app.domain.images.urls import UrlSource
    from app.domain.ports.key_store import KeyStore
    from app.domain.uploads.grants import LocalStore
    from app.domain.uploads.idempotency import IdempotencyKeys
    from app.domain.uploads.tickets import GrantSource


class ApiBackends(NamedTuple):
    """Adapters that only the API needs. Other functions do not import them: that would make their start longer.

    `file_path` returns the path of a stored object, if objects are local files. `sizes` is set if another process or
    function renders sizes on demand.
    """

    key_store: KeyStore
    idempotency_keys: IdempotencyKeys
    urls: UrlSource
    grants: GrantSource
    file_path: Callable[[str], Path | None] | None = None
    local: LocalStore | None = None
    sizes: OnDemandRenderer | None = None


class Backends(NamedTuple):
    """Adapters that the settings select.

    `recover` undoes the traces of a killed worker; `tidy` is maintenance after each reconcile, and `recount` corrects
    counts that are approximate. `check_space` raises `Full` while the disk has too little space for the worker to
    process an image. `cdn` is set if public variants are removed from a CDN, and `webhooks` if events are kept.
    """

    store: ObjectStore
    images: ImageRepository
    queue: EventQueue
    counters: Counters
    open_api: Callable[[], ApiBackends]
    cdn: Cdn | None = None
    public_life: timedelta = RENDERING_LIFE
    webhooks: Webhooks | None = None
    recover: Callable[[], None] = lambda: None
    tidy: Callable[[], object] = lambda: None
    recount: Recount = lambda _: 0
    check_space: Callable[[], None] = lambda: None

    @property
    def renderings(self) -> Renderings:
        """Variants in the store."""
        return Renderings(self.store, self.images, cdn=self.cdn, public_life=self.public_life)

    @property
    def checks(self) -> dict[str, Callable[[], None]]:
        """Readiness checks by neutral names. Each raises an error if its backend does not work."""
        found = {"storage": self.store.ping, "records": self.images.ping, "queue": self.queue.ping}
        if self.webhooks is not None and self.webhooks.queue is not None:
            found["deliveries"] = self.webhooks.queue.ping
        return found
