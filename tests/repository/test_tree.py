"""Rules for every file."""

import ast
import re
import tomllib
from collections import Counter

import pytest

from tests.repository.tree import README, ROOT, texts

LONGEST_MODULE = 300
LARGEST_PACKAGE = 15

# Written in two halves, so that this file keeps the rule too.
_HOSTS = (
    "pypi" + ".org", "python" + "hosted", "npm" + "js.", "yarn" + "pkg", "deb." + "debian", "debian" + ".org/debian",
    "--index" + "-url", "extra-index" + "-url", "find" + "-links", "trusted" + "-host",
)  # fmt: skip
_HOME = re.compile(r"(?<![\w.~${}*-])/(root|home|Users|work|mnt|opt)/[\w.-]")


@pytest.mark.parametrize("folder", ["app", "darkroom", "tools"])
def test_modules_are_small(folder: str) -> None:
    lengths = {
        name: text.count("\n") for name, text in texts().items() if name.startswith(f"{folder}/") and name[-3:] == ".py"
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_packages_are_small() -> None:
    modules = [
        name for name in texts() if name.startswith(("app/", "darkroom/")) and re.search(r"/(?!__init__)\w+\.py$", name)
    ]
    sizes = Counter(name.rpartition("/")[0] for name in modules)
    assert {package: size for package, size in sizes.items() if size > LARGEST_PACKAGE} == {}


def test_no_file_names_a_package_host() -> None:
    named = {(name, host) for name, text in texts().items() for host in _HOSTS if host in text}
    assert named == set()


def test_no_file_names_a_path_of_a_machine() -> None:
    found = {
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if _HOME.search(line)
    }
    assert found == set()


def test_the_rule_about_paths_finds_them() -> None:
    assert _HOME.search('open("/ho' + 'me/somebody/x")')
    assert _HOME.search("cd /ro" + "ot/x")
    assert not _HOME.search("app/wo" + "rk/er and https://example.org/ho" + "me/")


def calls_of_open(text: str) -> list[ast.Call]:
    """Find calls of Pillow's `Image.open`, under any name of the module `Image`."""
    return [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "open"
        and "image" in ast.unparse(node.func.value).lower()
    ]


def test_images_are_only_opened_with_explicit_formats() -> None:
    calls = {
        f"{name}:{call.lineno}": call
        for name, text in texts().items()
        if name.startswith("app/") and name.endswith(".py") and ("PIL" in text or "Image.open" in text)
        for call in calls_of_open(text)
    }
    assert calls, "no call of Image.open was found"
    bare = [where for where, call in calls.items() if "formats" not in {keyword.arg for keyword in call.keywords}]
    assert bare == []


def test_the_license_is_the_declared_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert "[MIT](LICENSE)" in README


def test_the_changelog_has_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", texts()["CHANGELOG.md"], re.MULTILINE)
    assert headings[0][0] == project["version"]
    for package in ("app", "darkroom"):
        assert f'__version__ = "{project["version"]}"' in texts()[f"{package}/__init__.py"]
    assert f"\nVersion: {project['version']}\n" in texts()["darkroom_server.dist-info/METADATA"]
