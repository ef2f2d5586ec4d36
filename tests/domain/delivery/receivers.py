"""Receivers of webhooks that answer as a test says, and a clock that the test moves."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from app.domain.access.signing import Signer
from app.domain.delivery.endpoints import EndpointSecrets, WebhookEndpoint, new_endpoint_id
from app.domain.ports.outbound import Answer

SECRETS = EndpointSecrets(Signer(b"a secret of the tests"))


class Clock:
    """Time that stands still. It is the present at first, because the reference library compares it with its own."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, delay: timedelta) -> None:
        self.now += delay


class Receiver:
    """`OutboundHttp` whose answers are those of `answer`. Requests are verified by the reference library."""

    def __init__(self, answer: Callable[[], Answer | Exception]) -> None:
        self.answer = answer
        self.requests: list[tuple[str, Mapping[str, str], bytes]] = []

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.requests.append((url, headers, body))
        answer = self.answer()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.requests]


def answers(*statuses: int, retry_after: float | None = None) -> Callable[[], Answer]:
    """Answer with these statuses in turn, and then always with the last one."""
    left = list(statuses)
    return lambda: Answer(left.pop(0) if len(left) > 1 else left[0], retry_after, 3)


def an_endpoint(**fields: Any) -> WebhookEndpoint:
    now = datetime.now(UTC)
    usual = {"id": new_endpoint_id(), "url": "https://hooks.example.com/in", "created_at": now, "updated_at": now}
    return WebhookEndpoint.model_validate(usual | fields)


def verified(endpoint: WebhookEndpoint, headers: Mapping[str, str], body: bytes) -> Any:
    """Return the body of a request after the reference library has verified it."""
    Webhook(SECRETS.current(endpoint)).verify(body.decode(), dict(headers))
    return json.loads(body)
