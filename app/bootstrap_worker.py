"""Composition root of the worker: from settings and backends to a worker that processes images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.bootstrap import Backends, build_limits
from app.domain.configuration.encoders import asks_for_jxl, find_missing_encoder
from app.domain.errors import ConfigurationError
from app.domain.reports import ImageReporter, log_report
from app.settings import Settings
from app.worker.machine import usable_memory_mb
from app.worker.memory_budget import PROCESS_MB, MemoryBudget
from app.worker.process import Worker
from app.worker.sandbox import fork_server
from app.worker.sandbox.child import Work, process_image, render_variants
from app.worker.sandbox.parent import Sandbox

if TYPE_CHECKING:
    from app.domain.delivery.deliveries import Attempt
    from app.domain.delivery.loop import SendingLoop
    from app.worker.on_demand.renderer import SizeRenderer
    from app.worker.sandbox.spares import Spares

# ruff: noqa: PLC0415 - a function that processes images needs nothing of webhooks and sizes

#: Part of the memory that images may use by default; the rest is for the server, the worker and the system.
_BUDGET_PERCENT = 70


def start_sandbox(settings: Settings, work: Work = process_image, spares: Spares | None = None) -> Sandbox:
    """Start the fork server of the child processes that decode images. Raises `ConfigurationError`."""
    if missing := find_missing_encoder(settings):
        raise ConfigurationError(missing)
    if asks_for_jxl(settings):
        fork_server.preload("app.worker.render.jxl")
    sandbox = Sandbox(settings.processing_timeout_seconds, settings.processing_memory_mb, work=work, spares=spares)
    sandbox.start()
    return sandbox


def build_memory_budget(settings: Settings, slots: int, spares: int = 0) -> MemoryBudget | None:
    """Build the memory budget of the images and sizes that are rendered at the same time, in addition to
    spare processes. None if each of them can have its whole bound."""
    total_mb = settings.memory_budget_mb or usable_memory_mb() * _BUDGET_PERCENT // 100
    total_mb -= spares * PROCESS_MB
    is_ample = slots == 1 or total_mb >= slots * (settings.processing_memory_mb + PROCESS_MB)
    return None if is_ample else MemoryBudget(total_mb)


def build_worker(
    settings: Settings,
    backends: Backends,
    sandbox: Sandbox,
    scratch: Path,
    *,
    share_originals: bool = False,
    reporter: ImageReporter = log_report,
    on_ignored: Callable[[], None] = lambda: None,
) -> Worker:
    """Build the worker. `scratch` is an existing folder that no other worker uses. With `share_originals` children can
    change no file that they read."""
    return Worker(
        backends.store,
        backends.images,
        backends.renderings,
        sandbox,
        recipe=settings.recipe,
        limits=build_limits(settings),
        adopt=settings.auth == "none",
        scratch=scratch,
        max_attempts=settings.max_attempts,
        share_originals=share_originals,
        reporter=reporter,
        on_ignored=on_ignored,
    )


def build_sending_loop(
    settings: Settings, backends: Backends, on_attempt: Callable[[Attempt], None] = lambda _: None
) -> SendingLoop:
    """Build the loop that sends webhooks of a self-hosted installation. `on_attempt` is called with each attempt."""
    from app.bootstrap.sending import build_sender, get_webhooks
    from app.domain.delivery.loop import SendingLoop

    return SendingLoop(get_webhooks(backends).deliveries, build_sender(settings, backends, on_attempt=on_attempt))


def build_size_renderer(
    settings: Settings,
    backends: Backends,
    scratch: Path,
    *,
    memory: MemoryBudget | None = None,
    share_sources: bool = False,
    spares: int = 0,
) -> SizeRenderer:
    """Build the renderer of sizes on demand, with some spare children. `scratch` is an existing folder that no other
    process uses. With `share_sources` children can change no file that they read."""
    from app.worker.on_demand.renderer import SizeRenderer
    from app.worker.sandbox.spares import Spares

    return SizeRenderer(
        backends.store,
        backends.images,
        backends.renderings,
        start_sandbox(settings, render_variants, Spares(render_variants, scratch, spares) if spares else None),
        recipe=settings.recipe,
        limits=build_limits(settings),
        scratch=scratch,
        memory=memory,
        share_sources=share_sources,
    )
