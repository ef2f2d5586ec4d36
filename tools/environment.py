"""Build `.venv` from hashed locks with the Python that runs this: `python tools/environment.py LOCK...`.

Each LOCK is a file of `requirements/`: `server` has the packages that serving needs, `dev` adds those of the tests and
tools, `browser`, `clients` and `openapi` those of the tests of these names. `server` is always installed. With
`--current` first, nothing is built: the exit status is 0 if these locks are installed.

A stamp in `.venv` for each lock says what was installed and is written last, so that an interrupted build is never
mistaken for a finished one. A file lock lets two `make`s run at once: the second one waits.
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
VENV = ROOT / os.environ.get("DARKROOM_VENV", ".venv")
PYTHON = VENV / "bin" / "python"
SHOWN = os.path.relpath(VENV, ROOT)
LOCKED = ("-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-deps", "-r")
PROJECT = ("-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-e", ".")

#: Purpose of each lock that can be installed, for people.
PURPOSES = {
    "server": "the packages that serving needs",
    "dev": "the packages that tests and tools need",
    "jxl": "the encoder of JPEG XL",
    "browser": "the packages of the browser tests",
    "clients": "the packages of the client tests",
    "openapi": "the packages that check the OpenAPI document",
}

#: What pip prints when it fails, and what that means, the first match first.
MEANINGS = {
    "No space left on device": "The disk is full: free some space and run the same command again.",
    "DO NOT MATCH THE HASHES": "A package does not have the locked hash, so it was not installed.",
    "CERTIFICATE_VERIFY_FAILED": "pip does not trust the package index: set PIP_CERT to your network's certificate.",
    "Retrying (": "pip could not reach the package index: check the network or proxy and run the same command again.",
    "No matching distribution": "There is no ready-made package for this Python or machine: try PYTHON=<another one>.",
}


def main(arguments: list[str]) -> int:
    """Install the locks that are missing; return the exit status."""
    os.chdir(ROOT)
    locks = ["server", *(name for name in arguments if name not in {"server", "--current"})]
    if "--current" in arguments:
        return 0 if all(map(is_installed, locks)) and stamp("project") == digest("pyproject.toml") else 1
    VENV.mkdir(exist_ok=True)
    try:
        with only_one_builder():
            build(locks)
    except subprocess.CalledProcessError as failure:
        print(f"{explain(str(failure.output))} (pip's output: {SHOWN}/build.log)", file=sys.stderr)
        return 1
    except OSError as failure:
        print(f"The environment could not be built in {SHOWN}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted: the next make starts the environment again.", file=sys.stderr)
        return 130
    return 0


def build(locks: list[str]) -> None:
    """Install what is missing. Start from nothing after a changed lock, a moved folder or an interrupted build."""
    stale = any(stamp(name) is not None and not is_installed(name) for name in PURPOSES)
    if stale or stamp("unfinished") is not None or not is_installed("server") or not works():
        clear()
        venv.create(VENV, with_pip=True, symlinks=True)
    for name in locks:
        if not is_installed(name):
            version = ".".join(map(str, sys.version_info[:3]))
            say(f"Installing {PURPOSES[name]} into {SHOWN} (requirements/{name}.txt, Python {version}).")
            started = time.monotonic()
            set_stamp("unfinished", name)
            install(*LOCKED, f"requirements/{name}.txt")
            set_stamp(name, current(name))
            drop_stamp("unfinished")
            say(f"Installed in {time.monotonic() - started:.0f} s.")
    project = digest("pyproject.toml")
    if stamp("project") != project:
        install(*PROJECT)
        set_stamp("project", project)


def install(*command: str) -> None:
    """Run pip; log its output and show a line now and then. Raise CalledProcessError with the output."""
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
        shown = time.monotonic()
        for line in pip.stdout or ():
            log.write(line)
            said.append(line)
            shows = line.startswith(("Collecting", "Installing", "WARNING: Retrying"))
            if shows and time.monotonic() - shown > 3:
                say("  " + " ".join(line.split())[:100])
                shown = time.monotonic()
    if pip.returncode:
        raise subprocess.CalledProcessError(pip.returncode, command, "".join(said))


def explain(output: str) -> str:
    """Explain in one sentence why pip failed."""
    known = (meaning for sign, meaning in MEANINGS.items() if sign in output)
    errors = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
    return next(known, f"pip failed: {errors[-1] if errors else 'it gave no reason.'}")


@contextmanager
def only_one_builder() -> Iterator[None]:
    """Hold a file lock. The system releases it when this process ends."""
    with (VENV / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another make is building {SHOWN}: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def clear() -> None:
    """Empty the environment, stamps first. The builder's lock stays."""
    for name in ("project", *PURPOSES):
        drop_stamp(name)
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()


def current(lock: str) -> str:
    """Build the stamp of an installed lock. It has the folder's path, because an environment cannot be moved."""
    return f"{ROOT} {digest(f'requirements/{lock}.txt')}"


def is_installed(lock: str) -> bool:
    """Return True if the lock is installed as it stands."""
    return stamp(lock) == current(lock)


def works() -> bool:
    """Return True if the environment's Python starts: the one it was made from may have been removed."""
    return PYTHON.exists() and subprocess.run([str(PYTHON), "-c", ""], check=False, capture_output=True).returncode == 0


def digest(path: str) -> str:
    """Compute the SHA-256 of a file of the project."""
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def stamp(name: str) -> str | None:
    """Read a stamp; None if there is none."""
    file = VENV / f".{name}"
    return file.read_text() if file.exists() else None


def set_stamp(name: str, text: str) -> None:
    """Write a stamp in one step."""
    half = VENV / f".{name}.half"
    half.write_text(text)
    half.replace(VENV / f".{name}")


def drop_stamp(name: str) -> None:
    """Remove a stamp."""
    (VENV / f".{name}").unlink(missing_ok=True)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
