"""`OnDemandRenderer` by a Lambda function: payloads, refusals and failures."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from app.adapters.render_function import FunctionRenderer
from app.domain.errors import Missing, NotRenderable, RendererBusy, Unavailable
from app.domain.models import Format
from app.domain.ports import RenderedSize
from app.domain.recipe import Fit
from app.domain.sizes.operation import Operation

OPERATION = Operation(640, None, Fit.INSIDE, Format.WEBP, 75)
RENDERED = {"key": "ondemand/x/w640-q75.webp", "media_type": "image/webp", "bytes": 12, "etag": '"tag"'}


class Client:
    """Answers each invocation with `answer`, or raises it."""

    def __init__(self, answer: Any, *, failed: bool = False) -> None:
        self.calls: list[dict[str, Any]] = []
        self._answer = answer
        self._failed = failed

    def invoke(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        if isinstance(self._answer, Exception):
            raise self._answer
        content = self._answer if isinstance(self._answer, bytes) else json.dumps(self._answer).encode()
        return {"Payload": io.BytesIO(content), **({"FunctionError": "Unhandled"} if self._failed else {})}


def render(client: Client) -> RenderedSize:
    return FunctionRenderer(lambda: client, "render").render("x", OPERATION)


def test_the_function_is_invoked_with_the_size_and_returns_its_key() -> None:
    client = Client(RENDERED)
    assert render(client) == RenderedSize(**RENDERED)  # type: ignore[arg-type]
    (call,) = client.calls
    assert call["FunctionName"] == "render"
    assert json.loads(call["Payload"]) == {"image_id": "x", "operation": "w640-q75.webp"}


def test_the_client_is_made_for_the_first_size() -> None:
    made: list[Client] = []

    def connect() -> Client:
        made.append(Client(RENDERED))
        return made[-1]

    renderer = FunctionRenderer(connect, "render")
    assert made == []
    renderer.render("x", OPERATION)
    made[0]._answer = RENDERED
    renderer.render("x", OPERATION)
    assert len(made) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": "Missing"}, Missing),
        ({"error": "RendererBusy", "retry_after": 5}, RendererBusy),
        ({"error": "NotRenderable", "code": "memory", "detail": "It needs more."}, NotRenderable),
        ({"error": "Unavailable"}, Unavailable),
        (ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"), RendererBusy),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "Invoke"), Unavailable),
        (ReadTimeoutError(endpoint_url="https://lambda"), Unavailable),
        (b"nonsense", Unavailable),
        (b"x" * 100_000, Unavailable),
    ],
)
def test_errors_are_those_of_the_port(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        render(Client(answer))
    assert type(caught.value) is error


def test_a_function_that_ended_without_an_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="failed"):
        render(Client({"errorMessage": "Task timed out"}, failed=True))
