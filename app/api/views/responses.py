"""Responses with records, and 304 for unchanged ones."""

import re
from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import Response

from app.api.views.image import ImageView
from app.domain.images.urls import UrlSource
from app.domain.models import Image

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')


def json_answer(content: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A model as JSON. It is ours, so it is not validated again."""
    return Response(content.model_dump_json(), status, headers, "application/json")


def image_response(shown: ImageView, tag: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A record with its `ETag`; kept by nobody but the caller, and asked for again each time."""
    return json_answer(shown, status, {"ETag": tag, "Cache-Control": "private, no-cache", **(headers or {})})


def etag(image: Image, urls: UrlSource) -> str:
    """The entity tag of a record as it is answered: its version, and the edition of the urls that it shows.

    Taken before the urls are made. A condition on the record alone is one on the version: `"v7"` and `"v7-<edition>"`
    are the same record, and only the answer's urls differ.
    """
    edition = urls.edition if image.variants else ""
    return f'"v{image.version}-{edition}"' if edition else f'"v{image.version}"'


def not_modified(if_none_match: str | None, tag: str) -> bool:
    """Return True if an `If-None-Match` header names the tag, compared weakly (RFC 9110 section 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match[:4096])
