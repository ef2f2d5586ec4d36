"""Files for contributors: workflows, hooks, templates and the editor's settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repository.tree import ROOT, texts

WORKFLOWS = ROOT / ".github" / "workflows"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
BYTES = re.compile(r"tests/(images|events|clients/recorded)/")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def steps(workflow: Any) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_workflows_pin_their_actions_and_only_read(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step), step
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+)*|", step.get("uses", "")), step
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


def test_the_workflow_runs_all_checks() -> None:
    workflow = load(WORKFLOWS / "ci.yml")
    assert "bash .ci/run" in {step.get("run") for step in steps(workflow)}
    assert {"pull_request", "push"} == set(workflow[True])  # YAML 1.1 reads the key `on` as a boolean


def test_the_fast_tests_run_on_other_pythons_in_ci_or_nightly() -> None:
    runs = texts()[".ci/run"] + texts()[".github/workflows/nightly.yml"]
    found = re.findall(r"make test-python PYTHON=(\S+)$", runs, re.MULTILINE)
    assert sorted(found) == ["python3.13", "python3.14"]


def test_the_workflow_of_the_images_builds_each_target() -> None:
    (job,) = load(WORKFLOWS / "images.yml")["jobs"].values()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", texts()["Dockerfile"], re.MULTILINE))
    targets = set(job["strategy"]["matrix"]["target"])
    assert targets == {stage for stage in stages if not re.search(r"-(packages|code)$", stage)}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_are_complete(path: Path) -> None:
    form = load(path)
    if path.name == "config.yml":
        assert form == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= form.keys()
    for element in form["body"]:
        assert element["type"] in {"markdown", "textarea", "input"}
        assert element["attributes"]["value" if element["type"] == "markdown" else "label"]


def test_hooks_are_the_locked_tools() -> None:
    repositories = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    entries = " ".join(hook["entry"] for hook in repositories[0]["hooks"])
    assert entries.count(".venv/bin/") == len(repositories[0]["hooks"])
    assert [name for name in ("ruff check", "ruff format", "mypy", "lint-imports") if name not in entries] == []


def test_files_are_as_the_editors_settings_say() -> None:
    checked = {name: text for name, text in texts().items() if text and not BYTES.match(name)}
    odd = re.compile(r"\r\n|[ \t]$|[^\n]\Z", re.MULTILINE)
    assert sorted(name for name, text in checked.items() if odd.search(text)) == []
