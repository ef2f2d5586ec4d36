"""Catalog of the API's problems: class or status, sentence and example of each code. Those of the domain are copies."""

from typing import Any

from app.api.http.problem_types.access import ACCESS
from app.api.http.problem_types.bodies import BODIES
from app.api.http.problem_types.fields import FIELDS
from app.api.http.problem_types.images import IMAGES
from app.api.http.problem_types.problem_type import ProblemTypes
from app.api.http.problem_types.service import SERVICE
from app.api.http.problem_types.sizes import SIZES
from app.api.http.problem_types.webhooks import WEBHOOKS
from app.domain.errors import RequestError

CATALOG: ProblemTypes = {**BODIES, **FIELDS, **ACCESS, **IMAGES, **SIZES, **WEBHOOKS, **SERVICE}


def refusal(code: str, detail: str | None = None, **members: Any) -> RequestError:
    """Build the error of a code. `members` fill in the sentence, unless `detail` is given, and go into the document.

    `headers` and `retry_after` are those of `RequestError` and its subclasses.
    """
    problem = CATALOG[code]
    kind = RequestError if isinstance(problem.kind, int) else problem.kind
    return kind(code, problem.detail.format(**members) if detail is None else detail, **members)
