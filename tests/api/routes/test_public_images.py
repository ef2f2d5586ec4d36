"""Urls of public and private images: access, lifetime, and what shared caches may keep."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import requests

from app.adapters.s3.urls import PresignedUrls
from app.domain.access.file_seal import SIGNED_URL_SECONDS
from app.domain.models import Image, Status, Visibility
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import ADMIN, ANN, BOB, KEYRING, KEYS, bearer
from tests.api.service import CDN, RENDERING, Service, service_on, use_cdn
from tests.samples import encoded
from tests.sides import side_parameters

PUBLIC, PRIVATE = Visibility.PUBLIC, Visibility.PRIVATE
OTHER_RENDERING = "543210fedcba"


@pytest.fixture(params=[False, True], ids=["keyless", "keys"])
def served(request: pytest.FixtureRequest, side_name: str, tmp_path: Path) -> Iterator[Service]:
    """Service without and with API keys."""
    with service_on(side_name, tmp_path, keyring=KEYRING if request.param else None) as made:
        yield made


@pytest.fixture
def keyed(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """Service with API keys."""
    with service_on(side_name, tmp_path, keyring=KEYRING) as made:
        yield made


def record_of(service: Service, image: Image) -> dict[str, object]:
    answer = service.client.get(f"/images/{image.id}", headers=bearer(ADMIN))
    assert answer.status_code == 200, answer.text
    record: dict[str, object] = answer.json()
    return record


def urls_of(record: dict[str, object]) -> list[str]:
    variants = record["variants"]
    assert isinstance(variants, list)
    return [variant["url"] for variant in variants]


def test_a_public_image_has_urls_that_last(served: Service) -> None:
    image = served.place(visibility=PUBLIC)
    record = record_of(served, image)
    assert (record["visibility"], record["urls_expire_at"]) == ("public", None)
    folder = f"/files/processed/public/{image.id}/{RENDERING}/"
    if not served.self_hosted:
        folder = f"{served.client.base_url}/images/{image.id}/variants/"
    for url in urls_of(record):
        assert url.startswith(folder)
        assert not urlsplit(url).query
        shown = served.show(url)
        assert (shown.status_code, shown.headers["content-type"].partition("/")[0]) == (200, "image")
    html = str(record["embed"])
    assert folder in html
    assert "signature" not in html.lower()
    assert served.client.get(f"/images/{image.id}", headers=bearer(ADMIN)).headers["etag"] == f'"v{image.version}"'


def test_a_private_image_has_signed_urls_that_expire(served: Service) -> None:
    image = served.place()
    record = record_of(served, image)
    assert record["visibility"] == "private"
    expires_at = datetime.fromisoformat(str(record["urls_expire_at"])).timestamp()
    assert SIGNED_URL_SECONDS / 2 <= expires_at - int(served.side.clock()) <= SIGNED_URL_SECONDS
    for url in urls_of(record):
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert "signature" in query or "X-Amz-Signature" in query
        assert f"/processed/{image.id}/{RENDERING}/" in url
        assert int(query.get("expires", expires_at)) == expires_at
        assert served.show(url).status_code == 200
    assert "ignature=" in str(record["embed"])


def test_an_image_without_variants_has_no_urls_that_expire(service: Service) -> None:
    pending = service.place(Status.PENDING, visibility=PUBLIC)
    assert record_of(service, pending)["urls_expire_at"] is None
    assert record_of(service, service.place(Status.FAILED, seed=1))["urls_expire_at"] is None


def test_lists_and_uploads_have_the_same_urls(service: Service) -> None:
    for seed, visibility in enumerate(Visibility):
        image = service.place(seed=seed, visibility=visibility)
        record = record_of(service, image)
        (listed,) = [item for item in service.client.get("/images").json()["items"] if item["id"] == image.id]
        assert listed == record


@pytest.mark.parametrize("side_name", side_parameters()[1:])
def test_with_a_cdn_public_variants_are_the_cdns_and_all_else_is_signed(side_name: str, tmp_path: Path) -> None:
    with service_on(side_name, tmp_path) as service:
        use_cdn(service)
        public, private = service.place(visibility=PUBLIC), service.place(seed=1)
        record = record_of(service, public)
        base = f"{CDN}/processed/public/{public.id}/{RENDERING}/"
        assert all(url.startswith(base) and "?" not in url for url in urls_of(record))
        assert record["urls_expire_at"] is None
        lasting = service.client.get(f"/images/{public.id}/variants/thumb.webp")
        assert lasting.headers["location"] == f"{base}thumb.webp"
        assert lasting.headers["cache-control"] == "public, max-age=300"
        assert all("X-Amz-Signature" in url for url in urls_of(record_of(service, private)))
        original = service.client.get(f"/images/{public.id}/original").headers["location"]
        assert "X-Amz-Signature" in original


@pytest.mark.parametrize("visibility", Visibility)
def test_originals_are_always_signed(served: Service, visibility: Visibility) -> None:
    image = served.place(visibility=visibility)
    path = f"/images/{image.id}/original"
    answer = served.client.get(path, headers=bearer(ADMIN))
    assert answer.headers["cache-control"] == "no-cache"
    location = answer.headers["location"]
    assert "ignature=" in location
    assert served.fetch(location).content == encoded()
    if served.self_hosted:
        unsigned = location.partition("?")[0]
        assert_problem(served.client.get(unsigned), 403, "bad_signature")
    if served.app.state.services.keyring:
        assert_problem(served.client.get(path), 401, "key_missing")


def ask(service: Service, image_id: str, name: str = "w320", **headers: str) -> httpx.Response:
    return service.client.get(f"/images/{image_id}/variants/{name}", headers=headers)


def test_the_lasting_url_of_a_public_image_needs_no_key(keyed: Service) -> None:
    image = keyed.place(owner="ann", visibility=PUBLIC)
    for headers in ({}, bearer(BOB), bearer(KEYS["upload"]), {"Authorization": "Bearer dk_wrong"}):
        for name, vary in (("w1280.jpg", None), ("w1280", "Accept")):
            answer = ask(keyed, image.id, name, **headers)
            assert answer.status_code == 307
            assert answer.headers["cache-control"] == "public, max-age=300"
            assert answer.headers.get("vary") == vary
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
            assert keyed.show(answer.headers["location"]).status_code == 200
    assert_problem(ask(keyed, image.id, "w9"), 404, "variant_not_found")
    assert_problem(ask(keyed, image.id, "w320.exe"), 404, "format_not_found")
    assert_problem(ask(keyed, image.id, "w320", Accept="text/html"), 406, "not_acceptable")
    head = keyed.client.head(f"/images/{image.id}/variants/w320.webp")
    assert (head.status_code, head.content) == (307, b"")


@pytest.mark.parametrize(
    ("name", "file"),
    [("w1280.jpg", "w1280.jpg"), ("w320.jpg", "w320.webp"), ("w640.jpg", "w1280.jpg"), ("w640.avif", "w1280.jpg")],
)
def test_with_an_extension_the_lasting_url_shows_the_image_also_without_that_variant(
    keyed: Service, name: str, file: str
) -> None:
    public, private = keyed.place(owner="ann", visibility=PUBLIC), keyed.place(seed=1, owner="ann")
    assert urlsplit(ask(keyed, public.id, name).headers["location"]).path.endswith(f"/{RENDERING}/{file}")
    assert ask(keyed, private.id, name, **bearer(ANN)).status_code == (307 if name == file else 404)


def test_without_a_key_unknown_foreign_and_private_images_look_alike(keyed: Service) -> None:
    private = keyed.place(owner="ann")
    wished = keyed.place(seed=1, owner="ann")
    keyed.side.images.update(wished.id, wished.version, {"visibility": PUBLIC})  # its variants are not moved yet
    hidden = keyed.place(seed=2, owner="ann", visibility=PUBLIC)
    keyed.side.images.update(hidden.id, hidden.version, {"visibility": PRIVATE})
    pending = keyed.place(Status.PENDING, seed=3, owner="ann", visibility=PUBLIC)
    seen = set()
    for image_id in (private.id, wished.id, hidden.id, pending.id, f"{private.id[:-2]}00", "no-id", "a%0Ab"):
        for name in ("w320", "w9", "w320.exe"):
            answer = ask(keyed, image_id, name)
            seen.add(str(assert_problem(answer, 401, "key_missing") | {"request_id": ""}))
            assert "image" not in answer.headers.get("cache-control", "")
            assert_problem(ask(keyed, image_id, name, **bearer(KEYS["upload"])), 403, "scope_missing")
    assert len(seen) == 1
    for image_id in (private.id, f"{private.id[:-2]}00"):
        assert_problem(ask(keyed, image_id, **bearer(BOB)), 404, "image_not_found")
    own = ask(keyed, private.id, **bearer(ANN))
    assert (own.status_code, own.headers["cache-control"]) == (307, "no-cache")


@pytest.mark.parametrize("side_name", side_parameters()[1:])
def test_a_cached_redirect_ends_before_the_signed_url_that_it_leads_to(side_name: str, tmp_path: Path) -> None:
    with service_on(side_name, tmp_path) as service:
        image = service.place(visibility=PUBLIC)
        urls = service.side.urls
        assert isinstance(urls, PresignedUrls)
        urls._presigner.seconds = 60
        cached = ask(service, image.id).headers["cache-control"]
        assert 0 < int(cached.removeprefix("public, max-age=")) <= 30


def test_a_public_file_needs_no_signature_and_a_private_one_always_does(self_hosted: Service) -> None:
    private = self_hosted.place()
    signed = self_hosted.side.urls.variant(private, private.variants[0])
    path, _, query = signed.partition("?")
    assert self_hosted.client.get(signed).status_code == 200
    expires, signature = (values[0] for values in parse_qs(query).values())
    for wrong in (
        path,
        f"{path}?expires={expires}",
        f"{path}?signature={signature}",
        f"{path}?expires={int(expires) + 1}&signature={signature}",
        f"{path}?expires={expires}&signature={signature[:-1]}",
        f"{path}?expires={expires}&signature=00000000.{signature.partition('.')[2]}",
        f"{path}?expires={expires}&signature={signature.partition('.')[2]}",
        f"{path.replace('thumb', 'w320')}?{query}",
    ):
        assert_problem(self_hosted.client.get(wrong), 403, "bad_signature")
    for age in (SIGNED_URL_SECONDS + 1, -365 * 86400):  # expired; signed before the clock was set back
        self_hosted.side.clock.now += age
        assert_problem(self_hosted.client.get(signed), 403, "url_expired")
        self_hosted.side.clock.now -= age
    assert self_hosted.client.get(f"{signed}&fbclid=1").status_code == 200


def test_a_public_file_that_was_superseded_redirects_to_the_current_one(self_hosted: Service) -> None:
    image = self_hosted.place(visibility=PUBLIC)
    old = self_hosted.side.urls.variant(image, image.variants[1])
    gone = old.replace("w320.webp", "w640.webp")
    changes = self_hosted.render(image.id, OTHER_RENDERING, PUBLIC)
    image = self_hosted.side.images.update(image.id, image.version, changes)
    assert self_hosted.client.get(old).status_code == 200, "it is still there"
    self_hosted.side.store.delete_prefix(f"processed/public/{image.id}/{RENDERING}/")
    folder = f"/files/processed/public/{image.id}/{OTHER_RENDERING}"
    for url, current in (
        (old, "w320.webp"), (old.replace(".webp", ".jpg"), "w320.webp"), (gone, "w1280.webp"),
        (gone.replace(".webp", ".jpg"), "w1280.jpg"), (gone.replace(".webp", ".avif"), "w1280.jpg"),
    ):  # fmt: skip
        answer = self_hosted.client.get(url)
        assert (answer.status_code, answer.headers["location"]) == (307, f"{folder}/{current}")
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert self_hosted.client.head(url).status_code == 307
        assert self_hosted.client.get(answer.headers["location"]).status_code == 200
    with self_hosted.below("/pics") as client:
        assert client.get(f"/pics{old}").headers["location"] == f"/pics{folder}/w320.webp"


@pytest.mark.parametrize(
    "change",
    [{"visibility": PRIVATE, "placed": PRIVATE}, {"visibility": PRIVATE}, {"placed": PRIVATE},
     {"status": Status.PENDING}, {"variants": []}],
)  # fmt: skip
def test_an_old_public_url_of_an_image_that_is_not_public_is_not_found(
    self_hosted: Service, change: dict[str, object]
) -> None:
    image = self_hosted.place(visibility=PUBLIC)
    url = self_hosted.side.urls.variant(image, image.variants[0])
    image = self_hosted.side.images.update(image.id, image.version, {"rendering_id": OTHER_RENDERING, **change})
    self_hosted.side.store.delete_prefix(f"processed/public/{image.id}/")
    assert_problem(self_hosted.client.get(url), 404, "file_not_found")


def test_a_signed_url_of_an_image_that_was_published_redirects_too(self_hosted: Service) -> None:
    image = self_hosted.place()
    url = self_hosted.side.urls.variant(image, image.variants[0])
    changes = self_hosted.render(image.id, RENDERING, PUBLIC)
    self_hosted.side.images.update(image.id, image.version, {"visibility": PUBLIC, **changes})
    assert self_hosted.client.get(url).status_code == 200, "it is still there"
    self_hosted.side.store.delete_prefix(f"processed/{image.id}/")
    answer = self_hosted.client.get(url)
    assert answer.headers["location"] == f"/files/processed/public/{image.id}/{RENDERING}/thumb.webp"
    assert self_hosted.client.get(answer.headers["location"]).status_code == 200


def test_a_missing_file_does_not_redirect_to_itself(self_hosted: Service) -> None:
    image = self_hosted.place(visibility=PUBLIC)
    url = self_hosted.side.urls.variant(image, image.variants[0])
    self_hosted.side.store.delete_prefix(f"processed/public/{image.id}/")
    assert_problem(self_hosted.client.get(url), 404, "file_not_found")
    self_hosted.client.delete(f"/images/{image.id}")
    assert_problem(self_hosted.client.get(url), 404, "file_not_found")
    unknown = url.replace(image.id, f"{image.id[:-2]}00")
    assert_problem(self_hosted.client.get(unknown), 404, "file_not_found")


def test_a_record_is_unchanged_while_its_urls_are(service: Service) -> None:
    window = SIGNED_URL_SECONDS // 2
    service.side.clock.now = service.side.clock.now // window * window + 1
    private, public = service.place(), service.place(seed=1, visibility=PUBLIC)
    first, lasting = (service.client.get(f"/images/{image.id}") for image in (private, public))
    service.side.clock.now += window - 2
    tag = {"if-none-match": first.headers["etag"]}
    same = service.client.get(f"/images/{private.id}", headers=tag)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert service.client.get(f"/images/{private.id}").json() == first.json()

    service.side.clock.now += 2
    fresh = service.client.get(f"/images/{private.id}", headers=tag)
    assert (fresh.status_code, fresh.json()["version"]) == (200, first.json()["version"])
    assert fresh.headers["etag"] != first.headers["etag"]
    assert fresh.json()["urls_expire_at"] > first.json()["urls_expire_at"]
    old, new = (urls_of(answer.json()) for answer in (first, fresh))
    assert len(new) == 4
    assert not set(old) & set(new)
    tag = {"if-none-match": lasting.headers["etag"]}
    assert service.client.get(f"/images/{public.id}", headers=tag).status_code == 304


def test_a_record_that_shows_no_urls_is_unchanged_for_longer(service: Service) -> None:
    path = f"/images/{service.place(Status.PENDING).id}"
    tag = service.client.get(path).headers["etag"]
    service.side.clock.now += 10 * SIGNED_URL_SECONDS
    assert service.client.get(path, headers={"if-none-match": tag}).status_code == 304


@pytest.mark.parametrize("visibility", Visibility)
def test_head_leads_to_a_url_for_head(service: Service, visibility: Visibility) -> None:
    image = service.place(visibility=visibility)
    shared = service.client.post(f"/images/{image.id}/share").json()["url"]
    for url in (f"/images/{image.id}/original", f"/images/{image.id}/variants/w1280.jpg", shared):
        answer = service.client.head(url)
        assert (answer.status_code, answer.content) == (307, b"")
        location = answer.headers["location"]
        found = (
            service.client.head(location) if service.self_hosted else requests.head(location, timeout=60, stream=True)
        )
        assert found.status_code == 200
        assert found.headers["content-type"] == "image/jpeg"
        assert int(found.headers["content-length"]) > 0


def test_a_listed_page_may_read_public_images_and_any_page_may_show_them(side_name: str, tmp_path: Path) -> None:
    page = "https://www.example.org"
    with service_on(side_name, tmp_path, keyring=KEYRING, cors_origins=(page,)) as service:
        image = service.place(visibility=PUBLIC)
        redirected = ask(service, image.id, "w320.webp", Origin=page)
        answers = [redirected]
        if service.self_hosted:
            answers.append(service.client.get(redirected.headers["location"], headers={"Origin": page}))
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == page
            assert "Origin" in answer.headers["vary"]
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "access-control-allow-origin" not in ask(service, image.id, Origin="https://evil.example").headers
