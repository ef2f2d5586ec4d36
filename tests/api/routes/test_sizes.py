"""Any size on demand, under urls to paste."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image as Pillow

from app.api.shared_renderings import SharedRenderings
from app.domain.errors import NotRenderable, RendererBusy, Unavailable
from app.domain.ids import new_id
from app.domain.images.patch import Patch
from app.domain.keys import size_key, size_prefix
from app.domain.models import ANONYMOUS, Failure, FailureCode, Image, Status, Visibility
from app.domain.reports import RequestReport
from app.domain.sizes.offer import OnDemand
from app.domain.sizes.signatures import SizeSignatures
from app.domain.sizes.snapping import Ladder
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import ANN, BOB, KEYRING, KEYS, bearer
from tests.api.renderer import FakeRenderer
from tests.api.service import RENDERING, Service, service_on
from tests.running_server import wait_for
from tests.samples import encoded
from tests.sides import SIGNER

PUBLIC, PRIVATE = Visibility.PUBLIC, Visibility.PRIVATE
WEBP = {"Accept": "image/avif,image/webp,*/*;q=0.8"}
OLD = {"Accept": "*/*"}


class Sizes:
    """A service with a renderer, and one public image of 2000 × 1500 pixels."""

    def __init__(self, service: Service, renderer: FakeRenderer) -> None:
        self.service = service
        self.renderer = renderer
        self.image = self.place()

    def place(self, seed: int = 0, visibility: Visibility = PUBLIC, **fields: Any) -> Image:
        """Store another image."""
        image = self.service.place(seed=seed, visibility=visibility, **fields)
        return self.service.side.images.update(image.id, image.version, {"width": 2000, "height": 1500})

    def get(self, path: str = "", image: Image | None = None, **headers: str) -> httpx.Response:
        """Get a size, and follow redirects."""
        answer = self.service.client.get(f"/i/{(image or self.image).id}{path}", headers=headers)
        return self.service.show(answer.headers["location"]) if answer.status_code == 307 else answer

    def stored(self, image: Image | None = None) -> list[str]:
        """Names of the stored sizes."""
        prefixes = [size_prefix((image or self.image).id, public=public) for public in (False, True)]
        keys = [info.key for prefix in prefixes for info in self.service.side.store.list(prefix)]
        return sorted(key.rpartition("/")[2] for key in keys)


@pytest.fixture
def make(side_name: str, tmp_path: Path) -> Iterator[Callable[..., Sizes]]:
    """Build the service with options."""
    with make_on(side_name, tmp_path) as made:
        yield made


def make_on(side_name: str, folder: Path) -> Any:
    from contextlib import ExitStack, contextmanager

    @contextmanager
    def entered() -> Iterator[Callable[..., Sizes]]:
        with ExitStack() as stack:

            def made(**options: Any) -> Sizes:
                service = stack.enter_context(service_on(side_name, folder, **options))
                renderer = FakeRenderer(service.side.store, service.side.images)
                service.app.state.services = _with_renderer(service, renderer)
                return Sizes(service, renderer)

            yield made

    return entered()


def _with_renderer(service: Service, renderer: FakeRenderer) -> Any:

    return service.app.state.services._replace(renderer=renderer)


@pytest.fixture
def sizes(make: Callable[..., Sizes]) -> Sizes:
    return make()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Sizes]:
    """Self-hosted, where the API answers with the bytes."""
    with make_on("self-hosted", tmp_path) as made:
        yield made()


def opened(answer: httpx.Response) -> tuple[str | None, int, int]:
    assert answer.status_code == 200, answer.text
    with Pillow.open(io.BytesIO(answer.content)) as image:
        return image.format, image.width, image.height


def test_a_size_is_rendered_once(sizes: Sizes) -> None:
    first, second = sizes.get("?w=600&q=80", **WEBP), sizes.get("/a-name?width=640&quality=75", **WEBP)
    assert opened(first) == opened(second) == ("WEBP", 640, 480)
    assert first.headers["content-type"] == "image/webp"
    assert first.content == second.content
    assert sizes.stored() == ["w640-q75.webp"]
    if sizes.service.self_hosted:
        assert sizes.renderer.calls == {f"{sizes.image.id}/w640-q75.webp": 1}


@pytest.mark.parametrize("visibility", [PUBLIC, PRIVATE])
def test_a_size_that_has_lost_its_end_is_rendered_again(local: Sizes, visibility: Visibility) -> None:
    image = local.place(1, visibility)
    whole = local.get("?w=640&fm=webp", image).content
    key = size_key(image.id, "w640-q75.webp", public=visibility is PUBLIC)
    for torn in (b"", bytes(len(whole)), whole[:-1]):
        local.service.side.store.put(key, io.BytesIO(torn), size=len(torn), content_type="image/webp")
        assert local.get("?w=640&fm=webp", image).content == whole
    assert sum(local.renderer.calls.values()) == 4


def test_a_new_size_is_shown_also_if_it_seems_to_have_lost_its_end(local: Sizes) -> None:
    local.renderer.encode = lambda *options: encoded(*options)[:-1]
    for calls in (1, 2):
        answer = local.get("?w=640&fm=webp")
        assert (answer.status_code, answer.content[8:12]) == (200, b"WEBP")
        assert sum(local.renderer.calls.values()) == calls


def test_hits_and_misses_are_reported_and_refusals_are_neither(make: Callable[..., Sizes]) -> None:
    reports: list[RequestReport] = []
    sizes = make(on_demand=OnDemand.SIGNED, reporter=reports.append)
    signature = SizeSignatures(SIGNER).sign(sizes.image.id, "w64-q75.webp")
    for query in (f"?w=64&fm=webp&s={signature}",) * 2 + ("?w=64",):
        sizes.get(query)
    reported = [(report.status, report.size) for report in reports if report.route == "/i/{image_id}"]
    assert [size for _, size in reported] == ["miss", "hit", None]
    assert reported[-1][0] == 403


def test_the_format(sizes: Sizes) -> None:
    assert opened(sizes.get("?w=640", **OLD))[0] == "JPEG"
    assert opened(sizes.get("?w=640"))[0] == "JPEG"
    assert opened(sizes.get("?w=640&auto=format", **WEBP))[0] == "WEBP"
    assert opened(sizes.get("/sunset.png?w=640", **WEBP))[0] == "PNG"
    assert opened(sizes.get("/sunset.png?w=640&fm=avif", **OLD))[0] == "AVIF"
    assert opened(sizes.get("/sunset.png?w=640&fm=auto", **WEBP))[0] == "WEBP"
    transparent = sizes.place(1, has_alpha=True)
    answer = sizes.get("?w=640&fm=jpg", transparent)
    assert (opened(answer)[0], answer.headers["content-type"]) == ("PNG", "image/png")


JXL = {"Accept": "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}


def test_jpeg_xl_is_for_clients_that_name_it(make: Callable[..., Sizes]) -> None:
    sizes = make(ladder=Ladder(jxl=True))
    answer = sizes.get("?w=640", **JXL)
    assert (answer.headers["content-type"], answer.content[4:8]) == ("image/jxl", b"JXL ")
    assert sizes.get("/x.jxl?w=640", **OLD).content == sizes.get("?w=640&fm=jxl", **WEBP).content == answer.content
    assert sizes.stored() == ["w640-q75.jxl"]
    assert sizes.renderer.calls.total() == 1
    assert opened(sizes.get("?w=640", **WEBP))[0] == "WEBP"
    for accept in ("*/*", "image/*", "image/webp;q=0.5,image/*", "image/jxl;q=0,*/*"):
        assert opened(sizes.get("?w=640", Accept=accept))[0] == "JPEG"


def test_jpeg_xl_is_off_by_default(sizes: Sizes) -> None:
    assert opened(sizes.get("?w=640", **JXL))[0] == "WEBP"
    for path in ("?w=640&fm=jxl", "/x.jxl?w=640", "/x.jxl"):
        problem = assert_problem(sizes.get(path), 422, "bad_size")
        assert (problem["field"], problem["found"]) == ("fm", "jxl")
        assert "jxl" not in problem["accepted"]
    assert sizes.stored() == ["w640-q75.webp"]


def test_crops(sizes: Sizes) -> None:
    assert opened(sizes.get("?w=100&h=100&fm=webp")) == ("WEBP", 128, 128)
    assert opened(sizes.get("?width=384&height=288&fit=cover&fm=webp")) == ("WEBP", 384, 288)
    assert opened(sizes.get("?h=480&fm=webp")) == ("WEBP", 640, 480)
    assert sizes.stored() == ["w128-h128-cover-q75.webp", "w384-q75.webp", "w640-q75.webp"]
    problem = assert_problem(sizes.get("?w=640&h=100"), 403, "size_not_offered")
    assert problem["ratios"] == ["1:1"]


@pytest.mark.parametrize(
    "slug", ["/a", "/ä ö", "/a/b/c", "/..%2f..%2fx", "/%00", "/.webp", "/a%2Fb.webp", "/?", "/" + "x" * 2000]
)
def test_any_slug(local: Sizes, slug: str) -> None:
    answer = local.service.client.get(f"/i/{local.image.id}{slug.rstrip('?')}?w=640&fm=webp")
    assert opened(answer) == ("WEBP", 640, 480)


def test_plain_urls_and_variants(sizes: Sizes) -> None:
    assert opened(sizes.get(**WEBP))[0] == "WEBP"
    assert opened(sizes.get(**OLD)) == ("JPEG", 64, 48)
    assert opened(sizes.get("/x.jpg", **WEBP)) == ("JPEG", 64, 48)
    assert opened(sizes.get("?size=thumb")) == ("WEBP", 16, 16)
    assert opened(sizes.get("/x.jpg?size=w1280", **WEBP))[0] == "JPEG"
    assert_problem(sizes.get("?size=none"), 404, "variant_not_found")
    assert sizes.stored() == []
    assert opened(sizes.get("/x.avif"))[0] == "AVIF"  # no variant has this format
    assert sizes.stored() == ["w3840-q75.avif"]


@pytest.mark.parametrize("query", ["w=0", "w=-1", "w=1e9", "w=NaN", "w=640&width=320", "fm=gif", "dpr=99"])
def test_bad_queries(sizes: Sizes, query: str) -> None:
    code = "size_conflict" if "&" in query else "bad_size"
    problem = assert_problem(sizes.get(f"?{query}"), 422, code)
    assert problem["field"] in query
    assert opened(sizes.get("?w=640&withoutEnlargement=true&utm=x&w%00=1"))


def test_cache_headers_and_revalidation(local: Sizes) -> None:
    first = local.get("?w=640", **WEBP)
    assert first.headers["cache-control"] == "public, max-age=3600"
    assert first.headers["vary"] == "Accept"
    assert first.headers["cross-origin-resource-policy"] == "cross-origin"
    tag = first.headers["etag"]
    again = local.get("?w=640", **WEBP, **{"If-None-Match": f'"x", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert "vary" not in local.get("?w=640&fm=webp").headers
    versioned = local.get(f"?w=640&fm=webp&v={RENDERING}")
    assert versioned.headers["cache-control"] == "public, max-age=86400, immutable"
    assert local.get("/x.webp?w=640", **{"If-None-Match": "*"}).status_code == 304
    part = local.get("/x.webp?w=640", Range="bytes=0-3")
    assert (part.status_code, part.content) == (206, b"RIFF")


def test_head(local: Sizes) -> None:
    for _ in ("miss", "hit"):
        head = local.service.client.head(f"/i/{local.image.id}?w=640&fm=webp")
        whole = local.get("?w=640&fm=webp")
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-length", "etag", "cache-control"):
            assert head.headers[name] == whole.headers[name]


def test_a_signature_allows_any_size(make: Callable[..., Sizes]) -> None:
    sizes = make(on_demand=OnDemand.SIGNED)
    sign, image_id = SizeSignatures(SIGNER).sign, sizes.image.id
    signature = sign(image_id, "w641-h100-cover-q33.webp")
    query = f"?w=641&h=100&q=33&fm=webp&s={signature}"
    assert opened(sizes.get(query)) == ("WEBP", 641, 100)
    assert sizes.stored() == ["w641-h100-cover-q33.webp"]
    other = sizes.place(1)
    for wrong, image in (
        (query.replace("641", "642"), None),
        (query, other),
        (query[:-1], None),
        (query + "&q=33", None),
    ):
        answer = sizes.get(wrong, image)
        if wrong.endswith("&q=33"):
            assert opened(answer)
        else:
            problem = assert_problem(answer, 403, "bad_size_signature")
            assert problem["text"].startswith(f"{(image or sizes.image).id}/w64")
    assert_problem(sizes.get("?w=640"), 403, "size_not_signed")
    automatic = f"?w=50&s={sign(image_id, 'w50-q75.auto')}"
    assert opened(sizes.get(automatic, **WEBP))[:2] == ("WEBP", 50)
    assert opened(sizes.get(automatic, **OLD))[:2] == ("JPEG", 50)
    assert opened(sizes.get("?size=thumb"))


def test_off(make: Callable[..., Sizes]) -> None:
    sizes = make(on_demand=OnDemand.OFF)
    assert_problem(sizes.get("?w=640"), 403, "sizes_off")
    assert opened(sizes.get("?size=thumb"))
    assert opened(sizes.get())
    assert_problem(sizes.get("/x.avif"), 404, "format_not_found")
    assert not sizes.renderer.calls


def test_without_a_renderer_sizes_are_off(service: Service) -> None:
    image = service.place(visibility=PUBLIC)
    assert_problem(service.show(f"/i/{image.id}?w=640"), 403, "sizes_off")


def test_absent_images_are_cached_shortly(sizes: Sizes) -> None:
    answer = sizes.service.client.get(f"/i/{new_id()}?w=640")
    assert_problem(answer, 404, "image_not_found")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert sizes.service.client.get("/i/none?w=640").status_code == 404
    sizes.get("?w=640")
    sizes.service.client.delete(f"/images/{sizes.image.id}")
    assert sizes.stored() == []
    for query in ("?w=640", "", "?size=thumb"):
        gone = sizes.get(query)
        assert_problem(gone, 410, "image_deleted")
        assert gone.headers["cache-control"] == "public, max-age=60"


def test_pending_and_failed_images(sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.routes.sizes._WAIT_SECONDS", 0.1)
    pending = sizes.service.place(Status.PENDING, seed=1, visibility=PUBLIC)
    answer = sizes.get("?w=640", pending)
    assert_problem(answer, 409, "not_ready")
    assert answer.headers["retry-after"] == "2"
    failure = Failure(code=FailureCode.CORRUPT_IMAGE, detail="It is broken.")
    failed = sizes.service.place(Status.FAILED, seed=2, visibility=PUBLIC, error=failure)
    problem = assert_problem(sizes.get("?w=640", failed), 409, "not_ready")
    assert "It is broken." in problem["detail"]


def test_an_image_that_is_deleted_while_a_request_waits_for_it_is_gone(local: Sizes) -> None:
    pending = local.service.place(Status.PENDING, seed=1, visibility=PUBLIC)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(local.get, "?w=640&fm=webp", pending)
        wait_for(lambda: local.service.app.state.services.waiters._watches, 60)
        assert local.service.client.delete(f"/images/{pending.id}", params={"permanent": True}).status_code == 204
        assert_problem(answer.result(60), 410, "image_deleted")


def test_a_pending_image_is_waited_for(local: Sizes) -> None:
    pending = local.service.place(Status.PENDING, seed=1, visibility=PUBLIC)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(local.get, "?w=640&fm=webp", pending)
        changes = {"status": Status.READY, "width": 2000, "height": 1500}
        found = local.service.side.images.get(pending.id)
        assert isinstance(found, Image)
        local.service.side.images.update(
            found.id, found.version, {**changes, "rendering_id": RENDERING, "placed": PUBLIC}
        )
        assert opened(answer.result()) == ("WEBP", 640, 480)


def test_visibility_and_trash(make: Callable[..., Sizes]) -> None:
    sizes = make(keyring=KEYRING)
    hers = sizes.place(1, PRIVATE, owner="ann")
    assert opened(sizes.get("?w=640&fm=webp"))  # public: no key
    for headers, status in (({}, 401), (bearer(BOB), 404), (bearer(KEYS["upload"]), 403)):
        assert sizes.get("?w=640&fm=webp", hers, **headers).status_code == status
    assert not sizes.stored(hers)
    for _ in ("miss", "hit"):
        answer = sizes.service.client.get(f"/i/{hers.id}?w=640&fm=webp", headers=bearer(ANN))
        assert answer.status_code == (200 if sizes.service.self_hosted else 307)
        assert answer.headers["cache-control"] in {"private, no-cache", "no-cache"}
    assert sizes.stored(hers) == ["w640-q75.webp"]
    assert sizes.get("?w=640&fm=webp", hers).status_code == 401
    absent = sizes.service.client.get(f"/i/{new_id()}", headers=bearer(ANN))
    assert absent.headers["cache-control"] == "private, max-age=60"


def test_a_hidden_image_loses_its_sizes(make: Callable[..., Sizes]) -> None:
    sizes = make(keyring=KEYRING)
    image = sizes.place(1, owner="ann")
    assert opened(sizes.get("?w=640&fm=webp", image))
    sizes.service.side.editor.edit("ann", image.id, Patch.parse({"visibility": "private"}))
    assert sizes.stored(image) == []
    assert sizes.get("?w=640&fm=webp", image).status_code == 401
    sizes.service.side.editor.edit("ann", image.id, Patch.parse({"visibility": "public"}))
    assert opened(sizes.get("?w=640&fm=webp", image))
    sizes.service.side.trash().delete("ann", image.id)
    assert sizes.stored(image) == []
    answer = sizes.service.client.get(f"/i/{image.id}?w=640&fm=webp", headers=bearer(ANN))
    assert_problem(answer, 409, "trashed")


def test_deleted_and_changed_while_rendering(sizes: Sizes) -> None:
    deletion = sizes.service.side.deletion
    sizes.renderer.before_storing = lambda image_id: deletion.delete(None, image_id) and None
    assert_problem(sizes.get("?w=640"), 410, "image_deleted")
    assert sizes.stored() == []

    moved = sizes.place(1)
    positions = iter([{"x": 0, "y": 0}])

    def move(image_id: str) -> None:
        for position in positions:
            sizes.service.side.editor.edit(ANONYMOUS, image_id, Patch.parse({"focal_point": position}))

    sizes.renderer.before_storing = move
    assert opened(sizes.get("?w=640&fm=webp", moved)) == ("WEBP", 640, 480)
    assert sizes.renderer.calls[f"{moved.id}/w640-q75.webp"] == 2


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RendererBusy(7), 429, "renderer_busy"),
        (NotRenderable("timeout", "It took too long."), 409, "not_renderable"),
        (Unavailable("The worker is away.", 3), 503, "unavailable"),
    ],
)
def test_refusals_of_the_renderer(local: Sizes, error: Exception, status: int, code: str) -> None:
    local.renderer.error = error
    answer = local.get("?w=640")
    assert_problem(answer, status, code)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("retry-after") == {429: "7", 503: "3"}.get(status)


def test_concurrent_misses_share_a_rendering(local: Sizes) -> None:
    services = local.service.app.state.services
    find, looked, guard = services.files, threading.Semaphore(0), threading.Lock()
    at_once: list[int] = []
    running = 0

    def find_and_tell(key: str) -> Path | None:
        found: Path | None = find(key)
        looked.release()
        return found

    def wait(_: str) -> None:
        nonlocal running
        with guard:
            running += 1
            at_once.append(running)
        for _ in range(8 if len(at_once) == 1 else 0):  # requests that have found no file
            assert looked.acquire(timeout=60)
        with guard:
            running -= 1

    local.service.app.state.services = services._replace(files=find_and_tell)
    local.renderer.before_storing = wait
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(local.get, "?w=640&fm=webp") for _ in range(8)]
        assert {opened(answer.result()) for answer in answers} == {("WEBP", 640, 480)}
    # A request that joins as the rendering ends asks the renderer again, which returns the stored size.
    assert max(at_once) == 1


def test_an_owner_and_all_together_have_a_limit(local: Sizes) -> None:
    services = local.service.app.state.services
    services.__dict__["shared_renderings"] = SharedRenderings(local.renderer, most=2, most_of_owner=1)
    started, go = threading.Semaphore(0), threading.Event()

    def wait(_: str) -> None:
        started.release()
        assert go.wait(60)

    local.renderer.before_storing = wait
    others = [local.place(seed, owner=owner) for seed, owner in ((1, "bob"), (2, "eve"))]
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(local.get, "?w=640&fm=webp")
        assert started.acquire(timeout=60)
        assert_problem(local.get("?w=750&fm=webp"), 429, "renderer_busy")
        second = pool.submit(local.get, "?w=640&fm=webp", others[0])
        assert started.acquire(timeout=60)
        assert_problem(local.get("?w=640&fm=webp", others[1]), 429, "renderer_busy")
        go.set()
        assert opened(first.result())
        assert opened(second.result())
    assert opened(local.get("?w=640&fm=webp", others[1]))


def test_an_attacker_makes_no_more_files_than_the_ladder(local: Sizes) -> None:
    ladder = Ladder((100, 200), ())
    services = local.service.app.state.services
    services.__dict__["sizes"] = services.sizes.__class__(OnDemand.SNAP, ladder, services.sizes.signatures)
    for number in range(500):
        local.get(f"?w={number + 1}&q={number % 100 + 1}&fm={('webp', 'jpg', 'png')[number % 3]}&dpr={1 + number % 2}")
    assert 0 < len(local.stored()) <= ladder.most_files
