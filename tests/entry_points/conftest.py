"""Functions on moto."""

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
    """Return a call of the API's function with an event and a time limit in seconds."""
    with opened("app.lambda_api", aws_place.environment, scratch) as entry_point:
        yield lambda event, seconds=30: Answer(entry_point.handler(event, Context(seconds)))


@pytest.fixture(scope="module")
def worker_module(aws_place: Place, scratch: Path) -> Iterator[ModuleType]:
    with opened("app.lambda_worker", aws_place.environment, scratch) as entry_point:
        yield entry_point


@pytest.fixture(scope="module")
def worker(worker_module: ModuleType) -> Callable[..., Any]:
    """Return a call of the worker's function with an event and a time limit in seconds."""
    return lambda event, seconds=300: worker_module.handler(event, Context(seconds))
