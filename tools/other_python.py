"""Run tests on another Python: `python tools/other_python.py python3.14 ARGUMENT...`; the arguments are pytest's.

The interpreter is the one of that name if it starts here. Otherwise the Debian suite that ships it is installed into
`.cache/pythons` and the tests run inside it, which needs Linux and root. The environment has the packages of
`requirements/dev.txt`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / ".cache" / "pythons"
SUITES = {"python3.13": "trixie", "python3.14": "forky"}
#: curl and procps are programs that tests start.
PACKAGES = ("ca-certificates", "curl", "git", "make", "procps", "python3-venv")
#: Options of apt. The lists of Debian's testing suite expire after a week, and mirrors can be older.
OPTIONS = {"forky": ('--aptopt=Acquire::Check-Valid-Until "false"',)}
#: Start a command in the tree $1, in the folder $2, with this machine's devices, names and certificates.
ENTER = """
set -e
tree=$1 root=$2
shift 2
mkdir -p "$tree$root" "$tree/before"
mount --bind "$tree" "$tree"
for folder in /proc /sys /dev /etc/ssl/certs "$root"; do mount --rbind "$folder" "$tree$folder"; done
for file in /etc/hosts /etc/resolv.conf; do
    [ -e "$tree$file" ] || : >"$tree$file"
    mount --bind "$file" "$tree$file"
done
cd "$tree"
pivot_root . before  # in a chroot, tests could not make user namespaces
umount -l /before
exec env --chdir="$root" PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""


def main(python: str, *arguments: str) -> int:
    """Build the environment and run pytest; return its exit status."""
    prefix = () if starts(python) else inside(python)
    folder = TARGET / f"{Path(python).name}-environment"
    folder.mkdir(parents=True, exist_ok=True)
    run(*prefix, python, "tools/environment.py", "dev", DARKROOM_VENV=str(folder))
    command = [*prefix, str(folder / "bin" / "python"), "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def starts(python: str) -> bool:
    """Return True if the interpreter starts. Version managers leave commands behind that only print an error."""
    found = shutil.which(python)
    return found is not None and subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode == 0


def inside(python: str) -> tuple[str, ...]:
    """Install the Debian that ships the interpreter, unless it is there; return the command that enters it."""
    suite = SUITES.get(python)
    if suite is None:
        raise SystemExit(f"{python} does not start here, and no Debian suite is known to ship it: install it.")
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SystemExit(f"{python} does not start here: install it, or run this on Linux as root.")
    tree = TARGET / suite
    if not tree.exists():
        if not shutil.which("mmdebstrap"):
            run("apt-get", "update", "-q")
            run(
                "apt-get",
                "install",
                "-q",
                "-y",
                "--no-install-recommends",
                "mmdebstrap",
                DEBIAN_FRONTEND="noninteractive",
            )
        half = tree.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        half.parent.mkdir(parents=True, exist_ok=True)
        print(f"Installing Debian {suite} into {tree.relative_to(ROOT)}", flush=True)
        options = ("--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *OPTIONS.get(suite, ()))
        run("mmdebstrap", *options, suite, str(half))
        half.rename(tree)
    return ("unshare", "--mount", "sh", "-c", ENTER, "sh", str(tree), str(ROOT))


def run(*command: str, **environment: str) -> None:
    """Run a command in the project's folder; exit with its status if it fails."""
    status = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
