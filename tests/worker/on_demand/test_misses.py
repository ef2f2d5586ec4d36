"""Requests of a CDN to the url of the function that renders sizes."""

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from PIL import Image as Pillow

from app.domain.errors import NotRenderable, RendererBusy, Unavailable
from app.domain.images.deletion import Deletion
from app.domain.models import Visibility, utcnow
from app.domain.ports import OnDemandRenderer
from app.domain.sizes.operation import Operation
from app.domain.sizes.snapping import Ladder
from app.worker.on_demand import misses
from app.worker.on_demand.misses import Misses
from tests.events import payload
from tests.samples import encoded
from tests.worker.on_demand.conftest import Sizes

LADDER = Ladder((80, 160), ("1:1", "16:9"))
NAME = "w80-q75.webp"


class Unused:
    """A renderer that must not be asked."""

    def render(self, image_id: str, operation: Operation) -> Any:
        raise AssertionError(f"{operation.name} was rendered")


class Failing:
    """A renderer that raises an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def render(self, image_id: str, operation: Operation) -> Any:
        raise self._error


class Answer:
    """An answer of the function, in the form that its url expects."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        assert raw["isBase64Encoded"] is True
        self.status: int = raw["statusCode"]
        self.headers: dict[str, str] = raw["headers"]
        self.body = base64.b64decode(raw["body"])

    def refused(self, status: int, code: str, cache: str) -> None:
        problem = json.loads(self.body)
        assert (self.status, problem["status"], problem["code"]) == (status, status, code)
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["cache-control"] == cache


CACHED, NOT_CACHED = "public, max-age=60", "no-store"


def ask(
    sizes: Sizes,
    path: str,
    method: str = "GET",
    renderer: OnDemandRenderer | None = None,
    ladder: Ladder | None = LADDER,
) -> Answer:
    side = sizes.bench.side
    event = payload("url_get", path=path)
    event["requestContext"]["http"]["method"] = method
    return Answer(Misses(side.store, side.images, renderer or sizes.renderer(), ladder).answer(event))


def test_a_size_is_rendered_stored_and_returned(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    answer = ask(sizes, f"/ondemand/{image_id}/{NAME}")
    assert answer.status == 200
    assert answer.body == sizes.read(f"ondemand/{image_id}/{NAME}")
    with Pillow.open(io.BytesIO(answer.body)) as image:
        assert (image.format, image.size) == ("WEBP", (80, 53))
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["etag"].startswith('"')
    head = ask(sizes, f"/ondemand/{image_id}/{NAME}", "HEAD")
    assert (head.status, head.body, head.headers) == (200, b"", answer.headers)


@pytest.mark.parametrize("name", ["w160-h90-cover-q90.jpg", "w80-h80-cover-q50.avif", "w160-q100.png"])
def test_every_size_of_the_ladder_is_offered(sizes: Sizes, name: str) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    assert ask(sizes, f"/ondemand/{image_id}/{name}").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/ondemand/{}/w81-q75.webp",  # no width of the ladder
        "/ondemand/{}/w80-q76.webp",
        "/ondemand/{}/w80-h50-cover-q75.webp",
        "/ondemand/{}/w80-h80-q75.webp",
        "/ondemand/{}/h80-q75.webp",
        "/ondemand/{}/w80-q75.gif",
        "/ondemand/{}/w80-q75.jxl",  # not on
        "/ondemand/{}/w080-q75.webp",
        "/ondemand/{}/",
        "/ondemand/{}",
        "/ondemand/{}/x/w80-q75.webp",
        "/ondemand/../ondemand/{}/w80-q75.webp",
        "//ondemand/{}/w80-q75.webp",
        "/processed/{}/ondemand/w80-q75.webp",
        "/originals/{}",
        "/i/{}",
        "/",
        "",
    ],
)
@pytest.mark.sampled(4)
def test_other_paths_render_nothing(sizes: Sizes, path: str) -> None:
    image_id = "0190c2f3-0000-7000-8000-000000000000"
    ask(sizes, path.format(image_id), renderer=Unused()).refused(404, "size_not_offered", CACHED)


def test_nothing_is_rendered_where_every_size_needs_a_signature(sizes: Sizes) -> None:
    image_id = "0190c2f3-0000-7000-8000-000000000000"
    answer = ask(sizes, f"/ondemand/{image_id}/{NAME}", renderer=Unused(), ladder=None)
    answer.refused(404, "size_not_offered", CACHED)


def test_only_reading_methods_are_answered(sizes: Sizes) -> None:
    answer = ask(sizes, f"/ondemand/0190c2f3-0000-7000-8000-000000000000/{NAME}", "POST", renderer=Unused())
    answer.refused(405, "method_not_allowed", NOT_CACHED)


def test_images_that_have_no_public_sizes_are_refused_without_rendering(sizes: Sizes) -> None:
    bench, body = sizes.bench, encoded("JPEG", 60, 40)
    private = sizes.ready(encoded("JPEG", 60, 41), visibility=Visibility.PRIVATE)
    trashed = sizes.ready(encoded("JPEG", 60, 42), trashed_at=utcnow())
    pending = bench.upload(encoded("JPEG", 60, 43))
    sizes.change(pending, {"visibility": Visibility.PUBLIC})
    failed = bench.upload(body[:300])
    sizes.change(failed, {"visibility": Visibility.PUBLIC})
    bench.worker().handle(failed)
    deleted = sizes.ready(encoded("JPEG", 60, 44))
    Deletion(bench.side.images, bench.side.renderings).delete("ann", deleted)

    def answer(image_id: str) -> Answer:
        return ask(sizes, f"/ondemand/{image_id}/{NAME}", renderer=Unused())

    answer("0190c2f3-0000-7000-8000-000000000000").refused(404, "image_not_found", CACHED)
    answer(private).refused(404, "image_not_found", CACHED)
    answer(trashed).refused(404, "image_not_found", CACHED)
    answer(failed).refused(404, "image_failed", CACHED)
    answer(deleted).refused(410, "image_deleted", CACHED)
    answer(pending).refused(409, "not_ready", NOT_CACHED)
    assert int(answer(pending).headers["retry-after"]) > 0


def test_an_image_that_is_hidden_meanwhile_is_not_shown(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))

    class Hiding:
        def render(self, image_id: str, operation: Operation) -> Any:
            sizes.change(image_id, {"visibility": Visibility.PRIVATE})
            return sizes.renderer().render(image_id, operation)

    ask(sizes, f"/ondemand/{image_id}/{NAME}", renderer=Hiding()).refused(503, "busy", NOT_CACHED)


def test_a_size_too_large_for_an_answer_is_read_from_the_store(sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misses, "MAX_ANSWER", 100)
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    path = f"/ondemand/{image_id}/{NAME}"
    answer = ask(sizes, path)
    assert (answer.status, answer.body) == (302, b"")
    assert answer.headers == {"location": path, "cache-control": "no-store"}
    assert sizes.read(path.removeprefix("/"))


def test_the_largest_answer_fits_into_that_of_a_function() -> None:
    assert len(base64.b64encode(bytes(misses.MAX_ANSWER))) < 6_000_001 < 6 * 1024 * 1024


@pytest.mark.parametrize(
    ("error", "status", "code", "cache"),
    [
        (NotRenderable("memory", "It needs more memory."), 404, "not_renderable", CACHED),
        (RendererBusy(7), 429, "renderer_busy", NOT_CACHED),
        (Unavailable("private"), 503, "unavailable", NOT_CACHED),
    ],
)
def test_errors_of_the_renderer(sizes: Sizes, error: Exception, status: int, code: str, cache: str) -> None:
    image_id = sizes.ready(encoded("JPEG", 60, 40))
    answer = ask(sizes, f"/ondemand/{image_id}/{NAME}", renderer=Failing(error))
    answer.refused(status, code, cache)
    assert b"private" not in answer.body
    if cache == NOT_CACHED:
        assert int(answer.headers["retry-after"]) > 0
