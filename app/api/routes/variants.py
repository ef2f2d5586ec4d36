"""Short ways to the bytes: redirects to the url that holds them."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from starlette.responses import RedirectResponse, Response

from app.api.dependencies import Base, Handed, Sees
from app.api.http.accept import best
from app.api.http.access import KeyedRoute, link, needs
from app.api.http.problem_examples import problems
from app.api.routes.images import ImageId
from app.domain.access.api_keys import Scope
from app.domain.errors import NotAcceptable, NotFound
from app.domain.models import Format, Variant

router = APIRouter(tags=["images"], route_class=KeyedRoute)

_REDIRECT: dict[int | str, dict[str, Any]] = {
    307: {
        "description": "To the url that holds the bytes",
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
    responses={**_REDIRECT, **problems("image_not_found", "not_ready", "not_served")},
)
@needs(Scope.READ)
@link
def get_original(image_id: ImageId, parts: Handed, owner: Sees, base: Base) -> Response:
    """The bytes as sent, to be saved under their name."""
    return _redirect(parts.urls.original(parts.images.original(owner, image_id)), base)


@router.get(
    "/images/{image_id}/variants/{name}",
    operation_id="get_variant",
    summary="Get a variant's bytes",
    status_code=307,
    response_class=Response,
    responses={
        **_REDIRECT,
        **problems("image_not_found", "variant_not_found", "format_not_found", "not_acceptable", "not_ready"),
    },
)
@needs(Scope.READ)
@link
def get_variant(
    image_id: ImageId,
    name: Annotated[
        str, Path(description="`w1280`, or with a format's ending: `w1280.jpg`, `.webp`, `.png`, `.avif`.")
    ],
    parts: Handed,
    owner: Sees,
    base: Base,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """With an ending that format, without one the best that `Accept` allows."""
    stem, dot, ending = name.partition(".")
    image, variants = parts.images.variants(owner, image_id, stem)
    formats = [variant.format for variant in variants]
    chosen = _BY_EXTENSION.get(ending) if dot else best(accept, formats)
    if dot and chosen not in formats:
        raise NotFound("format_not_found", f"The variant {stem!a} has no such format.", formats=formats)
    if chosen is None:
        raise NotAcceptable("not_acceptable", "None of the formats is acceptable.", formats=formats)
    url = parts.urls.variant(image, _of(variants, chosen))
    return _redirect(url, base, {} if dot else {"Vary": "Accept"})


def _of(variants: Sequence[Variant], chosen: Format | None) -> Variant:
    return next(variant for variant in variants if variant.format is chosen)


def _redirect(url: str, base: str, headers: dict[str, str] | None = None) -> Response:
    target = base + url if url.startswith("/") else url
    return RedirectResponse(target, 307, {"Cache-Control": "no-cache", **(headers or {})})
