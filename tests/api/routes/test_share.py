"""Share links: created with the scope `edit`, used without a key."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.domain.access.signing import Signer
from app.domain.images import sharing
from app.domain.images.sharing import ShareLinks
from app.domain.models import Failure, FailureCode, Image, Status, Visibility, utcnow
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import ADMIN, ANN, BOB, KEYRING, KEYS, bearer
from tests.api.service import Service, service_on


@pytest.fixture
def keyed(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """Service with API keys."""
    with service_on(side_name, tmp_path, keyring=KEYRING) as made:
        yield made


def share(service: Service, image: Image, key: tuple[str, object] = ANN, **body: object) -> httpx.Response:
    return service.client.post(f"/images/{image.id}/share", json=body, headers=bearer(key))


def link(service: Service, image: Image, **body: object) -> str:
    answer = share(service, image, **body)
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    return url


def alter(url: str, **changes: str) -> str:
    path, _, query = url.partition("?")
    pairs = dict(pair.split("=") for pair in query.split("&")) | changes
    return f"{path}?{'&'.join(f'{name}={value}' for name, value in pairs.items())}"


@pytest.mark.parametrize("visibility", Visibility)
@pytest.mark.parametrize(
    ("variant", "extension", "accept", "expected"),
    [
        ("w320", "", "*/*", ("image/webp", "w320")),
        ("w1280", "", "image/avif,image/webp,*/*", ("image/webp", "w1280")),
        ("w1280", "", "*/*", ("image/jpeg", "w1280")),
        ("w1280", ".jpg", "image/webp", ("image/jpeg", "w1280")),
        ("thumb", ".webp", "*/*", ("image/webp", "thumb")),
        (None, "", "image/webp,*/*", ("image/webp", "w1280")),
        (None, "", "*/*", ("image/jpeg", "w1280")),
        (None, ".webp", "*/*", ("image/webp", "w1280")),
        (None, ".jpg", "image/webp", ("image/jpeg", "w1280")),
    ],
)
def test_a_link_shows_the_image_without_a_key(
    keyed: Service, visibility: Visibility, variant: str | None, extension: str, accept: str, expected: tuple[str, str]
) -> None:
    image = keyed.place(owner="ann", visibility=visibility)
    url = link(keyed, image, variant=variant)
    path, _, query = url.partition("?")
    assert urlsplit(url).path == f"/shared/{image.id}" + (f"/{variant}" if variant else "")
    assert keyed.self_hosted or url.startswith(str(keyed.client.base_url)), "it is absolute"
    used = f"{path}{extension}?{query}"
    answer = keyed.client.get(used, headers={"Accept": accept})
    assert answer.status_code == 307, answer.text
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers.get("vary") == (None if extension else "Accept")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    location = answer.headers["location"]
    assert ("ignature=" in location) == (visibility is Visibility.PRIVATE or not keyed.self_hosted)
    assert f"/{expected[1]}." in location
    shown = keyed.show(used, Accept=accept)
    assert (shown.status_code, shown.headers["content-type"]) == (200, expected[0])
    head = keyed.client.head(used, headers={"Accept": accept})
    assert (head.status_code, head.content) == (307, b"")
    assert keyed.client.get(f"{used}&fbclid=1").status_code == 307


@pytest.mark.parametrize(
    ("body", "seconds"), [({}, 86400), ({"expires_in": 60}, 60), ({"expires_in": 2_592_000.0}, 2_592_000)]
)
def test_a_link_lives_as_long_as_asked(keyed: Service, body: dict[str, Any], seconds: int) -> None:
    answer = share(keyed, keyed.place(owner="ann"), **body)
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"url", "expires_at"}
    left = datetime.fromisoformat(answer.json()["expires_at"]) - utcnow()
    assert timedelta(seconds=seconds - 30) < left <= timedelta(seconds=seconds)


def test_a_body_is_optional(keyed: Service) -> None:
    path = f"/images/{keyed.place(owner='ann').id}/share"
    assert keyed.client.post(path, headers=bearer(ANN)).status_code == 201
    nulls = keyed.client.post(path, json={"expires_in": None, "variant": None}, headers=bearer(ANN))
    assert nulls.status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"expires_in": 59}, "out_of_range"),
        ({"expires_in": 0}, "out_of_range"),
        ({"expires_in": -5}, "out_of_range"),
        ({"expires_in": 2_592_001}, "out_of_range"),
        ({"expires_in": "60"}, "wrong_type"),
        ({"expires_in": 60.5}, "wrong_type"),
        ({"expires_in": True}, "wrong_type"),
        ({"variant": 5}, "wrong_type"),
        ({"variant": ["w320"]}, "wrong_type"),
        ({"life": 60}, "unknown_field"),
        ([], "wrong_type"),
    ],
)
@pytest.mark.sampled(4)
def test_invalid_bodies_are_refused(keyed: Service, body: Any, code: str) -> None:
    path = f"/images/{keyed.place(owner='ann').id}/share"
    assert_problem(keyed.client.post(path, json=body, headers=bearer(ANN)), 422, code)


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "empty_body"),
        (b"{", "application/json", 400, "bad_json"),
        (b'{"variant": "a", "variant": "b"}', "application/json", 400, "duplicate_field"),
        (b"[" * 40, "application/json", 400, "too_deep"),
        (b"variant=w320", "application/x-www-form-urlencoded", 415, "unsupported_body"),
        (b"{}", None, 415, "unsupported_body"),
        (b" " * 70_000, "application/json", 413, "body_too_large"),
    ],
)
def test_malformed_bodies_are_refused(
    keyed: Service, content: bytes, content_type: str | None, status: int, code: str
) -> None:
    path = f"/images/{keyed.place(owner='ann').id}/share"
    headers = bearer(ANN) | ({"Content-Type": content_type} if content_type else {})
    assert_problem(keyed.client.post(path, content=content, headers=headers), status, code)


def test_only_the_owner_with_the_right_scope_and_an_admin_can_share(keyed: Service) -> None:
    image = keyed.place(owner="ann")
    assert share(keyed, image, KEYS["edit"]).status_code == share(keyed, image, ADMIN).status_code == 201
    assert_problem(share(keyed, image, BOB), 404, "image_not_found")
    for scope in ("upload", "read", "delete"):
        assert assert_problem(share(keyed, image, KEYS[scope]), 403, "scope_missing")["scope"] == "edit"
    assert_problem(keyed.client.post(f"/images/{image.id}/share", json={}), 401, "key_missing")


def test_an_unknown_variant_is_refused(keyed: Service) -> None:
    ready, pending = keyed.place(owner="ann"), keyed.place(Status.PENDING, seed=1, owner="ann")
    for name in ("w9", "", "original", "../original", "thumb.webp"):
        assert_problem(share(keyed, ready, variant=name), 404, "variant_not_found")
    problem = assert_problem(share(keyed, pending, variant="w9"), 404, "variant_not_found")
    assert problem["variants"] == ["thumb", "w1280", "w1920", "w320", "w640"]
    assert share(keyed, pending, variant="w1920").status_code == 201


def test_an_altered_link_is_refused(keyed: Service) -> None:
    image, other = (keyed.place(seed=seed, owner="ann") for seed in (0, 1))
    url, largest = link(keyed, image, variant="thumb"), link(keyed, image)
    expires = urlsplit(url).query.partition("&")[0].partition("=")[2]
    signature = urlsplit(url).query.rpartition("=")[2]
    forged = ShareLinks(Signer(b"a secret from elsewhere")).query(image.id, "thumb", utcnow() + timedelta(days=1))
    for wrong in (
        url.replace("/thumb", "/w1280"),
        url.replace("/thumb", ""),
        largest.replace(image.id, f"{image.id}/thumb"),
        url.replace(image.id, other.id),
        alter(url, expires=str(int(expires) + 1)),
        alter(url, expires=""),
        alter(url, signature=signature[:-1]),
        alter(url, signature=""),
        url.partition("?")[0],
        f"{url.partition('?')[0]}?{forged}",
        f"/shared/no-id?{urlsplit(largest).query}",
    ):
        assert_problem(keyed.client.get(wrong), 403, "bad_signature")
    assert_problem(keyed.client.get(wrong, headers=bearer(ADMIN)), 403, "bad_signature")


@pytest.mark.parametrize("later", [timedelta(seconds=61), -timedelta(days=31)], ids=["expired", "clock set back"])
def test_an_expired_link_is_refused(keyed: Service, monkeypatch: pytest.MonkeyPatch, later: timedelta) -> None:
    url = link(keyed, keyed.place(owner="ann"), expires_in=60)
    assert keyed.client.get(url).status_code == 307
    now = utcnow() + later
    monkeypatch.setattr(sharing, "utcnow", lambda: now)
    assert_problem(keyed.client.get(url), 403, "url_expired")


def test_the_record_is_looked_up_at_each_use(keyed: Service) -> None:
    image = keyed.place(Status.PENDING, owner="ann")
    url, thumb = link(keyed, image), link(keyed, image, variant="thumb")
    assert assert_problem(keyed.client.get(url), 409, "not_ready")["status_of_image"] == "pending"
    failure = Failure(code=FailureCode.CORRUPT_IMAGE, detail="It is cut short.")
    image = keyed.side.images.update(image.id, image.version, {"status": Status.FAILED, "error": failure})
    assert "cut short" in assert_problem(keyed.client.get(thumb), 409, "not_ready")["detail"]
    for rendering, visibility in (("aaaa", Visibility.PRIVATE), ("bbbb", Visibility.PUBLIC)):
        changes = {"status": Status.READY, "visibility": visibility, "width": 64, "height": 48}
        changes |= keyed.render(image.id, rendering, visibility)
        image = keyed.side.images.update(image.id, image.version, changes)
        for used, file in ((url, "w1280.jpg"), (thumb, "thumb.webp")):
            assert f"/{rendering}/{file}" in keyed.client.get(used).headers["location"]
            assert keyed.show(used).status_code == 200
    left = [variant for variant in image.variants if variant.name != "thumb"]
    keyed.side.images.update(image.id, image.version, {"variants": left})
    # A link to a small variant never shows a larger one.
    assert_problem(keyed.client.get(thumb), 404, "variant_not_found")
    assert_problem(keyed.client.get(url.replace("?", ".avif?")), 404, "format_not_found")
    assert_problem(keyed.client.get(url, headers={"Accept": "text/html"}), 406, "not_acceptable")
    keyed.client.delete(f"/images/{image.id}", headers=bearer(ANN))
    for used in (url, thumb):
        assert_problem(keyed.client.get(used), 404, "image_not_found")


def test_a_link_is_absolute_where_the_address_is_known(tmp_path: Path) -> None:
    with service_on("self-hosted", tmp_path, allowed_hosts=("testserver",)) as service:
        url = service.client.post(f"/images/{service.place().id}/share").json()["url"]
        assert url.startswith("http://testserver/shared/")
        assert service.show(url).status_code == 200


def test_a_link_is_a_path_where_the_address_is_not_known(self_hosted: Service) -> None:
    image = self_hosted.place()
    with self_hosted.below("/pics") as client:
        answer = client.post(f"/pics/images/{image.id}/share", headers={"X-Forwarded-Proto": "https"})
        url = answer.json()["url"]
        assert url.startswith(f"/pics/shared/{image.id}?")
        assert client.get(client.get(url).headers["location"]).status_code == 200
