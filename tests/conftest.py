"""Rules for every test."""

import functools
import gc
import os
import random
import signal
from collections import defaultdict
from collections.abc import Generator, Iterator

import botocore.loaders
import pytest
from PIL import Image

from app.worker.sandbox import fork_server, landlock, seccomp

IN_CI = os.environ.get("CI") == "true"

# As in an installation whose settings ask for JPEG XL.
fork_server.preload("app.worker.render.jxl")

# Each client of the SDK would read and parse the descriptions of its service again.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)

# A shell starts background jobs with this signal ignored, and programs that tests start would inherit that: a test that
# sends it would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _not_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Fail skipped tests in CI, where everything can be installed."""
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} may not be skipped where CI=true: {reason}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests on moto, unless they or their module are marked `moto`.

    Those that run on the engines too are left to the nightly tests, the others to the slow ones. A case that is marked
    `engines` itself runs on moto only nightly.
    """
    on_engines = {_function(item) for item in items if item.get_closest_marker("engines")}
    for item in items:
        if not _runs_on_moto(item):
            continue
        if item.get_closest_marker("engines"):
            item.add_marker(pytest.mark.nightly)
        elif item.get_closest_marker("moto") is None:
            item.add_marker(pytest.mark.nightly if _function(item) in on_engines else pytest.mark.slow)
    _leave_cases_to_nightly(items)


def _leave_cases_to_nightly(items: list[pytest.Item]) -> None:
    """Keep as many cases of each `sampled` test on the engines as its mark says, and mark the others `nightly`.

    Every run keeps the same ones.
    """
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("engines") and item.get_closest_marker("sampled"):
            cases[_function(item)].append(item)
    for found in cases.values():
        mark = found[0].get_closest_marker("sampled")
        assert mark is not None
        (count,) = mark.args
        kept = random.Random(1).sample(range(len(found)), min(count, len(found)))
        for number in set(range(len(found))) - set(kept):
            found[number].add_marker(pytest.mark.nightly)


def _function(item: pytest.Item) -> object:
    return getattr(item, "function", None)


def _runs_on_moto(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    backends = callspec.params.values() if callspec else ()
    return any(isinstance(backend, str) and backend.endswith("moto") for backend in backends)


@pytest.fixture(autouse=True)
def _pixel_limit() -> Iterator[None]:
    """End Pillow's pixel limit with the test that set it: it is global, and jobs run in the process of some tests."""
    before = Image.MAX_IMAGE_PIXELS
    yield
    Image.MAX_IMAGE_PIXELS = before


def pytest_collection_finish() -> None:
    """Exempt what collection made from garbage collection: each full pass over it takes 0.1 s."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    """Name the kernel's features that tests of the sandbox depend on."""
    return f"kernel: Landlock {max(landlock.version(), 0)}, seccomp {'yes' if seccomp.available() else 'no'}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _not_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _not_in_ci(report)
    return report
