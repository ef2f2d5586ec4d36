"""What README.md says is so."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.domain.limits import MEBIBYTE
from app.domain.models import FailureCode, Format
from app.domain.recipe import DEFAULT_RECIPE, Fit, Recipe
from app.settings import PREFIX, Settings
from tests.repository.tree import README, ROOT, table, texts

OPERATIONS = {"get", "put", "post", "delete", "patch", "head", "options"}
PAGES = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]


def setting_row(name: str) -> list[str]:
    field = Settings.model_fields[name]
    default = field.default
    if default is None or default == ():
        shown = "–"
    elif isinstance(default, bool):
        shown = f"`{str(default).lower()}`"
    elif isinstance(default, Recipe):
        shown = "the table above"
    elif isinstance(default, tuple):
        shown = ", ".join(f"`{item}`" for item in default)
    else:
        shown = f"`{default}`"
    return [f"`{PREFIX}{name.upper()}`", shown, field.description or ""]


def test_the_settings_table_is_the_settings() -> None:
    expected = [setting_row(name) for name in Settings.model_fields]
    shown = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in expected)
    assert table("variable") == expected, f"README.md should say:\n{shown}"


def test_the_endpoint_table_is_the_openapi_document(openapi: Any) -> None:
    there = {
        f"{method.upper()} {path}" for path, item in openapi["paths"].items() for method in item if method in OPERATIONS
    }
    said = [re.match(r"`([A-Z]+ /[^`]*)`", row[0]) for row in table("call")]
    assert {match[1] for match in said if match} == there


def test_every_error_status_is_explained(openapi: Any) -> None:
    documented = {
        status
        for item in openapi["paths"].values()
        for method, operation in item.items()
        if method in OPERATIONS
        for status in operation["responses"]
        if status[0] in "45"
    }
    assert documented - {row[0] for row in table("status")} == set()


def test_the_variants_table_is_the_recipe() -> None:
    def row(name: str, width: int, height: int | None, fit: Fit, formats: tuple[Format, ...]) -> list[str]:
        size = f"{width} × {height}, cropped to fill" if fit is Fit.COVER else f"at most {width} wide"
        return [f"`{name}`", size, ", ".join(formats)]

    assert table("variant") == [
        row(spec.name, spec.width, spec.height, spec.fit, spec.formats) for spec in DEFAULT_RECIPE.variants
    ]


def test_the_record_table_names_the_fields_that_are_there(openapi: Any) -> None:
    named = {name for row in table("fields") for name in re.findall(r"`(\w+)(?:\[\])?`", row[0])}
    assert named == set(openapi["components"]["schemas"]["ImageView"]["properties"])


def test_the_codes_of_failed_pictures_are_all_named() -> None:
    paragraph = README[README.index("What only decoding can tell") :].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"failed"} == {code.value for code in FailureCode}


def test_the_limits_said_are_the_defaults() -> None:
    limits = Settings.model_fields
    assert f"{limits['max_upload_bytes'].default // MEBIBYTE} MiB and" in README
    assert f"{limits['max_pixels'].default // 1_000_000} megapixels" in README
    assert f"keep {limits['max_frames'].default} frames" in README


def test_the_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z.][a-z.-]*):", texts()["Makefile"], re.MULTILINE))
    named = {
        word
        for name in ("README.md", "CHANGELOG.md", "Makefile", ".ci/run", "pyproject.toml")
        for word in re.findall(
            r"(?:`|^|\t| )make ((?!sure)[a-z.][a-z-]*)(?=`| [A-Z]|  |$|\")", texts()[name], re.MULTILINE
        )
    }
    assert {"run", "test", "lint", "check", "help"} <= named
    assert named - targets == set()


def test_make_check_is_all_that_ci_does() -> None:
    makefile = texts()["Makefile"]
    needs = {
        target: set(named.split()) for target, named in re.findall(r"^([a-z-]+): ([^#=\n]*)##", makefile, re.MULTILINE)
    }
    done = set(re.findall(r"^timed .+ make (\S+)$", texts()[".ci/run"], re.MULTILINE))
    brought_along = {one for target in needs["check"] for one in needs[target]}
    assert "test-system" in done
    assert needs["check"] == done - brought_along


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", *PAGES])
def test_relative_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", texts()[name])
    missing = [link for link in links if not (ROOT / Path(name).parent / link).exists()]
    assert missing == []


def test_links_within_the_readme_lead_to_a_heading() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ ([\w ]+)$", README, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) - headings == set()


def test_readme_leads_to_every_page() -> None:
    assert [name for name in PAGES if f"]({name})" not in README] == []


def test_every_folder_of_the_code_is_on_the_map() -> None:
    folders = {f"app/{path.parts[-1]}" for path in (ROOT / "app").iterdir() if (path / "__init__.py").exists()}
    tests = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}
    map_of_the_code = README[README.index("## The map of the code") :].split("\n## ")[0]
    assert [folder for folder in sorted(folders) if f"({folder})" not in map_of_the_code] == []
    assert [folder for folder in sorted(tests) if f"`{folder}`" not in map_of_the_code] == []
