"""Build all files of a release into `dist/<version>/`: `python tools/release.py`.

That is the wheel of the client and its command; for this machine's architecture, the images `server`, `api` and
`worker` as archives that `docker load` and `podman load` read; a bill of materials (SBOM, CycloneDX JSON) for each
image; and `SHA256SUMS`. Images carry the version, the commit and its date as labels.

Uses Docker if its engine answers, else buildah. Only committed files are built, so the tree has to be clean.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import wheel
from engines import ROOT, TARGET, environment, once, run

TARGETS = ("server", "api", "worker")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def main() -> int:
    """Build the release; return the exit status."""
    if output("git", "status", "--porcelain"):
        print("There are changes that are not committed. A release is built from a commit.", file=sys.stderr)
        return 1
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    commit, date = output("git", "log", "-1", "--format=%H %cI").split()
    date = datetime.fromisoformat(date).astimezone(UTC).isoformat().replace("+00:00", "Z")
    folder = ROOT / "dist" / version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    labels = {"version": version, "revision": commit, "created": date}
    with tempfile.TemporaryDirectory() as tree:
        archive = Path(tree, "tree.tar")
        run("git", "archive", "--output", str(archive), "HEAD")
        shutil.unpack_archive(archive, Path(tree, "source"), filter="data")
        wheel.build(Path(tree, "source"), folder, str(int(datetime.fromisoformat(date).timestamp())))
        for target in TARGETS:
            bill_of_materials(target, version, date, folder)
            image(target, version, labels, Path(tree, "source"), folder)
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / "SHA256SUMS").write_text(sums)
    for path in files:
        print(f"dist/{version}/{path.name}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def image(target: str, version: str, labels: dict[str, str], source: Path, folder: Path) -> None:
    """Build one target of the Dockerfile and write it to an archive."""
    name = "darkroom" if target == "server" else f"darkroom-{target}"
    tag = f"{name}:{version}"
    archive = folder / f"{name}-{version}-{ARCHITECTURES[platform.machine()]}.tar"
    print(f"Building {tag}", flush=True)
    # Labels come in a step of their own: buildah uses a cached image with any labels.
    labeled = Path(tempfile.mkdtemp(dir=source.parent), "Dockerfile")
    lines = "".join(f' org.opencontainers.image.{key}="{value}"' for key, value in labels.items())
    if has_docker():
        run("docker", "build", "--target", target, "--tag", tag, str(source))
        labeled.write_text(f"FROM {tag}\nLABEL{lines}\n")
        run("docker", "build", "--tag", tag, str(labeled.parent))
        run("docker", "save", "--output", str(archive), tag)
    else:
        full = f"docker.io/library/{tag}"  # the name that Docker shows without its first part
        run("buildah", "bud", "--layers", "--format=docker", "--target", target, "--tag", full, str(source))
        labeled.write_text(f"FROM {full}\nLABEL{lines}\n")
        run("buildah", "bud", "--pull=never", "--format=docker", "--tag", full, str(labeled.parent))
        run("buildah", "push", "--quiet", full, f"docker-archive:{archive}")


def has_docker() -> bool:
    """Return True if Docker is installed and its engine answers."""
    program = shutil.which("docker")
    return program is not None and subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0


def bill_of_materials(target: str, version: str, date: str, folder: Path) -> None:
    """Write the packages of an image with their versions and hashes, as its lock has them."""
    lock = ROOT / "requirements" / f"{target}.txt"
    tools = (ROOT / "requirements" / "release.txt").read_text()
    TARGET.mkdir(parents=True, exist_ok=True)
    once("release", f"{sys.version_info[:2]}{ROOT}{tools}", partial(environment, "release", ["release"]))
    program = TARGET / "release" / "bin" / "cyclonedx-py"
    command = [program, "requirements", "--output-reproducible", "--output-format=JSON", lock]
    done = subprocess.run([str(part) for part in command], capture_output=True, check=True)
    bill = json.loads(done.stdout)
    name = "darkroom" if target == "server" else f"darkroom-{target}"
    bill["metadata"] |= {
        "timestamp": date,
        "component": {"type": "container", "bom-ref": name, "name": name, "version": version},
    }
    for component in bill["components"]:
        component.pop("externalReferences", None)  # they name a package index
        component.pop("description", None)
    (folder / f"{name}-{version}.cdx.json").write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n")


def output(*command: str) -> str:
    """Run a command in the checkout; return its output."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
