"""The version is the same everywhere, and `make release` builds what docs/upgrades.md lists."""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

import app
from tests.images_built.podman import environment, missing
from tests.repository.tree import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_version_is_the_same_everywhere() -> None:
    assert app.__version__ == VERSION
    labels = re.findall(r'image\.version="([^"]+)"', (ROOT / "Dockerfile").read_text())
    assert labels == [VERSION] * 3
    assert yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["darkroom"]["image"] == f"darkroom:{VERSION}"
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.containers
def test_a_release_has_images_bills_of_materials_and_sums(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    clone = tmp_path / "clone"
    git = ["git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "clone", "--quiet", str(ROOT), str(clone)], check=True)
    (clone / ".cache").symlink_to(ROOT / ".cache")
    settings = environment() | {"BUILDAH_ISOLATION": "chroot", "DOCKER_HOST": f"unix://{tmp_path}/no-engine"}
    command = [sys.executable, "tools/release.py"]
    done = subprocess.run(command, cwd=clone, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    made = {path.name: path for path in (clone / "dist" / VERSION).iterdir()}
    names = ("darkroom", "darkroom-api", "darkroom-worker")
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    archives = [f"{name}-{VERSION}-{architecture}.tar" for name in names]
    bills = [f"{name}-{VERSION}.cdx.json" for name in names]
    assert sorted(made) == sorted([*archives, *bills, f"darkroom-{VERSION}-py3-none-any.whl", "SHA256SUMS"])
    sums = dict(line.split("  ")[::-1] for line in made["SHA256SUMS"].read_text().splitlines())
    assert sums == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in made.items() if name != "SHA256SUMS"
    }
    head = subprocess.run([*git, "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    for name, archive, bill in zip(names, archives, bills, strict=True):
        with tarfile.open(made[archive]) as tar:
            (manifest,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
            config = json.load(tar.extractfile(manifest["Config"]))["config"]  # type: ignore[arg-type]
        assert [tag.removeprefix("docker.io/library/") for tag in manifest["RepoTags"]] == [f"{name}:{VERSION}"]
        assert config["Labels"]["org.opencontainers.image.revision"] == head.stdout.strip()
        contents = json.loads(made[bill].read_text())
        assert contents["bomFormat"] == "CycloneDX"
        assert contents["metadata"]["timestamp"] == config["Labels"]["org.opencontainers.image.created"]
        packages = {component["name"]: component["version"] for component in contents["components"]}
        lock = (ROOT / "requirements" / f"{'server' if name == 'darkroom' else name[9:]}.txt").read_text()
        assert packages == dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", lock, re.MULTILINE | re.IGNORECASE))
        if name == "darkroom":  # the image format of Docker keeps it
            assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "app.container.healthcheck"]

    (clone / "README.md").write_text("changed")
    done = subprocess.run(command, cwd=clone, env=os.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, "not committed" in done.stderr) == (1, True)
