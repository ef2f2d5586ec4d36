"""A backend that accepts a connection and says nothing: every request is answered all the same, and so is the next."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.api.middleware import gateway
from tests.entry_points.opened import Answer, Context, Place, get_event, opened, upload_event
from tests.samples import encoded
from tests.tiers import smoke

IMAGE = "/images/019a9d1c-7c1e-7a3b-9f60-3d2b5a1c8e47"
Api = Callable[..., Answer]


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Listen on an address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as hole:
        yield f"http://127.0.0.1:{hole.getsockname()[1]}"


@pytest.fixture(params=smoke(["S3", "DYNAMODB"]))
def api(request: pytest.FixtureRequest, aws_place: Place, black_hole: str, tmp_path: Path) -> Iterator[Api]:
    """The API's function with one backend that hangs. Its client gives up after 20 seconds, with another problem."""
    environment = {**aws_place.environment, f"AWS_ENDPOINT_URL_{request.param}": black_hole}
    with opened("app.lambda_api", environment, tmp_path) as entry_point:
        yield lambda event, seconds=30: Answer(entry_point.handler(event, Context(seconds)))


@pytest.mark.slow
def test_a_request_is_answered_before_the_function_ends_and_the_next_one_works(api: Api, tmp_path: Path) -> None:
    started = time.monotonic()
    answer = api(upload_event(encoded() + bytes(2_000_000)), seconds=2.5)
    assert time.monotonic() - started > 0.9
    problem = answer.problem(503, "out_of_time")
    assert problem["request_id"] == "BpT3Vj2CDoEEJGw="
    assert answer.headers["retry-after"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    for _ in range(3):
        assert api(get_event("/healthz")).json() == {"status": "ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_request_for_which_no_time_is_left_is_answered_too(api: Api) -> None:
    assert api(get_event(IMAGE), seconds=1).problem(503, "out_of_time")
    assert api(get_event("/limits")).status == 200


@pytest.mark.slow
def test_a_request_takes_25_seconds_at_most_whatever_time_the_function_has(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gateway.MAX_SECONDS == 25
    monkeypatch.setattr(gateway, "MAX_SECONDS", 1)
    assert api(upload_event(encoded()), seconds=900).problem(503, "out_of_time")
    assert api(get_event("/healthz")).status == 200
