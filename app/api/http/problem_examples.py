"""Responses of the API's description: models by reference, and an example of each problem."""

from typing import Any

from pydantic import BaseModel

from app.api.http.problem_catalog import CATALOG
from app.api.http.problems import MEDIA_TYPE, problem_document
from app.api.http.statuses import PHRASES

Responses = dict[int | str, dict[str, Any]]

#: Problems of every operation, and refusals of the self-hosted server.
_EVERYWHERE = ("unavailable", "out_of_time", "overloaded")
_BY_DEFAULT = (
    "internal_error", "bad_request_head", "bad_chunk", "head_too_large", "unsupported_transfer_encoding",
    "unsupported_http_version",
)  # fmt: skip


def model_response(model: type[BaseModel], description: str | None = None) -> dict[str, Any]:
    """Describe a response by reference to a model of `openapi.MODELS`.

    FastAPI's `response_model` would build a serializer per route at the start, and validate models again.
    """
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
    return {"content": content} | ({"description": description} if description else {})


def problem_responses(*codes: str) -> Responses:
    """Describe the error responses of a route by status, with an example for each code and for those of every route."""
    responses: Responses = {}
    for code in (*codes, *_EVERYWHERE):
        _add(responses, CATALOG[code].status, PHRASES[CATALOG[code].status], code)
    for code in _BY_DEFAULT:
        _add(responses, "default", "Any other problem", code)
    return responses


def build_example(code: str) -> dict[str, Any]:
    """Build the problem document that shows a code."""
    problem = CATALOG[code]
    detail = problem.detail.format(**problem.sample)
    return problem_document(problem.status, code, detail, "4f9c2a7be1d84c0f", problem.sample)


def _add(responses: Responses, key: int | str, description: str, code: str) -> None:
    response = responses.setdefault(key, {"description": description, "content": {MEDIA_TYPE: {"examples": {}}}})
    content = response["content"][MEDIA_TYPE]
    content["schema"] = {"$ref": "#/components/schemas/Problem"}
    document = build_example(code)
    content["examples"][code] = {"summary": document["detail"], "value": document}
