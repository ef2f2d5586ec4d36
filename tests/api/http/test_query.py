"""Validation of query parameter names: see `QueryRule`."""

from typing import Any

import pytest
from starlette.routing import Mount

from app.api.http.access import ScopedRoute
from app.api.http.form_fields import TEXT_FIELDS
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import every_route, walk
from tests.api.service import Service

#: Paths that are opened as links or by probes, with parameters of other software, such as `fbclid` or `v=2`.
LINKS = {
    ("GET", "/images/{image_id}/original"), ("GET", "/images/{image_id}/variants/{name}"),
    ("GET", "/i/{image_id}"), ("GET", "/i/{image_id}/{slug}"), ("GET", "/i/{image_id}/{slug:path}"),
    ("GET", "/healthz"), ("GET", "/readyz"),
    ("GET", "/"), ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/openapi.json"),
    ("GET", "/shared/{file}"), ("GET", "/shared/{image_id}/{name}"),
    ("GET", "/files/{key:path}"), ("HEAD", "/files/{key:path}"), ("PUT", "/files/{key:path}"),
}  # fmt: skip


#: Paths of calls for admins begin with one of these.
ADMINS_ONLY = ("/keys", "/webhooks", "/deliveries")


def routes(service: Service) -> set[tuple[str, str, bool]]:
    """Return method, path and `allows_extra_query` of every route."""
    found = set()
    for route in every_route(service.app.routes):
        if isinstance(route, Mount):
            continue
        assert isinstance(route, ScopedRoute), route
        found |= {(method, route.path, route.allows_extra_query) for method in route.methods}
    return found


def ask(service: Service, method: str, path: str, query: str) -> Any:
    image = service.place(seed=8)
    path = path.replace("{image_id}", image.id).replace("{name}", "thumb.webp")
    return service.client.request(method, f"{path}?{query}")


def test_every_route_checks_its_query_or_is_a_link(self_hosted: Service) -> None:
    found = routes(self_hosted)
    assert {(method, path) for method, path, is_link in found if is_link} == LINKS
    described = {(method, path) for method, path, _ in walk(self_hosted)}
    assert described <= {(method, path) for method, path, _ in found}
    assert {(method, path) for method, path, is_link in found if not is_link} == described - LINKS


def test_unknown_parameters_are_refused_except_on_links(service: Service) -> None:
    for method, path, _ in walk(service):
        if (method, path) in {("DELETE", "/images"), ("GET", "/stats/owners")} or path.startswith(
            ("/keys", "/webhooks", "/deliveries")
        ):
            continue  # refused without keys, because nobody is an admin
        answer = ask(service, method, path, "zzz=1&zzz=2")
        if (method, path) in LINKS:
            assert answer.status_code < 400, path
            continue
        problem = assert_problem(answer, 422, "invalid_request")
        assert [complaint["field"] for complaint in problem["errors"]] == ["query.zzz"], path
        assert "Unknown" in problem["detail"]
    assert service.client.get("/docs?utm_source=x").status_code == 200


def test_repeated_parameters_are_refused_except_lists(service: Service) -> None:
    image = service.place()
    for method, path, name in (
        ("POST", "/upload", "wait"), ("POST", "/upload", "on_duplicate"), ("POST", "/upload", "title"),
        ("GET", "/images", "visibility"), ("GET", f"/images/{image.id}", "wait"),
    ):  # fmt: skip
        answer = service.client.request(method, path, params=[(name, "1"), (name, "1")])
        (complaint,) = assert_problem(answer, 422, "invalid_request")["errors"]
        assert (complaint["field"], complaint["message"]) == (f"query.{name}", "Given more than once")


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("PATCH", "/images/{image_id}", "Unknown (this path has no parameters)"),
        ("DELETE", "/images/{image_id}", "Unknown (accepted: permanent)"),
        ("GET", "/images/{image_id}", "Unknown (accepted: wait)"),
        (
            "POST",
            "/upload",
            f"Unknown (accepted: wait, on_duplicate, filename, {', '.join(TEXT_FIELDS)})",
        ),
    ],
)
def test_unknown_parameters_get_the_accepted_ones(service: Service, method: str, path: str, known: str) -> None:
    problem = assert_problem(ask(service, method, path, "wiat=secret"), 422, "invalid_request")
    assert problem["detail"] == f"Invalid request: `query.wiat`: {known}."
    assert "secret" not in str(problem)


@pytest.mark.parametrize("name", ["tag[]", "tag[0]", "tag.0"])
def test_lists_of_filters_have_one_spelling(service: Service, name: str) -> None:
    problem = assert_problem(service.client.get("/images", params={name: ["a", "b"]}), 422, "invalid_request")
    (complaint,) = problem["errors"]
    assert complaint["field"] == f"query.{name}"
    assert ", tag, " in complaint["message"]


def test_nothing_is_deleted_by_a_refused_request(service: Service) -> None:
    image = service.place()
    assert_problem(service.client.delete(f"/images/{image.id}?force=1"), 422, "invalid_request")
    assert service.client.get(f"/images/{image.id}").status_code == 200
