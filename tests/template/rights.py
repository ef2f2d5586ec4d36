"""Decisions of IAM: policies evaluated as far as this template uses them."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tests.template.reading import Stack

Statement = Mapping[str, Any]


def statements(stack: Stack, function: str) -> list[Statement]:
    """Every statement of the function's role, which has no other policies."""
    role = stack[function]["Role"]
    (found,) = (props for key, props in stack.of_type("AWS::IAM::Role").items() if stack.arn(key) == role)
    assert "ManagedPolicyArns" not in found
    return [statement for policy in found["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def listed(value: Any) -> Sequence[str]:
    """One or several, as several."""
    return [value] if isinstance(value, str) else list(value)


def actions(found: Sequence[Statement]) -> set[str]:
    """Every action that is allowed on something."""
    return {action for statement in found for action in listed(statement["Action"])}


def allows(found: Sequence[Statement], action: str, resource: str, **context: str) -> bool:
    """Return True if the statements allow it; `context` has the request's condition keys, with `__` for `:`."""
    request = {key.replace("__", ":"): value for key, value in context.items()}
    effects = {statement["Effect"] for statement in _that_apply(found, action, resource, request)}
    return "Allow" in effects and "Deny" not in effects


def denies(found: Sequence[Statement], action: str, resource: str, request: Mapping[str, str]) -> bool:
    """Return True if a resource's policy denies any principal a request with these condition keys."""
    return any(statement["Effect"] == "Deny" for statement in _that_apply(found, action, resource, request))


def _that_apply(
    found: Sequence[Statement], action: str, resource: str, request: Mapping[str, str]
) -> Iterator[Statement]:
    for statement in found:
        if (
            any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
            and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
            and all(_met(kind, key, wanted, request) for kind, key, wanted in _conditions(statement))
        ):
            yield statement


def _conditions(statement: Statement) -> Iterator[tuple[str, str, Sequence[str]]]:
    for kind, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            yield kind, key, listed(wanted)


def _met(kind: str, key: str, wanted: Sequence[str], request: Mapping[str, str]) -> bool:
    if kind.startswith("ForAllValues:"):
        return key not in request or _met(kind.partition(":")[2], key, wanted, request)
    if kind == "Null":
        return (key not in request) == (wanted[0] == "true")
    if key not in request:
        return False
    value = request[key]
    return {
        "StringLike": lambda: any(fnmatchcase(value, pattern) for pattern in wanted),
        "ArnEquals": lambda: value in wanted,
        "StringEquals": lambda: value in wanted,
        "Bool": lambda: value in wanted,
        "NumericLessThan": lambda: float(value) < float(wanted[0]),
    }[kind]()
