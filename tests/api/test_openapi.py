"""The OpenAPI document is complete, and the service matches it."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.api.app import create_app
from app.api.http.form_fields import TEXT_FIELDS
from app.api.http.problem_catalog import CATALOG
from app.api.http.public_address import BasePath
from app.api.views.image import view
from app.domain.access.file_seal import FileSeal
from app.domain.access.keyring import Keyring
from app.domain.images.urls import ServedFiles
from app.domain.models import Image
from app.domain.recipe import DEFAULT_RECIPE
from tests.api.bodies.test_bad_input import REFUSED
from tests.api.service import Service, make_services
from tests.samples import encoded
from tests.sides import SIGNER

OPERATIONS = {
    ("post", "/upload"), ("get", "/images"), ("get", "/images/{image_id}"), ("delete", "/images/{image_id}"),
    ("get", "/images/{image_id}/original"), ("get", "/images/{image_id}/variants/{name}"), ("get", "/limits"),
    ("get", "/healthz"), ("get", "/readyz"), ("post", "/upload/direct"), ("post", "/upload/form"),
    ("post", "/upload/json"), ("post", "/upload/raw"), ("post", "/images/{image_id}/share"),
    ("patch", "/images/{image_id}"), ("post", "/images/edit"), ("post", "/images/{image_id}/reprocess"),
    ("delete", "/images"), ("post", "/images/lookup"), ("get", "/images/{image_id}/similar"),
    ("post", "/images/delete"), ("post", "/images/restore"), ("post", "/images/{image_id}/restore"),
    ("get", "/stats"), ("get", "/stats/owners"), ("get", "/i/{image_id}"), ("get", "/i/{image_id}/{slug}"),
    ("get", "/webhooks"), ("post", "/webhooks"), ("get", "/webhooks/{webhook_id}"), ("patch", "/webhooks/{webhook_id}"),
    ("delete", "/webhooks/{webhook_id}"), ("post", "/webhooks/{webhook_id}/test"),
    ("post", "/webhooks/{webhook_id}/rotate"), ("get", "/deliveries"), ("get", "/deliveries/{delivery_id}"),
    ("post", "/deliveries/{delivery_id}/redeliver"), ("post", "/deliveries/redeliver"),
    ("get", "/keys"), ("post", "/keys"), ("post", "/keys/{key_id}/rotate"), ("delete", "/keys/{key_id}"),
    ("patch", "/keys/{key_id}"),
}  # fmt: skip
#: Refusals of sizes on demand.
SIZES = {"sizes_off", "size_not_offered", "size_not_signed", "bad_size_signature"}
#: Codes of preflights, of paths that are not described, and of events that are no requests.
OUTSIDE = {
    "no_such_path", "method_not_allowed", "cors_refused", "unknown_event", "file_not_found", "range_not_satisfiable",
    "bad_signature", "url_expired", "grant_mismatch", "bad_digest", "upload_in_progress", "already_there",
    "ticket_gone",
}  # fmt: skip


@pytest.fixture
def description(service: Service) -> dict[str, Any]:
    described: dict[str, Any] = service.client.get("/openapi.json").json()
    return described


@pytest.fixture
def with_keys(service: Service) -> dict[str, Any]:
    """OpenAPI document of an installation with API keys."""
    return create_app(make_services(service.side, keyring=Keyring([]))).openapi()


@pytest.fixture
def keyless(service: Service) -> dict[str, Any]:
    """OpenAPI document of an installation without API keys, as its entry point builds it."""
    return create_app(make_services(service.side, same_site_only=True)).openapi()


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_operation_is_described(description: dict[str, Any]) -> None:
    found = list(operations(description))
    assert {(method, path) for method, path, _ in found} == OPERATIONS
    names = [operation["operationId"] for _, _, operation in found]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in description["tags"] if tag["description"]}
    for _, path, operation in found:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"])
        assert operation["summary"], path
        assert len(operation["tags"]) == 1, path
        assert operation["tags"][0] in tags
        assert operation["description"], path


def test_parameters_are_never_null(description: dict[str, Any]) -> None:
    parameters = [each for _, _, operation in operations(description) for each in operation.get("parameters", ())]
    assert {each["name"] for each in parameters} >= {"cursor", "if-match", "image_id", "wait"}
    assert [each for each in parameters if "null" in str(each["schema"])] == []


def test_every_error_has_an_example_problem_document(
    description: dict[str, Any], with_keys: dict[str, Any], keyless: dict[str, Any]
) -> None:
    required = set(description["components"]["schemas"]["Problem"]["required"])
    seen = set()
    for _, path, operation in (*operations(description), *operations(with_keys), *operations(keyless)):
        errors = {status: r for status, r in operation["responses"].items() if status == "default" or status >= "400"}
        assert {"503", "default"} <= set(errors), path
        for status, response in errors.items():
            content = response["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["examples"], (path, status)
            for code, example in content["examples"].items():
                value = example["value"]
                seen.add(code)
                assert (value["code"], value["status"]) == (code, CATALOG[code].status)
                assert status in {str(value["status"]), "default"}
                assert required <= set(value)
    assert set(CATALOG) - seen == OUTSIDE
    assert "HTTPValidationError" not in description["components"]["schemas"]


def codes(operation: dict[str, Any], status: str) -> set[str]:
    """Return the codes of the problems that an operation has for a status."""
    response = operation["responses"].get(status)
    return set(response["content"]["application/problem+json"]["examples"]) if response else set()


def test_security_is_described_only_if_keys_are_required(with_keys: dict[str, Any], keyless: dict[str, Any]) -> None:
    assert set(with_keys["components"]["securitySchemes"]) == {"bearer", "header"}
    for _, path, operation in operations(with_keys):
        opened = path in {"/limits", "/healthz", "/readyz"}
        is_size = path.startswith("/i/")
        shows = is_size or path == "/images/{image_id}/variants/{name}"
        security = [{"bearer": []}, {"header": []}, *([{}] if shows else [])]
        assert operation["security"] == ([] if opened else security), path
        assert ("Needs the scope" in operation["description"]) != opened
        assert codes(operation, "401") == (set() if opened else {"key_missing", "key_unknown", "key_expired"})
        assert codes(operation, "403") - (SIZES if is_size else set()) == (set() if opened else {"scope_missing"})
    assert "securitySchemes" not in keyless["components"]
    for method, path, operation in operations(keyless):
        assert operation["security"] == [], path
        assert "Needs the scope" not in operation["description"]
        assert codes(operation, "401") == set()
        foreign = set() if path in {"/healthz", "/readyz"} else {"foreign_host"}
        if path.startswith(("/upload", "/stats", "/keys", "/webhooks", "/deliveries")) or path in {
            "/images",
            "/images/lookup",
        }:  # the request may name an owner, or needs an admin
            foreign.add("scope_missing")
        foreign |= SIZES if path.startswith("/i/") else set()
        assert codes(operation, "403") == foreign | (set() if method == "get" else {"foreign_origin"}), path


def test_each_body_type_has_an_operation_for_client_generators(service: Service, description: dict[str, Any]) -> None:
    bodies = {
        path: description["paths"][path]["post"]["requestBody"]["content"]
        for path in ("/upload/form", "/upload/json", "/upload/raw")
    }
    assert {path: [*content] for path, content in bodies.items()} == {
        "/upload/form": ["multipart/form-data"],
        "/upload/json": ["application/json"],
        "/upload/raw": ["application/octet-stream"],
    }
    everything = description["paths"]["/upload"]["post"]["requestBody"]["content"]
    assert all(everything[name] == body for content in bodies.values() for name, body in content.items())
    picture = encoded()
    text = {"image_base64": base64.b64encode(picture).decode(), "filename": "a.jpg", "title": "Ä"}
    query = {"filename": "a.jpg", "title": "Ä"}
    first = service.client.post("/upload/form", files={"file": ("a.jpg", picture)}, data={"title": "Ä"})
    assert first.status_code == 201, first.text
    assert first.json()["title"] == "Ä"
    again = (
        service.client.post("/upload/json", json=text),
        service.client.post("/upload/raw", content=picture, params=query),
    )
    for answer in again:
        assert (answer.status_code, answer.json()["id"]) == (200, first.json()["id"]), answer.text


def test_every_reference_resolves(description: dict[str, Any]) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for inner in node.values():
                yield from references(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from references(inner)

    found = set(references(description))
    assert found
    for reference in found:
        node = description
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_each_body_type_of_an_upload_is_described(description: dict[str, Any]) -> None:
    content = description["paths"]["/upload"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data", "application/json", "image/*", "application/octet-stream"]
    for raw in ("image/*", "application/octet-stream"):
        assert (content[raw]["schema"]["type"], content[raw]["schema"]["format"]) == ("string", "binary")
    form = content["multipart/form-data"]["schema"]["properties"]
    assert (form["file"]["type"], form["file"]["format"]) == ("string", "binary")
    assert set(form) == {"file", *TEXT_FIELDS}
    properties = content["application/json"]["schema"]["properties"]
    assert set(properties) == {"filename", "content_type", "image_base64", "url", *TEXT_FIELDS}


def test_swagger_ui_suggests_to_wait(description: dict[str, Any]) -> None:
    parameters = {each["name"]: each for each in description["paths"]["/upload"]["post"]["parameters"]}
    wait = parameters["wait"]["schema"]
    assert (wait["default"], wait["example"], wait["examples"]) == (0, 20, [20])
    assert {"Idempotency-Key", "wait", "on_duplicate", "filename", *TEXT_FIELDS} == set(parameters)


def test_the_example_upload_works(service: Service, description: dict[str, Any]) -> None:
    example = description["paths"]["/upload"]["post"]["requestBody"]["content"]["application/json"]["example"]
    answer = service.client.post("/upload", json=example)
    assert answer.status_code == 201, answer.text


def test_records_have_exactly_the_described_fields(service: Service, description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    record = service.client.get(f"/images/{service.place().id}").json()
    assert set(record) == set(schemas["ImageView"]["properties"])
    assert set(record["variants"][0]) == set(schemas["VariantView"]["properties"])
    assert set(record["links"]) == set(schemas["Links"]["properties"])
    assert set(service.client.get("/images").json()) == set(schemas["ImageList"]["properties"])
    assert set(service.client.get("/limits").json()) == set(schemas["LimitsView"]["properties"])


def test_the_example_of_a_record_is_what_the_server_returns(description: dict[str, Any]) -> None:
    (example,) = description["components"]["schemas"]["ImageView"]["examples"]
    variants = [variant | {"file": variant["url"].rpartition("/")[2]} for variant in example["variants"]]
    image = Image.model_validate(example | {"variants": variants, "placed": example["visibility"]})
    assert view(image, ServedFiles(FileSeal(SIGNER)), BasePath()).model_dump(mode="json") == example
    wanted = [(spec.name, each) for spec in DEFAULT_RECIPE.variants for each in spec.formats]
    assert [(variant.name, variant.format) for variant in image.variants] == wanted


def test_every_refusal_of_an_upload_is_described(description: dict[str, Any]) -> None:
    described = {
        (int(status), code)
        for status, response in description["paths"]["/upload"]["post"]["responses"].items()
        if status.isdigit() and status >= "400"
        for code in response["content"]["application/problem+json"]["examples"]
    }
    missing = {(status, code) for _, status, code in REFUSED.values()} - described
    assert missing == set()
