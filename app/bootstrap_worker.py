"""Composition root of the worker: from settings and backends to a worker that processes images."""

from collections.abc import Callable
from pathlib import Path

from app.bootstrap import Backends, build_limits
from app.domain.reports import ImageReporter, log_report
from app.machine import usable_memory_mb
from app.settings import Settings
from app.worker.memory_budget import PROCESS_MB, MemoryBudget
from app.worker.process import Worker
from app.worker.sandbox.parent import Sandbox

#: Part of the memory that images may use by default; the rest is for the server, the worker and the system.
_BUDGET_PERCENT = 70


def start_sandbox(settings: Settings) -> Sandbox:
    """Start the fork server of the child processes that decode images."""
    sandbox = Sandbox(settings.processing_timeout_seconds, settings.processing_memory_mb)
    sandbox.start()
    return sandbox


def build_memory_budget(settings: Settings, slots: int) -> MemoryBudget | None:
    """Build the memory budget of the images that are processed at the same time. None if each of them can have its
    whole bound."""
    total_mb = settings.memory_budget_mb or usable_memory_mb() * _BUDGET_PERCENT // 100
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
