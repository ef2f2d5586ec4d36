"""Services of the API, made of what the entry point passes to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.api.http.forwarded import Network
from app.api.readiness import ReadinessProbe
from app.api.reads import Reads
from app.api.views.view_cache import ViewCache
from app.domain.access.api_keys import Caller
from app.domain.access.key_cache import StoredKeys
from app.domain.access.keyring import Keyring
from app.domain.access.request_limits import RequestLimits
from app.domain.access.signing import Cursors, Signer
from app.domain.images.renderings import Renderings
from app.domain.images.service import Images
from app.domain.images.stats import Counters
from app.domain.images.urls import UrlSource
from app.domain.limits import MEBIBYTE, Limits
from app.domain.models import Visibility
from app.domain.ports import EventQueue, ImageRepository, ObjectStore, OnDemandRenderer
from app.domain.quota.usage import Quota
from app.domain.reports import RequestReporter, log_report
from app.domain.sizes.offer import OnDemand

#: Images that all requests for many images together work on at a time.
BULK_THREADS = 8

if TYPE_CHECKING:
    from app.api.bodies.spool import Spools
    from app.api.fetches import Fetches
    from app.api.shared_renderings import SharedRenderings
    from app.api.waiters import Waiters
    from app.domain.access.key_admin import KeyAdmin
    from app.domain.delivery.backends import Webhooks
    from app.domain.delivery.endpoint_admin import EndpointAdmin
    from app.domain.delivery.redelivery import Deliveries
    from app.domain.images.deletion import Deletion
    from app.domain.images.editing import Editor
    from app.domain.images.trash import Trash
    from app.domain.maintenance.owner_deletion import OwnerDeletion
    from app.domain.ports.key_store import KeyStore
    from app.domain.ports.outbound import OutboundHttp
    from app.domain.sizes.policy import SizePolicy
    from app.domain.sizes.snapping import Ladder
    from app.domain.uploads.grants import LocalStore
    from app.domain.uploads.idempotency import Idempotency, IdempotencyKeys
    from app.domain.uploads.service import Uploads
    from app.domain.uploads.tickets import GrantSource, Tickets


class Parts(NamedTuple):
    """Backends and options of one installation.

    `checks` have neutral names and raise if their backend does not work. `files` returns the path of an object's file
    where objects are local files; None if another server serves the bytes. Without `keyring`, callers need no API key.
    `stored_keys` are those of the keyring that are in `key_store`. `default_visibility` is that of new images.
    `cors_origins` are the origins whose pages may call the API. `public_url` is the service's own address,
    `allowed_hosts` are its other host names, and the headers of `trusted_proxies` say which one the client used. With
    `same_site_only`, writes from pages of other sites and requests under other host names are refused. `reporter`
    receives a report of each request, and `metrics` returns figures for Prometheus. `max_spool_bytes` limits the
    temporary space of all uploads in progress, `max_waiting` the number of requests that wait for images. `renderer`
    renders sizes on demand, by the rules of `on_demand` and `ladder`; without one they are off. Without
    `webhook_adapters` there are no webhooks; with `allow_private` their endpoints may be private addresses. `outbound`
    fetches images from `fetch_hosts`; without hosts uploads from a url are off. `clock` is that of rate limits, and
    monotonic.
    """

    store: ObjectStore
    repository: ImageRepository
    idempotency_keys: IdempotencyKeys
    queue: EventQueue
    counters: Counters
    renderings: Renderings
    signer: Signer
    limits: Limits
    grants: GrantSource
    urls: UrlSource
    checks: Mapping[str, Callable[[], None]]
    files: Callable[[str], Path | None] | None
    version: str
    key_store: KeyStore
    local: LocalStore | None = None
    stored_keys: StoredKeys | None = None
    keyring: Keyring | None = None
    default_visibility: Visibility = Visibility.PRIVATE
    cors_origins: tuple[str, ...] = ()
    public_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    same_site_only: bool = False
    reporter: RequestReporter = log_report
    metrics: Callable[[], bytes] | None = None
    max_spool_bytes: int = 1024 * MEBIBYTE
    max_waiting: int = 1000
    renderer: OnDemandRenderer | None = None
    on_demand: OnDemand = OnDemand.SNAP
    ladder: Ladder | None = None
    webhook_adapters: Webhooks | None = None
    allow_private: bool = False
    outbound: OutboundHttp | None = None
    fetch_hosts: tuple[str, ...] = ()
    clock: Callable[[], float] = time.monotonic


class Services(Parts):
    """Services of one installation, each imported and made of its parts when a request first needs it.

    Most requests need few of them.
    """

    @cached_property
    def uploads(self) -> Uploads:
        """Uploads through the API."""
        from app.domain.uploads.service import Uploads

        return Uploads(self.store, self.repository, default_visibility=self.default_visibility)

    def get_quota(self, caller: Caller, owner: str) -> Quota:
        """Return the quota of an upload by the caller for an owner. Limits of a key are for its own owner."""
        quota = self.limits.quota
        return caller.own_limits.quota(quota) if owner == caller.owner else quota

    @cached_property
    def request_limits(self) -> RequestLimits:
        """Rate limits of callers."""
        return RequestLimits(self.limits.rate_limit, self.clock)

    @cached_property
    def idempotency(self) -> Idempotency:
        """Requests with idempotency keys."""
        from app.domain.uploads.idempotency import Idempotency

        return Idempotency(self.idempotency_keys, self.repository)

    @cached_property
    def key_admin(self) -> KeyAdmin:
        """Changes of API keys."""
        from app.domain.access.key_admin import KeyAdmin

        return KeyAdmin(self.key_store, self.stored_keys)

    @cached_property
    def webhooks(self) -> EndpointAdmin:
        """Changes of webhook endpoints."""
        from app.domain.delivery.endpoint_admin import EndpointAdmin
        from app.domain.delivery.endpoint_fields import EndpointFields
        from app.domain.delivery.endpoints import EndpointSecrets

        adapters, fields = self._webhook_adapters, EndpointFields(allow_private=self.allow_private)
        return EndpointAdmin(adapters.endpoints, self.deliveries, EndpointSecrets(self.signer), fields)

    @cached_property
    def deliveries(self) -> Deliveries:
        """Deliveries of webhooks."""
        from app.domain.delivery.redelivery import Deliveries

        adapters = self._webhook_adapters
        return Deliveries(adapters.deliveries, wake_up=adapters.wake_up)

    @property
    def _webhook_adapters(self) -> Webhooks:
        if self.webhook_adapters is None:
            raise LookupError("webhooks are off")
        return self.webhook_adapters

    @cached_property
    def images(self) -> Images:
        """Reading images."""
        return Images(self.repository)

    @cached_property
    def editor(self) -> Editor:
        """Changing images."""
        from app.domain.images.editing import Editor

        return Editor(self.repository, self.queue, self.renderings)

    @cached_property
    def deletion(self) -> Deletion:
        """Deleting images permanently."""
        from app.domain.images.deletion import Deletion

        return Deletion(self.repository, self.renderings)

    @cached_property
    def trash(self) -> Trash:
        """Deleting and restoring images."""
        from app.domain.images.trash import Trash

        return Trash(self.store, self.repository, self.editor, self.deletion, days=self.limits.trash_days)

    @cached_property
    def owner_deletion(self) -> OwnerDeletion:
        """Deleting all images of an owner."""
        from app.domain.maintenance.owner_deletion import OwnerDeletion

        return OwnerDeletion(self.repository, self.deletion)

    @cached_property
    def tickets(self) -> Tickets:
        """Upload tickets."""
        from app.domain.uploads.tickets import Tickets

        return Tickets(
            self.repository, self.grants, self.limits, self.store, default_visibility=self.default_visibility
        )

    @cached_property
    def bulk_threads(self) -> ThreadPoolExecutor:
        """Threads of all requests for many images. They start when they are needed."""
        return ThreadPoolExecutor(BULK_THREADS, "bulk")

    @cached_property
    def cursors(self) -> Cursors:
        """Signed cursors of lists."""
        return Cursors(self.signer)

    @cached_property
    def sizes(self) -> SizePolicy:
        """Sizes that requests may have rendered."""
        from app.domain.sizes.policy import SizePolicy
        from app.domain.sizes.signatures import SizeSignatures
        from app.domain.sizes.snapping import Ladder

        mode = OnDemand.OFF if self.renderer is None else self.on_demand
        return SizePolicy(mode, self.ladder or Ladder(), SizeSignatures(self.signer))

    @cached_property
    def shared_renderings(self) -> SharedRenderings:
        """Sizes that are rendered now."""
        from app.api.shared_renderings import SharedRenderings

        if self.renderer is None:
            raise LookupError("sizes on demand are off")
        return SharedRenderings(self.renderer)

    @cached_property
    def spools(self) -> Spools:
        """Temporary space of all uploads in progress."""
        from app.api.bodies.spool import Spools

        return Spools(self.store, self.max_spool_bytes)

    @cached_property
    def fetches(self) -> Fetches:
        """Images that are fetched from urls."""
        from app.api.fetches import Fetches
        from app.domain.delivery.targets import FetchHosts

        return Fetches(self.outbound, FetchHosts(self.fetch_hosts))

    @cached_property
    def views(self) -> ViewCache:
        """JSON of records."""
        return ViewCache(self.urls)

    @cached_property
    def reads(self) -> Reads:
        """Reads of records."""
        return Reads(local=self.local is not None)

    @cached_property
    def waiters(self) -> Waiters:
        """Requests that wait for images."""
        from app.api.waiters import Waiters

        return Waiters(self.images.versions, self.max_waiting)

    @cached_property
    def probe(self) -> ReadinessProbe:
        """Readiness checks."""
        return ReadinessProbe(self.checks)
