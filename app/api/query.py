"""What holds for every query."""

from collections import Counter
from typing import Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError


async def _once(request: Request) -> None:
    times = Counter(name for name, _ in request.query_params.multi_items())
    complaints: list[Any] = [
        {"type": "given_twice", "loc": ("query", name), "msg": "It is there twice."}
        for name, count in times.items()
        if count > 1
    ]
    if complaints:
        raise RequestValidationError(complaints)


#: Refuses a parameter that is there twice: of two filters one would be dropped without a word.
EACH_ONCE = Depends(_once)
