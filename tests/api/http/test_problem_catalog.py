"""The catalog of problems: complete, and true to the classes and sentences that are raised."""

import ast
import re
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

from app.api.http.problem_catalog import CATALOG, refusal
from app.api.http.problem_examples import build_example
from app.api.http.statuses import PHRASES, STATUS
from tests.repository.tree import ROOT

KINDS = {kind.__name__: kind for kind in STATUS}
#: Codes that are chosen by a condition, or used without a request.
OTHER = {"not_reachable", "disk_full", "unknown_event"}


@cache
def calls() -> list[tuple[Path, str, str, ast.Call]]:
    """Return the calls whose first argument is a string: file, name of the function or class, that string, the call."""
    return [
        (path, node.func.id, node.args[0].value, node)
        for path in sorted((ROOT / "app").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    ]


def raised_by_the_domain() -> dict[str, type[Exception]]:
    """Return the codes that the domain raises without the catalog, with their classes."""
    return {code: KINDS[name] for _, name, code, _ in calls() if name in KINDS}


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def domain_sentences() -> re.Pattern[str]:
    """Return a regular expression for all sentences of the domain, which matches any value in a placeholder."""
    found = set()
    for path in sorted((ROOT / "app" / "domain").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [str(part.value) if isinstance(part, ast.Constant) else None for part in parts]
            if sum(len(text or "") for text in texts) > 12:
                found.add("".join(".+" if text is None else re.escape(text) for text in texts))
    return re.compile("|".join(found))


def test_every_code_is_in_the_catalog_with_its_class() -> None:
    raised = raised_by_the_domain()
    assert {code for _, name, code, _ in calls() if name == "refusal"} | raised.keys() | OTHER == CATALOG.keys()
    assert {code: CATALOG[code].kind for code in raised} == raised


@pytest.mark.parametrize("code", CATALOG)
def test_every_code_has_an_example(code: str) -> None:
    document = build_example(code)
    assert document["code"] == code
    assert document["status"] in PHRASES
    assert document["detail"].endswith(".")


def test_the_examples_of_the_domains_errors_are_its_sentences() -> None:
    sentences = domain_sentences()
    details = [build_example(code)["detail"] for code in raised_by_the_domain()]
    assert [detail for detail in details if not sentences.fullmatch(detail)] == []


def test_every_call_has_the_members_that_the_sentence_needs() -> None:
    for path, name, code, call in calls():
        if name == "refusal" and len(call.args) == 1:
            missing = fields(CATALOG[code].detail) - {str(keyword.arg) for keyword in call.keywords}
            assert missing == set(), f"{path}:{call.lineno}"


def test_members_fill_in_the_sentence_and_headers_stay_out_of_the_document() -> None:
    error = refusal("head_too_large", limit_bytes=1000, headers={"Connection": "close"})
    assert error.detail.startswith("The request head is larger than 1,000 bytes.")
    assert (error.extra, error.headers) == ({"limit_bytes": 1000}, {"Connection": "close"})
    assert refusal("too_many_uploads", retry_after=5, limit_bytes=7).headers == {"Retry-After": "5"}
