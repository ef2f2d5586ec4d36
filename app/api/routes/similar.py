"""Look-alikes of an image."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.dependencies import BasePathDep, ServicesDep, VisibleOwnerDep
from app.api.http.access import ScopedRoute, requires
from app.api.http.problem_examples import model_response, problem_responses
from app.api.routes.images import ImageId
from app.api.views.example import READY
from app.api.views.image import ImageView, view
from app.api.views.list_page import JsonItem, join_items
from app.api.views.list_query import DEFAULT_LIMIT, MAX_LIMIT
from app.domain.access.api_keys import Scope
from app.domain.images.similar import EXACT_DISTANCE, MAX_DISTANCE, LookAlikeSearch
from app.domain.models import Model

router = APIRouter(tags=["images"], route_class=ScopedRoute)


class SimilarImage(Model, defer_build=True):
    """A look-alike."""

    distance: int = Field(
        ge=0, le=MAX_DISTANCE, description="Number of bits, of 64, in which the perceptual hashes differ."
    )
    image: ImageView


class SimilarImageList(Model, defer_build=True):
    """Look-alikes of an image."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"distance": 2, "image": READY}], "comparable": True, "complete": True}]
        }
    )

    items: Sequence[SimilarImage] = Field(description="The closest first; of the same distance, the newest first.")
    comparable: bool = Field(
        description="False if the image is nearly uniform, such as a blank page: it is not compared with others."
    )
    complete: bool = Field(
        description="False if there can be more look-alikes: `limit` was reached, the answer was 5 MB large, or there "
        "were more than 1,000 candidates for a part of the hash, of which the newest were compared."
    )


@router.get(
    "/images/{image_id}/similar",
    operation_id="list_similar_images",
    summary="Find look-alikes",
    responses={
        200: model_response(SimilarImageList),
        **problem_responses("image_not_found", "not_ready", "invalid_request"),
    },
)
@requires(Scope.READ)
def list_similar_images(
    image_id: ImageId,
    services: ServicesDep,
    owner: VisibleOwnerDep,
    base_path: BasePathDep,
    max_distance: Annotated[
        int, Query(ge=0, le=MAX_DISTANCE, description="Number of bits in which the perceptual hashes may differ.")
    ] = EXACT_DISTANCE,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Images to return.")] = DEFAULT_LIMIT,
) -> Response:
    """Find the owner's other images whose perceptual hash differs from that of this one in few bits.

    All images within a distance of 6 are found, and most of those within 10, of which a few look alike by chance only.
    An image is found after resizing, recompression, and changes of format, brightness, contrast or color; not reliably
    after a crop of 5 % or more, with a border or a text over it, or rotated; never mirrored or turned by 90 degrees.

    Images that are not ready, nearly uniform or in the trash are not found. A new image may take a moment to be found.
    """
    image = services.images.get(owner, image_id)
    found = LookAlikeSearch(services.repository).find(image, max_distance, limit)
    shown = (
        SimilarImage(distance=each.distance, image=view(each.image, services.urls, base_path)) for each in found.items
    )
    items = join_items(JsonItem(each.image.id, each.model_dump_json().encode()) for each in shown)
    complete = found.complete and items.cut_after is None
    body = items.body(comparable=found.comparable, complete=complete)
    return Response(body, 200, {"Cache-Control": "private, no-cache"}, "application/json")
