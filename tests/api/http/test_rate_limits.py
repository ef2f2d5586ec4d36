"""Rate limits over HTTP: by key and by address, with their fields, and without those that serve images."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.http.access import ScopedRoute
from app.api.middleware import lingering_close
from app.domain.access.api_keys import Scope, new_key
from app.domain.access.key_admin import KeyAdmin
from app.domain.access.key_cache import StoredKeys
from app.domain.access.keyring import Keyring
from app.domain.access.own_limits import OwnLimits
from app.domain.limits import Limits
from app.domain.models import Visibility
from app.domain.uploads.tickets import TICKET_LIFE
from tests.adapters.clock import ClockAhead
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.client import self_hosted_client
from tests.api.exchange import Exchange
from tests.api.http.test_access import every_route
from tests.api.http.test_public_address import PROXY, STRANGER, TRUSTED
from tests.api.service import Service, service_on
from tests.samples import encoded
from tests.sides import side_parameters

RATE, BURST = 2, 20
ANN = new_key("ann", [Scope.UPLOAD, Scope.READ])
BOB = new_key("bob", [Scope.READ])
ADMIN = new_key("root", [Scope.ADMIN])
SLOW = new_key("ann", [Scope.READ], OwnLimits(rate_limit=0.1))
FREE = new_key("ann", [Scope.READ], OwnLimits(rate_limit=0))
KEYRING = Keyring([entry for _, entry in (ANN, BOB, ADMIN, SLOW, FREE)])
#: Routes without a rate limit: image bytes, pages, uploads with a ticket, health, figures.
EXEMPT = {
    ("GET", "/"), ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/openapi.json"), ("GET", "/healthz"),
    ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/images/{image_id}/original"),
    ("GET", "/images/{image_id}/variants/{name}"),
    ("GET", "/i/{image_id}"), ("GET", "/i/{image_id}/{slug}"), ("GET", "/i/{image_id}/{slug:path}"),
    ("GET", "/shared/{file}"), ("GET", "/shared/{image_id}/{name}"),
    ("GET", "/files/{key:path}"), ("HEAD", "/files/{key:path}"), ("PUT", "/files/{key:path}"),
}  # fmt: skip


class Seconds:
    """Monotonic clock that stands still unless the test sets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def limited(name: str, folder: Path, rate: float | None = RATE, **changes: Any) -> Iterator[tuple[Service, Seconds]]:
    clock = Seconds()
    with service_on(name, folder, limits=Limits(rate_limit=rate), clock=clock, **changes) as service:
        yield service, clock


@pytest.fixture(params=side_parameters())
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Service, Seconds]]:
    """API with keys and a rate limit, and its clock."""
    with limited(request.param, tmp_path, keyring=KEYRING, metrics=lambda: b"") as made:
        yield made


@pytest.fixture
def open_to_all(tmp_path: Path) -> Iterator[tuple[Service, Seconds]]:
    """Self-hosted API without keys and with a rate limit, behind proxies."""
    with limited("self-hosted", tmp_path, trusted_proxies=TRUSTED) as made:
        yield made


def get(service: Service, key: tuple[str, object] | str = "", path: str = "/images") -> httpx.Response:
    text = key if isinstance(key, str) else key[0]
    return service.client.get(path, headers={"X-API-Key": text} if text else {})


def drain(service: Service, key: tuple[str, object] | str = "", path: str = "/images") -> int:
    """Send requests until one is refused; return the number of others."""
    count = 0
    while get(service, key, path).status_code != 429:
        count += 1
    return count


def test_a_key_has_a_burst_and_then_the_rate(guarded: tuple[Service, Seconds]) -> None:
    service, clock = guarded
    answer = get(service, ANN)
    assert answer.status_code == 200
    assert answer.headers["ratelimit-policy"] == f'"key";q={BURST};w=10'
    assert answer.headers["ratelimit"] == f'"key";r={BURST - 1};t=1'
    assert get(service, ANN, "/images/no-id").headers["ratelimit"] == f'"key";r={BURST - 2};t=1'  # of 404 too
    assert drain(service, ANN) == BURST - 2
    refused = get(service, ANN)
    problem = assert_problem(refused, 429, "rate_limited")
    assert (problem["limit"], problem["rate"]) == (BURST, RATE)
    assert problem["policy"] == "key"
    assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("1", '"key";r=0;t=1')
    assert refused.headers["ratelimit-policy"] == f'"key";q={BURST};w=10'
    assert get(service, BOB).status_code == 200
    clock.now += 1
    assert drain(service, ANN) == RATE
    clock.now += 3600
    assert drain(service, ANN) == BURST


def test_keys_of_settings_and_store_have_rates_of_their_own(guarded: tuple[Service, Seconds]) -> None:
    service, _ = guarded
    assert drain(service, SLOW) == 1
    answer = get(service, SLOW)
    assert (answer.headers["ratelimit-policy"], answer.headers["retry-after"]) == ('"key";q=1;w=10', "10")
    for path in [*["/images"] * 2 * BURST, "/limits"]:
        answer = get(service, FREE, path)
        assert (answer.status_code, "ratelimit" in answer.headers) == (200, False)
    admin = KeyAdmin(service.side.key_store, stored := StoredKeys(service.side.key_store))
    service.app.state.services = service.app.state.services._replace(keyring=Keyring([], stored))
    key, entry = admin.create(name="n", owner="ann", scopes=["read"], own_limits=OwnLimits(rate_limit=0.5))
    assert get(service, key, "/limits").json()["rate_limit"] == 0.5
    assert drain(service, key) == 4
    admin.edit(entry.id, {"rate_limit": 0})
    assert get(service, key, "/limits").json()["rate_limit"] is None
    assert get(service, key).status_code == 200
    admin.edit(entry.id, {"rate_limit": None})
    answer = get(service, key, "/limits")
    assert (answer.status_code, answer.headers["ratelimit-policy"]) == (429, f'"key";q={BURST};w=10')


def test_wrong_and_missing_keys_are_limited_by_address(guarded: tuple[Service, Seconds]) -> None:
    service, clock = guarded
    assert get(service, ANN).status_code == 200
    for number in range(BURST):
        key = f"dk_guess{number}" if number % 2 else ""
        answer = get(service, key, ("/images", "/keys", "/nowhere", "/limits")[0])
        assert_problem(answer, 401, "key_unknown" if key else "key_missing")
        assert answer.headers["ratelimit-policy"] == f'"address";q={BURST};w=10'
    # Also where requests with a valid key do not count, where no key is needed, and for images.
    for path in ("/images", "/limits", "/metrics", "/images/no-id/original", f"/i/{service.place().id}"):
        refused = get(service, "dk_guess", path)
        problem = assert_problem(refused, 429, "rate_limited")
        assert problem["policy"] == "address", path
        assert refused.headers["retry-after"] == "1"
    assert get(service, ANN).status_code == 200  # has been used before
    assert get(service, BOB).status_code == 429  # may be a guess
    clock.now += 1
    assert get(service, BOB).status_code == 200
    assert drain(service, "dk_guess") == RATE


@pytest.mark.parametrize("path", ["/upload", "/upload?wait=0", "/upload/direct", "/images/lookup"])
def test_a_request_counts_once(open_to_all: tuple[Service, Seconds], path: str) -> None:
    service, _ = open_to_all
    statuses = [service.client.post(path, content=b"x").status_code for _ in range(BURST + 1)]
    assert statuses == [415] * BURST + [429]


def test_limits_without_a_key_count_for_the_address(guarded: tuple[Service, Seconds]) -> None:
    service, _ = guarded
    assert get(service, "", "/limits").json()["rate_limit"] == RATE
    assert drain(service, "", "/limits") == BURST - 1


def test_a_request_without_the_scope_counts(guarded: tuple[Service, Seconds]) -> None:
    service, _ = guarded
    assert get(service, BOB, "/keys").status_code == 403
    assert drain(service, BOB, "/keys") == BURST - 1


def test_image_bytes_pages_and_health_checks_have_no_limit(guarded: tuple[Service, Seconds]) -> None:
    service, _ = guarded
    image = service.place(owner="ann", visibility=Visibility.PUBLIC)
    body = encoded(seed=5)
    ticket = service.client.post(
        "/upload/direct", json={"bytes": len(body), "content_type": "image/jpeg"}, headers={"X-API-Key": ANN[0]}
    ).json()
    drain(service, ANN)
    drain(service, "")
    paths = ("/", "/docs", "/openapi.json", "/static/client.js", "/healthz", "/readyz", f"/images/{image.id}/original",
             f"/images/{image.id}/variants/w320", f"/i/{image.id}", f"/i/{image.id}/a.webp?size=w320")  # fmt: skip
    for path in paths:
        answer = get(service, ANN, path)
        assert answer.status_code in {200, 307}, path
        assert "ratelimit" not in answer.headers, path
    assert get(service, ADMIN, "/metrics").status_code == 429  # a key that was not used yet, from this address
    url = get(service, ANN, f"/images/{image.id}/variants/w320").headers["location"]
    assert service.fetch(url).status_code == 200
    if service.self_hosted:
        path = ticket["url"].removeprefix(str(service.client.base_url))
        assert service.client.put(path, content=body, headers=ticket["headers"]).status_code == 200
    assert TICKET_LIFE


def test_only_the_listed_routes_have_no_limit(open_to_all: tuple[Service, Seconds], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with service_on("self-hosted", tmp_path / "other", metrics=lambda: b"") as service:
        routes = [route for route in every_route(service.app.routes) if isinstance(route, ScopedRoute)]
    exempt = {(method, route.path) for route in routes if not route.is_rate_limited for method in route.methods}
    assert exempt == EXEMPT


def test_addresses_are_apart_and_an_ipv6_network_is_one(open_to_all: tuple[Service, Seconds]) -> None:
    service, _ = open_to_all

    def taken(peer: str, requests: int = BURST + 1) -> int:
        with self_hosted_client(service.app, peer=peer) as client:
            return sum(client.get("/images").status_code == 200 for _ in range(requests))

    assert taken("203.0.113.5") == BURST
    assert taken("203.0.113.6") == BURST
    assert sum(taken(f"2001:db8:0:1::{number:x}", 1) for number in range(BURST + 5)) == BURST
    assert taken("2001:db8:0:2::1") == BURST
    assert taken("::ffff:203.0.113.5", 1) == 0


def test_behind_a_trusted_proxy_the_client_counts(open_to_all: tuple[Service, Seconds]) -> None:
    service, _ = open_to_all

    def taken(peer: str, client_address: str, requests: int = BURST + 1) -> int:
        headers = {"X-Forwarded-For": client_address}
        with self_hosted_client(service.app, peer=peer) as client:
            return sum(client.get("/images", headers=headers).status_code == 200 for _ in range(requests))

    assert taken(PROXY, "198.51.100.1") == BURST
    assert taken(PROXY, "198.51.100.2") == BURST
    assert taken(PROXY, f"192.0.2.{1}, 198.51.100.2", 3) == 0  # what the client sent itself does not count
    # Nobody else can claim an address.
    assert sum(taken(STRANGER, f"192.0.2.{number}", 1) for number in range(BURST + 5)) == BURST


def test_the_wall_clock_does_not_matter(open_to_all: tuple[Service, Seconds], monkeypatch: pytest.MonkeyPatch) -> None:
    service, clock = open_to_all
    assert drain(service) == BURST
    for seconds in (-86400 * 365, 86400 * 365, 0):
        monkeypatch.setattr("app.domain.access.token_buckets.time", ClockAhead(seconds))
        monkeypatch.setattr("time.time", lambda seconds=seconds: 1.8e9 + seconds)
        assert drain(service) == 0
        clock.now += 0.5
        assert drain(service) == 1


def test_64_requests_at_once_get_no_more_than_the_burst(open_to_all: tuple[Service, Seconds]) -> None:
    service, clock = open_to_all
    with ThreadPoolExecutor(64) as threads:
        for expected in (BURST, 0, 2 * RATE):
            statuses = Counter(answer.status_code for answer in threads.map(lambda _: get(service), range(64)))
            assert statuses == Counter({200: expected, 429: 64 - expected} if expected else {429: 64})
            clock.now += 2 if expected == 0 else 0


def test_the_body_of_a_refused_upload_is_not_read(
    open_to_all: tuple[Service, Seconds], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, _ = open_to_all
    monkeypatch.setattr(lingering_close, "SECONDS", 0.01)
    opened: list[object] = []
    spools = service.app.state.services.spools
    monkeypatch.setattr(spools, "open", lambda *given, **_: opened.append(given))

    async def upload() -> int:
        headers = {"Content-Type": "image/jpeg", "Content-Length": "200000"}
        exchange = Exchange(service.app, "POST", "/upload", headers)
        status, problem, fields = await exchange.answer()
        assert (problem["code"], fields["connection"]) == ("rate_limited", "close")
        return status

    with self_hosted_client(service.app, peer="127.0.0.1") as client:
        while client.get("/images").status_code == 200:
            pass
    assert asyncio.run(upload()) == 429
    assert opened == []


def test_without_a_limit_responses_have_no_fields(tmp_path: Path) -> None:
    with limited("self-hosted", tmp_path, rate=None, keyring=KEYRING) as (service, _):
        for key in (ANN, "", "dk_wrong"):
            for _ in range(3 * BURST):
                answer = get(service, key)
                assert answer.status_code in {200, 401}
                assert "ratelimit" not in answer.headers
        assert get(service, ANN, "/limits").json()["rate_limit"] is None
        assert drain(service, SLOW) == 1  # its own


def test_fields_are_structured_and_pages_may_read_them(tmp_path: Path) -> None:
    origin = "https://www.example.org"
    with limited("self-hosted", tmp_path, cors_origins=(origin,)) as (service, _):
        for _ in range(BURST + 1):
            answer = service.client.get("/images", headers={"Origin": origin})
            assert re.fullmatch(r'"address";q=\d+;w=\d+', answer.headers["ratelimit-policy"])
            assert re.fullmatch(r'"address";r=\d+;t=\d+', answer.headers["ratelimit"])
            assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(
                answer.headers["access-control-expose-headers"].split(", ")
            )
        assert answer.status_code == 429
        assert service.client.options("/images").status_code == 204  # does not count
