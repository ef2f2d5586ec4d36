"""Requests that Schemathesis generates from the OpenAPI document, and the check of the responses.

Needs `requirements/openapi.txt`: imported by the tests of these requests only.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, cycle
from typing import Any

import requests
import schemathesis
import urllib3
from hypothesis import HealthCheck, Phase, settings
from requests.adapters import HTTPAdapter
from schemathesis.checks import load_all_checks
from schemathesis.pytest.lazy import get_all_tests

from app.domain.access.key_admin import KeyAdmin
from app.domain.delivery.backends import Webhooks
from app.domain.delivery.deliveries import build_delivery
from app.domain.delivery.endpoints import WebhookEndpoint, new_endpoint_id
from app.domain.delivery.events import build_test_event
from app.domain.models import Failure, FailureCode, Image, Status, Visibility, utcnow
from tests.api.service import Service

#: Checks of Schemathesis that do not apply, with the reason.
LEFT_OUT = {
    "positive_data_acceptance": "a schema cannot say which bytes are an image, or which cursor was signed",
    "negative_data_rejection": "more is accepted than described, such as null in place of an absent field",
    "ignored_auth": "it sends requests of its own over the network; those without a valid API key have their own test",
    "allow_header_conformance": "`/images/edit` is also an `/images/{image_id}`, whose methods `Allow` lists",
}
#: The same requests in each run. Those of the coverage phase, which the schema determines, come on top.
SETTINGS = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def load(service: Service, *, invent_keys: bool) -> schemathesis.BaseSchema:
    """Load the document of a service. With `invent_keys`, requests have generated API keys."""
    options = {
        "seed": 1,
        "base-url": str(service.client.base_url).rstrip("/"),
        "generation": {"with-security-parameters": invent_keys},
        "checks": {name: {"enabled": False} for name in LEFT_OUT},
    }
    document = service.client.get("/openapi.json").json()
    return schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(options))


def tests_of(schema: schemathesis.BaseSchema, check: Callable[..., None]) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the name of each operation, and a test that runs the check on its requests.

    Uses what is behind `schema.parametrize`, which needs the schema when tests are collected, and `from_fixture`, which
    does not work with pytest 9.2. Checked against Schemathesis 4.32.5.
    """
    load_all_checks()
    for found in get_all_tests(schema=schema, test_func=check, settings=SETTINGS, given_kwargs={}):
        operation, test = found.ok()
        yield operation.label, test


class Transport(HTTPAdapter):
    """Send prepared requests through the client of a service."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._client = service.client

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """See `HTTPAdapter`."""
        headers = [(name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
            for name, value in request.headers.items()]  # fmt: skip
        got = self._client.request(str(request.method), str(request.url), headers=headers, content=request.body)
        found = urllib3.HTTPHeaderDict()
        for name, value in got.headers.multi_items():
            found.add(name, value)
        raw = urllib3.HTTPResponse(
            io.BytesIO(got.content), found, got.status_code, preload_content=False, request_method=request.method
        )
        return self.build_response(request, raw)


class Scene:
    """Images of every kind, in turn."""

    def __init__(self, service: Service, owner: str) -> None:
        self._service = service
        failure = Failure(code=FailureCode.CORRUPT_IMAGE, detail="The file is damaged.")
        self._kinds = (
            {"owner": owner, "visibility": Visibility.PUBLIC, "phash": "d2c3aec9e93f12c0"},
            {"owner": owner, "phash": "d2c3aec9e93f12c3"},
            {"owner": owner, "trashed_at": utcnow()},
            {"owner": owner, "status": Status.PENDING},
            {"owner": owner, "status": Status.FAILED, "error": failure},
            {"owner": "another"},
        )
        self._placed: dict[int, Image] = {}
        self._seeds = count(1000)
        self._turns = cycle(range(len(self._kinds)))

    def next(self) -> Image:
        """Return an existing image, of the next kind."""
        return self._place(next(self._turns))

    def public(self) -> Image:
        """Return the public image."""
        return self._place(0)

    def api_key(self) -> str:
        """Return the id of a new API key in the store."""
        admin = KeyAdmin(self._service.side.key_store)
        return admin.create(name="generated", owner="ann", scopes=["read"])[1].id

    def webhook(self) -> str:
        """Return the id of a new webhook endpoint, instead of the one before."""
        store = self._webhooks.endpoints
        for endpoint in store.all():
            store.delete(endpoint.id)
        now = utcnow()
        url = "https://hooks.example.com/darkroom"
        made = WebhookEndpoint(id=new_endpoint_id(), url=url, created_at=now, updated_at=now)
        store.create(made)
        return made.id

    def delivery(self) -> str:
        """Return the id of a new delivery to a new endpoint."""
        event = build_test_event("ann", utcnow())
        delivery = build_delivery(event, self.webhook())
        self._webhooks.deliveries.add(event, [delivery])
        return delivery.id

    @property
    def _webhooks(self) -> Webhooks:
        found = self._service.side.webhooks
        assert found is not None
        return found

    def _place(self, turn: int) -> Image:
        if turn not in self._placed:
            self._placed[turn] = self._service.place(seed=next(self._seeds), **self._kinds[turn])
        return self._placed[turn]

    def renew(self) -> None:
        """Place all images again, because one was deleted."""
        self._placed.clear()


class Exchange:
    """Send generated requests, every second one for an existing image, and check the responses.

    `answers` counts statuses and codes by operation.
    """

    def __init__(self, service: Service, scene: Scene, headers: dict[str, str]) -> None:
        self._scene = scene
        self._session = requests.Session()
        self._session.headers.update(headers)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Transport(service))
        self._documented = service.client.get("/openapi.json").json()["paths"]
        self._turns = Counter[str]()
        self.answers: dict[str, Counter[tuple[int, str | None]]] = {}

    def run(self, case: schemathesis.Case) -> None:
        """Send one request and check its response."""
        self._turns[case.operation.label] += 1
        if case.method == case.operation.method.upper():
            self._aim(case, self._turns[case.operation.label])
        # Followed, a redirect would be a request to the object store.
        response = case.call(session=self._session, allow_redirects=False)
        case.validate_response(response, transport_kwargs={"session": self._session, "allow_redirects": False})
        if (case.method == "DELETE" or case.path == "/images/delete") and response.status_code < 400:
            self._scene.renew()
        self._check(case, response)

    def _aim(self, case: schemathesis.Case, turn: int) -> None:
        """Make every second request one that can succeed: for existing images, with their variants and hashes."""
        if turn % 2 == 0:
            return
        body = case.body if isinstance(case.body, dict) else {}
        existing = {
            "image_id": lambda: self._scene.next().id, "key_id": self._scene.api_key, "webhook_id": self._scene.webhook,
            "delivery_id": self._scene.delivery,
        }  # fmt: skip
        case.path_parameters.update({name: existing[name]() for name in existing.keys() & case.path_parameters.keys()})
        if case.path == "/deliveries/redeliver" and "endpoint" in body:
            body["endpoint"] = self._scene.webhook()
        if isinstance(body.get("ids"), list):
            body["ids"] = [*body["ids"], *(self._scene.next().id for _ in range(5))][-100:]
        if case.path == "/upload" and case.media_type in {"multipart/form-data", "application/json"}:
            # The other parameters are those of raw bodies.
            case.query = {name: value for name, value in case.query.items() if name in {"wait", "on_duplicate"}}
        if turn % 4 == 3:
            return
        if case.path.startswith("/i/"):
            case.path_parameters["image_id"] = self._scene.public().id
            case.query = {"w": "640"}
            case.headers.update({"if-none-match": "*"} if turn // 4 % 2 else {})
        if "name" in case.path_parameters:
            case.path_parameters["name"] = ("w1280", "w320.webp", "thumb.jpg")[turn // 4 % 3]
        own_key = f"{case.operation.label.replace(' ', '-')}-{turn}"
        wanted = {"if-none-match": "*", "idempotency-key": own_key}
        case.headers.update({name: value for name, value in wanted.items() if name in case.headers})
        if "on_duplicate" in case.query:
            case.query["on_duplicate"] = "create"
        if "sha256" in body:
            image = self._scene.next()
            body |= {"sha256": image.sha256, "bytes": image.bytes}
            body.pop("owner", None)

    def _check(self, case: schemathesis.Case, response: schemathesis.Response) -> None:
        """Check that the operation has this status, and an example of this problem."""
        status = response.status_code
        problem = response.json() if status >= 400 else {}
        code = problem.get("code")
        if case.method != case.operation.method.upper():
            assert (status, code) in {(405, "method_not_allowed"), (204, None)}, case.method
            return
        self.answers.setdefault(case.operation.label, Counter())[status, code] += 1
        responses = self._documented[case.operation.path][case.method.lower()]["responses"]
        assert status < 500, problem
        assert str(status) in responses or status >= 400, f"undocumented status {status}"
        if status >= 400:
            described = responses.get(str(status), responses["default"])
            examples = described["content"]["application/problem+json"]["examples"]
            assert code in examples, f"undocumented problem {status} {code}: {problem['detail']}"
