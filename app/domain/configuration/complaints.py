"""Sentences about invalid environment variables, for the error that stops the start."""

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

PREFIX = "DARKROOM_"
#: Old names of settings.
RENAMED = {
    "DARKROOM_METADATA_URL": "DARKROOM_DATABASE_URL",
    "DARKROOM_DEVELOP_SECONDS": "DARKROOM_PROCESSING_TIMEOUT_SECONDS",
    "DARKROOM_DEVELOP_MEMORY_MB": "DARKROOM_PROCESSING_MEMORY_MB",
    "DARKROOM_MAX_RECEIVES": "DARKROOM_MAX_ATTEMPTS",
}
#: Fields whose values no message repeats.
_PRIVATE = frozenset({"secret", "previous_secret", "api_keys"})


def unknown_setting(name: str, known: Mapping[str, str]) -> str:
    """Return the sentence about a variable that is no setting."""
    if current := RENAMED.get(name.upper()):
        return f"{name}: renamed to {current}"
    from difflib import get_close_matches  # noqa: PLC0415 - no start needs it, as long as the names are right

    # The prefix is left out, because it alone makes all names similar.
    near = get_close_matches(name.upper().removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1)
    return f"{name}: unknown setting" + (f"; did you mean {PREFIX}{near[0]}?" if near else "")


def first_causes(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors without those that others cause: a recipe with one invalid variant has no variants."""
    problems = error.errors(include_url=False, include_context=False)
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem, here in zip(problems, places, strict=True)
        if not any(len(here) < len(place) and place[: len(here)] == here for place in places)
    ]


def invalid_setting(problem: ErrorDetails) -> str:
    """Return the sentence about an invalid value."""
    from app.domain.text import plain_message  # noqa: PLC0415 - no start needs it, as long as the values are right

    field, *inside = map(str, problem["loc"])
    sentence = plain_message(problem["msg"])
    if problem["type"] != "value_error":  # our own messages already name the value, if it may be repeated
        found = problem["input"]
        if field not in _PRIVATE and isinstance(found, str | int | float):
            sentence += f" (found: {str(found)[:80]!r})"
    return f"{'.'.join([PREFIX + field.upper(), *inside])}: {sentence}"
