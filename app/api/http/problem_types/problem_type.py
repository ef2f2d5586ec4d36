"""Type of a problem: class or status, sentence and example."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from app.api.http.statuses import STATUS
from app.domain.errors import RequestError


class ProblemType(NamedTuple):
    """One code: its error class, or the status of a problem that has no class, and the template of its sentence.

    `sample` are the members of an example; they fill in the template.
    """

    kind: type[RequestError] | int
    detail: str
    sample: Mapping[str, Any] = MappingProxyType({})

    @property
    def status(self) -> int:
        """Status code of the response."""
        return self.kind if isinstance(self.kind, int) else STATUS[self.kind]


ProblemTypes = Mapping[str, ProblemType]
