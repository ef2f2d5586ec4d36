"""The door for `uvicorn app.main:app`: the API with the embedded worker beside it."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app import __version__, logs
from app.api.app import Parts, create_app
from app.bootstrap import keyring_of, limits_of, open_backends, signer_of
from app.domain.errors import ConfigurationError, PortError
from app.domain.limits import MEBIBYTE
from app.settings import load
from app.supervisor import Supervisor


def build() -> FastAPI:
    """The application on the backends that the environment names."""
    settings = load()
    logs.configure(
        settings.log_level, settings.service, (settings.data_folder, settings.database_file), settings.log_format
    )
    logs.catch_uncaught()
    keyring = keyring_of(settings)
    backends = open_backends(settings)
    supervisor = Supervisor() if settings.embedded else None
    app = create_app(
        Parts.over(
            backends.store,
            backends.images,
            signer_of(settings),
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
            own_page_only=settings.auth == "none",
            max_spool_bytes=settings.max_spool_mb * MEBIBYTE,
            max_waiting=settings.max_waiting,
        )
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if supervisor:
            supervisor.start()
        try:
            yield
        finally:
            if supervisor:
                await run_in_threadpool(supervisor.stop)

    app.router.lifespan_context = lifespan
    return app


try:
    app = build()
except (ConfigurationError, PortError) as error:
    raise SystemExit(str(error)) from None
