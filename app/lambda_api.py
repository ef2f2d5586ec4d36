"""Lambda entry point of the API. The application is built once, when the function starts."""

# ruff: noqa: E402 - objects made at the start stay; garbage collection would take 5 % of its time
import gc

gc.disable()

import asyncio
import json
import logging
from typing import Any

from mangum import Mangum

from app import logs
from app.api.http.problem_catalog import CATALOG
from app.api.http.problems import MEDIA_TYPE, problem_document
from app.api.middleware.gateway import TEXT_TYPES, Gateway
from app.bootstrap_api import build_api
from app.domain.errors import ConfigurationError
from app.metrics import Metrics
from app.settings import load_on_lambda

log = logging.getLogger(__name__)


def _build() -> Gateway:
    settings = load_on_lambda()
    logs.configure(settings.log_level, settings.service)
    if settings.auth == "none" and not settings.allow_anonymous:
        raise ConfigurationError(
            "DARKROOM_AUTH: must be `required` on Lambda, or set DARKROOM_ALLOW_ANONYMOUS=true to admit every caller"
        )
    return Gateway(build_api(settings, same_site_only=False, reporter=Metrics(settings.service).request))


_app = _build()
asyncio.set_event_loop(asyncio.new_event_loop())  # mangum uses the current loop; newer Pythons make none
logging.getLogger("mangum.http").setLevel(logging.WARNING)  # our own log has a line for each request
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
        response: dict[str, Any] = _mangum(event, context)
    except ValueError:  # the body is neither base64 nor text
        log.warning("request body is neither base64 nor text")
        return _refusal()
    return response


def _is_request(event: Any, context: Any) -> bool:
    """Return True if mangum can read the event. Warm-up schedules and tests in consoles send other events."""
    try:
        return bool(_mangum.infer(event, context).scope)
    except Exception as error:  # noqa: BLE001 - any error is caused by the event
        because = type(error).__name__  # its message may quote the event
        log.warning("event is not a request", extra={"form": type(event).__name__, "because": because})
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
