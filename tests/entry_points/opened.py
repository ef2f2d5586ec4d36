"""Entry points of the functions, imported in this process on moto as the Lambda runtime imports them."""

import asyncio
import base64
import gc
import importlib
import json
import multiprocessing.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from app.domain.configuration.complaints import PREFIX
from tests import aws
from tests.engines import ACCESS_KEY, REGION, SECRET_KEY
from tests.events import payload
from tests.log_lines import logging_restored

Handler = Callable[[Any, Any], Any]
API = "app.lambda_api"
BOUNDARY = "------------------------d74496d66958873e"


class Context:
    """Context that the runtime passes to a function; `seconds` is the remaining time."""

    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

    def __init__(self, seconds: float = 30) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._end - time.monotonic()) * 1000))


class Answer:
    """Answer of a function, read as the gateway reads it."""

    def __init__(self, raw: dict[str, Any]) -> None:
        assert len(json.dumps(raw)) < 6_000_000
        self.raw = raw
        self.status: int = raw["statusCode"]
        self.headers: dict[str, str] = {**raw.get("headers", {})}
        for name, values in raw.get("multiValueHeaders", {}).items():
            self.headers.setdefault(name, ",".join(values))
        text: str = raw.get("body", "")
        self.content = base64.b64decode(text) if raw["isBase64Encoded"] else text.encode()

    def json(self) -> Any:
        return json.loads(self.content)

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """Return the problem document, which must have this status and code."""
        found: dict[str, Any] = self.json()
        assert (self.status, found["code"]) == (status, code), found
        assert self.headers["content-type"] == "application/problem+json"
        assert self.raw["isBase64Encoded"] is False
        assert found["request_id"] == self.headers["x-request-id"]
        return found


@dataclass
class Place:
    """A bucket, a table and a queue at moto, and the environment that names them to a function."""

    made: aws.Clients
    bucket: str
    table: str
    queue_url: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "DARKROOM_STORAGE_URL": f"s3://{self.bucket}",
            "DARKROOM_DATABASE_URL": f"dynamodb://{self.table}",
            "DARKROOM_QUEUE_URL": self.queue_url,
            "DARKROOM_SECRET": "a secret of the tests",
            "DARKROOM_ALLOW_ANONYMOUS": "true",
        }

    def events(self) -> list[Any]:
        """Return the bucket's events as SQS passes them to a function: one message per event."""
        found = self.made.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.made.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        envelope = payload("sqs_one", key="", receive_count="1", bucket=self.bucket)["Records"][0]
        return [{"Records": [envelope | {"body": message["Body"]}]} for message in found]


@contextmanager
def place() -> Iterator[Place]:
    """Open an empty bucket, table and queue."""
    made = aws.moto()
    with (
        aws.bucket(made.s3) as bucket,
        aws.table(made.dynamodb) as table,
        aws.access_table(made.dynamodb, table),
        aws.queue(made.sqs, visibility=30, max_attempts=5) as url,
    ):
        aws.notify(made, bucket, url)
        found = Place(made, bucket, table, url)
        (test_event,) = found.events()
        assert "s3:TestEvent" in test_event["Records"][0]["body"]
        yield found


@contextmanager
def opened(entry_point: str, environment: Mapping[str, str], scratch: Path) -> Iterator[ModuleType]:
    """Import the entry point afresh in that environment; leave nothing of it afterwards."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    multiprocessing.util.get_temp_dir()  # the fork server's socket outlives the folder of a test
    with (
        mock.patch.dict(os.environ, {**others, **environment}, clear=True),
        mock.patch.object(tempfile, "tempdir", str(scratch)),
        logging_restored(),
        mock.patch("app.linux.hide") as hide,  # of this process, for good
    ):
        sys.modules.pop(entry_point, None)
        if entry_point == API:
            asyncio.set_event_loop(None)
        try:
            module = importlib.import_module(entry_point)
            assert hide.called == (entry_point in {"app.lambda_worker", "app.lambda_render"})
            yield module
        finally:
            gc.enable()
            gc.unfreeze()
            sys.modules.pop(entry_point, None)
            if entry_point == API:
                with suppress(RuntimeError):  # there is none when it did not start
                    loop = asyncio.get_event_loop()
                    loop.run_until_complete(loop.shutdown_asyncgens())
                    loop.run_until_complete(asyncio.sleep(0))  # tasks that close generators of refused bodies
                    loop.close()
                asyncio.set_event_loop(None)


def form(content: bytes, filename: str = "photo.jpg", **fields: str) -> tuple[str, bytes]:
    """A multipart form as curl writes it: its content type and its bytes."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    head = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = b"".join(f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in (*parts, head.encode() + content))
    return f"multipart/form-data; boundary={BOUNDARY}", body + f"--{BOUNDARY}--\r\n".encode()


def upload_event(content: bytes, **fields: str) -> Any:
    """A form with this file, as an HTTP API hands it on."""
    content_type, body = form(content, **fields)
    return payload(
        "http_multipart",
        content_type=content_type,
        content_length=str(len(body)),
        body=base64.b64encode(body).decode(),
    )


def get_event(path: str, *, query: str = "", stage: str = "$default", method: str = "GET") -> Any:
    """A request without a body, as an HTTP API hands it on; the path begins with the stage if it is a named one."""
    return payload("http_get", path=path, query=query, stage=stage, method=method)
