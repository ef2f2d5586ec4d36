"""Entry point `python -m app.main`: the API, with the worker in a process of its own."""

import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app import __version__, linux, logs
from app.api.app import Services, create_app
from app.bootstrap import keyring_of, limits_of, open_backends, signer_of
from app.domain.errors import ConfigurationError, PortError
from app.domain.limits import MEBIBYTE
from app.server.run import listen, serve
from app.settings import Settings, load
from app.supervisor import Supervisor


def build(settings: Settings) -> FastAPI:
    """Build the application on the backends that the settings name. It starts the worker when it is served."""
    keyring = keyring_of(settings)
    backends = open_backends(settings)
    supervisor = Supervisor() if settings.embedded else None
    app = create_app(
        Services(
            store=backends.store,
            repository=backends.images,
            signer=signer_of(settings),
            limits=limits_of(settings),
            grants=backends.grants,
            urls=backends.urls,
            checks={**backends.checks, **({"worker": supervisor.check} if supervisor else {})},
            files=backends.locate,
            version=__version__,
            local=backends.local,
            keyring=keyring,
            cors_origins=settings.cors_origins,
            public_url=settings.public_url,
            allowed_hosts=settings.allowed_hosts,
            trusted_proxies=settings.trusted_proxies,
            same_site_only=settings.auth == "none",
            max_spool_bytes=settings.max_spool_mb * MEBIBYTE,
            max_waiting=settings.max_waiting,
        )
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        linux.hide()
        if supervisor:
            supervisor.start()
        try:
            yield
        finally:
            if supervisor:
                await run_in_threadpool(supervisor.stop)

    app.router.lifespan_context = lifespan
    return app


def main() -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `SystemExit` with the reason if the server cannot start."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while starting: `serve` has a handler of its own
    try:
        settings = load()
        private = (settings.data_folder, settings.database_file)
        logs.configure(settings.log_level, settings.service, private, settings.log_format)
        logs.catch_uncaught()
        with _listener(settings.host, settings.port) as listener:
            app = build(settings)
            gc.freeze()  # what exists now stays until the end: neither collections nor the exit need to look at it
            serve(app, listener)
    except (ConfigurationError, PortError) as error:
        logs.end_before_start(error)


def _listener(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        advice = "choose another, such as: make run PORT=8080"
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used ({error.strerror or error}): {advice}"
        ) from None


if __name__ == "__main__":
    main()
