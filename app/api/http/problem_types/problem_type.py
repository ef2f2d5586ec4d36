"""Type of a problem: class or status, sentence and example."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.api.http.statuses import STATUS
from app.domain.errors import RequestError


@dataclass(frozen=True)
class ProblemType:
    """One code: its error class, or the status of a problem that has no class, and the template of its sentence.

    `sample` are the members of an example; they fill in the template.
    """

    kind: type[RequestError] | int
    detail: str
    sample: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Status code of the response."""
        return self.kind if isinstance(self.kind, int) else STATUS[self.kind]


ProblemTypes = Mapping[str, ProblemType]
