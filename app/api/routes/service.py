"""What is taken, and how the service is."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.api.dependencies import Handed, ProbeDep
from app.api.http.access import KeyedRoute, link, open_to_all
from app.api.http.problem_examples import problems, shaped
from app.api.http.problems import problem
from app.api.readiness import Readiness
from app.api.views.responses import json_answer
from app.domain.limits import Limits

router = APIRouter(tags=["service"], route_class=KeyedRoute)


class Health(BaseModel):
    """A sign of life."""

    status: str = "ok"


@router.get(
    "/limits",
    operation_id="get_limits",
    summary="What is taken",
    responses={200: shaped(Limits), **problems()},
)
@open_to_all
async def get_limits(parts: Handed) -> Response:
    """Bounds that a client can check before it sends, and the variants that it will get."""
    return json_answer(parts.limits, headers={"Cache-Control": "no-cache"})


@router.get(
    "/healthz",
    operation_id="is_alive",
    summary="Liveness",
    responses={200: shaped(Health), **problems("bad_request_head")},
)
@open_to_all
@link
async def healthz() -> Response:
    """Answers whenever the process can answer at all."""
    return json_answer(Health())


@router.get(
    "/readyz",
    operation_id="is_ready",
    summary="Readiness",
    responses={200: shaped(Health), **problems("bad_request_head", "not_reachable", "disk_full")},
)
@open_to_all
@link
async def readyz(request: Request, probe: ProbeDep) -> Response:
    """Return 200 if uploads work. The parts are probed at most once a second, for all callers together."""
    found = await probe.result()
    if found == Readiness():
        return json_answer(Health())
    code = "not_reachable" if found.failed else "disk_full"
    sentences = []
    if found.failed:
        sentences.append(f"The {' and the '.join(found.failed)} cannot be reached.")
    if found.full:
        sentences.append(f"The {' and the '.join(found.full)} {'is' if len(found.full) == 1 else 'are'} full.")
        sentences.append("Uploads are refused; reading and deleting work.")
    extra: dict[str, Any] = {"failed": [*found.failed, *found.full], "full": list(found.full)}
    return problem(request.scope, 503, code, " ".join(sentences), extra, {"Retry-After": "5"})
