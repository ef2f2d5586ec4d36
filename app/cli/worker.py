"""`darkroom worker`: the worker process alone."""

from app.cli.failures import reports_failures
from app.embedded_worker import main as run_worker


@reports_failures
def worker() -> None:
    """Run only the worker process, for a server that was started without one."""
    run_worker()
