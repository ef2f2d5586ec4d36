"""Responses with records, and conditional requests."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, WithJsonSchema
from starlette.responses import RedirectResponse, Response

from app.api.http.problem_catalog import refusal
from app.api.views.embed import ShownImage
from app.api.views.image import ImageView
from app.domain.images.urls import UrlSource

# An element of a list of entity tags (RFC 9110 section 8.8.3), which may be empty.
_ELEMENT = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(?:,|$)')
_OWN_TAG = re.compile(r"v(\d{1,18})(?:-.*)?")
_FOUND_CHARACTERS = 80
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')

_DESCRIBED_TAG = {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*")$', "examples": ['"v7"']}
#: An element of `If-Match`, described as an entity tag or `*`. `parse_if_match` checks it.
EntityTag = Annotated[str, WithJsonSchema(_DESCRIBED_TAG)]


def json_answer(content: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a model as JSON, without validating it again."""
    return Response(content.model_dump_json(), status, headers, "application/json")


def image_response(shown: ImageView, tag: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a record with its `ETag`. Only the caller may store it, and must revalidate it each time."""
    return json_answer(shown, status, {"ETag": tag, "Cache-Control": "private, no-cache", **(headers or {})})


def etag(image: ShownImage, urls: UrlSource) -> str:
    """Build the entity tag of a view: the version of the record and the edition of its urls, which may expire.

    Call it before building the urls. A condition on the record compares the version only: `"v7"` and `"v7-<edition>"`
    are the same record with other urls.
    """
    edition = urls.edition(image) if image.variants else ""
    return f'"v{image.version}-{edition}"' if edition else f'"v{image.version}"'


def redirect(url: str, base_path: str, headers: Mapping[str, str]) -> Response:
    """Redirect to a url. A path gets the path prefix of the service."""
    return RedirectResponse(base_path + url if url.startswith("/") else url, 307, headers)


def not_modified(if_none_match: str | None, tag: str) -> bool:
    """Return True if an `If-None-Match` header contains the tag, compared weakly (RFC 9110 section 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match[:4096])


def parse_if_match(fields: Sequence[str]) -> frozenset[int] | None:
    """Return the versions that `If-Match` headers name; None if every version matches.

    Tags are compared strongly (RFC 9110 section 13.1.1): weak ones, and those that this service did not make, match
    nothing. Raises `Malformed`.
    """
    text = ", ".join(fields).strip()
    if not fields or text == "*":
        return None
    tags: list[tuple[str | None, str]] = []
    position = 0
    while position < len(text):
        element = _ELEMENT.match(text, position)
        if element is None:
            break
        position = element.end()
        if element[2] is not None:
            tags.append((element[1], element[2]))
    if position < len(text) or not tags:
        raise refusal("bad_if_match", found=text[:_FOUND_CHARACTERS])
    own = [_OWN_TAG.fullmatch(tag) for weak, tag in tags if not weak]
    return frozenset(int(found[1]) for found in own if found)
