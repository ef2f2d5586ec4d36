"""One rule for the query of every route: see `QueryRule`."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from app.api.http.form_fields import base_name


class QueryRule:
    """Refuses parameters that a route does not know, and single ones that are given twice.

    A filter or an option with a typo must not be dropped without a word: the list would have everything in it. Lists
    may be repeated, and spelled as those of forms are.
    """

    def __init__(self, dependant: Dependant) -> None:
        """Read the parameters of a route."""
        parameters = dict(_parameters(dependant))
        self._names = list(parameters)
        self._lists = {name for name, annotation in parameters.items() if get_origin(annotation) is list}

    def check(self, request: Request) -> None:
        """Raise `RequestValidationError` naming each parameter that breaks the rule."""
        times = Counter(self._known(name) for name, _ in request.query_params.multi_items())
        complaints: list[Any] = []
        for name, count in times.items():
            if name not in self._names:
                known = f"known are {', '.join(self._names)}" if self._names else "there are none here"
                complaints.append({"type": "extra_forbidden", "loc": ("query", name), "msg": f"Unknown ({known})"})
            elif count > 1 and name not in self._lists:
                complaints.append({"type": "given_twice", "loc": ("query", name), "msg": "Given more than once"})
        if complaints:
            raise RequestValidationError(complaints)

    def _known(self, name: str) -> str:
        base = base_name(name)
        return base if base in self._lists else name


def _parameters(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    """Names and types of the parameters of an endpoint and of what it depends on."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):  # a model whose fields they are
            for name, inner in annotation.model_fields.items():
                yield inner.alias or name, inner.annotation
        else:
            yield field.alias, annotation
    for needed in dependant.dependencies:
        yield from _parameters(needed)
