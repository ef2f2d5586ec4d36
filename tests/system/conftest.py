"""The stack, set up once, and two people who have keys to it."""

from collections.abc import Generator, Iterator

import httpx
import pytest

from app.domain.access.api_keys import Scope, new_key
from tests.system.emulator import Emulator, emulator, why_not
from tests.system.stack import Stack, stack

_SCOPES = (Scope.UPLOAD, Scope.READ, Scope.DELETE)
_ANN, _BOB = (new_key(name, _SCOPES) for name in ("ann", "bob"))


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An account with nothing in it but the stack. Nothing is left of it, which is asserted when it ends."""
    why = why_not()
    if why:
        pytest.skip(why)
    with emulator(tmp_path_factory.mktemp("system")) as running:
        yield running


@pytest.fixture(scope="session")
def deployed(aws: Emulator) -> Iterator[Stack]:
    with stack(aws, {"ApiKeys": f"{_ANN[1]},{_BOB[1]}"}) as standing:
        yield standing


@pytest.fixture(scope="session")
def nobody(deployed: Stack) -> Iterator[httpx.Client]:
    with deployed.http() as client:
        yield client


@pytest.fixture(scope="session")
def ann(deployed: Stack) -> Iterator[httpx.Client]:
    with deployed.http(_ANN[0]) as client:
        yield client


@pytest.fixture(scope="session")
def bob(deployed: Stack) -> Iterator[httpx.Client]:
    with deployed.http(_BOB[0]) as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the log of the functions to a failure."""
    report = yield
    running = getattr(item, "funcargs", {}).get("aws") or getattr(item, "funcargs", {}).get("deployed")
    if report.failed and running:
        log = running.log if isinstance(running, Emulator) else running.emulator.log
        report.sections.append(("the emulator and the functions", log.read_text(errors="replace")[-6000:]))
    return report
