"""Requests for many images: one result for each id."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.http.problem_catalog import refusal
from app.api.http.problems import get_refusal, get_status, problem_document
from app.api.middleware.deadline import seconds_left
from app.domain.errors import RequestError, Unavailable
from app.domain.models import Image, Model
from app.domain.uploads.field_values import missing_field, wrong_type

MAX_IDS = 100

# Reserved for images in progress if the request has a deadline. The others are reported as `out_of_time`.
_SECONDS_FOR_ONE = 5.0
#: JSON schema of the ids.
IDS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_IDS,
    "items": {"type": "string"},
    "description": "Ids of the images. Duplicates count once.",
}


class ItemError(Model, defer_build=True):
    """Problem of one image: the members of a problem document, without those of the request."""

    model_config = ConfigDict(extra="allow")

    code: str
    title: str
    detail: str


class ItemResult(Model, defer_build=True):
    """Result for one image."""

    id: str
    status: int = Field(description="Status code that a request for this image alone would have.")
    version: int | None = Field(
        default=None, description="New version of the record. Absent if the image failed or was deleted."
    )
    error: ItemError | None = Field(default=None, description="Absent if the image was changed or deleted.")


_EXAMPLE: dict[str, Any] = {
    "results": [
        {"id": "01a21211-8a9b-7bc8-801b-cadcca2023b7", "status": 200, "version": 4},
        {
            "id": "no-id",
            "status": 404,
            "error": {
                "code": "image_not_found",
                "title": "Not Found",
                "detail": "There is no image with this id.",
            },
        },
    ]
}


class BulkResults(Model, defer_build=True):
    """Results in the order of the ids."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    results: list[ItemResult]


def parse_ids(value: object) -> list[str]:
    """Return the ids of a request without duplicates. They may be malformed. Raises `Invalid`."""
    if value is None or value == []:
        raise missing_field("ids", f"1 to {MAX_IDS} ids of images")
    if not isinstance(value, list):
        raise wrong_type("ids", "a list of strings", value)
    for each in value:
        if not isinstance(each, str):
            raise wrong_type("ids", "a list of strings", each)
    if len(value) > MAX_IDS:
        detail = f"`ids` has {len(value)} ids. The limit is {MAX_IDS}."
        raise refusal("too_long", detail, field="ids", measured=len(value), limit=MAX_IDS)
    return list(dict.fromkeys(value))


async def answer_for_each(
    request: Request, threads: Executor, ids: Sequence[str], action: Callable[[str], Image | None]
) -> Response:
    """Run the action for every id in the threads, and return the results in the order of the ids.

    The action returns the record after the change, or None without a record.
    """
    left = seconds_left(request.scope)
    last_start = None if left is None else time.monotonic() + left - _SECONDS_FOR_ONE

    def run(image_id: str) -> dict[str, Any]:
        try:
            if last_start is not None and time.monotonic() > last_start:
                raise refusal("out_of_time")
            image = action(image_id)
            return {"id": image_id, "status": 204} if image is None else _success(image_id, image)
        except RequestError as error:
            return _failure(image_id, error)
        except Unavailable as error:
            return _failure(image_id, get_refusal(error, request.scope))

    # If the request is canceled, images that no thread has begun with are left as they are.
    results = await asyncio.gather(*(asyncio.wrap_future(threads.submit(run, image_id)) for image_id in ids))
    content = json.dumps({"results": results})  # escaped, because an id may contain an unpaired surrogate
    return Response(content, 200, {"Cache-Control": "no-store"}, "application/json")


def _success(image_id: str, image: Image) -> dict[str, Any]:
    return {"id": image_id, "status": 200, "version": image.version}


def _failure(image_id: str, error: RequestError) -> dict[str, Any]:
    status = get_status(error)
    document = problem_document(status, error.code, error.detail, "", error.extra)
    members = {name: value for name, value in document.items() if name not in {"type", "status", "request_id"}}
    return {"id": image_id, "status": status, "error": members}
