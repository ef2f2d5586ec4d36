"""The door for API Gateway: every request one invocation, everything wired once when the function starts."""

# ruff: noqa: E402 - what a start makes stays: to look for garbage in it meanwhile takes a twentieth of its time
import gc

gc.disable()

import asyncio
import json
import logging
from typing import Any

from mangum import Mangum

from app import __version__, logs
from app.api.app import Services, create_app
from app.api.http.problem_catalog import CATALOG
from app.api.http.problems import MEDIA_TYPE, problem_document
from app.api.middleware.gateway import TEXT_TYPES, Gateway
from app.bootstrap import keyring_of, limits_of, open_backends, signer_of
from app.domain.errors import ConfigurationError
from app.domain.limits import MEBIBYTE
from app.metrics import Metrics
from app.settings import load

log = logging.getLogger(__name__)


def _build() -> Gateway:
    settings = load()
    logs.configure(settings.log_level, settings.service)
    if settings.embedded:
        raise ConfigurationError("DARKROOM_STORAGE_URL: a function needs `s3://<bucket>`; it has no disk of its own")
    if settings.auth == "none" and not settings.allow_anonymous:
        raise ConfigurationError(
            "DARKROOM_AUTH: must be `required`, or DARKROOM_ALLOW_ANONYMOUS `true`, for a function anybody can call"
        )
    keyring, signer = keyring_of(settings), signer_of(settings)
    backends = open_backends(settings)
    return Gateway(
        create_app(
            Services(
                store=backends.store,
                repository=backends.images,
                signer=signer,
                limits=limits_of(settings),
                grants=backends.grants,
                urls=backends.urls,
                checks=backends.checks,
                files=backends.locate,
                version=__version__,
                keyring=keyring,
                cors_origins=settings.cors_origins,
                public_url=settings.public_url,
                allowed_hosts=settings.allowed_hosts,
                trusted_proxies=settings.trusted_proxies,
                reporter=Metrics(settings.service).request,
                max_spool_bytes=settings.max_spool_mb * MEBIBYTE,
                max_waiting=settings.max_waiting,
            )
        )
    )


_app = _build()
asyncio.set_event_loop(asyncio.new_event_loop())  # the adapter takes the current loop, which newer Pythons do not make
logging.getLogger("mangum.http").setLevel(logging.WARNING)  # a request has its line in our own log
_mangum = Mangum(_app, lifespan="off", text_mime_types=[*TEXT_TYPES])
_invocations = logs.Invocations()
gc.freeze()
gc.enable()


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer one request of an HTTP API (payload format 2.0), a REST API, a function's url or a load balancer."""
    _invocations.begin(context)
    if not _is_request(event, context):
        return _refusal()
    try:
        answer: dict[str, Any] = _mangum(event, context)
    except ValueError:  # a body that is no base64, or no text
        log.warning("a request's body cannot be read")
        return _refusal()
    return answer


def _is_request(event: Any, context: Any) -> bool:
    """Whether the adapter can read it. Schedules that keep functions warm, and tests in consoles, send other things."""
    try:
        return bool(_mangum.infer(event, context).scope)
    except Exception as error:  # noqa: BLE001 - whatever it stumbles over, the event is to blame
        because = type(error).__name__  # its words may quote the event
        log.warning("an event that is no request", extra={"form": type(event).__name__, "because": because})
        return False


def _refusal() -> dict[str, Any]:
    problem = CATALOG["unknown_event"]
    content = problem_document(problem.status, "unknown_event", problem.detail, "", {})
    return {
        "statusCode": problem.status,
        "headers": {"content-type": MEDIA_TYPE, "cache-control": "no-store"},
        "body": json.dumps(content),
        "isBase64Encoded": False,
    }
