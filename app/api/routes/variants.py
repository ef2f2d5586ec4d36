"""Redirects to the urls of originals and variants."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from starlette.responses import RedirectResponse, Response

from app.api.dependencies import BasePathDep, ServicesDep, VisibleOwnerDep
from app.api.http.accept import negotiate_format
from app.api.http.access import ScopedRoute, allow_extra_query, requires
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import problem_responses
from app.api.routes.images import ImageId
from app.domain.access.api_keys import Scope
from app.domain.models import Format

router = APIRouter(tags=["images"], route_class=ScopedRoute)

_REDIRECT: dict[int | str, dict[str, Any]] = {
    307: {
        "description": "Redirect to the url of the file",
        "headers": {"Location": {"schema": {"type": "string", "format": "uri-reference"}}},
    }
}
_BY_EXTENSION = {form.extension: form for form in Format} | {"jpeg": Format.JPEG}


@router.get(
    "/images/{image_id}/original",
    operation_id="get_original",
    summary="Download the original",
    status_code=307,
    response_class=Response,
    responses={**_REDIRECT, **problem_responses("image_not_found", "not_ready", "not_served")},
)
@requires(Scope.READ)
@allow_extra_query
def get_original(image_id: ImageId, services: ServicesDep, owner: VisibleOwnerDep, base_path: BasePathDep) -> Response:
    """Redirect to the original file. Browsers save it under its file name."""
    return _redirect(services.urls.original(services.images.original(owner, image_id)), base_path)


@router.get(
    "/images/{image_id}/variants/{name}",
    operation_id="get_variant",
    summary="Download a variant",
    status_code=307,
    response_class=Response,
    responses={
        **_REDIRECT,
        **problem_responses("image_not_found", "variant_not_found", "format_not_found", "not_acceptable", "not_ready"),
    },
)
@requires(Scope.READ)
@allow_extra_query
def get_variant(
    image_id: ImageId,
    name: Annotated[
        str,
        Path(
            description="Name of the variant, such as `w1280`, or with a format: `w1280.jpg`, `.webp`, `.png`, `.avif`."
        ),
    ],
    services: ServicesDep,
    owner: VisibleOwnerDep,
    base_path: BasePathDep,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Redirect to the file of a variant: in the format of the extension, or else the best one that `Accept` allows."""
    stem, dot, extension = name.partition(".")
    image, variants = services.images.variants(owner, image_id, stem)
    formats = [variant.format for variant in variants]
    chosen = _BY_EXTENSION.get(extension) if dot else negotiate_format(accept, formats)
    if dot and chosen not in formats:
        raise refusal("format_not_found", variant=stem, formats=formats)
    if chosen is None:
        raise refusal("not_acceptable", formats=formats)
    variant = variants[formats.index(chosen)]
    return _redirect(services.urls.variant(image, variant), base_path, {} if dot else {"Vary": "Accept"})


def _redirect(url: str, base_path: str, headers: dict[str, str] | None = None) -> Response:
    target = base_path + url if url.startswith("/") else url
    return RedirectResponse(target, 307, {"Cache-Control": "no-cache", **(headers or {})})
