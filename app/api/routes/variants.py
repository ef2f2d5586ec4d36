"""Redirects to the urls of originals and variants."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from starlette.responses import Response

from app.api.dependencies import BasePathDep, ServicesDep, VisibleOwnerDep
from app.api.http.accept import negotiate_format
from app.api.http.access import ScopedRoute, admit, allow_extra_query, requires, requires_unless_public
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import problem_responses
from app.api.http.public_address import get_base_path
from app.api.middleware.headers import get_client_method
from app.api.routes.images import ImageId
from app.api.services import Services
from app.api.views.responses import redirect
from app.domain.access.api_keys import Scope
from app.domain.images.choice import current_variant, format_by_extension, largest_variant
from app.domain.images.urls import is_public
from app.domain.models import Image, Status, Variant, utcnow

router = APIRouter(tags=["images"], route_class=ScopedRoute)

#: Seconds for which caches may keep a redirect to a public variant.
PUBLIC_SECONDS = 300
_REDIRECT: dict[int | str, dict[str, Any]] = {
    307: {
        "description": "Redirect to the url of the file",
        "headers": {"Location": {"schema": {"type": "string", "format": "uri-reference"}}},
    }
}


@router.get(
    "/images/{image_id}/original",
    operation_id="get_original",
    summary="Download the original",
    status_code=307,
    response_class=Response,
    responses={**_REDIRECT, **problem_responses("image_not_found", "not_ready", "not_served")},
)
@requires(Scope.READ, is_rate_limited=False)
@allow_extra_query
def get_original(
    request: Request, image_id: ImageId, services: ServicesDep, owner: VisibleOwnerDep, base_path: BasePathDep
) -> Response:
    """Redirect to the original file. Browsers save it under its file name."""
    url = services.urls.original(services.images.original(owner, image_id), get_client_method(request.scope))
    return redirect(url, base_path, {"Cache-Control": "no-cache"})


@router.get(
    "/images/{image_id}/variants/{name}",
    operation_id="get_variant",
    summary="Show a variant",
    status_code=307,
    response_class=Response,
    responses={
        **_REDIRECT,
        **problem_responses("image_not_found", "variant_not_found", "format_not_found", "not_acceptable", "not_ready"),
    },
)
@requires_unless_public(Scope.READ)
@allow_extra_query
def get_variant(
    request: Request,
    image_id: ImageId,
    name: Annotated[
        str,
        Path(description="Name of the variant, such as `w1280`, or with a format: `.jpg`, `.webp`, `.png`, `.avif`, …"),
    ],
    services: ServicesDep,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Redirect to the file of a variant: in the format of the extension, or else the best one that `Accept` allows.

    The url lasts: it leads to the current rendering. That of a public image can be put into any page. With an extension
    it then shows the image also after a change of the recipe: without such a variant, another one of the image.
    """
    stem, dot, extension = name.partition(".")
    image = services.images.get_shown(image_id, lambda: admit(request, Scope.READ).visible_owner)
    return redirect_to_variant(request, services, image, stem, extension if dot else None, accept)


def redirect_to_variant(
    request: Request, services: Services, image: Image, name: str | None, extension: str | None, accept: str | None
) -> Response:
    """Redirect to the variant of that name; for None, to the largest one of the whole image. Raises `RequestError`."""
    variant = _replacement(image, f"{name}.{extension}", extension) if name is not None and extension else None
    if variant is None:
        variant = choose_variant(services.images.variants(image, name), name or "the largest", extension, accept)
    url = services.urls.variant(image, variant, get_client_method(request.scope))
    headers = {"Vary": "Accept"} if extension is None else {}
    base_path = get_base_path(request.scope)
    if not is_public(image):
        return redirect(url, base_path, headers | {"Cache-Control": "no-cache"})
    return redirect(url, base_path, headers | public_redirect_headers(services.urls.expires_at(image)))


def _replacement(image: Image, file: str, extension: str) -> Variant | None:
    """Return the variant that a file name in a page stands for, if the image is public and ready."""
    lasts = is_public(image) and image.status is Status.READY and format_by_extension(extension) is not None
    return current_variant(image, file) if lasts else None


def choose_variant(variants: Sequence[Variant], name: str, extension: str | None, accept: str | None) -> Variant:
    """Return the largest variant in the format of the extension, or else in the best one that `Accept` allows.

    Raises `NotFound` and `NotAcceptable`.
    """
    formats = list(dict.fromkeys(variant.format for variant in variants))
    chosen = negotiate_format(accept, formats) if extension is None else format_by_extension(extension)
    found = largest_variant(variant for variant in variants if variant.format is chosen)
    if found is None and extension is None:
        raise refusal("not_acceptable", formats=formats)
    if found is None:
        raise refusal("format_not_found", variant=name, formats=formats)
    return found


def public_redirect_headers(expires_at: datetime | None) -> dict[str, str]:
    """Return headers of a redirect to a public variant. Caches keep it for half of the time that the target has left,
    at most, and pages of every site may show it."""
    left = PUBLIC_SECONDS if expires_at is None else (expires_at - utcnow()).total_seconds() / 2
    return {
        "Cache-Control": f"public, max-age={max(0, min(PUBLIC_SECONDS, int(left)))}",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
