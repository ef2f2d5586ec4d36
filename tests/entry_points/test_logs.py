"""Log lines of the functions for requests and images: complete, and without personal data."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from app.domain.access.api_keys import Scope, new_key
from app.domain.ids import new_id
from app.domain.models import FailureCode
from app.domain.reports import ImageReport, Outcome
from app.metrics import Metrics
from tests.entry_points.opened import Answer, Context, Place, form, get_event, opened
from tests.events import payload
from tests.log_lines import Line, counted, lines_of, of_images, of_metrics, of_requests
from tests.samples import encoded

KEY, ENTRY = new_key("jane.doe@example.org", [Scope.UPLOAD, Scope.READ, Scope.DELETE])
#: All personal data and credentials that the tests send.
SECRETS = (
    KEY, KEY[:20], ENTRY.sha256, "jane", "Jane", "passport", "Passport", "203.0.113.80", "198.51.100.7", "Firefox",
    "session=", "X-Amz-Signature", "X-Amz-Credential", "Bearer", "secretsecret", "a secret of the tests", "Bergstrasse",
)  # fmt: skip


def photograph_of_jane(seed: int) -> bytes:
    """A JPEG that names its owner, in more than one place."""
    with Image.open(io.BytesIO(encoded(seed=seed))) as picture:
        exif = Image.Exif()
        exif[0x013B] = "Jane Doe, Bergstrasse 7"
        out = io.BytesIO()
        picture.save(out, "JPEG", exif=exif, comment=b"Jane's passport")
        return out.getvalue()


@dataclass
class Functions:
    """Both functions, started when the first of them is called, and their log lines."""

    place: Place
    captured: pytest.CaptureFixture[str]
    open: Callable[[str], ModuleType]

    def call_api(self, event: Any, context: Context) -> Any:
        return self._both[0].handler(event, context)

    def call_worker(self, event: Any, context: Context) -> Any:
        return self._both[1].handler(event, context)

    @cached_property
    def _both(self) -> tuple[ModuleType, ModuleType]:  # not before the test, for pytest has another standard error then
        return self.open("app.lambda_api"), self.open("app.lambda_worker")

    def api(self, event: Any) -> Answer:
        event["headers"] |= {"authorization": f"Bearer {KEY}", "cookie": "session=jane"}
        return Answer(self.call_api(event, Context(30)))

    def upload(self, content: bytes, **fields: str) -> Answer:
        content_type, body = form(content, "Jane Doe's passport.jpg", **fields)
        text = base64.b64encode(body).decode()
        return self.api(payload("http_multipart", content_type=content_type, content_length=str(len(body)), body=text))

    def work(self) -> None:
        for event in self.place.events():
            self.call_worker(event, Context(300))

    def said(self) -> list[Line]:
        out, err = self.captured.readouterr()
        text = out + err
        assert [secret for secret in SECRETS if secret in text] == [], text
        assert all("_aws" in line for line in lines_of(out)), "standard output is for metrics"
        assert not any("_aws" in line for line in lines_of(err)), "and standard error for the log"
        return lines_of(text)


@pytest.fixture
def functions(aws_place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Functions]:
    environment = aws_place.environment | {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": str(ENTRY)}
    del environment["DARKROOM_ALLOW_ANONYMOUS"]
    with ExitStack() as stack:
        yield Functions(
            aws_place, capsys, lambda entry_point: stack.enter_context(opened(entry_point, environment, tmp_path))
        )


def test_a_line_for_each_request_and_each_picture(functions: Functions) -> None:
    content = photograph_of_jane(1)
    answer = functions.upload(content, title="Jane's passport", tags="jane")
    assert answer.status == 201, answer.json()
    image_id = answer.json()["id"]
    functions.work()
    shown = functions.api(get_event(f"/images/{image_id}")).json()
    assert shown["status"] == "ready"
    functions.upload(content)
    lines = functions.said()

    upload, look, again = of_requests(lines)
    assert (upload["method"], upload["route"], upload["status"]) == ("POST", "/upload", 201)
    assert (upload["image_id"], upload["image_bytes"], upload["duplicate"]) == (image_id, len(content), False)
    assert upload["phases"].keys() == {"receive", "store"}
    assert (look["route"], look["image_id"], again["duplicate"]) == ("/images/{image_id}", image_id, True)
    assert [line["invocation_id"] for line in (upload, look)] == [Context.aws_request_id] * 2
    assert upload["gateway_id"] == upload["request_id"] == "BpT3Vj2CDoEEJGw="
    (picture,) = of_images(lines)
    assert (picture["image_id"], picture["outcome"], picture["receive_count"]) == (image_id, "ready", 1)
    assert (picture["bytes"], picture["format"], picture["direct"]) == (len(content), "image/jpeg", False)
    assert (picture["width"], picture["height"]) == (64, 48)
    files = {variant["url"].partition("?")[0]: variant["bytes"] for variant in shown["variants"]}
    assert (picture["variants"], picture["variant_bytes"]) == (len(files), sum(files.values()))
    assert picture["phases"].keys() >= {"fetch", "process", "decode", "encode", "store", "record"}
    assert 10 < picture["memory_mb"] < 1024
    assert picture["service"] == "darkroom"


def test_the_first_invocation_of_each_function_is_the_cold_one(functions: Functions) -> None:
    for seed in (2, 3):
        functions.upload(photograph_of_jane(seed))
        functions.work()
    lines = functions.said()
    assert [line["cold_start"] for line in of_requests(lines)] == [True, False]
    assert [line["cold_start"] for line in of_images(lines)] == [True, False]


def test_each_upload_and_its_outcome_are_counted_once(functions: Functions) -> None:
    good, bad = photograph_of_jane(4), photograph_of_jane(5)[:600]
    for content in (good, good, bad):
        functions.upload(content)
    functions.work()
    lines = functions.said()
    assert (counted(lines, "Uploads"), counted(lines, "UploadBytes")) == (2, len(good) + len(bad))
    assert (counted(lines, "Processed"), counted(lines, "Failed"), counted(lines, "Retried")) == (1, 1, 0)
    (failure,) = (line for line in of_metrics(lines) if "Failed" in line)
    assert (failure["service"], failure["code"]) == ("darkroom", "corrupt_image")
    (failed,) = of_images(lines, outcome="failed")
    assert (failed["level"], failed["code"], failed["message"]) == ("WARNING", "corrupt_image", "failed: corrupt_image")
    (processed,) = (line for line in of_metrics(lines) if "Processed" in line)
    (picture,) = of_images(lines, outcome="ready")
    for phase in ("fetch", "decode", "resize", "encode", "store"):
        assert processed[f"{phase.capitalize()}Seconds"] == [pytest.approx(picture["phases"][phase] / 1000, abs=1e-4)]


def test_uploads_by_ticket_are_counted_when_they_have_arrived(functions: Functions) -> None:
    content = photograph_of_jane(6)
    body = json.dumps({"filename": "Jane Doe's passport.jpg", "content_type": "image/jpeg", "bytes": len(content)})
    event = payload("http_json", body=body, content_length=str(len(body)))
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/prod/upload/direct"
    event |= {"rawQueryString": "", "queryStringParameters": {}}
    ticket = functions.api(event).json()
    assert "X-Amz-Signature" in ticket["url"]
    functions.place.made.s3.put_object(Bucket=functions.place.bucket, Key=f"originals/{ticket['id']}", Body=content)
    (arrived,) = functions.place.events()
    for _ in range(2):
        functions.call_worker(arrived, Context(300))
    lines = functions.said()
    assert of_requests(lines)[0]["image_id"] == ticket["id"]
    assert [(line["outcome"], line["direct"]) for line in of_images(lines)] == [("ready", True), ("duplicate", False)]
    assert (counted(lines, "Uploads"), counted(lines, "UploadBytes")) == (1, len(content))


def test_an_attempt_that_failed_is_counted_as_one_to_come_again_until_the_last(functions: Functions) -> None:
    image_id = functions.upload(photograph_of_jane(7)).json()["id"]
    (event,) = functions.place.events()
    functions.place.made.s3.delete_object(Bucket=functions.place.bucket, Key=f"originals/{image_id}")
    for receives in (1, 5):
        event["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(receives)
        assert functions.call_worker(event, Context(300))["batchItemFailures"]
    lines = functions.said()
    first, last = of_images(lines)
    assert (first["outcome"], first["receive_count"]) == ("retry", 1)
    assert (last["outcome"], last["code"], last["receive_count"]) == ("failed", "attempts_exhausted", 5)
    assert (counted(lines, "Retried"), counted(lines, "Failed"), counted(lines, "Faults")) == (1, 1, 1)
    assert all(line["image_id"] == image_id for line in lines if line.get("level") == "ERROR")


@pytest.mark.parametrize("code", FailureCode)
def test_failures_that_are_ours_are_counted_apart_from_those_of_pictures(
    code: FailureCode, capsys: pytest.CaptureFixture[str]
) -> None:
    Metrics("darkroom").image(ImageReport(image_id=new_id(), outcome=Outcome.FAILED, code=code))
    lines = lines_of(capsys.readouterr().out)
    ours = code in {"timeout", "crashed", "memory", "attempts_exhausted"}
    assert (counted(lines, "Failed"), counted(lines, "Faults")) == (1, ours)


def test_events_that_lead_to_nothing_are_counted(functions: Functions) -> None:
    bucket = functions.place.bucket
    functions.call_worker(payload("s3_created", key=f"originals/{new_id()}", bucket=bucket), Context(300))
    functions.call_worker(payload("s3_created", key="elsewhere/photo.jpg", bucket=bucket), Context(300))
    functions.call_worker(payload("sqs_foreign_keys", image_id=new_id(), bucket=bucket), Context(300))
    for event in ("text", {"of": "no form"}, payload("sqs_junk")):
        functions.call_worker(event, Context(300))
    functions.call_worker(payload("s3_test", bucket=bucket), Context(300))  # as a bucket sends it once: worth no count
    lines = functions.said()
    assert counted(lines, "Unknown") == 1
    warned = [line for line in lines if line.get("name") == "app.worker.events" and line["level"] == "WARNING"]
    assert counted(lines, "Ignored") == len(warned) > 8


def test_nothing_personal_is_said_whatever_is_asked_for(functions: Functions) -> None:
    image_id = functions.upload(photograph_of_jane(8)).json()["id"]
    functions.work()
    for path, query in {
        "/images/Jane%20Doe's%20passport.jpg": "",
        f"/images/{image_id}/variants/Jane.passport": "",
        f"/images/{image_id}/variants/w320.webp": "",
        f"/images/{image_id}/original": "",
        "/Jane/passport": "name=Jane",
        "/images": "cursor=Jane&tag=passport",
        "/files/originals/Jane": "signature=X-Amz-Signature",
    }.items():
        functions.api(get_event(path, query=query))
    for body in ('{"Jane": "passport"}', '{"image_base64": "Jane passport"}', "Jane"):
        functions.api(payload("http_json", body=body, content_length=str(len(body))))
    stranger = get_event("/images")
    stranger["headers"]["x-api-key"] = "dk_jane"
    functions.call_api(stranger, Context(30))
    for event in ({"Jane": "passport"}, {"requestContext": {"Jane": "passport"}, "version": "2.0"}):
        functions.call_api(event, Context(30))
    for key in ("Jane/passport.jpg", "originals/Jane", f"processed/{image_id}/Jane/passport.jpg"):
        functions.call_worker(payload("s3_created", key=key, bucket=functions.place.bucket), Context(300))
    for event in ({"Jane": "passport"}, {"Records": [{"Jane": "passport"}]}, "Jane"):
        functions.call_worker(event, Context(300))
    lines = functions.said()
    assert len(of_requests(lines)) == 12
    assert {line["level"] for line in lines if "level" in line} == {"INFO", "WARNING"}


def test_a_record_that_cannot_be_read_is_not_quoted(functions: Functions) -> None:
    image_id = functions.upload(photograph_of_jane(9), title="Jane's passport").json()["id"]
    functions.place.events()
    functions.place.made.dynamodb.update_item(
        TableName=functions.place.table, Key={"ImageID": {"S": image_id}}, UpdateExpression="SET #b = :b, title = :t",
        ExpressionAttributeNames={"#b": "bytes"},
        ExpressionAttributeValues={":b": {"S": "Jane"}, ":t": {"M": {"Jane": {"S": "passport"}}}},
    )  # fmt: skip
    assert functions.api(get_event(f"/images/{image_id}")).status in {500, 503}
    errors = [line for line in functions.said() if line.get("level") == "ERROR"]
    assert errors
    assert all("exception" in line for line in errors)


@pytest.mark.parametrize("level", ["ERROR", "DEBUG"])
def test_no_log_level_changes_what_is_counted(
    aws_place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    environment = aws_place.environment | {"DARKROOM_LOG_LEVEL": level, "DARKROOM_SERVICE": "pictures-eu"}
    with (
        opened("app.lambda_api", environment, tmp_path) as api,
        opened("app.lambda_worker", environment, tmp_path) as worker,
    ):
        content_type, body = form(encoded(seed=hash(new_id())))
        text = base64.b64encode(body).decode()
        event = payload("http_multipart", content_type=content_type, content_length=str(len(body)), body=text)
        assert Answer(api.handler(event, Context())).status == 201
        for arrived in aws_place.events():
            worker.handler(arrived, Context(300))
    lines = lines_of("".join(capsys.readouterr()))
    assert (counted(lines, "Uploads"), counted(lines, "Processed")) == (1, 1)
    assert {line["service"] for line in lines} == {"pictures-eu"}
    assert len(of_requests(lines)) == (0 if level == "ERROR" else 1)
