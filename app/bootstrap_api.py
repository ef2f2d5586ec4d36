"""Composition root of the API: from settings to the application that a server or a function serves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI

from app import __version__
from app.api.app import Services, create_app
from app.bootstrap import build_limits, build_signer, open_backends
from app.domain.access.key_cache import StoredKeys
from app.domain.access.keyring import Keyring
from app.domain.limits import MEBIBYTE
from app.domain.reports import RequestReporter, log_report
from app.settings import Settings

if TYPE_CHECKING:  # imported only where they are on
    from app.domain.ports.outbound import OutboundHttp
    from app.domain.sizes.snapping import Ladder

log = logging.getLogger(__name__)


def build_api(
    settings: Settings,
    *,
    same_site_only: bool,
    reporter: RequestReporter = log_report,
    worker_check: Callable[[], None] | None = None,
    metrics: Callable[[], bytes] | None = None,
) -> FastAPI:
    """Build the application on the backends of the settings. `worker_check` becomes a readiness check of `/readyz`,
    and `metrics` the answer of `/metrics`.

    Raises `ConfigurationError` if the settings are not those of a service.
    """
    backends = open_backends(settings)
    adapters = backends.open_api()
    stored_keys = StoredKeys(adapters.key_store)
    if (
        settings.self_hosted
        and settings.auth == "required"
        and not settings.api_keys
        and not adapters.key_store.list(1)
    ):
        log.warning("no API key yet: create one with `darkroom key create --owner NAME --scope admin`")
    return create_app(
        Services(
            store=backends.store,
            repository=backends.images,
            idempotency_keys=adapters.idempotency_keys,
            queue=backends.queue,
            counters=backends.counters,
            renderings=backends.renderings,
            signer=build_signer(settings),
            limits=build_limits(settings),
            grants=adapters.grants,
            urls=adapters.urls,
            checks=backends.checks | ({"worker": worker_check} if worker_check else {}),
            files=adapters.file_path,
            version=__version__,
            local=adapters.local,
            key_store=adapters.key_store,
            stored_keys=stored_keys,
            keyring=Keyring(settings.api_keys, stored_keys) if settings.auth == "required" else None,
            default_visibility=settings.visibility,
            cors_origins=settings.cors_origins,
            public_url=settings.public_url,
            allowed_hosts=settings.allowed_hosts,
            trusted_proxies=settings.trusted_proxies,
            same_site_only=same_site_only,
            reporter=reporter,
            metrics=metrics,
            max_spool_bytes=settings.max_spool_mb * MEBIBYTE,
            max_waiting=settings.max_waiting,
            renderer=adapters.sizes,
            on_demand=settings.on_demand_mode,
            ladder=_build_ladder(settings) if adapters.sizes is not None else None,
            outbound=_build_outbound(settings) if settings.fetch_hosts else None,
            fetch_hosts=settings.fetch_hosts,
            webhook_adapters=backends.webhooks,
            allow_private=settings.allow_private_addresses,
        )
    )


def _build_ladder(settings: Settings) -> Ladder:
    from app.domain.sizes.snapping import Ladder

    return Ladder(settings.on_demand_widths, settings.on_demand_ratios, settings.on_demand_jxl)


def _build_outbound(settings: Settings) -> OutboundHttp:
    from app.adapters.outbound import GuardedHttp

    return GuardedHttp(__version__, allow_private=settings.allow_private_addresses)
