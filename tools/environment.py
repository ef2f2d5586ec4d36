"""Builds `.venv` from the hashed lock, once, with the Python that runs this: `python tools/environment.py [browser]`.

The stamp in the environment says what it was built from and is written last, so an interrupted build is never taken
for a finished one. A lock on a file beside it lets two `make`s run at once: the second waits, then finds it done.
With `browser`, what the browser tests need is added. With `--current` it only answers whether there is nothing to do.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKED = ("-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-deps", "-r")
PROJECT = ("-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-e", ".")

#: What pip prints when it fails, and what that means, the first match first.
MEANINGS = {
    "No space left on device": "The disk is full: make room and run the same command again.",
    "DO NOT MATCH THE HASHES": "A package is not the one that was locked, so it was not installed.",
    "CERTIFICATE_VERIFY_FAILED": "pip does not trust the package index: set PIP_CERT to your network's certificate.",
    "Retrying (": "pip could not reach the package index: check the network or proxy and run the same command again.",
    "No matching distribution": "There is no ready-made package for this Python or machine: try PYTHON=<another one>.",
}


def main(extras: list[str]) -> int:
    """Bring the environment up to date; the exit status."""
    os.chdir(ROOT)
    if extras == ["--current"]:
        return 0 if stamp("packages") == packages_built() and stamp("project") == digest("pyproject.toml") else 1
    VENV.mkdir(exist_ok=True)
    try:
        with only_one_builder():
            build()
            for extra in extras:
                add(extra)
    except subprocess.CalledProcessError as failure:
        print(f"{explain(str(failure.output))} (Everything pip said: .venv/build.log)", file=sys.stderr)
        return 1
    except OSError as failure:
        print(f"The environment could not be built in .venv: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted: the next make starts the environment again.", file=sys.stderr)
        return 130
    return 0


def build() -> None:
    """The environment itself: from nothing when the lock or the place is another, else the project's part alone."""
    project = digest("pyproject.toml")
    if not (stamp("packages") == packages_built() and works()):
        started = time.monotonic()
        version = ".".join(map(str, sys.version_info[:3]))
        say(f"Building .venv with Python {version}, once; on a slow network this takes some minutes.")
        clear()
        venv.create(VENV, with_pip=True, symlinks=True)
        install(*LOCKED, "requirements/dev.txt")
        install(*PROJECT)
        set_stamp("project", project)
        set_stamp("packages", packages_built())
        say(f"Built in {time.monotonic() - started:.0f} s.")
    elif stamp("project") != project:
        say("pyproject.toml has changed: installing the project again.")
        install(*PROJECT)
        set_stamp("project", project)


def add(extra: str) -> None:
    """Install a second lock into the environment, unless it is there."""
    lock = f"requirements/{extra}.txt"
    if stamp(extra) != digest(lock):
        say(f"Adding {lock} to .venv.")
        install(*LOCKED, lock)
        set_stamp(extra, digest(lock))


def install(*command: str) -> None:
    """Run pip, its words into the log, a line now and then on the terminal. Raises CalledProcessError with them."""
    settings = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off"}
    said: list[str] = []
    with (
        (VENV / "build.log").open("a") as log,
        subprocess.Popen(
            [str(PYTHON), *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as pip,
    ):
        shown = 0.0
        for line in pip.stdout or ():
            log.write(line)
            said.append(line)
            tells = line.startswith(("Collecting", "Installing", "WARNING: Retrying"))
            if tells and time.monotonic() - shown > 3:
                say("  " + " ".join(line.split())[:100])
                shown = time.monotonic()
    if pip.returncode:
        raise subprocess.CalledProcessError(pip.returncode, command, "".join(said))


def explain(output: str) -> str:
    """One sentence on why pip failed."""
    known = (meaning for sign, meaning in MEANINGS.items() if sign in output)
    errors = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
    return next(known, f"pip failed: {errors[-1] if errors else 'it gave no reason.'}")


@contextmanager
def only_one_builder() -> Iterator[None]:
    """Hold the lock, which the system lets go whatever becomes of this process."""
    with (VENV / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another make is building .venv: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def clear() -> None:
    """Empty the environment, stamps first, the lock kept."""
    for name in ("packages", "project", "browser"):
        (VENV / f".{name}").unlink(missing_ok=True)
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()


def packages_built() -> str:
    """What the stamp of a good environment says: environments cannot be moved, so the place is part of it."""
    return f"{ROOT} {digest('requirements/dev.txt')}"


def works() -> bool:
    """Whether its Python still starts: the one it was made from may have been removed."""
    return PYTHON.exists() and subprocess.run([str(PYTHON), "-c", ""], check=False, capture_output=True).returncode == 0


def digest(path: str) -> str:
    """SHA-256 of a file of the project."""
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def stamp(name: str) -> str | None:
    """What a part was built from, or None."""
    file = VENV / f".{name}"
    return file.read_text() if file.exists() else None


def set_stamp(name: str, text: str) -> None:
    """Say what a part was built from, in one step."""
    half = VENV / f".{name}.half"
    half.write_text(text)
    half.replace(VENV / f".{name}")


def say(line: str) -> None:
    """Tell whoever waits."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
