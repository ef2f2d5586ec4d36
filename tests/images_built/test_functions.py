"""Both images as Lambda runs them: confined, in their memory, over DynamoDB Local and SeaweedFS."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests import samples
from tests.entry_points.opened import Answer, get_event, upload_event
from tests.events import payload
from tests.images_built.podman import IMAGES, USER, Container, as_it_is, container
from tests.images_built.test_contents import SETTINGS
from tests.lambda_runtime.conftest import Place
from tests.running_server import wait_for

pytestmark = pytest.mark.containers

NONE: dict[str, list[Any]] = {"batchItemFailures": []}
ROOT_DENIED = """
import os
for place in ("/var/task/x", "/x", "/run/x", "/var/tmp/x", "/dev/shm/x", "/tmp/x"):
    try:
        open(place, "w").close()
        print(place)
    except OSError:
        pass
print(os.getuid(), os.getgid())
"""
INVOKE = """
import sys, urllib.request
url = "http://127.0.0.1:8080/2015-03-31/functions/function/invocations"
print(urllib.request.urlopen(url, sys.argv[-1].encode(), timeout=180).read().decode())
"""


def upload(api: Container, content: bytes) -> str:
    answer = Answer(api.invoke(upload_event(content)))
    assert answer.status == 201, answer.content
    found: str = answer.json()["id"]
    return found


def record(api: Container, image_id: str) -> Any:
    return Answer(api.invoke(get_event(f"/images/{image_id}"))).json()


def queue_event(place: Place, image_id: str, receive_count: int = 1) -> Any:
    return payload("sqs_one", key=f"originals/{image_id}", bucket=place.bucket, receive_count=str(receive_count))


@pytest.mark.parametrize(
    ("name", "event", "answer"),
    [
        ("api", get_event("/healthz"), '"statusCode": 200'),
        ("worker", payload("sqs_test_event", bucket="none"), json.dumps(NONE)),
    ],
)
def test_the_image_answers_as_it_is(built: None, tmp_path: Path, name: str, event: Any, answer: str) -> None:
    """By its own entry point and command, and without a network: not even its start needs one."""
    with as_it_is(name, SETTINGS, tmp_path) as running:
        assert answer in running.python(INVOKE, json.dumps(event)), running.log


def test_one_function_accepts_a_photograph_and_the_other_processes_it(
    api: Container, worker: Container, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    content = samples.photograph("photo-12mp.jpg")
    if len(content) > 4 * 1024 * 1024:
        content = samples.encoded("JPEG", 4032, 3024, seed=12, quality=85)
    image_id = upload(api, content)
    assert worker.invoke(queue_event(place, image_id)) == NONE, worker.log
    ready = record(api, image_id)
    assert (ready["status"], ready["error"]) == ("ready", None), worker.log
    assert ready["sha256"] == hashlib.sha256(content).hexdigest()
    assert {variant["name"] for variant in ready["variants"]} == {"thumb", "w320", "w640", "w1280", "w1920"}
    for variant in ready["variants"]:
        key = f"processed/public/{image_id}/{ready['rendering_id']}/{variant['url'].rpartition('/')[2]}"
        assert place.made.s3.head_object(Bucket=place.bucket, Key=key)["ContentLength"] == variant["bytes"]
    with capsys.disabled():
        print(f"\ninit in the container: api {api.init_ms:.0f} ms, worker {worker.init_ms:.0f} ms")


@pytest.mark.parametrize("name", ["corkami-mitra__heic.heic", "libavif-tests__white_1x1.avif"])
def test_every_codec_came_along(api: Container, worker: Container, place: Place, name: str) -> None:
    image_id = upload(api, samples.image_file(name).read_bytes())
    assert worker.invoke(queue_event(place, image_id)) == NONE, worker.log
    assert record(api, image_id)["status"] == "ready", worker.log


@pytest.mark.parametrize("name", IMAGES)
def test_it_may_write_below_tmp_alone_and_is_not_root(
    api: Container, worker: Container, name: str, request: pytest.FixtureRequest
) -> None:
    running: Container = request.getfixturevalue(name)
    assert running.python(ROOT_DENIED).split() == ["/tmp/x", *USER.split(":")]


def test_poison_ends_in_its_record_and_the_function_goes_on_within_its_memory(
    api: Container, worker: Container, place: Place
) -> None:
    for name, codes in {
        "thumbor__16384x16384.png": {"too_many_pixels"},
        # A frame of 65,535 x 65,535 on a canvas of 32 x 32 is cut to the canvas, and has no data.
        "pillow-tests__decompression_bomb.gif": {"corrupt_image"},
        "pillow-tests__truncated_image.png": {"corrupt_image"},
    }.items():
        image_id = upload(api, samples.image_file(name).read_bytes())
        assert worker.invoke(queue_event(place, image_id)) == NONE, worker.log
        failed = record(api, image_id)
        assert failed["status"] == "failed", name
        assert failed["error"]["code"] in codes, name
    starts = worker.log.count("INIT REPORT")
    largest = samples.encoded("JPEG", 10_000, 9_900, seed=3, quality=30)
    image_id = upload(api, largest)
    assert worker.invoke(queue_event(place, image_id)) == NONE, worker.log
    assert record(api, image_id)["status"] == "ready", worker.log
    assert worker.log.count("INIT REPORT") == starts
    assert not worker.out_of_memory


def test_the_last_delivery_closes_the_record_and_leaves_the_message_to_the_dead_letters(
    api: Container, worker: Container, place: Place
) -> None:
    image_id = upload(api, samples.encoded(seed=21))
    place.made.s3.delete_object(Bucket=place.bucket, Key=f"originals/{image_id}")
    first = queue_event(place, image_id)
    again = {"batchItemFailures": [{"itemIdentifier": first["Records"][0]["messageId"]}]}
    assert worker.invoke(first) == again
    assert record(api, image_id)["status"] == "pending"
    assert worker.invoke(queue_event(place, image_id, 5)) == again
    closed = record(api, image_id)
    assert (closed["status"], closed["error"]["code"]) == ("failed", "attempts_exhausted")


def test_a_worker_that_runs_out_of_time_leaves_no_process_and_does_it_the_next_time(
    api: Container, place: Place, tmp_path: Path
) -> None:
    image_id = upload(api, samples.encoded(seed=22))
    with container("worker", place.environment, tmp_path, timeout=4) as worker:
        assert worker.invoke_in_time({}) == NONE
        before = worker.processes
        assert len(before) > 2, "the emulator, the function, and the server of its children"
        with place.objects.blocked():
            assert "Task timed out after 4.00 seconds" in str(worker.invoke(queue_event(place, image_id)))
        assert worker.invoke_in_time(queue_event(place, image_id, 2)) == NONE, worker.log
        wait_for(lambda: len(worker.processes) == len(before), 60, lambda: str(worker.processes))
    assert record(api, image_id)["status"] == "ready"
