"""Contents of the images, required and forbidden."""

import json
import os
import re
import stat
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.images_built.podman import BASE, IMAGES, in_image, inspect
from tests.repository.test_locks import pinned
from tests.repository.tree import AWS, ROOT, table

pytestmark = pytest.mark.containers

#: Top-level modules that no function has; and of the one function what the other must not have.
NEVER = {
    "pip", "setuptools", "wheel", "uv", "tests", "test", "pytest", "moto", "hypothesis", "mypy", "ruff", "uvicorn",
    "httpx", "typer", "rich", "awslambdaric", "thumbhash", "requirements", "tools", "examples", "benchmarks",
}  # fmt: skip
OTHERS = {
    "api": {"PIL", "pillow_heif", "_pillow_heif", "pillow.libs"},
    "worker": {"fastapi", "starlette", "mangum", "python_multipart", "multipart", "anyio", "fastapi_offline"},
}
OUR_PACKAGES = {
    "api": {"__init__.py", "adapters", "api", "bootstrap", "bootstrap_api.py", "domain", "lambda_api.py",
            "lambda_webhooks.py", "log_formats.py", "logs.py", "metrics.py", "settings.py"},
    "worker": {"__init__.py", "adapters", "bootstrap", "bootstrap_worker.py", "domain", "lambda_reconcile.py",
               "lambda_render.py", "lambda_worker.py", "linux.py", "log_formats.py", "logs.py", "metrics.py",
               "settings.py", "worker"},
}  # fmt: skip
ENTRY_POINTS = {
    "api": ["app.lambda_api", "app.lambda_webhooks"],
    "worker": ["app.lambda_worker", "app.lambda_reconcile", "app.lambda_render"],
}
#: What the real base, Amazon Linux 2023, has of C and of C++ (GCC 11). The stand-in's are newer.
BASE_HAS = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13)}
SETTINGS = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "DARKROOM_STORAGE_URL": "s3://none",
    "DARKROOM_DATABASE_URL": "dynamodb://none",
    "DARKROOM_QUEUE_URL": "https://none.invalid/0/none",
    "DARKROOM_WEBHOOK_QUEUE_URL": "https://none.invalid/0/none-webhooks",
    "DARKROOM_SECRET": "a secret of the tests",
    "DARKROOM_ALLOW_ANONYMOUS": "true",
}

both = pytest.mark.parametrize("name", IMAGES)


def task(roots: dict[str, Path], name: str) -> Path:
    return roots[name] / "var" / "task"


def files(folder: Path) -> dict[str, Path]:
    """Every file and link below a folder, by its path from there."""
    found = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {path.relative_to(folder).as_posix(): path for path in found}


def newest_needed(library: bytes) -> dict[str, tuple[int, ...]]:
    """The newest version of each of the base's libraries that a shared library names."""
    found: dict[str, tuple[int, ...]] = {}
    for name, version in re.findall(rb"\0(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)+)(?=\0)", library):
        parsed = tuple(map(int, version.split(b".")))
        found[name.decode()] = max(found.get(name.decode(), ()), parsed)
    return found


@both
def test_nothing_is_left_outside_of_the_task(base: Path, roots: dict[str, Path], name: str) -> None:
    ours, bases = files(roots[name]), files(base)
    added = {path for path in ours.keys() - bases.keys() if not path.startswith("var/task/")}
    assert added - {"run/.containerenv"} == set()
    assert bases.keys() - ours.keys() == set()
    changed = {path for path in bases if ours[path].lstat().st_size != bases[path].lstat().st_size}
    assert changed == set()


@both
def test_the_packages_are_those_of_the_lock(roots: dict[str, Path], name: str) -> None:
    installed = {
        canonicalize_name(found.metadata["Name"]): found.version
        for found in distributions(path=[str(task(roots, name))])
    }
    assert installed == pinned(name)


@both
def test_neither_has_what_it_does_not_use(roots: dict[str, Path], name: str) -> None:
    there = {path.name.removesuffix(".py") for path in task(roots, name).iterdir()}
    assert there & (NEVER | OTHERS[name]) == set()
    assert "bin" not in there
    assert {path.name for path in (task(roots, name) / "app").iterdir()} == OUR_PACKAGES[name] | {"__pycache__"}
    assert {path.name for path in (task(roots, name) / "app" / "adapters").iterdir()} == {
        "__init__.py", "__pycache__", "cloudfront.py", "dynamodb", "render_function.py", "outbound", "s3", "sqs.py"
    }  # fmt: skip
    data = task(roots, name) / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == {"cloudfront", "dynamodb", "lambda", "s3", "sqs"}
    assert [path.name for path in (data / "cloudfront").iterdir() if path.is_dir()] == ["2020-05-31"]


@both
def test_no_leftovers_of_installing(roots: dict[str, Path], name: str) -> None:
    bad = re.compile(
        r"(^|/)(RECORD|INSTALLER|REQUESTED|direct_url\.json|\.git|\.env|\.venv|\.cache|[^/]*\.(whl|c|h|o|a|pyx))$"
    )
    assert [path for path in files(task(roots, name)) if bad.search(path)] == []
    caches = [roots[name] / folder for folder in ("root/.cache", "build", "var/cache/pip", "tmp")]
    assert [str(path) for path in caches if path.exists() and any(path.iterdir())] == []
    compilers = [
        program for program in ("cc", "gcc", "clang", "ld", "make") if (roots[name] / "usr/bin" / program).exists()
    ]
    assert compilers == []


@both
def test_every_module_is_compiled_from_what_it_is(built: None, name: str) -> None:
    """Flag 1 says that the source's hash is in the file, and that nobody need compare it."""
    script = """
import importlib.util, json, pathlib
stale, sources = [], list(pathlib.Path("/var/task").rglob("*.py"))
for source in sources:
    compiled = pathlib.Path(importlib.util.cache_from_source(source))
    head = importlib.util.MAGIC_NUMBER + b"\\1\\0\\0\\0" + importlib.util.source_hash(source.read_bytes())
    if not compiled.exists() or compiled.read_bytes()[:16] != head:
        stale.append(str(source))
print(json.dumps([len(sources), stale]))
"""
    count, stale = json.loads(in_image(name, script, {}))
    assert count > 500
    assert stale == []


@both
def test_any_user_may_read_it_and_none_but_root_write(roots: dict[str, Path], name: str) -> None:
    wrong = []
    for parent, folders, names in os.walk(task(roots, name)):
        for path in (Path(parent, entry) for entry in (*folders, *names)):
            mode = path.lstat().st_mode
            readable = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
            if mode & readable != readable or mode & (stat.S_IWOTH | stat.S_IWGRP | stat.S_ISUID | stat.S_ISGID):
                wrong.append((str(path), oct(mode)))
    assert wrong == []


@both
def test_no_library_needs_newer_ones_than_the_real_base_has(roots: dict[str, Path], name: str) -> None:
    libraries = {path: file for path, file in files(task(roots, name)).items() if ".so" in path}
    needed = {path: newest_needed(file.read_bytes()) for path, file in libraries.items()}
    assert len(needed) >= {"api": 1, "worker": 10}[name]
    assert all("GLIBC" in versions for path, versions in needed.items() if "pydantic_core" in path)
    too_new = [
        (path, versions)
        for path, versions in needed.items()
        if any(version > BASE_HAS[library] for library, version in versions.items())
    ]
    assert too_new == []


@both
def test_the_configuration_holds_no_secret_and_no_settings(built: None, name: str) -> None:
    image, base = inspect(IMAGES[name]), inspect(BASE)
    assert image["Config"]["Env"] == base["Config"]["Env"]
    assert image["Config"]["Entrypoint"] == base["Config"]["Entrypoint"]
    assert image["Config"]["Cmd"] == [f"{ENTRY_POINTS[name][0]}.handler"]
    assert not image["Config"].get("User")
    labels = image["Config"]["Labels"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert labels["org.opencontainers.image.title"] == f"darkroom-{name}"
    assert (labels["org.opencontainers.image.version"], labels["org.opencontainers.image.licenses"]) == (version, "MIT")
    host = re.compile(r"https?://(?!none\.invalid)")
    assert host.search(json.dumps(image["History"])) is None


@both
def test_no_file_tells_from_where_the_packages_came(roots: dict[str, Path], name: str) -> None:
    told = re.compile(rb"--(index|extra-index|find)-(url|links)|PIP_[A-Z_]*INDEX")
    found = [path for path, file in files(task(roots, name)).items() if told.search(file.read_bytes())]
    assert found == []


@both
def test_its_entry_points_start_with_nothing_but_its_own_modules(built: None, name: str) -> None:
    """Not even the SDK that the real base brings along: it changes without notice."""
    script = f"""
import importlib, json, sys
for entry_point in {ENTRY_POINTS[name]}:
    assert callable(importlib.import_module(entry_point).handler)
files = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
print(json.dumps(files))
"""
    loaded = json.loads(in_image(name, script, SETTINGS).splitlines()[-1])
    elsewhere = [path for path in loaded if not path.startswith(("/var/task/", "/usr/lib/python3.13/"))]
    assert elsewhere == []
    assert sum(path.startswith("/var/task/app/") for path in loaded) > 20
    assert sum(path.startswith("/var/task/botocore/") for path in loaded) > 20


@both
def test_it_is_as_large_as_the_page_says(built: None, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    added = (inspect(IMAGES[name])["Size"] - inspect(BASE)["Size"]) / 1e6
    with capsys.disabled():
        print(f"\n{name}: {added:.1f} MB on top of the base")
    (said,) = (float(row[1].removesuffix(" MB")) for row in table("image", AWS) if row[0] == f"`{name}`")
    assert added == pytest.approx(said, rel=0.1)
