"""Entry point `python -m app.main`: the API, with the worker in a process of its own."""

import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app import linux, logs
from app.bootstrap_api import build_api
from app.domain.errors import ConfigurationError, PortError
from app.server.run import listen, serve
from app.settings import Settings, load
from app.supervisor import Supervisor


def build(settings: Settings) -> FastAPI:
    """Build the application. Its lifespan runs the worker process of a self-hosted installation."""
    supervisor = Supervisor() if settings.self_hosted else None
    app = build_api(
        settings,
        same_site_only=settings.auth == "none",
        worker_check=supervisor.check if supervisor else None,
    )

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
            gc.freeze()  # objects that exist now stay until the end; collections and the exit need not visit them
            serve(app, listener)
    except (ConfigurationError, PortError) as error:
        logs.end_before_start(error)


def _listener(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        remedy = "choose another, such as: make run PORT=8080"
        raise ConfigurationError(
            f"Cannot listen on {host}, port {port} ({error.strerror or error}): {remedy}"
        ) from None


if __name__ == "__main__":
    main()
