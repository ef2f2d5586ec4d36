"""Locks in requirements/: complete, hashed, without addresses, and consistent with pyproject.toml."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository.tree import ROOT, texts

#: Dependency groups of each lock. `CLIENT` have the client and its command too.
GROUPS = {
    "dev": {"dev"},
    "server": {"api", "worker", "server", "build"},
    "jxl": {"jxl"},
    "browser": {"browser"},
    "release": {"release"},
    "clients": {"clients"},
    "openapi": {"openapi"},
    "api": {"api", "aws", "gateway"},
    "worker": {"worker", "aws"},
    "runtime": {"runtime"},
    "seaweedfs": {"seaweedfs"},
    "emulator": {"emulator"},
    "hadolint": {"hadolint"},
    "template": {"template"},
    "checkov": {"checkov"},
    "ministack": {"ministack"},
}
CLIENT = {"dev", "server"}
#: Tools in separate environments, with pins of their own.
TOOLS = {"release", "template", "checkov", "ministack"}
#: Messages of uv about a missing network.
OFFLINE = ("error sending request", "dns error", "Failed to fetch", "Connect", "timed out", "offline")


def lock(name: str) -> str:
    return texts()[f"requirements/{name}.txt"]


def pinned(name: str) -> dict[str, str]:
    """Return the version by package; of several pins with markers the last."""
    return {
        canonicalize_name(match[1]): match[2]
        for match in re.finditer(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", lock(name), re.MULTILINE)
    }


def asked_for(name: str) -> list[Requirement]:
    """Return the direct requirements of a lock: those of its groups, and of the client where it is installed."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, found, todo = declared["project"], list[str](), list(GROUPS[name])
    while todo:
        for requirement in declared["dependency-groups"][todo.pop()]:
            if isinstance(requirement, str):
                found.append(requirement)
            else:
                todo.append(requirement["include-group"])
    if name in CLIENT:
        found += [*project["dependencies"], *project["optional-dependencies"]["cli"]]
    return [Requirement(text) for text in found]


def test_every_lock_is_known() -> None:
    assert {name for name in texts() if name.startswith("requirements/")} == {f"requirements/{n}.txt" for n in GROUPS}


@pytest.mark.parametrize("name", GROUPS)
def test_a_lock_contains_only_pins_with_hashes(name: str) -> None:
    entries = re.split(r"\n(?! )", lock(name).strip())
    pattern = re.compile(
        r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ ;]+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+"
    )
    assert entries
    assert [entry for entry in entries if not pattern.fullmatch(entry)] == []


@pytest.mark.parametrize("name", GROUPS)
def test_a_lock_satisfies_the_project(name: str) -> None:
    versions = pinned(name)
    wrong = [
        str(requirement)
        for requirement in asked_for(name)
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(GROUPS.keys() - TOOLS - {"dev"}))
def test_deployed_versions_are_the_tested_ones(name: str) -> None:
    tested = pinned("dev")
    others = {package: version for package, version in pinned(name).items() if package in tested}
    assert others == {package: tested[package] for package in others}


@pytest.mark.slow
def test_make_lock_would_change_nothing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    dry = subprocess.run(
        ["make", "-n", "lock"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    commands = [line for line in dry.splitlines() if " pip compile " in line]
    assert len(commands) == len(GROUPS)
    uv = Path(sys.executable).with_name("uv")
    for command in commands:
        run = subprocess.run(
            [uv, *command.split()[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        if run.returncode and any(sign in run.stderr for sign in OFFLINE):
            pytest.skip("uv cannot resolve without the package index")
        assert run.returncode == 0, run.stderr
    for name in GROUPS:
        assert (tmp_path / f"requirements/{name}.txt").read_text() == lock(name), f"run make lock: {name}.txt is stale"
