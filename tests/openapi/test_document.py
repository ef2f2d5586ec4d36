"""The OpenAPI document is valid, and so are its examples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.http.test_access import KEYRING
from tests.api.service import service_on

pytestmark = pytest.mark.openapi
MISSING = "the validators are not installed: make test-openapi"


@pytest.fixture(params=["without keys", "with keys"])
def document(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    options = {"with keys": {"keyring": KEYRING}, "without keys": {"same_site_only": True}}[request.param]
    with service_on("self-hosted", tmp_path, **options) as service:
        return service.app.openapi()


def media_types(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the description of each body of a request or response, with its name."""
    for operations in document["paths"].values():
        for operation in operations.values():
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for status, body in bodies.items():
                for media_type, described in body.get("content", {}).items():
                    yield f"{operation['operationId']} {status} {media_type}", described


def examples(described: dict[str, Any], document: dict[str, Any]) -> list[Any]:
    """Return the examples of a body, or those of its schema."""
    found = [example["value"] for example in described.get("examples", {}).values()]
    found += [described["example"]] if "example" in described else []
    name = described["schema"].get("$ref", "").rpartition("/")[2]
    return found or document["components"]["schemas"].get(name, {}).get("examples", [])


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason=MISSING)
    errors = [str(error) for error in validator.OpenAPIV31SpecValidator(document).iter_errors()]
    assert errors == []


def test_each_body_has_valid_examples(document: dict[str, Any]) -> None:
    validators = pytest.importorskip("openapi_schema_validator", reason=MISSING)
    for name, described in media_types(document):
        if "json" not in name:
            continue
        found = examples(described, document)
        assert found, name
        schema = {**described["schema"], "components": document["components"]}
        check = validators.OAS31Validator(schema, format_checker=validators.oas31_format_checker)
        for example in found:
            assert [error.message for error in check.iter_errors(example)] == [], (name, example)
