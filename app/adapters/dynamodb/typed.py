"""DynamoDB's typed form of plain values, as "AttributeValue" of its API reference has it.

boto3 has the same, and loads itself and the SDK's transfer manager for it.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_DIGITS = 38


def typed(value: Any) -> dict[str, Any]:
    """A value in its typed form: text, whole numbers of 38 digits, truth, nothing, and lists and maps of those.

    Raises `ValueError` for a number that is too large and `TypeError` for whatever else, floats among it: DynamoDB's
    numbers cannot hold every one.
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, int):
        if abs(value) >= 10**_DIGITS:
            raise ValueError(f"a number of more than {_DIGITS} digits")
        return {"N": str(value)}
    if isinstance(value, Mapping):
        return {"M": {name: typed(inner) for name, inner in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"L": [typed(inner) for inner in value]}
    raise TypeError(f"no {type(value).__name__} can be stored")


def plain(found: Mapping[str, Any]) -> Any:
    """The value of a typed form. Fractions are floats, sets are lists: what others may have written."""
    ((kind, value),) = found.items()
    if kind == "NULL":
        return None
    if kind == "N":
        return _number(value)
    if kind == "M":
        return {name: plain(inner) for name, inner in value.items()}
    if kind == "L":
        return [plain(inner) for inner in value]
    if kind == "NS":
        return [_number(each) for each in value]
    return value


def _number(text: str) -> int | float:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)
