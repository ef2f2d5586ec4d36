"""Numbers and sizes of images by owner."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.dependencies import CallerDep, ServicesDep
from app.api.http.access import ScopedRoute, requires
from app.api.http.problem_examples import model_response, problem_responses
from app.api.services import Services
from app.api.views.list_query import DEFAULT_LIMIT, MAX_LIMIT, Owner
from app.api.views.paging import Paging
from app.api.views.responses import json_answer
from app.api.views.stats import EXAMPLE, Stats, build_stats
from app.domain.access.api_keys import Scope
from app.domain.images.stats import OwnerCounts
from app.domain.models import Model
from app.domain.quota.usage import Quota

router = APIRouter(tags=["images"], route_class=ScopedRoute)

_CACHING = {"Cache-Control": "private, no-cache"}
#: What the cursors of the list are bound to.
_OWNERS = {"list": "owners"}


class StatsList(Model, defer_build=True):
    """Statistics of owners."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE], "next_cursor": None}]})

    items: Sequence[Stats] = Field(description="One for each owner, in the order of their names.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


@router.get(
    "/stats",
    operation_id="get_stats",
    summary="Count images and bytes",
    responses={200: model_response(Stats), **problem_responses("invalid_request", "scope_missing")},
)
@requires(Scope.READ)
def get_stats(
    services: ServicesDep,
    caller: CallerDep,
    owner: Annotated[
        Owner | None, Query(description="Count the images of this owner. Any but your own needs the scope `admin`.")
    ] = None,
) -> Response:
    """Count the caller's images by status, and add up the bytes of originals and variants.

    The counts are kept with each change, so the call costs the same for any number of images. Where `exact` is false
    they are approximate. An upload ticket is not counted before its bytes have arrived.

    An API key with the scope `admin` gets the counts of another owner with `owner`.
    """
    found = services.counters.get(caller.list_owner(owner))
    return json_answer(_build(services, found, services.get_quota(caller, found.owner)), headers=_CACHING)


@router.get(
    "/stats/owners",
    operation_id="list_stats_of_owners",
    summary="Count images and bytes of every owner",
    responses={200: model_response(StatsList), **problem_responses("bad_cursor", "invalid_request")},
)
@requires(Scope.ADMIN)
def list_stats_of_owners(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Owners per page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page.")] = None,
) -> Response:
    """List all owners who have images, in the order of their names, with the counts of `GET /stats`.

    Where `exact` is false, an owner whose images are all deleted stays in the list for up to two weeks.
    """
    paging = Paging(services.cursors, _OWNERS, limit, cursor)
    found, following = paging.read(services.counters.list, lambda counts: counts.owner)
    shown = [_build(services, each, services.limits.quota) for each in found]
    return json_answer(StatsList(items=shown, next_cursor=following), headers=_CACHING)


def _build(services: Services, found: OwnerCounts, quota: Quota) -> Stats:
    return build_stats(found, services.limits.recipe, quota, exact=services.counters.exact)
