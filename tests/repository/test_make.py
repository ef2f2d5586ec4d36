"""Messages of `make` on incomplete machines, and the build of the environment."""

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.repository.tree import ROOT
from tests.running_server import wait_for
from tests.wheels import build_wheel

TOOLS = ROOT / "tools"


def in_shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", TOOLS / script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def pretend_python(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("pythons", "sentence"),
    [
        ({}, "there is no Python here that starts"),
        ({"python3": "exit 127", "python": "echo 'no such version' >&2; exit 1"}, "no Python here that starts"),
        ({"python3": "echo old 3.9"}, "Darkroom needs Python 3.11 or newer, and python3 is Python 3.9"),
        ({"python3.13": "exit 127", "python3.11": "echo part ensurepip", "python3": "echo old 3.9"}, "python3-venv"),
        ({"python3.12": "echo part sqlite3"}, "sqlite3 module, which python3.12 was built without"),
    ],
)
def test_one_sentence_when_there_is_no_python_to_use(tmp_path: Path, pythons: dict[str, str], sentence: str) -> None:
    for name, script in pythons.items():
        pretend_python(tmp_path / "bin", name, script)
    run = in_shell("python.sh", tmp_path, PATH=str(tmp_path / "bin"))
    assert run.returncode == 1
    assert sentence in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_a_usable_python_is_found_after_unusable_ones(tmp_path: Path) -> None:
    pretend_python(tmp_path / "bin", "python3.13", "exit 127")
    pretend_python(tmp_path / "bin", "python3.12", "echo part ensurepip")
    pretend_python(tmp_path / "bin", "python3", f'exec "{sys.executable}" "$@"')
    (tmp_path / "arguments.py").write_text("import sys; print(sys.argv[1:])")
    run = subprocess.run(
        ["/bin/sh", TOOLS / "python.sh", "arguments.py", "a b"],
        cwd=tmp_path, env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "['a b']\n", "")


@pytest.mark.parametrize("port", ["eighty", "-1", "99999", "123456", "80 80"])
def test_an_invalid_port_is_refused_without_a_traceback(tmp_path: Path, port: str) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    run = in_shell("serve.sh", tmp_path, PORT=port)
    assert run.returncode == 2
    assert re.fullmatch(
        f"PORT={port} is not a port number.\n|Darkroom cannot start:\n  DARKROOM_PORT: .+\n", run.stderr
    )
    assert not (tmp_path / "data").exists()


def test_three_lines_for_a_busy_port(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = in_shell("serve.sh", tmp_path, PORT=port)
    assert run.returncode == 2
    error, cause, remedy = run.stderr.splitlines()
    assert error == f"error: cannot listen on 127.0.0.1, port {port}"
    assert cause == "cause: Address already in use"
    assert remedy == "try: darkroom serve --port 8080, or make run PORT=8080"


class Checkout:
    """A small project that is built like this one, from a folder of packages instead of an index."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder / "check out"
        self.wheels = wheels
        for name in ("requirements", "tools", "darkroom", "docs"):
            (self.folder / name).mkdir(parents=True)
        shutil.copy(TOOLS / "environment.py", self.folder / "tools")
        for name in ("pyproject.toml", "docs/client.md", "LICENSE"):
            shutil.copy(ROOT / name, self.folder / name)
        shutil.copy(ROOT / "darkroom" / "__init__.py", self.folder / "darkroom")
        wheel = next(wheels.glob("*.whl"))
        self.lock = self.folder / "requirements" / "server.txt"
        self.dev = self.lock.with_name("dev.txt")
        self.digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        self.lock.write_text(f"flit-core=={wheel.name.split('-')[1]} --hash=sha256:{self.digest}\n")
        self.dev.write_text(self.lock.read_text())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        return subprocess.Popen(
            [sys.executable, "tools/environment.py", *arguments],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env=kept | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": os.devnull},
        )  # fmt: skip

    def build(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    @property
    def current(self) -> bool:
        return self.build("--current")[0] == 0


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a wheel of the build backend, from the installed one."""
    folder = tmp_path_factory.mktemp("wheels")
    build_wheel(distribution("flit_core"), folder)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, wheels: Path) -> Checkout:
    return Checkout(tmp_path, wheels)


@pytest.mark.slow
def test_the_environment_is_built_once_and_again_after_changes(checkout: Checkout) -> None:
    assert not checkout.current
    code, said = checkout.build()
    assert (code, "Installing the packages that serving needs" in said) == (0, True), said
    assert re.search(r"Installed in \d+ s", said)
    assert (checkout.folder / ".venv" / "bin" / "darkroom").exists()
    assert checkout.current
    assert checkout.build() == (0, "")

    with (checkout.folder / "pyproject.toml").open("a") as project:
        project.write("# changed\n")
    assert not checkout.current
    code, said = checkout.build()
    assert (code, "Installing the packages" in said) == (0, False), said
    assert checkout.current

    (checkout.folder / ".venv" / "left over").touch()
    with checkout.lock.open("a") as lock:
        lock.write("# changed\n")
    assert not checkout.current
    code, said = checkout.build()
    assert (code, "Installing the packages" in said) == (0, True), said
    assert not (checkout.folder / ".venv" / "left over").exists()

    moved = checkout.folder.with_name("moved")
    checkout.folder = checkout.folder.rename(moved)
    assert not checkout.current, "its scripts name the old place"


@pytest.mark.slow
def test_tests_extend_the_environment_of_the_server(checkout: Checkout) -> None:
    assert checkout.build()[0] == 0
    (checkout.folder / ".venv" / "kept").touch()
    code, said = checkout.build("dev")
    assert (code, "that tests and tools need" in said, "that serving needs" in said) == (0, True, False), said
    assert (checkout.folder / ".venv" / "kept").exists()
    assert checkout.build("server") == (0, "")
    assert checkout.build("dev") == (0, "")

    with checkout.dev.open("a") as lock:
        lock.write("# changed\n")
    code, said = checkout.build("server")
    assert (code, "that serving needs" in said) == (0, True), "packages of an old lock are not kept"
    assert not (checkout.folder / ".venv" / "kept").exists()


@pytest.mark.slow
def test_an_interrupted_build_does_not_count_as_finished(checkout: Checkout) -> None:
    process = checkout.start()
    wait_for((checkout.folder / ".venv" / "bin" / "python").exists, 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not checkout.current
    code, said = checkout.build()
    assert (code, "Installing the packages" in said) == (0, True), said
    assert checkout.current


@pytest.mark.slow
def test_of_two_parallel_runs_one_builds_and_both_succeed(checkout: Checkout) -> None:
    pair = [checkout.start(), checkout.start()]
    said = [process.communicate(timeout=120)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    assert sum("Installing the packages" in text for text in said) == 1, said


@pytest.mark.slow
def test_a_package_with_another_hash_is_not_installed(checkout: Checkout) -> None:
    checkout.lock.write_text(checkout.lock.read_text().replace(checkout.digest, "0" * 64))
    code, said = checkout.build()
    assert code == 1
    assert said.splitlines()[-1].startswith("A package does not have the locked hash")
    assert not checkout.current


@pytest.mark.slow
def test_one_sentence_for_a_package_that_does_not_exist(checkout: Checkout) -> None:
    checkout.lock.write_text(f"no-such-package-here==1.0 --hash=sha256:{'0' * 64}\n")
    code, said = checkout.build()
    assert code == 1
    assert said.splitlines()[-1].startswith("There is no ready-made package")


@pytest.mark.slow
def test_run_listens_on_the_given_address_and_needs_consent_for_a_public_one(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")}
    for arguments, host in ((["HOST=0.0.0.0"], None), ([], "0.0.0.0"), (["HOST=::"], "127.0.0.1")):
        run = subprocess.run(
            ["make", "-s", "run", "PORT=0", f"DATA={tmp_path}/data", *arguments],
            cwd=ROOT, env=environment | ({"HOST": host} if host else {}), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode != 0
        listens = arguments[0].removeprefix("HOST=") if arguments else host
        assert f"DARKROOM_HOST: {listens} is reachable from other machines" in run.stderr
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["my-machine", "x86_64-conda-linux-gnu", "localhost.localdomain", ""])
def test_run_ignores_a_machine_name_in_host(name: str) -> None:
    run = subprocess.run(
        ["make", "-p", "-n", "help"],
        cwd=ROOT,
        env=os.environ | {"HOST": name},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^HOST :?= *$", run.stdout, re.MULTILINE)
