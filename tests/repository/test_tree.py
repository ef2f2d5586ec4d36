"""Rules for every file."""

import ast
import re
import tomllib

import pytest

from tests.repository.tree import README, ROOT, texts

LONGEST_MODULE = 300

# Written in two halves, so that this file keeps the rule too.
_HOSTS = (
    "pypi" + ".org", "python" + "hosted", "npm" + "js.", "yarn" + "pkg", "deb." + "debian", "debian" + ".org/debian",
    "--index" + "-url", "extra-index" + "-url", "find" + "-links", "trusted" + "-host",
)  # fmt: skip
_HOME = re.compile(r"(?<![\w.~${}*-])/(root|home|Users|work|mnt|opt)/[\w.-]")


@pytest.mark.parametrize("folder", ["app", "tools"])
def test_modules_are_small(folder: str) -> None:
    lengths = {
        name: text.count("\n") for name, text in texts().items() if name.startswith(f"{folder}/") and name[-3:] == ".py"
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_file_names_a_package_host() -> None:
    named = {(name, host) for name, text in texts().items() for host in _HOSTS if host in text}
    assert named == set()


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = {
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if _HOME.search(line)
    }
    assert found == set()


def test_the_rule_about_places_sees_them() -> None:
    assert _HOME.search('open("/ho' + 'me/somebody/x")')
    assert _HOME.search("cd /ro" + "ot/x")
    assert not _HOME.search("app/work/er and https://example.org/ho" + "me/")


def calls_of_open(text: str) -> list[ast.Call]:
    """Calls of Pillow's `Image.open`, under whatever name the module `Image` goes."""
    return [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "open"
        and "image" in ast.unparse(node.func.value).lower()
    ]


def test_pictures_are_only_opened_with_the_formats_named() -> None:
    calls = {
        f"{name}:{call.lineno}": call
        for name, text in texts().items()
        if name.startswith("app/") and name.endswith(".py") and ("PIL" in text or "Image.open" in text)
        for call in calls_of_open(text)
    }
    assert calls, "nothing opens a picture: is the worker elsewhere?"
    bare = [where for where, call in calls.items() if "formats" not in {keyword.arg for keyword in call.keywords}]
    assert bare == []


def test_the_licence_is_the_one_that_is_claimed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert "[MIT](LICENSE)" in README


def test_the_changelog_has_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", texts()["CHANGELOG.md"], re.MULTILINE)
    assert headings[0][0] == project["version"]
    assert f'__version__ = "{project["version"]}"' in texts()["app/__init__.py"]
