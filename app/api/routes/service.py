"""Limits and health of the service."""

from functools import cache

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from app.api.dependencies import ServicesDep
from app.api.http.access import (
    ScopedRoute,
    allow_extra_query,
    answered_directly,
    get_optional_caller,
    key_optional,
    no_key_required,
    requires,
)
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import model_response, problem_responses
from app.api.http.problems import problem_response
from app.api.readiness import Readiness
from app.api.views.limits import LimitsView
from app.api.views.responses import json_answer
from app.domain.access.api_keys import Scope

router = APIRouter(tags=["service"], route_class=ScopedRoute)
#: For Prometheus, and not part of the API that clients use.
metrics_router = APIRouter(route_class=ScopedRoute, include_in_schema=False)

_TEXT_FORMAT = "text/plain; version=0.0.4"


class Health(BaseModel, defer_build=True):
    """Result of a health check."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str = "ok"


async def _alive(_: Request) -> Response:
    return _healthy()


def _healthy() -> Response:
    return Response(_healthy_json(), media_type="application/json")


@cache
def _healthy_json() -> str:
    return Health().model_dump_json()


@router.get(
    "/limits",
    operation_id="get_limits",
    summary="Get the limits",
    responses={200: model_response(LimitsView), **problem_responses()},
)
@key_optional
async def get_limits(request: Request, services: ServicesDep) -> Response:
    """Get the limits that a client can check before an upload, the accepted formats, and the variants of each image.

    It needs no API key. With one, `scopes` says what the key may do, and the limits are those of the key.
    """
    caller = get_optional_caller(request)
    shown = LimitsView.build(services.limits, caller, authentication=services.keyring is not None)
    return json_answer(shown, headers={"Cache-Control": "private, no-cache"})


@router.get(
    "/healthz",
    operation_id="is_alive",
    summary="Check liveness",
    responses={200: model_response(Health), **problem_responses("bad_request_head")},
)
@no_key_required
@allow_extra_query
@answered_directly(_alive)
async def healthz() -> Response:
    """Return 200 while the process runs."""
    return _healthy()


@router.get(
    "/readyz",
    operation_id="is_ready",
    summary="Check readiness",
    responses={200: model_response(Health), **problem_responses("bad_request_head", "not_reachable", "disk_full")},
)
@no_key_required
@allow_extra_query
async def readyz(request: Request, services: ServicesDep) -> Response:
    """Return 200 if uploads work. The backends are checked at most once per second."""
    found = await services.probe.result()
    if found == Readiness():
        return _healthy()
    code = "not_reachable" if found.failed else "disk_full"
    sentences = []
    if found.failed:
        sentences.append(f"Not reachable: {', '.join(found.failed)}.")
    if found.full:
        sentences.append(f"No space left: {', '.join(found.full)}. Uploads are refused; reading and deleting work.")
    members = {"failed": [*found.failed, *found.full], "full": found.full, "headers": {"Retry-After": "5"}}
    return problem_response(request.scope, refusal(code, " ".join(sentences), **members))


@metrics_router.get("/metrics")
@requires(Scope.ADMIN, is_rate_limited=False)
@allow_extra_query
def get_metrics(services: ServicesDep) -> Response:
    """Get the figures of this installation in the text format of Prometheus."""
    assert services.metrics is not None  # noqa: S101 - the route is there only with figures
    return Response(services.metrics(), media_type=_TEXT_FORMAT, headers={"Cache-Control": "no-store"})
