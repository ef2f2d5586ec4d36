"""Each finding of `darkroom doctor` is provoked by a test."""

import ast

from tests.repository.tree import texts

SOURCES = ("app/domain/maintenance/doctor/", "app/adapters/aws_diagnosis.py", "app/cli/checks.py", "app/cli/doctor.py")
TESTS = ("tests/self_hosted/test_doctor.py", "tests/on_aws/test_doctor.py")


def codes(text: str) -> set[str]:
    """Return the codes of the problems and findings that a module builds."""
    places = {"Problem": 0, "error": 0, "Finding": 2}
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in places:
            code = node.args[places[node.func.id]]
            found |= {code.value} if isinstance(code, ast.Constant) else set()
    return found - {"ok"}


def test_every_code_of_the_doctor_is_in_a_test() -> None:
    made = {code for name, text in texts().items() if name.startswith(SOURCES) for code in codes(text)}
    assert len(made) > 40
    named = {
        node.value
        for name in TESTS
        for node in ast.walk(ast.parse(texts()[name]))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert made - named == set()
