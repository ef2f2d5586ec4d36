"""The Dockerfile, read without building it; and what its judge says."""

import re
import subprocess
from collections.abc import Iterable

import grimp
import pytest

from tests.engines import INSTALLED
from tests.repository.tree import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")  # lines that go on are one
ENTRY_POINTS = {
    "api": ["app.lambda_api", "app.lambda_webhooks"],
    "worker": ["app.lambda_worker", "app.lambda_reconcile", "app.lambda_render"],
}
#: What the composition root imports only where everything lives in a folder.
EMBEDDED = ("app.adapters.filesystem", "app.adapters.render_socket", "app.adapters.sqlite")


def copied(target: str) -> set[str]:
    """The paths that are copied into a target's stage for our own code."""
    stage = DOCKERFILE.partition(f" AS {target}-code\n")[2].partition("\nFROM ")[0]
    assert stage
    return {source for line in re.findall(r"^COPY (.+)$", stage, re.MULTILINE) for source in line.split()[:-1]}


def is_in(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)


@pytest.mark.parametrize("target", ENTRY_POINTS)
def test_an_image_has_the_modules_that_its_entry_points_import_and_no_other_packages(target: str) -> None:
    graph = grimp.build_graph("app", cache_dir=None)
    needed = {
        module
        for entry_point in ENTRY_POINTS[target]
        for module in graph.find_upstream_modules(entry_point) | {entry_point}
    }
    needed |= {module.rpartition(".")[0] for module in needed}
    files = set()
    for module in needed - {""}:
        path = module.replace(".", "/")
        if not module.startswith(EMBEDDED):
            files.add(f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py")
    rooms = copied(target)
    assert [name for name in sorted(files) if not is_in(name, rooms)] == []
    assert [room for room in sorted(rooms) if not any(is_in(name, [room]) for name in files)] == []


def test_the_old_builder_can_use_it() -> None:
    """`sam build` asks the daemon for it, which knows no mounts, here-documents and linked copies."""
    assert re.search(r"--mount|<<|--link|--chmod|^# syntax", DOCKERFILE, re.MULTILINE) is None
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(stages) == {"public.ecr.aws/lambda/python:3.13", "docker.io/library/python:3.13-slim-trixie"}


@pytest.mark.containers
def test_hadolint_finds_nothing() -> None:
    program = INSTALLED / "hadolint"
    if not program.exists():
        pytest.skip("hadolint is not installed: see `make images`")
    for name in ("Dockerfile", "tools/stand_in/Dockerfile", "tools/stand_in/server.Dockerfile"):
        run = subprocess.run(
            [program, "--failure-threshold=style", ROOT / name], capture_output=True, text=True, check=False
        )
        assert (run.stdout + run.stderr, run.returncode) == ("", 0)
