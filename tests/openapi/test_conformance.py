"""Generated requests get documented responses: status, problem code, content type, headers and schema.

Schemathesis generates them for every operation of the OpenAPI document: at the limits of each field, around them, and
at random. No operation is left out: the url of a redirect is checked, and not followed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.domain.models import ANONYMOUS
from tests.api.http.test_access import ADMIN, KEYRING
from tests.api.renderer import FakeRenderer
from tests.api.service import Service, service_on

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Caller:
    """Options of the service, and headers and owner of the requests. `invent_keys`: requests have generated keys."""

    options: dict[str, Any]
    headers: dict[str, str]
    owner: str = "root"
    invent_keys: bool = False


HOSTS = ("testserver", "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com")
CALLERS = {
    "without authentication": Caller({"same_site_only": True, "allowed_hosts": HOSTS}, {}, ANONYMOUS),
    "with an API key": Caller({"keyring": KEYRING}, {"X-API-Key": ADMIN[0]}),
    "with generated API keys": Caller({"keyring": KEYRING}, {}, invent_keys=True),
}


#: Nightly, what takes five times as long as self-hosted and says little more: the store makes no difference to requests
#: that are refused before they reach it, and little to those without authentication.
CASES = [
    *(pytest.param("self-hosted", name) for name in CALLERS),
    pytest.param("moto", "with an API key"),
    pytest.param("moto", "without authentication", marks=pytest.mark.nightly),
    pytest.param("moto", "with generated API keys", marks=pytest.mark.nightly),
]


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Caller:
    return CALLERS[request.param]


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path, caller: Caller) -> Iterator[Service]:
    """Service with a renderer of sizes, in which no request waits for an image, because no worker runs."""
    with service_on(request.param, tmp_path, max_waiting=0, **caller.options) as made:
        renderer = FakeRenderer(made.side.store, made.side.images)
        made.app.state.services = made.app.state.services._replace(renderer=renderer)
        yield made


@pytest.fixture
def schema(service: Service, caller: Caller) -> Any:
    pytest.importorskip("schemathesis", reason="Schemathesis is not installed: make test-slow")
    from tests.openapi.generated import load

    return load(service, invent_keys=caller.invent_keys)


@pytest.mark.parametrize(("service", "caller"), CASES, indirect=True)
def test_responses_are_documented(schema: Any, service: Service, caller: Caller, subtests: pytest.Subtests) -> None:
    from tests.openapi.generated import Exchange, Scene, tests_of

    exchange = Exchange(service, Scene(service, caller.owner), caller.headers)
    for name, test in tests_of(schema, exchange.run):
        with subtests.test(name):
            test()
    for path, operations in schema.raw_schema["paths"].items():
        for method, operation in operations.items():
            found = {status for status, _ in exchange.answers[f"{method.upper()} {path}"]}
            if caller.invent_keys and operation["security"] and {} not in operation["security"]:
                assert found == {401}, operation["operationId"]
            elif caller.headers:
                successes = {int(status) for status in operation["responses"] if status < "400"}
                if path.startswith("/i/") and not service.self_hosted:
                    successes = {307}  # only a server that has the files sends them
                assert successes <= found, operation["operationId"]
