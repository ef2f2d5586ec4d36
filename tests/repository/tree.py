"""The files of the repository."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
AWS = (ROOT / "docs" / "aws.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


@cache
def committed() -> tuple[Path, ...]:
    """Return the files that are committed or would be by `git add`; without git, all files except those of builds."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        names = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        built = {
            ".venv",
            ".cache",
            "data",
            "__pycache__",
            ".git",
            ".mypy_cache",
            ".ruff_cache",
            ".pytest_cache",
            ".hypothesis",
        }
        names = [path for path in ROOT.rglob("*") if not built & set(path.relative_to(ROOT).parts)]
    return tuple(sorted(path for path in names if path.is_file()))


@cache
def texts() -> dict[str, str]:
    """Return the committed text files, by their path from the root."""
    found = {}
    for path in committed():
        raw = path.read_bytes()
        if b"\0" not in raw and "tests/images/" not in path.as_posix():
            found[path.relative_to(ROOT).as_posix()] = raw.decode(errors="replace")
    return found


def table(heading: str, page: str = README) -> list[list[str]]:
    """Return the cells of the page's first table whose head starts with that cell, without the head."""
    lines = iter(page.splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            rows = []
            for row in lines:
                if not row.startswith("|"):
                    break
                cells = row.replace("\\|", "\0").strip("|").split("|")
                rows.append([cell.strip().replace("\0", "|") for cell in cells])
            return rows
    raise AssertionError(f"there is no table that starts with {heading!r}")
