"""Pages of other sites: refused writes without API keys, and CORS headers."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import walk
from tests.api.service import Service, service_on
from tests.tiers import smoke

LISTED = "https://www.example.org"
PUBLIC = "https://img.example.org"
HERE = "localhost:8000"
WRITES = {
    ("POST", "/upload"),
    ("POST", "/upload/form"),
    ("POST", "/upload/json"),
    ("POST", "/upload/raw"),
    ("POST", "/upload/direct"),
    ("POST", "/images/{image_id}/share"),
    ("POST", "/images/edit"),
    ("POST", "/images/lookup"),
    ("POST", "/images/{image_id}/reprocess"),
    ("POST", "/images/{image_id}/restore"),
    ("POST", "/images/restore"),
    ("POST", "/images/delete"),
    ("DELETE", "/images"),
    ("PATCH", "/images/{image_id}"),
    ("DELETE", "/images/{image_id}"),
    ("PUT", "/files/originals/{image_id}"),
    ("POST", "/keys"),
    ("POST", "/keys/{key_id}/rotate"),
    ("PATCH", "/keys/{key_id}"),
    ("DELETE", "/keys/{key_id}"),
    ("POST", "/webhooks"),
    ("PATCH", "/webhooks/{webhook_id}"),
    ("DELETE", "/webhooks/{webhook_id}"),
    ("POST", "/webhooks/{webhook_id}/test"),
    ("POST", "/webhooks/{webhook_id}/rotate"),
    ("POST", "/deliveries/{delivery_id}/redeliver"),
    ("POST", "/deliveries/redeliver"),
}


@pytest.fixture
def open_service(tmp_path: Path) -> Iterator[Service]:
    """Self-hosted service without keys, as its entry point builds it."""
    with service_on("self-hosted", tmp_path, same_site_only=True, public_url=PUBLIC, cors_origins=(LISTED,)) as made:
        made.client.base_url = f"http://{HERE}"
        yield made


def writes(service: Service) -> set[tuple[str, str]]:
    found = {(method, path) for method, path, _ in walk(service) if method not in {"GET", "HEAD", "OPTIONS"}}
    return found | {("PUT", "/files/originals/{image_id}")}


def refused(answer: httpx.Response) -> str | None:
    """Return the code of the error, if it refuses a foreign page or host."""
    code = answer.json().get("code", "") if answer.status_code == 403 else ""
    return code if code.startswith("foreign_") else None


@pytest.mark.parametrize(
    ("host", "origin", "code"),
    [
        (HERE, None, None),
        ("127.0.0.1:8000", None, None),
        ("192.168.1.7", None, None),
        ("[::1]:8000", None, None),
        ("darkroom.localhost", None, None),
        ("img.example.org", None, None),
        (HERE, f"http://{HERE}", None),
        ("[::1]:8000", "http://[::1]:8000", None),
        (HERE, LISTED, None),
        (HERE, LISTED.upper(), None),
        (HERE, PUBLIC, None),
        (HERE, "https://evil.example", "foreign_origin"),
        (HERE, "null", "foreign_origin"),
        (HERE, "http://localhost:9000", "foreign_origin"),
        (HERE, "http://localhost", "foreign_origin"),
        (HERE, "http://127.0.0.1:8000", "foreign_origin"),
        (HERE, LISTED.replace("https", "http"), "foreign_origin"),
        (HERE, f"{LISTED}:8443", "foreign_origin"),
        (HERE, f"{LISTED}.evil.example", "foreign_origin"),
        (HERE, PUBLIC.replace("https", "http"), "foreign_origin"),
        (HERE, "http://[", "foreign_origin"),
        (HERE, "http://[x]", "foreign_origin"),
        ("evil.example", None, "foreign_host"),
        ("evil.example", "http://evil.example", "foreign_host"),
        ("evil.example", LISTED, "foreign_host"),
        ("localhost.evil.example", None, "foreign_host"),
        ("127.0.0.1.evil.example", None, "foreign_host"),
        ("www.example.org", None, "foreign_host"),
        ("[::1", None, "foreign_host"),
    ],
)
@pytest.mark.slow
def test_writes_are_accepted_from_own_pages_only(
    open_service: Service, host: str, origin: str | None, code: str | None
) -> None:
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    assert writes(open_service) == WRITES
    for method, path in WRITES:
        named = re.sub(r"\{\w+\}", "no-id", path)
        answer = open_service.client.request(method, named, headers=headers)
        assert refused(answer) == code, (method, path, answer.text)
    for path in ("/", "/images", "/limits"):  # reads are accepted from any origin: browsers hide the responses
        answer = open_service.client.get(path, headers=headers)
        assert (answer.status_code < 400) == (code != "foreign_host")


OURS = (
    "localhost", "LOCALHOST:8000", "localhost:65535", "darkroom.localhost:8000", "127.0.0.1", "127.0.0.1:8000",
    "192.168.1.7:80", "10.0.0.1:8443", "[::1]", "[::1]:8000", "[fe80::1]:8000", "[2001:DB8::7]", " localhost ",
    "img.example.org", "IMG.example.org:8000",
)  # fmt: skip
FOREIGN = (
    "evil.example", "evil.example:8000", "localhost.evil.example:8000", "127.0.0.1.evil.example",
    "img.example.org.evil.example", "example.org", "a.img.example.org", "www.example.org", "notlocalhost", "2130706433",
    "localhost:evil.example", "127.0.0.1:8000:evil.example", "evil.example@localhost", "localhost@evil.example",
    "localhost/evil.example", "localhost#evil.example", "localhost, evil.example", "[::1]evil.example",
    "[::1", "[evil.example]", "::1", "", "testserver",
)  # fmt: skip


#: Reads that are refused without the key of an admin.
ADMINS_ONLY = {
    "/stats/owners", "/keys", "/webhooks", "/webhooks/{webhook_id}", "/deliveries", "/deliveries/{delivery_id}",
}  # fmt: skip


def everything_read(service: Service) -> list[str]:
    """Return the paths of all reads, described or not, with an existing image."""
    image = service.place()
    record = service.client.get(f"/images/{image.id}").json()
    described = service.client.get("/openapi.json").json()["paths"]
    paths = [
        path.replace("{image_id}", image.id).replace("{name}", "w320")
        for path, found in described.items()
        if "get" in found
    ]
    assert len(paths) >= 7
    shared = service.client.post(f"/images/{image.id}/share").json()["url"]
    files = [variant["url"] for variant in record["variants"]] + [service.side.urls.original(image)]
    files.append(shared.removeprefix(PUBLIC))
    return [*paths, *files, "/", "/docs", "/redoc", "/openapi.json", "/static/docs.js"]


@pytest.mark.parametrize("method", smoke(["GET", "HEAD"]))
def test_requests_under_a_foreign_host_are_refused(open_service: Service, method: str) -> None:
    for path in everything_read(open_service):
        for host in OURS:
            answer = open_service.client.request(method, path, headers={"Host": host})
            if path in ADMINS_ONLY:
                assert "foreign_host" not in answer.text, (host, path)
            else:
                assert answer.status_code < 400, (host, path)
        for host in FOREIGN:
            answer = open_service.client.request(method, path, headers={"Host": host})
            if path in {"/healthz", "/readyz"}:
                assert answer.status_code == 200, (host, path)
            elif method == "HEAD":
                assert (answer.status_code, answer.content) == (403, b""), (host, path)
            else:
                told = assert_problem(answer, 403, "foreign_host")
                assert "DARKROOM_PUBLIC_URL" in told["detail"]


def test_a_duplicate_host_header_is_refused(open_service: Service) -> None:
    for hosts in (("localhost", "evil.example"), ("evil.example", "localhost"), ("localhost", "localhost")):
        for method in ("GET", "POST"):
            answer = open_service.client.request(method, "/images", headers=[("Host", host) for host in hosts])
            assert_problem(answer, 403, "foreign_host")


def test_only_health_checks_accept_any_host(open_service: Service) -> None:
    foreign = {"Host": "evil.example"}
    with open_service.below("/prod") as client:
        assert client.get("/prod/healthz", headers=foreign).status_code == 200
        assert_problem(client.get("/prod/images", headers=foreign), 403, "foreign_host")
        assert client.get("/prod/images", headers={"Host": HERE}).status_code == 200
    for path in ("/healthz/", "/healthz%2f", "/healthz%2f..%2fimages", "/images/healthz", "/static/%2e%2e/healthz"):
        assert_problem(open_service.client.get(path, headers=foreign), 403, "foreign_host")
    for method in ("POST", "DELETE", "BREW"):
        assert_problem(open_service.client.request(method, "/healthz", headers=foreign), 403, "foreign_host")


def test_without_a_public_url_its_host_is_refused(tmp_path: Path) -> None:
    with service_on("self-hosted", tmp_path, same_site_only=True) as service:
        assert_problem(service.client.get("/images", headers={"Host": "img.example.org"}), 403, "foreign_host")
        assert_problem(service.client.get("/images", headers={"Host": ""}), 403, "foreign_host")
        assert service.client.get("/images", headers={"Host": HERE}).status_code == 200


def test_with_keys_any_host_is_accepted(service: Service) -> None:
    assert service.client.get("/images", headers={"Host": "img.example.org"}).status_code == 200


def test_with_keys_pages_of_any_site_are_accepted(service: Service) -> None:
    for method, path in writes(service):
        headers = {"Origin": "https://evil.example"}
        assert refused(service.client.request(method, path.replace("{image_id}", "no-id"), headers=headers)) is None


#: Request headers of clients: ours, Dropzone, Uppy, FilePond, axios, htmx, tracing (W3C, B3, Datadog, Sentry), caches.
ASKED = (
    "Authorization", "X-API-Key", "Content-Type, If-None-Match, x-amz-checksum-sha256", "idempotency-key,prefer",
    "cache-control,x-requested-with", "uppy-versions,uppy-auth-token", "upload-length,upload-name,upload-offset",
    "x-xsrf-token,x-csrf-token", "hx-request,hx-current-url", "traceparent,tracestate,baggage",
    "b3,x-b3-traceid,x-b3-spanid,x-b3-sampled", "x-datadog-trace-id,x-datadog-origin", "sentry-trace", "pragma,range",
)  # fmt: skip


@pytest.fixture
def shared(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """API with one allowed origin."""
    with service_on(side_name, tmp_path, cors_origins=(LISTED,)) as made:
        yield made


def preflight(service: Service, method: str, path: str, origin: str, header: str) -> httpx.Response:
    asks = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": header, "Origin": origin}
    return service.client.options(path.replace("{image_id}", "no-id").replace("{name}", "no-name"), headers=asks)


def test_a_listed_site_may_call_every_operation(shared: Service) -> None:
    operations = {(method, path) for method, path, _ in walk(shared)} | writes(shared)
    assert operations >= WRITES
    for method, path in operations:
        for headers in ASKED:
            answer = preflight(shared, method, path, LISTED, headers)
            assert answer.status_code == 200, answer.text
            assert answer.headers["access-control-allow-origin"] == LISTED
            assert method in answer.headers["access-control-allow-methods"].split(", ")
            allowed = re.split(", *", answer.headers["access-control-allow-headers"].lower())
            assert set(re.split(", *", headers.lower())) <= set(allowed)
            assert {"origin", "access-control-request-headers"} <= set(re.split(", *", answer.headers["vary"].lower()))
        assert "access-control-allow-credentials" not in answer.headers


def test_a_public_site_may_call_a_service_on_a_private_network(shared: Service) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"}
    answer = shared.client.options("/upload", headers={**asks, "Origin": LISTED})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert "access-control-request-private-network" in answer.headers["vary"].lower()
    refused = shared.client.options("/upload", headers={**asks, "Origin": "https://evil.example"})
    assert_problem(refused, 400, "cors_refused")
    assert not [name for name in refused.headers if name.startswith("access-control-")]


def test_an_unlisted_site_is_refused(shared: Service) -> None:
    for origin in ("https://evil.example", "null", LISTED.replace("https", "http"), f"{LISTED}.evil.example"):
        for method, path in writes(shared):
            answer = preflight(shared, method, path, origin, "Authorization")
            problem = assert_problem(answer, 400, "cors_refused")
            assert problem["found"] == {"origin": origin}
            assert "DARKROOM_CORS_ORIGINS" in problem["detail"]
            assert origin in problem["detail"]
            assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-origin" not in shared.client.get("/limits", headers={"Origin": origin}).headers
    refused = preflight(shared, "BREW", "/upload", LISTED, "X-Other")
    assert "BREW" in assert_problem(refused, 400, "cors_refused")["detail"]
    assert refused.headers["access-control-allow-origin"] == LISTED
    assert "origin" in refused.headers["vary"].lower()


def test_a_listed_site_can_read_responses_and_errors(shared: Service) -> None:
    for path, status in (("/limits", 200), ("/images/no-id", 404)):
        answer = shared.client.get(path, headers={"Origin": LISTED})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == LISTED
        assert "origin" in answer.headers["vary"].lower()
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert {
            "Content-Disposition", "Content-Length", "Content-Range", "ETag", "Link", "Location", "Preference-Applied",
            "Retry-After", "X-Request-Id",
        } <= exposed  # fmt: skip


def test_every_own_response_header_is_exposed(shared: Service) -> None:
    image = shared.place()
    shared.place(seed=1)
    paths = ["/images?limit=1", f"/images/{image.id}", f"/images/{image.id}/variants/thumb", "/nothing", "/limits"]
    paths += [f"/files/originals/{image.id}"] if shared.self_hosted else []
    # Headers that every page may read, and headers for browsers only.
    known = {
        "cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma",
        "vary", "content-security-policy", "referrer-policy", "cross-origin-resource-policy",
    }  # fmt: skip
    for path in paths:
        answer = shared.client.get(path, headers={"Origin": LISTED, "Prefer": "wait=0", "Range": "bytes=0-3"})
        exposed = {name.lower() for name in answer.headers["access-control-expose-headers"].split(", ")}
        own = {name for name in answer.headers if not name.startswith(("access-control-", "x-content", "x-frame"))}
        assert own - known <= exposed, path


def test_without_listed_sites_there_is_no_cors(service: Service) -> None:
    answer = service.client.get("/limits", headers={"Origin": LISTED})
    assert not [name for name in answer.headers if name.startswith("access-control")]
