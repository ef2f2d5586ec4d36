"""Failures end in the right state, and the next image succeeds."""

import contextlib
import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.dynamodb import DynamoImages
from app.domain.models import Image, utcnow
from app.domain.work import Task, Work
from tests import samples
from tests.running_server import processed, wait_for
from tests.system.emulator import Emulator
from tests.system.stack import Stack

pytestmark = pytest.mark.system

SECONDS = 90


def upload(client: httpx.Client, content: bytes) -> Any:
    answer = client.post("/upload", files={"file": ("picture", content)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def record(client: httpx.Client, image_id: str) -> Any:
    return client.get(f"/images/{image_id}").json()


def settled(client: httpx.Client, content: bytes) -> Any:
    """The record of an upload when it is ready or failed."""
    return processed(client, upload(client, content))


def at_rest(deployed: Stack) -> None:
    wait_for(lambda: deployed.messages("Queue") == 0, SECONDS)


def spaces(aws: Emulator, deployed: Stack) -> set[Path]:
    """The process namespaces of the worker's containers."""
    return {Path(f"/proc/{root}/ns/pid").readlink() for root in aws.roots(deployed.outputs["ProcessingFunction"])}


def processes(spaces: set[Path]) -> dict[int, int]:
    """The parent of each process in these namespaces, as this machine counts them."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                if (entry / "ns" / "pid").readlink() in spaces:
                    found[int(entry.name)] = int(fields(int(entry.name))[1])
    return found


def fields(process: int) -> list[str]:
    """State, parent and so on of a process."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def hold(aws: Emulator, deployed: Stack, ann: httpx.Client, seed: int) -> tuple[str, int, dict[int, int]]:
    """Upload large images until the process of one is stopped during its work; those that were faster are ready.

    Return the id of that image, its process, and the processes that were there before.
    """
    assert settled(ann, samples.encoded(seed=seed))["status"] == "ready"
    at_rest(deployed)  # so that its container is used again
    inside = spaces(aws, deployed)
    before = processes(inside)
    for number in range(9):
        record = upload(ann, samples.encoded("JPEG", 10_000, 9_900, seed=seed + number, quality=30))
        while record["status"] == "pending":
            end = time.monotonic() + 2
            while time.monotonic() < end:
                for process, parent in processes(inside).items():
                    if process not in before and parent in before and stop(process):
                        return record["id"], process, before
            record = ann.get(f"/images/{record['id']}").json()
        assert record["status"] == "ready", record
        at_rest(deployed)
    raise AssertionError("every image was faster")


def stop(process: int) -> bool:
    """Stop the process of an image, and return True, or False if it has ended or has not read its arguments yet.

    The function takes one that ends before that for one that never started: its event is delivered again.
    """
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        if os.getsid(process) == process:  # `run_child` has begun
            os.kill(process, signal.SIGSTOP)
            wait_for(lambda: fields(process)[0] in "TZX", SECONDS)
            return fields(process)[0] == "T"
    return False


def test_a_corrupt_picture_fails_by_its_record(deployed: Stack, ann: httpx.Client) -> None:
    failed = settled(ann, samples.image_file("pillow-tests__truncated_image.png").read_bytes())
    assert (failed["status"], failed["error"]["code"]) == ("failed", "corrupt_image")
    bomb = samples.image_file("thumbor__16384x16384.png").read_bytes()
    assert settled(ann, bomb)["error"]["code"] == "too_many_pixels"
    at_rest(deployed)
    assert deployed.messages("DeadLetters") == 0
    assert deployed.keys(f"processed/{failed['id']}/") == []


def test_a_picture_that_crashes_its_process_fails_alone(aws: Emulator, deployed: Stack, ann: httpx.Client) -> None:
    image_id, process, before = hold(aws, deployed, ann, 410)
    os.kill(process, signal.SIGSEGV)
    os.kill(process, signal.SIGCONT)
    failed = processed(ann, record(ann, image_id))
    assert (failed["status"], failed["error"]["code"]) == ("failed", "crashed")
    at_rest(deployed)
    assert settled(ann, samples.encoded(seed=42))["status"] == "ready"
    assert before.keys() <= processes(spaces(aws, deployed)).keys(), "the function itself has gone on"
    assert deployed.messages("DeadLetters") == 0


def test_a_picture_whose_worker_vanishes_is_developed_by_the_next(
    aws: Emulator, deployed: Stack, ann: httpx.Client
) -> None:
    with deployed.visibility(8):
        image_id, _, before = hold(aws, deployed, ann, 430)
    with deployed.paused():
        for process, parent in before.items():
            if parent not in before:  # the first of its container takes all others with it
                os.kill(process, signal.SIGKILL)
        wait_for(lambda: not any(Path(f"/proc/{process}").exists() for process in before), SECONDS)
        assert record(ann, image_id)["status"] == "pending"
    assert processed(ann, record(ann, image_id))["status"] == "ready"
    at_rest(deployed)
    assert deployed.messages("DeadLetters") == 0


def test_failed_events_wait_in_the_dead_letters(aws: Emulator, deployed: Stack, ann: httpx.Client) -> None:
    """The worker's role loses a right, and gets it back."""
    iam, sqs = aws.client("iam"), aws.client("sqs")
    role, queue, dead = deployed.ids["ImageProcessingRole"], deployed.outputs["Queue"], deployed.outputs["DeadLetters"]
    refused = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [refused]})
    iam.put_role_policy(RoleName=role, PolicyName="mistake", PolicyDocument=policy)
    try:
        with deployed.visibility(1):
            image_id = upload(ann, samples.encoded(seed=45))["id"]
            failed = processed(ann, record(ann, image_id))
            assert (failed["status"], failed["error"]["code"]) == ("failed", "attempts_exhausted")
            wait_for(lambda: deployed.messages("DeadLetters") == 1, SECONDS)
            at_rest(deployed)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="mistake")
    assert ann.get(f"/images/{image_id}").json()["status"] == "failed"

    # What start-message-move-task does, which the emulator does not know.
    (letter,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert json.loads(letter["Body"])["Records"][0]["s3"]["object"]["key"] == f"originals/{image_id}"
    sqs.send_message(QueueUrl=queue, MessageBody=letter["Body"])
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=letter["ReceiptHandle"])
    wait_for(lambda: record(ann, image_id)["status"] == "ready", SECONDS, lambda: str(record(ann, image_id)))
    at_rest(deployed)
    assert deployed.messages("DeadLetters") == 0


def test_objects_that_are_no_originals_are_ignored(aws: Emulator, deployed: Stack) -> None:
    """S3's own test message, which comes first of all, and an object that is none of ours.

    More objects follow if the emulator has lost the log of the first one: it asks podman for it too early.
    """
    store, bucket = aws.client("s3"), deployed.outputs["Bucket"]
    keys = [f"originals/holiday plans ({number}).txt" for number in range(20)]

    def warnings() -> list[Any]:
        return [line for line in deployed.log("WorkerLog") if line.get("folder") == "originals/"]

    try:
        for key in keys:
            store.put_object(Bucket=bucket, Key=key, Body=b"no picture")
            end = time.monotonic() + 5
            while not warnings() and time.monotonic() < end:
                time.sleep(0.2)
            if warnings():
                break
        assert warnings()
        at_rest(deployed)
        assert deployed.messages("DeadLetters") == 0
        assert keys[0] in deployed.keys("originals/")
        said = {line["message"] for line in deployed.log("WorkerLog") if line["level"] == "WARNING"}
        assert "event ignored: unknown form" not in said
        assert "holiday" not in str(deployed.log("WorkerLog")), "whose key may be somebody's name"
    finally:
        for key in keys:
            store.delete_object(Bucket=bucket, Key=key)


def test_an_event_that_was_lost_is_sent_again_by_the_schedules_function(
    aws: Emulator, deployed: Stack, ann: httpx.Client
) -> None:
    with deployed.paused():
        image_id = upload(ann, samples.encoded(seed=46))["id"]
        wait_for(lambda: deployed.messages("Queue") == 1, SECONDS)
        aws.client("sqs").purge_queue(QueueUrl=deployed.outputs["Queue"])
        make_due(aws, deployed, image_id)
        assert reconcile(aws, deployed)["queued_again"] == 1
        assert deployed.messages("Queue") == 1
    assert processed(ann, record(ann, image_id))["status"] == "ready"
    at_rest(deployed)
    assert set(reconcile(aws, deployed, orphans="report").values()) == {0}


def make_due(aws: Emulator, deployed: Stack, image_id: str) -> None:
    """Change the record as if the image had waited for an hour."""
    images = DynamoImages(aws.client("dynamodb"), deployed.outputs["Table"])
    image = images.get(image_id)
    assert isinstance(image, Image)
    images.update(image_id, image.version, {"work": {Task.PROCESS: Work.add(utcnow() - timedelta(hours=1))}})


def reconcile(aws: Emulator, deployed: Stack, **event: str) -> dict[str, int]:
    """One run of what the schedule invokes; its report."""
    events = aws.client("events")
    (rule,) = events.list_rules()["Rules"]
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    answer = aws.client("lambda").invoke(FunctionName=target["Arn"], Payload=json.dumps(event))
    report: dict[str, int] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, report
    return report
