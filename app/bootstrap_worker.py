"""Composition root of the worker: from settings and backends to a worker that processes images."""

from collections.abc import Callable
from pathlib import Path

from app.bootstrap import Backends, build_limits
from app.domain.reports import ImageReporter, log_report
from app.settings import Settings
from app.worker.process import Worker
from app.worker.sandbox.parent import Sandbox


def start_sandbox(settings: Settings) -> Sandbox:
    """Start the fork server of the child processes that decode images."""
    sandbox = Sandbox(settings.processing_timeout_seconds, settings.processing_memory_mb)
    sandbox.start()
    return sandbox


def build_worker(
    settings: Settings,
    backends: Backends,
    sandbox: Sandbox,
    scratch: Path,
    *,
    reporter: ImageReporter = log_report,
    on_ignored: Callable[[], None] = lambda: None,
) -> Worker:
    """Build the worker. `scratch` is an existing folder that no other worker uses."""
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
        reporter=reporter,
        on_ignored=on_ignored,
    )
