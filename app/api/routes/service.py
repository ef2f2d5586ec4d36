"""What is taken, and how the service is."""

import logging
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.api.access import KeyedRoute, open_to_all
from app.api.answers import json_answer
from app.api.documented import problems, shaped
from app.api.parts import Handed
from app.api.problems import problem
from app.domain.limits import Limits

log = logging.getLogger(__name__)

router = APIRouter(tags=["service"], route_class=KeyedRoute)


class Health(BaseModel):
    """A sign of life."""

    status: str = "ok"


@router.get(
    "/limits",
    operation_id="get_limits",
    summary="What is taken",
    responses={200: shaped(Limits), **problems("foreign_host")},
)
@open_to_all
async def get_limits(parts: Handed) -> Response:
    """Bounds that a client can check before it sends, and the variants that it will get."""
    return json_answer(parts.limits, headers={"Cache-Control": "no-cache"})


@router.get("/healthz", operation_id="is_alive", summary="Liveness", responses={200: shaped(Health), **problems()})
@open_to_all
async def healthz() -> Response:
    """Answers whenever the process can answer at all."""
    return json_answer(Health())


@router.get(
    "/readyz",
    operation_id="is_ready",
    summary="Readiness",
    responses={200: shaped(Health), **problems("not_reachable")},
)
@open_to_all
def readyz(request: Request, parts: Handed) -> Response:
    """Whether every part that a request needs can be reached."""
    failed = []
    for name, check in parts.checks.items():
        try:
            check()
        except Exception:
            log.exception("not ready: %s", name)
            failed.append(name)
    if not failed:
        return json_answer(Health())
    detail = f"The {' and the '.join(failed)} cannot be reached."
    extra: dict[str, Any] = {"failed": failed}
    return problem(request.scope, 503, "not_reachable", detail, extra, {"Retry-After": "5"})
