"""The functions over moto."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.entry_points.opened import Answer, Context, Place, opened, place


@pytest.fixture(scope="module")
def aws_place() -> Iterator[Place]:
    with place() as found:
        yield found


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that is `/tmp` for the functions."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def api(aws_place: Place, scratch: Path) -> Iterator[Callable[..., Answer]]:
    """Calls the API's function with an event, and for at most so many seconds."""
    with opened("app.lambda_api", aws_place.environment, scratch) as door:
        yield lambda event, seconds=30: Answer(door.handler(event, Context(seconds)))


@pytest.fixture(scope="module")
def worker_door(aws_place: Place, scratch: Path) -> Iterator[ModuleType]:
    with opened("app.lambda_worker", aws_place.environment, scratch) as door:
        yield door


@pytest.fixture(scope="module")
def worker(worker_door: ModuleType) -> Callable[..., Any]:
    """Calls the worker's function with an event, and for at most so many seconds."""
    return lambda event, seconds=300: worker_door.handler(event, Context(seconds))
