"""Share links: urls that show an image, also a private one, to people without an API key."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import Response

from app.api.bodies.json_body import read_optional_object
from app.api.bodies.request_schemas import json_request
from app.api.dependencies import BasePathDep, ServicesDep, VisibleOwnerDep
from app.api.http.access import ScopedRoute, allow_extra_query, no_key_required, requires
from app.api.http.json_object import JsonObject
from app.api.http.log_fields import add_log_fields
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import model_response, problem_responses
from app.api.http.public_address import absolute_url
from app.api.middleware.headers import get_client_method
from app.api.routes.images import ImageId
from app.api.routes.variants import choose_variant
from app.api.services import Services
from app.api.views.responses import json_answer, redirect
from app.domain.access.api_keys import Scope
from app.domain.ids import is_id
from app.domain.images.service import check_not_trashed
from app.domain.images.sharing import DEFAULT_SECONDS, MAX_SECONDS, MIN_SECONDS, ShareLinks
from app.domain.models import Image, Model, Status, utcnow

router = APIRouter(tags=["images"], route_class=ScopedRoute)

_FIELDS = ("expires_in", "variant")

#: JSON schema of the request.
SHARE_BODY: dict[str, Any] = {
    "type": "object",
    "title": "ShareBody",
    "description": "The share link to create.",
    "additionalProperties": False,
    "properties": {
        "expires_in": {
            "type": "integer",
            "minimum": MIN_SECONDS,
            "maximum": MAX_SECONDS,
            "default": DEFAULT_SECONDS,
            "description": "Life of the link in seconds: from a minute to 30 days.",
        },
        "variant": {
            "type": ["string", "null"],
            "default": None,
            "description": "Name of the variant that the link shows; null for the largest one of the whole image.",
            "examples": ["w1280"],
        },
    },
}
_REQUEST = json_request("ShareBody", {"expires_in": 7 * 24 * 3600, "variant": "w1280"}, required=False)

_EXAMPLE: JsonDict = {
    "url": "https://img.example.org/shared/01a21211-8a9b-7bc8-801b-cadcca2023b7/w1280"
    "?expires=1796175487&signature=da1c4e3d.9AddHCIr-VMMkesUITN5Fg",
    "expires_at": "2026-12-02T09:38:07Z",
}


class ShareLink(Model, defer_build=True):
    """A url that shows an image to everybody who has it, until it expires or the image is deleted."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    url: str = Field(description="Redirects to the image. Absolute if the service knows its own address.")
    expires_at: datetime


@router.post(
    "/images/{image_id}/share",
    operation_id="share_image",
    summary="Create a share link",
    status_code=201,
    response_description="The share link",
    openapi_extra=_REQUEST,
    responses={
        201: model_response(ShareLink),
        **problem_responses(
            "image_not_found", "trashed", "variant_not_found", "bad_json", "too_deep", "duplicate_field",
            "incomplete_body", "empty_body", "request_timeout", "body_too_large", "unsupported_body", "unknown_field",
            "wrong_type", "out_of_range", "invalid_request",
        ),
    },
)  # fmt: skip
@requires(Scope.EDIT)
async def share_image(request: Request, image_id: ImageId, services: ServicesDep, owner: VisibleOwnerDep) -> Response:
    """Create a url that shows the image without an API key, also a private one. It never leads to the original.

    The link shows the current rendering, and ends with the image; it does not work while the image is in the trash. It
    cannot be revoked alone: delete the image, or replace the secret of the service.
    """
    members = await read_optional_object(request, _FIELDS)
    seconds, variant = _life(members), members.text("variant")
    image = await run_in_threadpool(services.images.get, owner, image_id)
    check_not_trashed(image)
    if variant is not None:
        _check_variant(services, image, variant)
    expires_at = (utcnow() + timedelta(seconds=seconds)).replace(microsecond=0)
    path = f"/shared/{image.id}" + (f"/{variant}" if variant else "")
    query = ShareLinks(services.signer).query(image.id, variant, expires_at)
    link = ShareLink(url=absolute_url(request.scope, f"{path}?{query}"), expires_at=expires_at)
    return json_answer(link, 201, {"Cache-Control": "no-store"})


def _life(members: JsonObject) -> int:
    if "expires_in" not in members:
        return DEFAULT_SECONDS
    seconds = members.whole_number("expires_in", "the life of the link in seconds")
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        detail = f"`expires_in` must be between {MIN_SECONDS} and {MAX_SECONDS:,} seconds (found: {seconds})."
        raise refusal("out_of_range", detail, field="expires_in", minimum=MIN_SECONDS, maximum=MAX_SECONDS)
    return seconds


def _check_variant(services: Services, image: Image, name: str) -> None:
    """Raise `NotFound` if the image has no such variant. One that is not ready will have those of the recipe."""
    if image.status is Status.READY:
        services.images.variants(image, name)
        return
    names = [spec.name for spec in services.limits.recipe.variants]
    if name not in names:
        raise refusal("variant_not_found", f"The recipe has no variant {name[:40]!a}.", variants=sorted(names))


class _OpenedLink:
    """Request for a share link."""

    def __init__(
        self,
        request: Request,
        services: ServicesDep,
        base_path: BasePathDep,
        expires: str = "",
        signature: str = "",
        accept: Annotated[str | None, Header()] = None,
    ) -> None:
        self._scope = request.scope
        self._services = services
        self._base_path = base_path
        self._signed = expires, signature
        self._accept = accept

    def redirect(self, image_id: str, variant: str | None, extension: str | None) -> Response:
        """Check the link and redirect to the variant; None stands for the largest one of the whole image."""
        if is_id(image_id):
            add_log_fields(self._scope, image_id=image_id)
        ShareLinks(self._services.signer).check(image_id, variant, *self._signed)
        images, urls = self._services.images, self._services.urls
        image = images.get(None, image_id)
        if image.trashed_at is not None:
            raise refusal("image_not_found")
        chosen = choose_variant(images.variants(image, variant), variant or "the largest", extension, self._accept)
        headers = {"Cache-Control": "private, no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
        if extension is None:
            headers["Vary"] = "Accept"
        return redirect(urls.variant(image, chosen, get_client_method(self._scope)), self._base_path, headers)


@router.get("/shared/{file}", include_in_schema=False)
@no_key_required
@allow_extra_query
def get_shared_image(file: str, link: Annotated[_OpenedLink, Depends()]) -> Response:
    """Redirect to the largest variant that shows the whole image: in the format of the extension, or else the best one
    that `Accept` allows."""
    image_id, dot, extension = file.partition(".")
    return link.redirect(image_id, None, extension if dot else None)


@router.get("/shared/{image_id}/{name}", include_in_schema=False)
@no_key_required
@allow_extra_query
def get_shared_variant(image_id: str, name: str, link: Annotated[_OpenedLink, Depends()]) -> Response:
    """Redirect to the variant: in the format of the extension, or else the best one that `Accept` allows."""
    stem, dot, extension = name.partition(".")
    return link.redirect(image_id, stem, extension if dot else None)
