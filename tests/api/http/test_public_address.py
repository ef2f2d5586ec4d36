"""Urls in responses: correct under every host, behind proxies with and without a path prefix, and not spoofable."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.http.forwarded import Network
from app.domain.configuration.hosts import network
from app.domain.images.urls import ServedFiles
from app.domain.models import Visibility
from app.domain.uploads.grants import LocalStore, ServedGrants
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.client import self_hosted_client
from tests.api.service import Service, service_on
from tests.samples import encoded
from tests.sides import SIGNER
from tests.tiers import smoke

PROXY, SECOND, STRANGER = "10.0.0.9", "10.0.0.8", "203.0.113.5"
TRUSTED = (network("10.0.0.0/24"), network("fd00::/8"))


@contextmanager
def served(folder: Path, public_url: str | None = None, **changes: Any) -> Iterator[Service]:
    """Run the self-hosted service as its entry point builds it with these settings."""
    with service_on("self-hosted", folder, public_url=public_url, **changes) as service:
        grants = ServedGrants(SIGNER, public_url)
        seal = service.side.seal
        local = LocalStore(service.side.store, grants, seal)
        changed = service.app.state.services._replace(urls=ServedFiles(seal, public_url), grants=grants, local=local)
        service.app.state.services = changed
        yield service


@dataclass(frozen=True)
class Seen:
    """Address of a service according to its responses: `origin` and `prefix` of the urls."""

    origin: str
    prefix: str


def look(service: Service, peer: str, headers: Mapping[str, str], sent: str = "", root: str = "") -> Seen:
    """Get every kind of url and compare them. `sent` is the prefix that the proxy passes on."""
    image = service.place(visibility=Visibility.PUBLIC)
    service.place(seed=1)
    public = service.app.state.services.public_url is not None

    with self_hosted_client(service.app, root, peer) as client:
        client.headers = httpx.Headers(headers)

        def ask(method: str, path: str, **options: Any) -> httpx.Response:
            answer = client.request(method, sent + path, **options)
            assert answer.status_code < 400, (path, answer.text)
            return answer

        ticket = ask("POST", "/upload/direct", json={"bytes": 3, "content_type": "image/jpeg"})
        found = re.fullmatch(r"(https?://[^/]*)?(/.*)?/files/originals/.*", ticket.json()["url"])
        assert found, ticket.json()["url"]
        origin, prefix = found[1] or "", found[2] or ""
        assert ticket.headers["location"] == f"{prefix}/images/{ticket.json()['id']}"

        made = ask("POST", "/upload", files={"file": ("a.jpg", encoded(seed=9))}, params={"on_duplicate": "create"})
        assert made.headers["location"] == made.json()["links"]["self"] == f"{prefix}/images/{made.json()['id']}"

        record = ask("GET", f"/images/{image.id}").json()
        assert record["links"]["original"] == f"{prefix}/images/{image.id}/original"
        files = f"{origin if public else ''}{prefix}/files/processed/public/{image.id}/"
        assert all(variant["url"].startswith(files) for variant in record["variants"])
        assert f'src="{files}' in record["embed"]["html"]
        variant = ask("GET", f"/images/{image.id}/variants/thumb.webp").headers["location"]
        assert variant.startswith(files)
        original = ask("GET", f"/images/{image.id}/original").headers["location"]
        assert original.startswith(f"{origin if public else ''}{prefix}/files/originals/")

        shared = ask("POST", f"/images/{image.id}/share").json()["url"]
        assert shared.startswith(f"{origin}{prefix}/shared/{image.id}?")

        following = ask("GET", "/images?limit=1").links["next"]["url"]
        assert following.startswith(f"{prefix}/images?")
        assert ask("GET", "/openapi.json").json()["servers"] == [{"url": f"{origin}{prefix}" or "/"}]
        assert "static/page/app.js" in ask("GET", "/").text

        # Paths work through a proxy that strips the prefix, and without a proxy.
        for url in (variant, original, record["links"]["self"], following):
            path = re.sub("^https?://[^/]*", "", url)
            as_it_stands = set() if prefix.startswith("/images") else {path}  # a prefix that looks like a route
            for way in {path.removeprefix(prefix), *as_it_stands}:
                assert client.get(way).status_code == 200, way
        target = ticket.json()["url"].removeprefix(origin + prefix)
        put = client.put(target, content=b"\xff\xd8\xff", headers=ticket.json()["headers"])
        assert put.status_code == 200, put.text
    return Seen(origin, prefix)


BEHIND = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "img.example.org"}


@pytest.mark.parametrize("keyless", smoke([True, False]), ids=["keyless", "keys"])
def test_a_ticket_is_absolute_under_an_allowed_host(tmp_path: Path, keyless: bool) -> None:
    hosts = {
        "localhost:8000": "http://localhost:8000",
        "LOCALHOST": "http://localhost",
        "127.0.0.1:8000": "http://127.0.0.1:8000",
        "[::1]:8000": "http://[::1]:8000",
        "192.168.1.7:80": "http://192.168.1.7",
        "nas.local:8000": "http://nas.local:8000",
        "a.example.org": "http://a.example.org",
    }
    with served(tmp_path, allowed_hosts=("nas.local", ".example.org"), same_site_only=keyless) as service:
        for host, origin in hosts.items():
            assert look(service, STRANGER, {"Host": host}) == Seen(origin, "")


@pytest.mark.slow
def test_a_ticket_url_is_relative_if_the_address_is_not_certain(tmp_path: Path) -> None:
    unsure: list[dict[str, str]] = [
        {"Host": "nas.local"},  # not allowed: with keys it is accepted, but not used in urls
        {"Host": "localhost."},  # not valid in urls
        {"Host": "localhost:99999"},
        {"Host": "localhost", "X-Forwarded-Proto": "https"},  # an untrusted proxy: http or https?
        {"Host": "localhost", "X-Forwarded-For": "198.51.100.7"},
        {"Host": "localhost", "Forwarded": "for=198.51.100.7"},
        {"Host": "localhost", "Via": "1.1 proxy"},
        {"Host": "localhost", "X-Real-IP": "198.51.100.7"},
        {"Host": "localhost", **BEHIND},
    ]
    with served(tmp_path, trusted_proxies=TRUSTED) as service:
        for headers in unsure:
            assert look(service, STRANGER, headers) == Seen("", ""), headers


#: Headers of a trusted proxy, and the address that the client sees.
CHAINS: dict[str, tuple[str, Mapping[str, str], Seen]] = {
    "one proxy": (PROXY, BEHIND, Seen("https://img.example.org", "")),
    "with a prefix": (PROXY, {**BEHIND, "X-Forwarded-Prefix": "/pics"}, Seen("https://img.example.org", "/pics")),
    "with a prefix and its slash": (
        PROXY,
        {**BEHIND, "X-Forwarded-Prefix": "/a/pics/"},
        Seen("https://img.example.org", "/a/pics"),
    ),
    "a prefix like a path of ours": (
        PROXY,
        {**BEHIND, "X-Forwarded-Prefix": "/images"},
        Seen("https://img.example.org", "/images"),
    ),
    "a port": (
        PROXY,
        {**BEHIND, "X-Forwarded-Host": "img.example.org:8443"},
        Seen("https://img.example.org:8443", ""),
    ),
    "the default port": (
        PROXY,
        {**BEHIND, "X-Forwarded-Host": "IMG.example.org:443"},
        Seen("https://img.example.org", ""),
    ),
    "no host but the proxy's own": (
        PROXY,
        {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "Host": "img.example.org"},
        Seen("https://img.example.org", ""),
    ),
    "no scheme": (PROXY, {"X-Forwarded-For": "198.51.100.7"}, Seen("", "")),
    "an unknown scheme": (PROXY, {**BEHIND, "X-Forwarded-Proto": "gopher"}, Seen("", "")),
    "a mapped address": (f"::ffff:{PROXY}", BEHIND, Seen("https://img.example.org", "")),
    "over IPv6": ("fd00::9", BEHIND, Seen("https://img.example.org", "")),
    "two proxies, the first one's word passed on": (
        PROXY,
        {**BEHIND, "X-Forwarded-For": f"198.51.100.7, {SECOND}"},
        Seen("https://img.example.org", ""),
    ),
    "two proxies, each adding": (
        PROXY,
        {
            "X-Forwarded-For": f"198.51.100.7, {SECOND}:4711",
            "X-Forwarded-Proto": "https, http",
            "X-Forwarded-Host": "img.example.org, inner.example.org",
            "X-Forwarded-Prefix": "/a, /b",
        },
        Seen("https://img.example.org", "/a/b"),
    ),
    "a client's own words before the proxy's": (
        PROXY,
        {
            "X-Forwarded-For": f"{SECOND}, 198.51.100.7",
            "X-Forwarded-Proto": "gopher, https",
            "X-Forwarded-Host": "evil.example, img.example.org",
            "X-Forwarded-Prefix": "//evil.example, /pics",
        },
        Seen("https://img.example.org", "/pics"),
    ),
    "a client's Forwarded, which such a proxy passes on": (
        PROXY,
        {**BEHIND, "Forwarded": "for=1.2.3.4;host=evil.example;proto=http"},
        Seen("https://img.example.org", ""),
    ),
    "Forwarded": (
        PROXY,
        {"Forwarded": "for=198.51.100.7;proto=https;host=img.example.org"},
        Seen("https://img.example.org", ""),
    ),
    "Forwarded, quoted and with a prefix": (
        PROXY,
        {"Forwarded": 'For="[2001:db8::7]:4711" ; HOST="img.example.org:8443";proto=HTTPS', "X-Forwarded-Prefix": "/p"},
        Seen("https://img.example.org:8443", "/p"),
    ),
    "Forwarded by two proxies": (
        PROXY,
        {"Forwarded": f"for=x;host=evil.example, for=198.51.100.7;proto=https;host=img.example.org,for={SECOND}"},
        Seen("https://img.example.org", ""),
    ),
    "Forwarded without a host": (
        PROXY,
        {"Forwarded": "for=unknown;proto=https", "Host": "img.example.org"},
        Seen("https://img.example.org", ""),
    ),
}


ALLOWED = ("img.example.org", "inner.example.org")


@pytest.mark.slow
def test_headers_of_a_trusted_proxy_are_used(tmp_path: Path) -> None:
    with served(tmp_path, trusted_proxies=TRUSTED, allowed_hosts=ALLOWED, same_site_only=True) as service:
        for name, (peer, headers, seen) in CHAINS.items():
            assert look(service, peer, {"Host": "127.0.0.1:8000", **headers}) == seen, name


@pytest.mark.parametrize(("trusted", "peer"), smoke([(TRUSTED, STRANGER), ((), PROXY), (TRUSTED, "testclient")]))
@pytest.mark.slow
def test_headers_of_other_peers_are_ignored(tmp_path: Path, trusted: tuple[Network, ...], peer: str) -> None:
    with served(tmp_path, trusted_proxies=trusted, allowed_hosts=ALLOWED, same_site_only=True) as service:
        for name, (_, headers, _) in CHAINS.items():
            assert look(service, peer, {**headers, "Host": "127.0.0.1:8000"}) == Seen("", ""), name


@pytest.mark.slow
def test_a_malformed_prefix_is_ignored(tmp_path: Path) -> None:
    headers = {"Host": "localhost", **BEHIND, "X-Forwarded-Host": "localhost"}
    with served(tmp_path, trusted_proxies=TRUSTED) as service:
        for prefix in ("//evil.example", "/..", "/a/../b", "/./a", "/a?b", "/a#b", "/a b", "a", "https://evil.example"):
            seen = look(service, PROXY, {**headers, "X-Forwarded-Prefix": prefix})
            assert seen == Seen("https://localhost", ""), prefix


HOSTS_OF_A_CHAIN = [
    ({"Host": "evil.example", **BEHIND}, "Host"),
    ({**BEHIND, "X-Forwarded-Host": "evil.example"}, "X-Forwarded-Host"),
    ({**BEHIND, "X-Forwarded-Host": "img.example.org, evil.example"}, "X-Forwarded-Host"),
    (
        {**BEHIND, "X-Forwarded-For": f"1.2.3.4, {SECOND}", "X-Forwarded-Host": "img.example.org, evil.example"},
        "X-Forwarded-Host",
    ),
    ({"X-Forwarded-Host": "evil.example"}, "X-Forwarded-Host"),
    ({"Forwarded": "host=evil.example"}, "Forwarded"),
    ({"Forwarded": "for=1.2.3.4;host=img.example.org, for=1.2.3.4;host=evil.example"}, "Forwarded"),
    ({"Forwarded": 'for=1.2.3.4;a=", for="[::1]";host=evil.example'}, "Forwarded"),  # an unterminated quote of a client
    ({"Forwarded": 'for=1.2.3.4;host="evil.example'}, "Forwarded"),
    ({"Forwarded": "host=img.example.org;host=evil.example"}, "Forwarded"),
    ({"Forwarded": "host"}, "Forwarded"),
]


def test_a_foreign_host_in_any_proxy_header_is_refused(tmp_path: Path) -> None:
    with (
        served(tmp_path, trusted_proxies=TRUSTED, allowed_hosts=ALLOWED, same_site_only=True) as service,
        self_hosted_client(service.app, peer=PROXY) as client,
    ):
        for headers, name in HOSTS_OF_A_CHAIN:
            sent = {"Host": "127.0.0.1:8000", **headers}
            problem = assert_problem(client.get("/images", headers=sent), 403, "foreign_host")
            assert problem["header"] == name
            assert "DARKROOM_ALLOWED_HOSTS" in problem["detail"]
            assert client.get("/healthz", headers=sent).status_code == 200


@pytest.mark.parametrize(
    ("public_url", "passed_on"),
    smoke(
        [("https://img.example.org", ""), ("https://www.example.org:8443/pics", ""),
         ("https://www.example.org/pics", "/pics"), ("http://h/a/b", ""), ("https://h/images", ""),
         ("https://h/i%20m", ""), ("http://h/a/b", "/a/b"), ("https://h/i%20m", "/i%20m")],
        fast=2,
    ),
)  # fmt: skip
def test_the_public_url_begins_every_url(tmp_path: Path, public_url: str, passed_on: str) -> None:
    with served(
        tmp_path, public_url=public_url, trusted_proxies=TRUSTED, allowed_hosts=ALLOWED, same_site_only=True
    ) as service:
        for headers in ({}, BEHIND, {**BEHIND, "X-Forwarded-Prefix": "/other"}):
            seen = look(service, PROXY, {"Host": "localhost:8000", **headers}, passed_on)
            assert seen.origin + seen.prefix == public_url


def test_a_public_url_hides_the_stage_of_a_gateway(tmp_path: Path) -> None:
    with service_on("moto", tmp_path, public_url="https://img.example.org/pics") as service:
        image = service.place()
        with service.below("/prod") as client:
            record = client.get(f"/prod/images/{image.id}").json()
            assert record["links"]["self"] == f"/pics/images/{image.id}"
            assert client.get("/prod/openapi.json").json()["servers"] == [{"url": "https://img.example.org/pics"}]
            assert client.get("/prod/").status_code == 200
            assert client.get(f"/prod/pics/images/{image.id}").status_code == 200  # a CDN that passes the prefix on


def test_the_servers_own_prefix_comes_after_the_proxys(tmp_path: Path) -> None:
    headers = {"Host": "localhost", **BEHIND, "X-Forwarded-Prefix": "/outer"}
    with served(tmp_path, trusted_proxies=TRUSTED, allowed_hosts=("img.example.org",)) as service:
        assert look(service, PROXY, headers, "/inner", "/inner") == Seen("https://img.example.org", "/outer/inner")


def test_pages_load_their_files_below_a_prefix(tmp_path: Path) -> None:
    with served(tmp_path, public_url="https://www.example.org/pics", same_site_only=True) as service:
        service.client.base_url = "http://localhost:8000"
        for sent in ("", "/pics"):
            for page in ("/", "/docs", "/redoc"):
                text = service.client.get(f"{sent}{page}").text
                addresses = re.findall(r'(?:src|href|spec-url)="([^"]*)"', text)
                assert len(addresses) > 3
                for address in addresses:
                    assert not address.startswith(("/", "http"))
                    assert service.client.get(f"{sent}/{address}").status_code == 200
        bare = service.client.get("/pics")
        assert (bare.status_code, bare.headers["location"]) == (308, "/pics/")
        assert service.client.get("/pics/").status_code == 200
        assert service.client.get("/pictures").status_code == 404
        assert service.client.head("/pics/healthz", headers={"Host": "evil.example"}).status_code == 200
        assert service.client.get("/pics/images", headers={"Host": "evil.example"}).status_code == 403


def test_pages_of_the_public_host_may_write_behind_a_proxy(tmp_path: Path) -> None:
    allowed = ("img.example.org",)
    headers = {"Origin": "https://img.example.org", "Host": "127.0.0.1:8000", **BEHIND}
    for number, (trusted, status) in enumerate(((TRUSTED, 404), ((), 403))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with (
            served(folder, trusted_proxies=trusted, allowed_hosts=allowed, same_site_only=True) as service,
            self_hosted_client(service.app, peer=PROXY) as client,
        ):
            answer = client.put("/files/nothing", content=b"x", headers=headers)
            assert answer.status_code == status
            if not trusted:
                assert "DARKROOM_TRUSTED_PROXIES" in assert_problem(answer, 403, "foreign_origin")["detail"]


def test_with_keys_the_list_of_hosts_is_enforced_if_set(tmp_path: Path) -> None:
    for number, (allowed, status) in enumerate((((), 200), (("img.example.org",), 403), (("*",), 200))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with served(folder, allowed_hosts=allowed) as service:
            answer = service.client.get("/images", headers={"Host": "nas.local"})
            assert answer.status_code == status
            assert service.client.get("/readyz", headers={"Host": "nas.local"}).status_code == 200
