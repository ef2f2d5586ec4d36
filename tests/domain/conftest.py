"""Domain tests run on every side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sides import SIDES, Side, side_parameters


@pytest.fixture(params=side_parameters())
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    with SIDES[request.param](tmp_path) as made:
        yield made
