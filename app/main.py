"""Entry point `python -m app.main`: the API, with the worker in a process of its own."""

import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app import linux, logs
from app.bootstrap_api import build_api
from app.domain.errors import ConfigurationError, PortError
from app.domain.reports import log_report
from app.monitoring.port import ScrapeServer
from app.monitoring.server_figures import ServerFigures
from app.server.run import listen, serve
from app.settings import Settings, load
from app.supervisor import Supervisor

log = logging.getLogger("app.main")  # this module runs as `__main__`


def build(settings: Settings) -> FastAPI:
    """Build the application. Its lifespan runs the worker process of a self-hosted installation."""
    supervisor = Supervisor() if settings.self_hosted else None
    figures = _build_figures(settings) if settings.self_hosted else None
    app = build_api(
        settings,
        same_site_only=settings.auth == "none",
        reporter=figures.request if figures else log_report,
        worker_check=supervisor.check if supervisor else None,
        metrics=figures.exposition if figures else None,
    )
    if figures:
        webhooks = app.state.services.webhook_adapters
        figures.watch(app.state.services.queue, webhooks and webhooks.deliveries)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        linux.hide()
        if supervisor:
            supervisor.start(on_handled=app.state.services.waiters.notice)
        try:
            yield
        finally:
            if supervisor:
                await run_in_threadpool(supervisor.stop)

    app.router.lifespan_context = lifespan
    return app


def main() -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `SystemExit` with the reason if the server cannot start."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while starting; `serve` sets a handler of its own
    try:
        settings = load()
        private = (settings.data_folder, settings.database_file)
        logs.configure(settings.log_level, settings.service, private, settings.log_format)
        logs.catch_uncaught()
        with _listener(settings.host, settings.port) as listener:
            app = build(settings)
            with _scrape_port(settings, app.state.services.metrics):
                gc.freeze()  # objects that exist now stay until the end; collections and the exit need not visit them
                serve(app, listener)
    except (ConfigurationError, PortError) as error:
        logs.end_before_start(error)


def _build_figures(settings: Settings) -> ServerFigures:
    disks = {"storage": settings.data_folder, "records": settings.database_file.parent}
    return ServerFigures(settings.figures_socket, disks)


@contextlib.contextmanager
def _scrape_port(settings: Settings, exposition: Callable[[], bytes] | None) -> Iterator[None]:
    """Answer scrapes on the port that the settings name, if there is one."""
    if settings.metrics_port is None or exposition is None:
        yield
        return
    try:
        server = ScrapeServer(settings.metrics_host, settings.metrics_port, exposition)
    except OSError as error:
        place = f"{settings.metrics_host}, port {settings.metrics_port}"
        raise ConfigurationError(
            f"DARKROOM_METRICS_PORT: cannot listen on {place} ({error.strerror or error}): choose another"
        ) from None
    server.start()
    log.info("/metrics is on port %d", server.port)
    try:
        yield
    finally:
        server.stop()


def _listener(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        cause = error.strerror or str(error)
        remedy = "darkroom serve --port 8080, or make run PORT=8080"
        raise ConfigurationError(
            f"error: cannot listen on {host}, port {port}\ncause: {cause}\ntry: {remedy}"
        ) from None


if __name__ == "__main__":
    main()
