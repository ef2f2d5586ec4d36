"""Validation of query parameter names, for every route."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from app.api.http.form_fields import TEXT_FIELDS, strip_index


class QueryRule:
    """Refuse unknown query parameters, and repeated ones that are not lists.

    Ignoring a misspelled filter would list every image. Lists may be repeated. Those that are fields of an upload may
    have the names that forms use for them: `tags[]`, `tags[0]`.
    """

    def __init__(self, dependant: Dependant) -> None:
        """Read the parameters of a route."""
        parameters = dict(_parameters(dependant))
        self._names = list(parameters)
        self._lists = {name for name, annotation in parameters.items() if get_origin(annotation) is list}

    def check(self, request: Request) -> None:
        """Raise `RequestValidationError` with each unknown or repeated parameter."""
        if not request.scope["query_string"]:
            return
        times = Counter(self._known(name) for name, _ in request.query_params.multi_items())
        complaints: list[Any] = []
        for name, count in times.items():
            if name not in self._names:
                known = f"accepted: {', '.join(self._names)}" if self._names else "this path has no parameters"
                complaints.append({"type": "extra_forbidden", "loc": ("query", name), "msg": f"Unknown ({known})"})
            elif count > 1 and name not in self._lists:
                complaints.append({"type": "given_twice", "loc": ("query", name), "msg": "Given more than once"})
        if complaints:
            raise RequestValidationError(complaints)

    def _known(self, name: str) -> str:
        base = strip_index(name)
        return base if base in self._lists and base in TEXT_FIELDS else name


def _parameters(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    """Yield names and types of the query parameters of an endpoint and its dependencies."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):  # each field is a parameter
            for name, inner in annotation.model_fields.items():
                yield inner.alias or name, inner.annotation
        else:
            yield field.alias, annotation
    for needed in dependant.dependencies:
        yield from _parameters(needed)
