"""Both functions as AWS runs them, with real HTTP API and SQS events, over DynamoDB Local and SeaweedFS."""

import base64
import hashlib
import json
import os
import time
import urllib.error
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from app.adapters.dynamodb import DynamoImages
from app.domain.ids import new_id
from app.domain.models import ANONYMOUS, Image, Status, Variant, utcnow
from app.domain.recipe import DEFAULT_RECIPE
from tests import samples
from tests.entry_points.opened import Answer, form, get_event, upload_event
from tests.events import payload
from tests.lambda_runtime.conftest import Place
from tests.lambda_runtime.function import Function, can_hide_shm, function
from tests.log_lines import Line, counted, lines_of, of_images, of_requests
from tests.running_server import wait_for

pytestmark = [pytest.mark.engines, pytest.mark.alone]

MEBIBYTE = 1024 * 1024
NONE: dict[str, list[Any]] = {"batchItemFailures": []}


def call(api: Function, event: Any) -> Answer:
    return Answer(api.invoke(event))


def get(api: Function, path: str, **options: str) -> Answer:
    return call(api, get_event(path, **options))


def queue_event(place: Place, image_id: str, receive_count: int = 1) -> Any:
    return payload("sqs_one", key=f"originals/{image_id}", bucket=place.bucket, receive_count=str(receive_count))


def upload(api: Function, content: bytes) -> dict[str, Any]:
    answer = call(api, upload_event(content))
    record: dict[str, Any] = answer.json()
    assert answer.status == 201, record
    return record


def fastest_start(name: str, running: Function, place: Place, folder: Path) -> float:
    """Milliseconds of the start, or of the fastest of some more if it took long on a busy machine."""
    best = running.init_ms
    for number in range(4):
        if best < 10_000:
            break
        (again := folder / f"{name}{number}").mkdir()
        with function(name, place.environment, again) as another:
            another.invoke(get_event("/healthz") if name == "api" else {})
            best = min(best, another.init_ms)
    return best


def test_both_functions_start_in_the_time_that_aws_allows(
    api: Function, worker: Function, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(api, "/healthz").status == 200
    assert worker.invoke({}) == NONE
    with capsys.disabled():
        print(f"\ninit: api {api.init_ms:.0f} ms, worker {worker.init_ms:.0f} ms")
    assert fastest_start("api", api, place, tmp_path) < 10_000, "what AWS gives a function to start"
    assert fastest_start("worker", worker, place, tmp_path) < 10_000


def test_one_function_accepts_a_photograph_and_the_other_processes_it(
    api: Function, worker: Function, place: Place, worker_folder: Path
) -> None:
    content = samples.photograph("photo-12mp.jpg")
    if len(content) > 4 * MEBIBYTE:
        content = samples.encoded("JPEG", 4032, 3024, seed=12, quality=85)
    record = upload(api, content)
    image_id = record["id"]
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert worker.invoke(queue_event(place, image_id)) == NONE
    ready = get(api, f"/images/{image_id}").json()
    assert (ready["status"], ready["error"]) == ("ready", None), worker.log[-3000:]
    assert (ready["width"], ready["height"]) == (4032, 3024)
    assert {variant["name"] for variant in ready["variants"]} == {"thumb", "w320", "w640", "w1280", "w1920"}
    for variant in ready["variants"]:
        key = f"processed/public/{image_id}/{ready['rendering_id']}/{variant['url'].rpartition('/')[2]}"
        assert place.made.s3.head_object(Bucket=place.bucket, Key=key)["ContentLength"] == variant["bytes"]
    assert list((worker_folder / "tmp" / "darkroom").iterdir()) == []

    assert worker.invoke(queue_event(place, image_id)) == NONE, "at least once means more than once"
    again = call(api, upload_event(content))
    assert (again.status, again.json()["id"], again.json()["duplicate"]) == (200, image_id, True)
    assert get(api, f"/images/{image_id}", method="DELETE").status == 204
    get(api, f"/images/{image_id}").problem(404, "image_not_found")
    assert worker.invoke(queue_event(place, image_id)) == NONE
    for prefix in ("processed", "processed/public"):
        left = place.made.s3.list_objects_v2(Bucket=place.bucket, Prefix=f"{prefix}/{image_id}/")
        assert left["KeyCount"] == 0


def test_the_worker_had_no_shared_memory(worker: Function) -> None:
    """Without it no semaphore can be created, as on Lambda."""
    if not can_hide_shm():
        pytest.skip("only root may give a process a /dev/shm of its own")
    threads = Path(f"/proc/{worker.process.pid}/task").iterdir()
    children = [child for thread in threads for child in (thread / "children").read_text().split()]
    assert children
    for process in (str(worker.process.pid), *children):
        mounts = Path(f"/proc/{process}/mountinfo").read_text().splitlines()
        options = [line.split()[5] for line in mounts if line.split()[4] == "/dev/shm"][-1]
        assert "ro" in options.split(","), "the process sees a /dev/shm that can be written"
    with pytest.raises(OSError, match="Read-only"):
        Path("/proc", children[0], "root", "dev", "shm", "x").touch()  # as that process sees it


def test_a_form_of_the_largest_size_and_one_byte_more(api: Function, place: Place) -> None:
    head = samples.encoded(seed=5)
    content = head + os.urandom(4 * MEBIBYTE - len(head))
    record = upload(api, content)
    assert record["bytes"] == 4 * MEBIBYTE
    stored = place.made.s3.get_object(Bucket=place.bucket, Key=f"originals/{record['id']}")["Body"]
    with stored:
        assert hashlib.sha256(stored.read()).hexdigest() == record["sha256"] == hashlib.sha256(content).hexdigest()
    problem = call(api, upload_event(content + b"x")).problem(413, "too_large")
    assert problem["direct_upload"] == "/upload/direct"


def test_json_in_and_pages_out_below_a_stage(api: Function) -> None:
    body = json.dumps({"filename": "fotó.jpg", "image_base64": base64.b64encode(samples.encoded(seed=6)).decode()})
    answer = call(api, payload("http_json", body=body, content_length=str(len(body.encode()))))
    assert (answer.status, answer.json()["filename"]) == (201, "fotó.jpg")
    assert answer.headers["location"].startswith("/prod/images/")
    assert get(api, "/prod/docs", stage="prod").status == 200
    assert get(api, "/prod/static/favicon.png", stage="prod").content.startswith(b"\x89PNG")


def test_refusals(api: Function) -> None:
    call(api, upload_event(b"no picture")).problem(415, "unsupported_type")
    content_type, body = form(samples.encoded())
    damaged = payload("rest_multipart", content_type=content_type, body=body.decode(errors="replace"))
    assert "BinaryMediaTypes" in call(api, damaged).problem(415, "damaged_by_gateway")["detail"]
    assert api.invoke(payload("warm_up_schedule"))["statusCode"] == 400


def heaviest(number: int) -> tuple[Image, dict[str, Any]]:
    """A record with as much in it as the service accepts, and what processing adds."""
    words = "\u4e2d"
    image = Image(
        id=new_id(), owner=ANONYMOUS, content_type="image/jpeg", declared_content_type="image/jpeg", bytes=4 * MEBIBYTE,
        sha256=f"{number:064x}", filename=words * 85, title='"' * 200, alt=words * 1000,
        tags=[f"{words * 60}{tag}" for tag in range(20)], uploaded_at=utcnow(), updated_at=utcnow(),
    )  # fmt: skip
    variants = [
        Variant(name=spec.name, format=form, width=spec.width, height=1, bytes=1, file=f"{spec.name}.{form.extension}")
        for spec in DEFAULT_RECIPE.variants
        for form in spec.formats
    ]
    developed = {
        "status": Status.READY, "variants": variants, "rendering_id": "abcdef012345", "width": 1, "height": 1,
        "exif": {f"{words * 190}{field}": words * 200 for field in range(40)},
    }  # fmt: skip
    return image, developed


def test_no_page_is_larger_than_an_answer_may_be(api: Function, place: Place) -> None:
    images = DynamoImages(place.made.dynamodb, place.table)
    made = []
    for number in range(200):
        image, developed = heaviest(number)
        images.create(image, claim=False)
        images.update(image.id, 1, developed)
        made.append(image.id)
    seen: list[str] = []
    sizes: list[int] = []
    query = "limit=200"
    while query:
        page = get(api, "/images", query=query)
        assert page.status == 200, page.content[:300]
        seen += [item["id"] for item in page.json()["items"]]
        sizes.append(len(json.dumps(page.raw)))
        cursor = page.json()["next_cursor"]
        query = urlencode({"limit": 200, "cursor": cursor}) if cursor else ""
    assert max(sizes) < 5_100_000
    assert len(sizes) > 1, "these were meant to be too many for a page"
    assert [image_id for image_id in seen if image_id in set(made)] == made[::-1]
    assert len(set(seen)) == len(seen)


def test_a_worker_that_runs_out_of_time_starts_again_and_leaves_nothing(
    api: Function, place: Place, tmp_path: Path
) -> None:
    image_id = upload(api, samples.encoded(seed=7))["id"]
    # Less than the SDK waits for an answer with all its attempts, and enough to start again and process.
    with function("worker", place.environment, tmp_path, timeout=10, hide_shm=can_hide_shm()) as worker:
        scratch = tmp_path / "tmp" / "darkroom"
        with place.objects.blocked():
            assert "Task timed out after 10.00 seconds" in str(worker.invoke(queue_event(place, image_id)))
        left = scratch / "picture-left" / "out"
        left.mkdir(parents=True)
        assert worker.invoke_in_time(queue_event(place, image_id, 2)) == NONE, worker.log[-3000:]
        assert list(scratch.iterdir()) == []
    assert get(api, f"/images/{image_id}").json()["status"] == "ready"


def test_an_api_whose_backend_hangs_answers_and_goes_on(place: Place, tmp_path: Path) -> None:
    with function("api", place.environment, tmp_path, timeout=8) as api:
        for _ in range(5):
            assert Answer(api.invoke_in_time(get_event("/healthz"))).status == 200
            starts = api.log.count("INIT REPORT")
            with place.objects.blocked():
                started = time.monotonic()
                answer = api.invoke(upload_event(samples.encoded(seed=8)))
                if "Task timed out" in str(answer):
                    continue  # a busy machine needed more than the time that is left for the answer
                Answer(answer).problem(503, "out_of_time")
                assert time.monotonic() - started > 5
                assert get(api, "/limits").status == 200
            record = call(api, upload_event(samples.encoded(seed=9)))
            assert record.status == 201, record.json()
            assert api.log.count("INIT REPORT") == starts, "it was the same environment all along"
            return
    raise AssertionError("it never answered before its time was over")


def lines(function: Function) -> list[Line]:
    """Lines of the function, of which the last may be under way. The emulator has lines of its own."""
    found = function.log.splitlines(keepends=True)
    return lines_of("".join(line for line in found if line.startswith("{") and line.endswith("\n")))


def test_they_log_a_line_per_request_and_image_and_metrics(api: Function, worker: Function, place: Place) -> None:
    content = samples.encoded(seed=10)
    image_id = upload(api, content)["id"]
    assert worker.invoke(queue_event(place, image_id)) == NONE
    wait_for(lambda: of_requests(lines(api), image_id=image_id), 60)
    wait_for(lambda: of_images(lines(worker), image_id=image_id), 60)
    wait_for(lambda: counted(lines(worker), "Processed") == len(of_images(lines(worker), outcome="ready")), 60)
    from_api, from_worker = lines(api), lines(worker)
    (request,) = of_requests(from_api, image_id=image_id)
    assert (request["route"], request["image_bytes"]) == ("/upload", len(content))
    (picture,) = of_images(from_worker, image_id=image_id)
    assert (picture["outcome"], picture["bytes"]) == ("ready", len(content))
    assert [line["cold_start"] for line in of_requests(from_api)].count(True) <= 1
    assert counted(from_api, "Uploads") == len(of_requests(from_api, duplicate=False))
    assert counted(from_worker, "Processed") == len(of_images(from_worker, outcome="ready"))
    assert not of_images(from_api)


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [("api", {"DARKROOM_ALLOW_ANONYMOUS": "false"}, "DARKROOM_ALLOW_ANONYMOUS"),
     ("worker", {"DARKROOM_QUEUE_URL": ""}, "DARKROOM_QUEUE_URL")],
)  # fmt: skip
def test_a_function_that_cannot_start_says_why(
    place: Place, tmp_path: Path, name: str, change: dict[str, str], named: str
) -> None:
    with function(name, place.environment | change, tmp_path) as broken:
        try:
            said = str(broken.invoke({}))
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode()
        wait_for(
            lambda: "ConfigurationError" in said + broken.log and named in said + broken.log, 60, lambda: broken.log
        )
