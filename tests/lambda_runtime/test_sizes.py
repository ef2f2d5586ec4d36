"""The function that renders sizes as AWS runs it, over DynamoDB Local and SeaweedFS."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image as Pillow

from tests import samples
from tests.events import payload
from tests.lambda_runtime.conftest import Place
from tests.lambda_runtime.function import Function, can_hide_shm, function
from tests.lambda_runtime.test_functions import NONE, get, queue_event, upload
from tests.running_server import wait_for

pytestmark = [pytest.mark.engines, pytest.mark.alone]


@pytest.fixture(scope="module")
def render(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    folder = tmp_path_factory.mktemp("render")
    environment = place.environment | {"DARKROOM_ON_DEMAND": "snap", "DARKROOM_ON_DEMAND_WIDTHS": "320,640"}
    with function("render", environment, folder, hide_shm=can_hide_shm()) as running:
        yield running
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image_id(api: Function, worker: Function, place: Place) -> str:
    image_id: str = upload(api, samples.encoded("JPEG", 1600, 1200, seed=31))["id"]
    assert worker.invoke(queue_event(place, image_id)) == NONE
    return image_id


def test_a_miss_of_the_cdn_is_rendered_stored_and_answered(render: Function, place: Place, image_id: str) -> None:
    key = f"ondemand/{image_id}/w640-q75.webp"
    answer = render.invoke(payload("url_get", path=f"/{key}"))
    assert answer["statusCode"] == 200, render.log[-3000:]
    body = base64.b64decode(answer["body"])
    with Pillow.open(io.BytesIO(body)) as image:
        assert (image.format, image.size) == ("WEBP", (640, 480))
    stored = place.made.s3.get_object(Bucket=place.bucket, Key=key)
    assert stored["Body"].read() == body
    assert (stored["ContentType"], stored["CacheControl"]) == ("image/webp", "public, max-age=3600")
    assert render.invoke(payload("url_get", path=f"/{key}")) == answer


def test_a_call_of_the_api_may_have_any_size(render: Function, place: Place, image_id: str) -> None:
    answer = render.invoke({"image_id": image_id, "operation": "w123-h77-cover-q61.jpg"})
    assert answer.keys() == {"key", "media_type", "bytes", "etag"}, render.log[-3000:]
    with place.made.s3.get_object(Bucket=place.bucket, Key=answer["key"])["Body"] as body:
        content = body.read()
    assert len(content) == answer["bytes"]
    with Pillow.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (123, 77))


@pytest.mark.parametrize(
    ("event", "status"),
    [("w641-q75.webp", 404), ("w640-q75.gif", 404), ("", 404)],
)
def test_other_requests_of_the_cdn_are_refused(render: Function, image_id: str, event: str, status: int) -> None:
    answer = render.invoke(payload("url_get", path=f"/ondemand/{image_id}/{event}"))
    assert answer["statusCode"] == status
    assert answer["headers"]["cache-control"] == "public, max-age=60"


@pytest.mark.parametrize("event", [{}, [], None, {"image_id": "x"}, {"requestContext": {}}, {"Records": []}])
def test_other_events_are_answered_as_errors(render: Function, event: Any) -> None:
    assert render.invoke(event)["error"] == "Unavailable"


def test_a_deleted_image_is_gone(api: Function, worker: Function, render: Function, place: Place) -> None:
    image_id = upload(api, samples.encoded("JPEG", 700, 500, seed=32))["id"]
    assert worker.invoke(queue_event(place, image_id)) == NONE
    path = f"/ondemand/{image_id}/w320-q75.webp"
    assert render.invoke(payload("url_get", path=path))["statusCode"] == 200
    assert get(api, f"/images/{image_id}", method="DELETE").status == 204
    assert place.made.s3.list_objects_v2(Bucket=place.bucket, Prefix=f"ondemand/{image_id}/")["KeyCount"] == 0
    answer = render.invoke(payload("url_get", path=path))
    assert (answer["statusCode"], answer["headers"]["cache-control"]) == (410, "public, max-age=60")
    assert render.invoke({"image_id": image_id, "operation": "w320-q75.webp"}) == {"error": "Missing"}


def test_it_logs_a_line_for_each_size(render: Function) -> None:
    before = len(log_of(render))
    render.invoke({"image_id": "unknown", "operation": "w320-q75.webp"})
    wait_for(lambda: len(log_of(render)) > before, 60)
    line = log_of(render)[-1]
    assert (line["message"], line["outcome"]) == ("size on demand", "Missing")
    assert line["ms"] >= 0


def log_of(render: Function) -> list[Any]:
    """Lines of the function, of which the last may be under way."""
    return [json.loads(line) for line in render.log.splitlines(keepends=True) if line[0] == "{" and line[-1] == "\n"]
