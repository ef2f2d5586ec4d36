"""Each function with the variables and under the rights that the template gives it: they are enough, and all of use."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from app.adapters.dynamodb.access.endpoints import DynamoEndpoints
from app.api.app import Services
from app.domain.access.key_admin import KeyAdmin
from app.domain.access.key_cache import StoredKeys
from app.domain.access.keyring import Keyring
from app.domain.ids import new_id
from app.domain.keys import ON_DEMAND, PUBLIC, original_key, processed_prefix, size_key, variant_key
from app.domain.models import Variant, Visibility, utcnow
from app.domain.ports.delivery_store import DeliveryQuery
from app.domain.work import Task, Work
from tests.contract.records import stored, tombstone_of
from tests.domain.delivery.receivers import Receiver, an_endpoint, answers
from tests.entry_points.opened import Answer, Context, Place, get_event, opened, upload_event
from tests.events import payload
from tests.samples import encoded
from tests.template.reading import ACCOUNT, Stack, source
from tests.template.rights import allows, listed, statements

API, WORKER, RECONCILE = "ImageApiFunction", "ImageProcessingFunction", "ReconcileFunction"
WEBHOOKS = "WebhookFunction"
ENTRY_POINTS = {
    API: "app.lambda_api", WORKER: "app.lambda_worker", RECONCILE: "app.lambda_reconcile",
    WEBHOOKS: "app.lambda_webhooks",
}  # fmt: skip
#: What is not asked for here, but by Lambda in the worker's name.
BESIDE = {
    API: set(),
    WORKER: {("ReceiveEvents", f"sqs:{name}") for name in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")},
    RECONCILE: set(),
    WEBHOOKS: {("Messages", f"sqs:{name}") for name in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")},
}
#: Which right an operation asks for, where they do not go by the same name.
NAMED = {"HeadObject": "GetObject", "DeleteObjects": "DeleteObject", "ListObjectsV2": "ListBucket"}

Asked = tuple[str, str, Mapping[str, str]]


class Gate:
    """Lets through what the function that is running may do, as IAM does, and keeps what was asked of it."""

    def __init__(self, stack: Stack) -> None:
        self.running: str | None = None
        self.asked: dict[str, list[Asked]] = {function: [] for function in ENTRY_POINTS}
        self.refused: list[tuple[str, str, str]] = []
        self._stack = stack
        self._call = BaseClient._make_api_call

    def __call__(self, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if self.running is not None:
            for action, resource, context in self._asked(client.meta.service_model.service_name, operation, parameters):
                self.asked[self.running].append((action, resource, context))
                if not allows(statements(self._stack, self.running), action, resource, **context):
                    self.refused.append((self.running, action, resource))
                    raise ClientError({"Error": {"Code": "AccessDenied", "Message": action}}, operation)
        if operation == "CreateInvalidation":  # the distribution is that of the template
            return {}
        return self._call(client, operation, parameters)

    def _asked(self, service: str, operation: str, given: dict[str, Any]) -> Iterator[Asked]:
        action = f"{service}:{NAMED.get(operation, operation)}"
        if service == "s3":
            bucket = self._stack.arn("ImageBucket")
            if operation == "ListObjectsV2":
                yield action, bucket, {"s3__prefix": given["Prefix"]}
                return
            if operation == "CopyObject":
                yield "s3:GetObject", f"{bucket}/{given['CopySource']['Key']}", {}
                yield "s3:PutObject", f"{bucket}/{given['Key']}", {}
                return
            keys = [item["Key"] for item in given["Delete"]["Objects"]] if "Delete" in given else [given["Key"]]
            yield from ((action, f"{bucket}/{key}", {}) for key in keys)
        elif service == "dynamodb":
            table = "Access" if given.get("TableName", "").endswith("-Access") else "ImageMetadata"
            place = self._stack.arn(table) + (f"/index/{given['IndexName']}" if "IndexName" in given else "")
            for item in given.get("TransactItems", ()):
                yield from ((f"dynamodb:{part}Item", place, _leading_key(each)) for part, each in item.items())
            if "TransactItems" not in given:
                yield f"dynamodb:{operation}", place, _leading_key(given)
        elif service == "cloudfront":
            yield action, f"arn:aws:cloudfront::{ACCOUNT}:distribution/{given['DistributionId']}", {}
        else:
            queue = "WebhookQueue" if given["QueueUrl"].endswith("-webhooks") else "EventQueue"
            yield action, self._stack.arn(queue), {}

    def signs(self, action: str, url: str) -> bool:
        """Return True if a url signed by the API allows the action: it has the rights of its signer."""
        key = re.search("(originals|processed)/.+", urlsplit(url).path)
        assert key
        return allows(statements(self._stack, API), action, f"{self._stack.arn('ImageBucket')}/{key[0]}")

    def unused(self, function: str) -> set[tuple[str, str]]:
        """Statements, and actions of theirs, that nothing was asked of."""
        return {
            (statement["Sid"], action)
            for statement in statements(self._stack, function)
            if statement["Sid"] not in {"WriteLog", "Traces"}
            for action in listed(statement["Action"])
            if not any(
                wanted == action and allows([statement], action, resource, **context)
                for wanted, resource, context in self.asked[function]
            )
        }


def _leading_key(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the condition key of a request's partition, as far as the sender's rights depend on it."""
    values = given.get("ExpressionAttributeValues", {})
    partition = (given.get("Key") or given.get("Item") or {"": values.get(":kind", {})}).values()
    return {"dynamodb__LeadingKeys": next(iter(partition))["S"]} if any("S" in each for each in partition) else {}


class Functions:
    """The functions over moto, each behind the gate while it runs."""

    def __init__(self, place: Place, gate: Gate, modules: Mapping[str, ModuleType]) -> None:
        self.place = place
        self.gate = gate
        self.modules = modules

    def run(self, function: str, event: Any, seconds: float = 300) -> Any:
        self.gate.running = function
        try:
            return self.modules[function].handler(event, Context(seconds))
        finally:
            self.gate.running = None

    def api(self, event: Any) -> Answer:
        return Answer(self.run(API, event, 30))

    def json(self, path: str, key: str | None = None, **body: Any) -> Answer:
        """Post JSON, with an idempotency key if one is given."""
        text = json.dumps(body)
        event = payload("http_json", body=text, content_length=str(len(text)))
        event["headers"] |= {"idempotency-key": key} if key else {}
        if path != "/upload":  # whose event asks to keep a duplicate
            event |= {"rawQueryString": "", "queryStringParameters": {}}
        event["rawPath"] = event["requestContext"]["http"]["path"] = f"/prod{path}"
        return self.api(event)

    def change(self, image_id: str, **fields: Any) -> Answer:
        """Edit an image."""
        text = json.dumps(fields)
        event = payload("http_json", body=text, content_length=str(len(text)))
        event |= {"rawQueryString": "", "queryStringParameters": {}}
        event["rawPath"] = event["requestContext"]["http"]["path"] = f"/prod/images/{image_id}"
        event["requestContext"]["http"]["method"] = "PATCH"
        event["headers"]["content-type"] = "application/merge-patch+json"
        return self.api(event)

    @contextmanager
    def during_work(self, action: Callable[[], object]) -> Iterator[None]:
        """Let something else happen while the worker processes an image."""
        sandbox = self.modules[WORKER]._worker._sandbox
        process = sandbox.process

        def interrupted(*given: Any) -> Any:
            self.gate.running = None
            action()
            self.gate.running = WORKER
            return process(*given)

        with mock.patch.object(sandbox, "process", interrupted):
            yield

    def work(self) -> list[Any]:
        return [self.run(WORKER, event) for event in self.place.events()]

    def webhooks(self) -> list[str]:
        """Take the messages of the queue of webhooks."""
        url, sqs = self.modules[API]._app._app.state.services.webhook_adapters.queue._url, self.place.made.sqs
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message["Body"])
        return found

    def put(self, key: str, content: bytes = b"abc") -> None:
        self.place.made.s3.put_object(Bucket=self.place.bucket, Key=key, Body=content)


@pytest.fixture
def functions(aws_place: Place, tmp_path: Path) -> Iterator[Functions]:
    stack = Stack(source(), AllowAnonymous="true", Cdn="true", TrashDays="30", Webhooks="true")
    gate = Gate(stack)
    there = {name: aws_place.environment[name] for name in aws_place.environment if name.startswith("AWS_")}
    there |= {
        f"DARKROOM_{name}_URL": aws_place.environment[f"DARKROOM_{name}_URL"]
        for name in ("STORAGE", "DATABASE", "QUEUE")
    }

    sqs = aws_place.made.sqs
    webhooks = sqs.create_queue(QueueName=f"{new_id()}-webhooks")["QueueUrl"]
    there |= {"DARKROOM_WEBHOOK_QUEUE_URL": webhooks, "DARKROOM_PUBLIC_URL": ""}

    def gated(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        return gate(client, operation, parameters)

    with ExitStack() as started:
        started.enter_context(mock.patch.object(BaseClient, "_make_api_call", gated))
        modules = {
            function: started.enter_context(opened(entry_point, stack.environment(function) | there, tmp_path))
            for function, entry_point in ENTRY_POINTS.items()
        }
        yield Functions(aws_place, gate, modules)
    sqs.delete_queue(QueueUrl=webhooks)


@pytest.mark.slow
def test_the_api_and_the_worker_have_the_rights_they_need_and_no_others(functions: Functions) -> None:
    call, gate, place = functions, functions.gate, functions.place
    content = encoded(seed=hash(new_id()))
    first = call.api(upload_event(content)).json()
    assert call.api(upload_event(content)).json()["duplicate"]  # while the first one is pending
    again = call.json("/upload", image_base64=base64.b64encode(content).decode())  # and kept
    assert (first["id"] != again.json()["id"], again.status) == (True, 201)
    wanted = {"filename": "a.jpg", "content_type": "image/jpeg", "bytes": len(content)}
    ticket = call.json("/upload/direct", "key", **wanted).json()
    repeated = call.json("/upload/direct", "key", **wanted)
    assert (repeated.json()["id"], repeated.headers["idempotency-replayed"]) == (ticket["id"], "true")
    call.json("/upload/direct", "key", **wanted | {"bytes": 1}).problem(422, "idempotency_key_reused")
    assert gate.signs("s3:PutObject", ticket["url"])
    call.put(original_key(ticket["id"]), encoded(seed=hash(new_id())))
    adopted = new_id()
    call.put(original_key(adopted), encoded(seed=hash(new_id())))
    assert call.work() == [{"batchItemFailures": []}] * 4
    assert call.api(get_event("/readyz")).status == 200
    listed_now = call.api(get_event("/images")).json()["items"]
    assert {image["id"] for image in listed_now} >= {first["id"], again.json()["id"], ticket["id"], adopted}
    shown = call.api(get_event(f"/images/{first['id']}")).json()
    original = call.api(get_event(f"/images/{first['id']}/original")).headers["location"]
    assert gate.signs("s3:GetObject", original)
    assert shown["variants"][0]["url"].startswith("https://darkroom-variantscdn.cloudfront.net/processed/public/")
    hide(call, first["id"])
    assert call.change(first["id"], visibility="public").status == 200
    assert call.api(get_event(f"/images/{first['id']}/reprocess", method="POST")).status == 202
    assert call.work() == [{"batchItemFailures": []}]
    images = call.modules[WORKER]._backends.images
    assert call.change(ticket["id"], focal_point={"x": 0.2, "y": 0.3}).status == 200
    with call.during_work(lambda: edit(images, ticket["id"], visibility=Visibility.PRIVATE)):
        assert call.work() == [{"batchItemFailures": []}]
    assert [key for key in keys(place, ticket["id"]) if key.startswith(PUBLIC)] == []

    for image_id in (again.json()["id"], first["id"]):  # of which the other one has the bytes' pointer
        assert call.api(get_event(f"/images/{image_id}", method="DELETE")).status == 204
        assert call.api(get_event(f"/images/{image_id}")).json()["trashed_at"]
        assert [key for key in keys(place, image_id) if key.startswith(PUBLIC)] == []
        assert call.api(get_event(f"/images/{image_id}/restore", method="POST")).json()["trashed_at"] is None
        assert call.api(get_event(f"/images/{image_id}", query="permanent=true", method="DELETE")).status == 204
        assert call.api(get_event(f"/images/{image_id}")).status == 404
        assert keys(place, image_id) == []
    use_api_keys(call)
    late = call.api(upload_event(encoded(seed=hash(new_id())))).json()["id"]
    assert call.api(get_event(f"/images/{late}", query="permanent=true", method="DELETE")).status == 204
    call.put(f"{processed_prefix(late)}rendering/w320.webp")
    call.put(size_key(late, "w640-q75.webp", public=True))
    lost = call.api(upload_event(encoded(seed=hash(new_id())))).json()["id"]
    place.made.s3.delete_object(Bucket=place.bucket, Key=original_key(lost))
    assert sum(len(answer["batchItemFailures"]) for answer in call.work()) == 1
    assert keys(place, late) == []

    assert gate.refused == []
    assert {function: gate.unused(function) for function in (API, WORKER)} == {
        function: BESIDE[function] for function in (API, WORKER)
    }


@pytest.mark.slow
def test_the_sender_has_the_rights_it_needs_and_no_others(functions: Functions) -> None:
    call, gate = functions, functions.gate
    endpoint = an_endpoint(url="https://192.0.2.1/", events=("image.uploaded",))
    endpoints = DynamoEndpoints(call.place.made.dynamodb, f"{call.place.table}-Access")
    endpoints.create(endpoint)
    call.api(upload_event(encoded(seed=hash(new_id()))))
    call.work()  # its event has no receiver
    (message,) = (event for event in payload("sqs_one", key="", receive_count="1", bucket="")["Records"])
    while bodies := call.webhooks():
        records = [message | {"body": body} for body in bodies]
        assert call.run(WEBHOOKS, {"Records": records}) == {"batchItemFailures": []}
    sender = call.modules[WEBHOOKS]._sender
    (delivery,) = sender._store.list(DeliveryQuery(1, endpoint_id=endpoint.id)).items
    assert [attempt.error for attempt in delivery.attempts] == ["refused"]
    sender._http = Receiver(answers(204))
    sender._store.replace(delivery.changed(next_attempt_at=utcnow()))
    assert call.run(WEBHOOKS, {"Records": [message | {"body": delivery.id}]}) == {"batchItemFailures": []}
    found = sender._store.get(delivery.id)
    assert (found.status, found.failures) == ("delivered", 1)
    endpoints.delete(endpoint.id)
    sender._store.replace(found.again(utcnow()))
    assert call.run(WEBHOOKS, {"Records": [message | {"body": delivery.id}]}) == {"batchItemFailures": []}
    assert sender._store.get(delivery.id).status == "dropped"
    assert gate.refused == []
    assert gate.unused(WEBHOOKS) == BESIDE[WEBHOOKS]


@pytest.mark.slow
def test_reconcile_has_the_rights_it_needs_and_no_others(functions: Functions) -> None:
    call, gate, place = functions, functions.gate, functions.place
    images = call.modules[RECONCILE]._backends.images
    old = utcnow() - timedelta(hours=2)
    lost = stored(images, uploaded_at=old, updated_at=old)
    call.put(original_key(lost.id))
    bytes_of_both = stored(images).sha256
    stored(images, claim=False, uploaded_at=old, updated_at=old, sha256=bytes_of_both)
    long_ago = utcnow() - timedelta(days=2)
    past = Work(since=long_ago, due=long_ago)
    deleted = stored(images)
    tombstone = tombstone_of(deleted).model_copy(update={"work": {Task.PURGE: past, Task.INVALIDATE: past}})
    images.delete(deleted.id, deleted.version, tombstone)
    swept = stored(images, status="ready", superseded={"old": long_ago}, work={Task.SWEEP: past})
    file = Variant(name="a", format="webp", width=1, height=1, bytes=3, file="a.webp")
    public: dict[str, Any] = {"visibility": "public", "placed": "public", "rendering_id": "r", "variants": [file]}
    shown = stored(images, status="ready", work={Task.HIDE: past}, **public)
    trashed = stored(images, status="ready", trashed_at=long_ago, work={Task.PURGE: past})
    for key in (
        original_key(deleted.id),
        original_key(trashed.id),
        f"{processed_prefix(deleted.id)}r/a.webp",
        f"{processed_prefix(deleted.id, public=True)}r/a.webp",
        f"{processed_prefix(swept.id, 'old')}a",
        variant_key(shown.id, "r", "a.webp"),
    ):
        call.put(key)
    place.events()
    report = call.run(RECONCILE, payload("warm_up_schedule"))
    assert (report["never_came"], report["deletes_finished"], report["renderings_swept"]) == (1, 1, 1)
    assert original_key(lost.id) in json.dumps(place.events())
    assert (report["hides_finished"], report["trash_deleted"]) == (1, 1)
    assert report["recounted"] >= 1
    assert images.get(deleted.id).work == {}
    assert keys(place, deleted.id) == keys(place, trashed.id) == keys(place, swept.id) == []
    assert variant_key(shown.id, "r", "a.webp", public=True) in keys(place, shown.id)
    with mock.patch("app.domain.maintenance.lost_wake_ups.utcnow", return_value=utcnow() + timedelta(hours=2)):
        assert call.run(RECONCILE, payload("warm_up_schedule"))["webhooks_repeated"] >= 1
    orphan = original_key(new_id())
    call.put(orphan)
    with mock.patch("app.domain.maintenance.orphans.utcnow", return_value=utcnow() + timedelta(hours=2)):
        assert call.run(RECONCILE, {"orphans": "remove"})["orphans_removed"] >= 1
    assert gate.refused == []
    assert gate.unused(RECONCILE) == BESIDE[RECONCILE]


def use_api_keys(call: Functions) -> None:
    """Create, list, rotate and revoke API keys with one of the store."""
    app = call.modules[API]._app._app
    open_to_everybody: Services = app.state.services
    admin, _ = KeyAdmin(open_to_everybody.key_store).create(name="first", owner="root", scopes=["admin"])
    app.state.services = open_to_everybody._replace(keyring=Keyring([], StoredKeys(open_to_everybody.key_store)))

    def ask(path: str, method: str = "GET", **fields: Any) -> Answer:
        text = json.dumps(fields)
        event = payload("http_json", body=text, content_length=str(len(text)))
        event |= {"rawQueryString": "", "queryStringParameters": {}, "rawPath": f"/prod{path}"}
        event["requestContext"]["http"] |= {"path": f"/prod{path}", "method": method}
        event["headers"]["x-api-key"] = admin
        return call.api(event)

    made = ask("/keys", "POST", name="shop", owner="ann", scopes=["read"]).json()
    assert made["id"] in [key["id"] for key in ask("/keys").json()["items"]]
    assert ask(f"/keys/{made['id']}/rotate", "POST", grace_seconds=0).status == 200
    assert ask(f"/keys/{made['id']}", "DELETE").status == 204
    app.state.services = open_to_everybody


def hide(call: Functions, image_id: str) -> None:
    """Make a public image with a size private, and check that nothing public stays."""
    call.put(size_key(image_id, "w640-q75.webp", public=True))
    hidden = call.change(image_id, visibility="private").json()
    assert call.gate.signs("s3:GetObject", hidden["variants"][0]["url"])
    assert [key for key in keys(call.place, image_id) if key.startswith((PUBLIC, ON_DEMAND))] == []


def edit(images: Any, image_id: str, **changes: Any) -> None:
    images.update(image_id, images.get(image_id).version, changes)


def keys(place: Place, image_id: str) -> list[str]:
    """The image's objects."""
    found = place.made.s3.list_objects_v2(Bucket=place.bucket).get("Contents", [])
    return [item["Key"] for item in found if image_id in item["Key"]]
