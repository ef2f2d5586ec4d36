"""Compare README.md and the pages of docs/ with the code."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.domain.configuration.complaints import PREFIX
from app.domain.limits import MEBIBYTE
from app.domain.models import FailureCode, Format
from app.domain.recipe import DEFAULT_RECIPE, Fit, Recipe
from app.settings import Settings
from tests.repository.tree import API, ARCHITECTURE, README, ROOT, SETTINGS, table, texts

OPERATIONS = {"get", "put", "post", "delete", "patch", "head", "options"}
PAGES = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]
PROSE = ["README.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/README.md", *PAGES]


def setting_row(name: str) -> list[str]:
    field = Settings.model_fields[name]
    default = field.default
    if default is None or default == ():
        shown = "–"
    elif isinstance(default, bool):
        shown = f"`{str(default).lower()}`"
    elif isinstance(default, Recipe):
        shown = "see [Recipe](#recipe)"
    elif isinstance(default, tuple):
        shown = ", ".join(f"`{item}`" for item in default)
    else:
        shown = f"`{default}`"
    return [f"`{PREFIX}{name.upper()}`", shown, field.description or ""]


def test_the_settings_table_lists_all_settings() -> None:
    expected = [setting_row(name) for name in Settings.model_fields]
    shown = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in expected)
    assert table("variable", SETTINGS) == expected, f"docs/settings.md should say:\n{shown}"


def test_the_readmes_settings_have_their_defaults() -> None:
    defaults = {name: default for name, default, _ in table("variable", SETTINGS)}
    for names, shown, _ in table("variable"):
        for name, default in zip(names.split(", "), shown.split(", "), strict=True):
            assert default in {defaults[name], "the table above"}, name


def test_the_table_of_routes_lists_all_routes(openapi: Any) -> None:
    there = {
        f"{method.upper()} {path}" for path, item in openapi["paths"].items() for method in item if method in OPERATIONS
    }
    said = [re.match(r"`([A-Z]+ /[^`]*)`", row[0]) for row in table("call", API)]
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
    assert documented - {row[0] for row in table("status", API)} == set()


def test_the_table_of_variants_is_the_default_recipe() -> None:
    def row(name: str, width: int, height: int | None, fit: Fit, formats: tuple[Format, ...]) -> list[str]:
        size = f"{width} × {height}, cropped to fill" if fit is Fit.COVER else f"at most {width} wide"
        return [f"`{name}`", size, ", ".join(formats)]

    assert table("variant") == [
        row(spec.name, spec.width, spec.height, spec.fit, spec.formats) for spec in DEFAULT_RECIPE.variants
    ]


def test_the_table_of_the_record_lists_all_fields(openapi: Any) -> None:
    named = {name for row in table("fields", API) for name in re.findall(r"`(\w+)(?:\[\])?`", row[0])}
    fields = set(openapi["components"]["schemas"]["ImageView"]["properties"])
    assert named == fields
    assert {name for row in table("field") for name in re.findall(r"`(\w+)(?:\[\])?`", row[0])} <= fields


def test_all_codes_of_failed_images_are_listed() -> None:
    paragraph = API[API.index("Problems that only decoding can find") :].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"failed"} == {code.value for code in FailureCode}


def test_the_limits_on_the_readme_are_the_defaults() -> None:
    limits = Settings.model_fields
    assert f"{limits['max_upload_bytes'].default // MEBIBYTE} MiB and" in README
    assert f"{limits['max_pixels'].default // 1_000_000} megapixels" in README
    assert f"keep {limits['max_frames'].default} frames" in README


def test_the_make_targets_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z.][a-z.-]*):", texts()["Makefile"], re.MULTILINE))
    named = {
        word
        for name in (*PROSE, "Makefile", ".ci/run", "pyproject.toml")
        for word in re.findall(
            r"(?:`|^|\t| )make ((?!sure)[a-z.][a-z-]*)(?=`| [A-Z]|  |$|\")", texts()[name], re.MULTILINE
        )
    }
    assert {"run", "test", "lint", "check", "help"} <= named
    assert named - targets == set()


def test_make_check_runs_all_that_ci_runs() -> None:
    makefile = texts()["Makefile"]
    needs = {
        target: set(named.split()) for target, named in re.findall(r"^([a-z-]+): ([^#=\n]*)##", makefile, re.MULTILINE)
    }
    done = set(re.findall(r"^ +timed .+ make (\S+)$", texts()[".ci/run"], re.MULTILINE))
    brought_along = {one for target in needs["check"] for one in needs[target]}
    assert "test-system" in done
    assert needs["check"] == done - brought_along


@pytest.mark.parametrize("name", PROSE)
def test_relative_links_lead_to_a_file(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", texts()[name])
    missing = [link for link in links if not (ROOT / Path(name).parent / link).exists()]
    assert missing == []


def headings(page: str) -> set[str]:
    found = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("name", PROSE)
def test_links_lead_to_a_heading(name: str) -> None:
    targets = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", texts()[name])
    pages = {target: (ROOT / Path(name).parent / target if target else ROOT / name) for target, _ in targets}
    assert [f"{page}#{anchor}" for page, anchor in targets if anchor not in headings(pages[page].read_text())] == []


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 250


def test_images_of_the_readme_are_small_files_of_the_repository() -> None:
    shown = re.findall(r'(?:src|srcset)="(docs/[^"]+)"', README)
    assert shown
    shown += [f"docs/{name}" for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", texts()["docs/page.md"])]
    assert [name for name in shown if not 0 < (ROOT / name).stat().st_size < 150_000] == []


def test_the_readme_links_to_every_page() -> None:
    assert [name for name in PAGES if f"]({name})" not in README] == []


def test_every_folder_of_the_code_is_on_the_map() -> None:
    folders = {f"app/{path.parts[-1]}" for path in (ROOT / "app").iterdir() if (path / "__init__.py").exists()}
    tests = {path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))}
    map_of_the_code = ARCHITECTURE[ARCHITECTURE.index("## Map") :].split("\n## ")[0]
    assert [folder for folder in sorted(folders) if f"(../{folder})" not in map_of_the_code] == []
    assert [folder for folder in sorted(tests) if f"`{folder}`" not in map_of_the_code] == []


def test_the_files_to_change_exist_and_hold_the_names() -> None:
    rows = dict(table("to add", ARCHITECTURE))
    assert {"a form field", "a variant format", "an EXIF field", "a refusal of a request", "a setting", "a route",
            "a memory limit"} <= rows.keys()  # fmt: skip
    for what, change in rows.items():
        named = re.findall(r"\]\(\.\./([^)]+)\)(?: \(([^)]*)\))?", change)
        assert named, what
        for path, names in named:
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"\b{name}\b", (ROOT / path).read_text()), f"{name} is not in {path}"
