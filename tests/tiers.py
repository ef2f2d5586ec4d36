"""Parameters of which some run in the fast tier and all others in the slow one."""

from collections.abc import Iterable
from typing import Any

import pytest


def smoke(values: Iterable[Any], fast: int = 1) -> list[Any]:
    """Return the parameters; all but the first `fast` of them are marked `slow`."""
    marks = [pytest.mark.slow]
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=marks if number >= fast else ())
        for number, value in enumerate(values)
    ]
