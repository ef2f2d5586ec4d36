"""The wheel: it holds the client and its command alone, and works where nothing else is installed."""

import os
import subprocess
import sys
import venv
import zipfile
from email import message_from_bytes
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.repository.tree import ROOT
from tests.running_server import Server
from tests.wheels import build_wheel, with_requirements

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel into a folder with those of the packages that it needs."""
    folder = tmp_path_factory.mktemp("wheels")
    script = (
        "import pathlib, sys; sys.path.insert(0, 'tools'); import wheel; "
        "print(wheel.build(pathlib.Path(), pathlib.Path(sys.argv[1]), '1700000000'))"
    )
    done = subprocess.run([sys.executable, "-c", script, folder], cwd=ROOT, capture_output=True, text=True, check=True)
    for package in with_requirements(["httpx", "typer", "rich", "pathspec"]):
        build_wheel(package, folder)
    return Path(done.stdout.strip())


def install(folder: Path, wheel: Path, extra: str = "") -> Path:
    """Install the wheel into a new environment, without an index; return the folder of its programs."""
    venv.create(folder, with_pip=True, symlinks=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", f"{wheel}{extra}"],
        env=kept | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PIP_CONFIG_FILE": os.devnull},
        check=True,
    )
    return folder / "bin"


def test_it_holds_the_client_and_needs_only_httpx(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [archive.read(name) for name in names if name.endswith(".dist-info/METADATA")]
        (entries,) = [archive.read(name).decode() for name in names if name.endswith("/entry_points.txt")]
    assert {name.partition("/")[0] for name in names} == {"darkroom", "darkroom-0.1.0.dist-info"}
    assert {"darkroom/py.typed", "darkroom/client.py", "darkroom/cli/command.py"} <= set(names)
    needed = message_from_bytes(metadata).get_all("Requires-Dist") or []
    assert [each.partition(">")[0] for each in needed if "extra ==" not in each] == ["httpx"]
    assert "darkroom.commands" not in entries


def run(*command: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_client_alone_and_a_sentence_instead_of_its_command(wheel: Path, tmp_path: Path, photo: Path) -> None:
    programs = install(tmp_path / "alone", wheel)
    (packages,) = (tmp_path / "alone").glob("lib/*/site-packages")
    assert {each.metadata["Name"] for each in distributions(path=[str(packages)])} & {
        "typer",
        "rich",
        "pydantic",
    } == set()
    script = "import darkroom; print(darkroom.Client('http://127.0.0.1:1').url('01a2', width=64))"
    done = run(programs / "python", "-c", script)
    assert (done.stdout, done.stderr) == ("http://127.0.0.1:1/i/01a2?w=64\n", "")
    done = run(programs / "darkroom", "upload", photo.name)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "install darkroom[cli]" in done.stderr


def test_the_command_uploads_to_a_server(wheel: Path, tmp_path: Path, server: Server, photo: Path) -> None:
    programs = install(tmp_path / "command", wheel, "[cli]")
    done = run(programs / "darkroom", "upload", photo.name, DARKROOM_URL=server.url)
    assert done.returncode == 0, done.stderr
    assert "photo.jpg" in done.stdout
    shown = run(programs / "darkroom", "--help")
    assert "upload" in shown.stdout
    assert "reconcile" not in shown.stdout
    assert shown.stderr == ""
