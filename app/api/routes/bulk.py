"""Requests for many images: one result for each id."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio
from anyio import to_thread
from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.http.problem_catalog import refusal
from app.api.http.problems import get_refusal, get_status, problem_document
from app.api.middleware.deadline import seconds_left
from app.api.views.image import DEFERRED
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


class ItemError(Model):
    """Problem of one image: the members of a problem document, without those of the request."""

    model_config = DEFERRED | ConfigDict(extra="allow")

    code: str
    title: str
    detail: str


class ItemResult(Model):
    """Result for one image."""

    model_config = DEFERRED

    id: str
    status: int = Field(description="Status code that a request for this image alone would have.")
    version: int | None = Field(default=None, description="New version of the record. Absent if the image failed.")
    error: ItemError | None = Field(default=None, description="Absent if the image was changed.")


class BulkResults(Model):
    """Results in the order of the ids."""

    model_config = DEFERRED

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
    request: Request, limiter: anyio.CapacityLimiter, ids: Sequence[str], action: Callable[[str], Image]
) -> Response:
    """Run the action for every id, some at a time, and return the results in the order of the ids."""
    left = seconds_left(request.scope)
    last_start = None if left is None else time.monotonic() + left - _SECONDS_FOR_ONE
    results: dict[str, dict[str, Any]] = {image_id: {} for image_id in ids}

    def run(image_id: str) -> dict[str, Any]:
        try:
            if last_start is not None and time.monotonic() > last_start:
                raise refusal("out_of_time")
            return {"status": 200, "version": action(image_id).version}
        except RequestError as error:
            return _failure(error)
        except Unavailable as error:
            return _failure(get_refusal(error, request.scope))

    async def keep(image_id: str) -> None:
        results[image_id] = await to_thread.run_sync(run, image_id, limiter=limiter)

    async with anyio.create_task_group() as group:
        for image_id in ids:
            group.start_soon(keep, image_id)
    # Escaped, because an id may contain an unpaired surrogate.
    content = json.dumps({"results": [{"id": image_id, **result} for image_id, result in results.items()]})
    return Response(content, 200, {"Cache-Control": "no-store"}, "application/json")


def _failure(error: RequestError) -> dict[str, Any]:
    status = get_status(error)
    document = problem_document(status, error.code, error.detail, "", error.extra)
    members = {name: value for name, value in document.items() if name not in {"type", "status", "request_id"}}
    return {"status": status, "error": members}
