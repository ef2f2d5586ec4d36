"""Requests to S3, SQS and DynamoDB, and DynamoDB capacity units, of each call.

    .venv/bin/python -m benchmarks.capacity

Needs `make engines`: DynamoDB Local counts the units, moto plays S3 and SQS. The figures go to `results/capacity.json`.
"""

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from fastapi.routing import APIRoute

from app.adapters.dynamodb import DynamoImages
from app.adapters.dynamodb.access.endpoints import DynamoEndpoints
from app.adapters.dynamodb.access.keys import DynamoKeys
from app.adapters.dynamodb.delivery.outbox import EventWrites
from app.adapters.dynamodb.delivery.store import DynamoDeliveries
from app.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from app.adapters.s3 import S3Store
from app.adapters.s3.grants import PresignedGrants
from app.adapters.s3.presign import Presigner
from app.adapters.s3.urls import PresignedUrls
from app.adapters.sqs import SqsQueue
from app.api.app import create_app
from app.domain.access.api_keys import Scope, new_key
from app.domain.access.key_admin import KeyAdmin
from app.domain.access.key_cache import StoredKeys
from app.domain.access.keyring import Keyring
from app.domain.access.stored_keys import new_key_id, new_secret
from app.domain.delivery.events import EventSource
from app.domain.delivery.sending import Sender
from app.domain.delivery.wake_ups import DeliveryMessages, announce, handle_message
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.maintenance.reconcile import Reconciler
from app.domain.models import Visibility, utcnow
from app.domain.recipe import DEFAULT_RECIPE
from app.worker.events import handle_event
from app.worker.process import Outcome, Worker
from app.worker.sandbox.parent import Sandbox
from benchmarks.bill import S3_READS, S3_WRITES, dollars_of
from benchmarks.meter import Meter, Use
from benchmarks.results_file import save
from tests import aws
from tests.api.client import self_hosted_client
from tests.api.service import make_services
from tests.domain.delivery.receivers import SECRETS, Receiver, an_endpoint, answers
from tests.engines import dynamodb_local, missing
from tests.faults.scene import queue_event
from tests.samples import encoded
from tests.sides import Side

#: Dollars per request: see `prices.toml`.
WRITE_UNIT, READ_UNIT = dollars_of("dynamodb_write_unit"), dollars_of("dynamodb_read_unit")
S3_WRITE, S3_READ, SQS_REQUEST = dollars_of("s3_write"), dollars_of("s3_read"), dollars_of("sqs_request")

_seeds = count(1)


@dataclass(frozen=True)
class Bench:
    """The service and a worker in this process. `keeping` is a client of the same service with a trash, `telling` one
    of the same service with webhooks, whose messages are in `told`."""

    side: Side
    client: httpx.Client
    keeping: httpx.Client
    telling: httpx.Client
    told: SqsQueue
    sender: Sender
    admin: httpx.Client
    worker: Worker
    reconciler: Reconciler
    routes: list[str]
    tickets: list[tuple[str, bytes]] = field(default_factory=list)

    def upload(self, query: str = "", *, seed: int | None = None, tags: str = "", key: str = "") -> dict[str, Any]:
        """Upload an image, by default a new one."""
        body = encoded("JPEG", 1600, 1200, seed=next(_seeds) if seed is None else seed)
        files = {"file": ("photo.jpg", io.BytesIO(body), "image/jpeg")}
        data = {"tags": tags} if tags else {}
        answer = self.client.post(
            f"/upload{query}", files=files, data=data, headers={"Idempotency-Key": key} if key else {}
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def ticket(self, *, seed: int | None = None, key: str = "") -> None:
        """Request an upload ticket; `send` sends the bytes. With `seed` the request has their SHA-256."""
        body = encoded("JPEG", 1600, 1200, seed=next(_seeds) if seed is None else seed)
        known = {} if seed is None else {"sha256": hashlib.sha256(body).hexdigest()}
        wanted = {"bytes": len(body), "content_type": "image/jpeg", **known}
        answer = self.client.post("/upload/direct", json=wanted, headers={"Idempotency-Key": key} if key else {})
        answer.raise_for_status()
        self.tickets.append((answer.json()["id"], body))

    def send(self) -> None:
        """Store the bytes of the latest ticket, as its client would."""
        image_id, body = self.tickets.pop()
        self.side.store.create(original_key(image_id), io.BytesIO(body), size=len(body), content_type="image/jpeg")

    def by_ticket(self) -> None:
        """Request a ticket, send the bytes, process the image."""
        self.ticket()
        self.send()
        self.process()

    def process(self) -> None:
        """Receive one message, process its image and delete the message, as the queue's trigger does."""
        (message,) = self.side.queue.receive(1)
        if handle_event(queue_event(message), self.worker)["batchItemFailures"]:
            raise SystemExit("the image could not be processed")
        self.side.queue.delete(message.receipt)
        if self.worker.counts[Outcome.FAILED]:
            raise SystemExit("an image failed: the figures would not be those of a ready image")

    def tell(self) -> bool:
        """Receive one message of webhooks, do what it asks for and delete it. Return False if there is none."""
        for message in self.told.receive(1):
            handle_message(message.body, self.sender)
            self.told.delete(message.receipt)
            return True
        return False

    def ready(self, tags: str = "") -> str:
        """Upload and process an image; return its id."""
        found = self.upload(tags=tags)
        self.process()
        return str(found["id"])

    def get(self, path: str, expected: int = 200, **options: Any) -> None:
        """Send a request and check the status of the answer."""
        client: httpx.Client = options.pop("client", self.client)
        answer = client.request(options.pop("method", "GET"), path, **options)
        if answer.status_code != expected:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text}")


Case = tuple[str, str, Callable[[Bench], Callable[[], object]]]


def cases() -> Iterator[Case]:
    """Yield the cases: name, route, and a function that prepares the call to measure."""
    for part in (uploads, lists, images, edits, deletes, keys, webhooks, others):
        yield from part()


def uploads() -> Iterator[Case]:
    """Yield uploads, tickets and look-ups."""
    yield "upload", "POST /upload", lambda bench: bench.upload
    yield "upload, three tags", "POST /upload", lambda bench: lambda: bench.upload(tags="a,b,c")
    yield "upload, a duplicate", "POST /upload", a_duplicate
    yield "upload, keeping a duplicate", "POST /upload", lambda bench: a_duplicate(bench, "?on_duplicate=create")
    yield "upload, with a key", "POST /upload", lambda bench: lambda: bench.upload(key="first")
    yield "upload, the key again", "POST /upload", upload_again
    yield "upload, bytes of an image in the trash", "POST /upload", upload_trashed
    yield "a ticket", "POST /upload/direct", lambda bench: bench.ticket
    yield "a ticket, with the hash", "POST /upload/direct", lambda bench: lambda: bench.ticket(seed=next(_seeds))
    yield "a ticket, with a key", "POST /upload/direct", lambda bench: lambda: bench.ticket(key="ticket")
    yield "a ticket, the same request again", "POST /upload/direct", ticket_again
    yield "look-up of 100 hashes, none known", "POST /images/lookup", lambda bench: look_up(bench, known=0)
    yield "look-up of 100 hashes, 50 known", "POST /images/lookup", lambda bench: look_up(bench, known=50)


def lists() -> Iterator[Case]:
    """Yield lists."""
    yield "list, 50 of 60", "GET /images", lambda bench: lambda: bench.get("/images?limit=50")
    yield "list, 50 with a tag", "GET /images", lambda bench: lambda: bench.get("/images?limit=50&tag=all")
    yield "list, tag and status", "GET /images", lambda bench: lambda: bench.get("/images?tag=all&status=failed")
    yield "list, 50 with two tags", "GET /images", lambda bench: lambda: bench.get("/images?limit=50&tag=all&tag=also")
    yield (
        "list, 50 with a visibility",
        "GET /images",
        lambda bench: lambda: bench.get("/images?limit=50&visibility=private"),
    )
    yield "list, 10 in the trash", "GET /images", list_trash


def images() -> Iterator[Case]:
    """Yield reads of an image."""
    yield "record", "GET /images/{image_id}", lambda bench: on_one(bench, "")
    yield "record, unknown", "GET /images/{image_id}", unknown
    yield "original", "GET /images/{image_id}/original", lambda bench: on_one(bench, "/original", 307)
    yield "variant", "GET /images/{image_id}/variants/{name}", lambda bench: on_one(bench, "/variants/w640.webp", 307)


def deletes() -> Iterator[Case]:
    """Yield deletes, and restores from the trash."""
    yield "delete", "DELETE /images/{image_id}", lambda bench: on_one(bench, "", 204, method="DELETE")
    yield "delete, of a pending image", "DELETE /images/{image_id}", delete_pending
    yield "delete, unknown", "DELETE /images/{image_id}", lambda bench: unknown(bench, 204, method="DELETE")
    yield "delete of 50 images", "POST /images/delete", delete_many
    yield "to the trash", "DELETE /images/{image_id}", to_trash
    yield "to the trash, a public image", "DELETE /images/{image_id}", lambda bench: to_trash(bench, "public")
    yield "to the trash, 50 images", "POST /images/delete", lambda bench: delete_many(bench, trash=True)
    yield "restore", "POST /images/{image_id}/restore", restore
    yield "restore, a public image", "POST /images/{image_id}/restore", lambda bench: restore(bench, "public")
    yield "restore of 50 images", "POST /images/restore", restore_many
    yield "the trash, reconcile when its days are over", "", end_of_trash


def edits() -> Iterator[Case]:
    """Yield edits."""
    yield "edit of a title", "PATCH /images/{image_id}", lambda bench: patch(bench, title="New")
    yield "edit of two tags", "PATCH /images/{image_id}", lambda bench: patch(bench, tags=["a", "b"])
    yield (
        "move of the focal point",
        "PATCH /images/{image_id}",
        lambda bench: patch(bench, focal_point={"x": 0, "y": 0}),
    )
    yield "publish", "PATCH /images/{image_id}", lambda bench: patch(bench, visibility="public")
    yield "publish, reconcile afterwards", "", lambda bench: afterwards(bench, "public")
    yield "hide", "PATCH /images/{image_id}", lambda bench: patch(bench, "public", visibility="private")
    yield "hide, reconcile afterwards", "", lambda bench: afterwards(bench, "public", "private")
    yield "edit of 50 images: a tag", "POST /images/edit", edit_many
    yield (
        "reprocess",
        "POST /images/{image_id}/reprocess",
        lambda bench: on_one(bench, "/reprocess", 202, method="POST"),
    )
    yield "share", "POST /images/{image_id}/share", share


def keys() -> Iterator[Case]:
    """Yield changes of API keys in the store, and look-ups by functions that do not remember the key."""
    yield "key, created", "POST /keys", lambda bench: partial(create_key, bench)
    yield "key, list of 50", "GET /keys", list_keys
    yield "key, changed", "PATCH /keys/{key_id}", edit_key
    yield "key, rotated", "POST /keys/{key_id}/rotate", lambda bench: on_key(bench, "/rotate", 200, "POST")
    yield "key, revoked", "DELETE /keys/{key_id}", lambda bench: on_key(bench, "", 204, "DELETE")
    yield "key, looked up", "", lambda bench: look_up_key(bench, create_key(bench)["key"], used=True)
    yield "key, first use on a day", "", lambda bench: look_up_key(bench, create_key(bench)["key"])
    yield "key, unknown", "", lambda bench: look_up_key(bench, new_secret(new_key_id())[0])


def webhooks() -> Iterator[Case]:
    """Yield an edit that is an event, and the work of the function that sends it to one endpoint."""
    yield "edit of a title, with webhooks", "PATCH /images/{image_id}", an_event
    yield "webhooks: an event to one endpoint", "", send_event


def an_event(bench: Bench) -> Callable[[], object]:
    """Edit an image, and write the event."""
    image_id = bench.ready()
    return lambda: bench.get(f"/images/{image_id}", method="PATCH", json={"title": "New"}, client=bench.telling)


def send_event(bench: Bench) -> Callable[[], object]:
    """Handle the messages of an event and of its delivery, including the trigger's requests to the queue."""
    while bench.tell():
        pass
    an_event(bench)()

    def call() -> None:
        if not (bench.tell() and bench.tell()):
            raise SystemExit("the event was not sent")

    return call


def create_key(bench: Bench) -> dict[str, Any]:
    """Create an API key."""
    body = {"name": "web shop", "owner": "ann", "scopes": ["upload", "read"]}
    answer = bench.admin.post("/keys", json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def list_keys(bench: Bench) -> Callable[[], object]:
    """List 50 of 60 API keys."""
    admin = KeyAdmin(bench.side.key_store)
    for number in range(60):
        admin.create(name=f"web shop {number}", owner="ann", scopes=["upload", "read"])
    return lambda: bench.get("/keys?limit=50", client=bench.admin)


def on_key(bench: Bench, path: str, expected: int, method: str) -> Callable[[], object]:
    """Change an API key."""
    key_id = create_key(bench)["id"]
    return lambda: bench.get(f"/keys/{key_id}{path}", expected, method=method, client=bench.admin)


def edit_key(bench: Bench) -> Callable[[], object]:
    """Give an API key a rate limit."""
    key_id = create_key(bench)["id"]
    return lambda: bench.admin.patch(f"/keys/{key_id}", json={"rate_limit": 5}).raise_for_status()


def look_up_key(bench: Bench, key: str, *, used: bool = False) -> Callable[[], object]:
    """Look up an API key, which was `used` today, in a function that has just started."""
    if used:
        StoredKeys(bench.side.key_store).find(key)
    return lambda: StoredKeys(bench.side.key_store).find(key)


def others() -> Iterator[Case]:
    """Yield the remaining routes, the worker and reconcile."""
    yield "counts of an owner", "GET /stats", lambda bench: lambda: bench.get("/stats")
    yield (
        "counts of all owners",
        "GET /stats/owners",
        lambda bench: lambda: bench.get("/stats/owners", client=bench.admin),
    )
    yield "look-alikes, one found", "GET /images/{image_id}/similar", look_alikes
    yield "delete, 5 images of an owner", "DELETE /images", delete_owner
    yield "worker: a reprocessed image", "", reprocessing
    for path in ("/limits", "/healthz", "/readyz"):
        yield path.removeprefix("/"), f"GET {path}", partial(plain, path)
    yield "worker: a processed image", "", processing
    yield "worker: the event again", "", processed_again
    yield "reconcile, nothing to do", "", lambda bench: bench.reconciler.run
    yield "one image, from upload to ready", "", lambda bench: bench.ready
    yield "one image, from ticket to ready", "", lambda bench: bench.by_ticket


def plain(path: str, bench: Bench) -> Callable[[], object]:
    """Send a request for a path."""
    return lambda: bench.get(path)


def a_duplicate(bench: Bench, query: str = "") -> Callable[[], object]:
    """Upload known bytes."""
    seed = next(_seeds)
    bench.upload(seed=seed)
    bench.process()
    return lambda: bench.upload(query, seed=seed)


def upload_again(bench: Bench) -> Callable[[], object]:
    """Repeat an upload with its `Idempotency-Key`."""
    seed = next(_seeds)
    bench.upload(seed=seed, key="again")
    bench.process()
    return lambda: bench.upload(seed=seed, key="again")


def upload_trashed(bench: Bench) -> Callable[[], object]:
    """Upload the bytes of an image in the trash: it is a new image."""
    seed = next(_seeds)
    image_id = bench.upload(seed=seed)["id"]
    bench.process()
    bench.get(f"/images/{image_id}", 204, method="DELETE", client=bench.keeping)
    return lambda: bench.upload(seed=seed)


def ticket_again(bench: Bench) -> Callable[[], object]:
    """Repeat a request for a ticket whose bytes have not arrived."""
    seed = next(_seeds)
    bench.ticket(seed=seed)
    bench.tickets.pop()
    return lambda: bench.ticket(seed=seed)


def look_up(bench: Bench, *, known: int) -> Callable[[], object]:
    """Look 100 hashes up."""
    items = bench.client.get("/images?limit=100&status=ready").json()["items"]
    hashes = list(dict.fromkeys(image["sha256"] for image in items))[:known]
    hashes += [f"{number:064x}" for number in range(100 - known)]

    def call() -> None:
        answer = bench.client.post("/images/lookup", json={"sha256": hashes})
        if len(answer.json()["known"]) != known:
            raise SystemExit(f"{known} images should be known: {answer.text[:300]}")

    return call


def ready_ids(bench: Bench, count: int) -> list[str]:
    """Return ids of private images that are ready."""
    items = bench.client.get(f"/images?limit={count}&status=ready&visibility=private").json()["items"]
    return [image["id"] for image in items]


def in_trash(bench: Bench, visibility: str = "private") -> str:
    """Move an image that is ready to the trash; return its id."""
    image_id = bench.ready()
    bench.get(f"/images/{image_id}", method="PATCH", json={"visibility": visibility})
    bench.get(f"/images/{image_id}", 204, method="DELETE", client=bench.keeping)
    return image_id


def list_trash(bench: Bench) -> Callable[[], object]:
    """List 10 of the images in the trash."""
    for _ in range(11):
        in_trash(bench)
    return lambda: bench.get("/images?limit=10&trashed=true")


def to_trash(bench: Bench, visibility: str = "private") -> Callable[[], object]:
    """Move an image to the trash."""
    image_id = bench.ready()
    bench.get(f"/images/{image_id}", method="PATCH", json={"visibility": visibility})
    return lambda: bench.get(f"/images/{image_id}", 204, method="DELETE", client=bench.keeping)


def restore(bench: Bench, visibility: str = "private") -> Callable[[], object]:
    """Restore an image from the trash."""
    image_id = in_trash(bench, visibility)
    return lambda: bench.get(f"/images/{image_id}/restore", method="POST")


def delete_many(bench: Bench, *, trash: bool = False) -> Callable[[], object]:
    """Delete 50 images, or move them to the trash."""
    for _ in range(50):
        bench.ready()
    ids, client = ready_ids(bench, 50), bench.keeping if trash else bench.client
    return lambda: bench.get("/images/delete", method="POST", json={"ids": ids}, client=client)


def restore_many(bench: Bench) -> Callable[[], object]:
    """Restore 50 images from the trash."""
    ids = ready_ids(bench, 50)
    bench.get("/images/delete", method="POST", json={"ids": ids}, client=bench.keeping)
    return lambda: bench.get("/images/restore", method="POST", json={"ids": ids})


def end_of_trash(bench: Bench) -> Callable[[], object]:
    """Run reconcile when the days of one image in the trash are over, and no other task is due."""
    now = utcnow() + timedelta(days=40)
    bench.reconciler.run(now=now)
    bench.reconciler.run(now=now + timedelta(days=1))
    in_trash(bench)
    return lambda: bench.reconciler.run(now=now + timedelta(days=1))


def on_one(bench: Bench, path: str, expected: int = 200, **options: Any) -> Callable[[], object]:
    """Send a request for an image that is ready."""
    image_id = bench.ready()
    return lambda: bench.get(f"/images/{image_id}{path}", expected, **options)


def patch(bench: Bench, *before: str, **fields: Any) -> Callable[[], object]:
    """Edit an image that is ready. `before` are visibilities that it had before."""
    image_id = bench.ready(tags="one")
    for visibility in before:
        bench.get(f"/images/{image_id}", method="PATCH", json={"visibility": visibility})
    return lambda: bench.get(f"/images/{image_id}", method="PATCH", json=fields)


def afterwards(bench: Bench, *visibilities: str) -> Callable[[], object]:
    """Run reconcile an hour and a day after an image got a visibility, and no other task is due."""
    later = [utcnow() + timedelta(hours=hours) for hours in (1, 26)]
    for now in later:
        bench.reconciler.run(now=now)
    patch(bench, *visibilities[:-1], visibility=visibilities[-1])()

    def run() -> None:
        for now in later:
            bench.reconciler.run(now=now)

    return run


def edit_many(bench: Bench) -> Callable[[], object]:
    """Add a tag to 50 images."""
    ids = [image["id"] for image in bench.client.get("/images?limit=50&status=ready").json()["items"]]
    return lambda: bench.get("/images/edit", method="POST", json={"ids": ids, "add_tags": ["new"]})


def share(bench: Bench) -> Callable[[], object]:
    """Share an image that is ready."""
    image_id = bench.ready()
    return lambda: bench.get(f"/images/{image_id}/share", 201, method="POST", json={"expires_in": 3600})


def look_alikes(bench: Bench) -> Callable[[], object]:
    """Find the one look-alike of an image: the same image in another format."""
    seed = next(_seeds)
    image_id = bench.upload(seed=seed)["id"]
    bench.process()
    body = encoded("WEBP", 1600, 1200, seed=seed)
    bench.client.post("/upload", files={"file": ("photo.webp", body)}).raise_for_status()
    bench.process()
    return lambda: bench.get(f"/images/{image_id}/similar")


def delete_owner(bench: Bench) -> Callable[[], object]:
    """Delete 5 images of an owner."""
    for _ in range(5):
        body = encoded("JPEG", 1600, 1200, seed=next(_seeds))
        bench.admin.post("/upload", files={"file": ("photo.jpg", body)}, data={"owner": "ann"}).raise_for_status()
        bench.process()
    return lambda: bench.admin.delete("/images?owner=ann&confirm=ann").raise_for_status()


def reprocessing(bench: Bench) -> Callable[[], object]:
    """Process an image that is ready again, including the trigger's requests to the queue."""
    image_id = bench.ready()
    bench.get(f"/images/{image_id}/reprocess", 202, method="POST")
    return bench.process


def unknown(bench: Bench, expected: int = 404, **options: Any) -> Callable[[], object]:
    """Send a request for an image that does not exist."""
    return lambda: bench.get("/images/019a9d1c-7c1e-7a3b-9f60-3d2b5a1c8e47", expected, **options)


def delete_pending(bench: Bench) -> Callable[[], object]:
    """Delete an image before it is processed."""
    image_id = bench.upload()["id"]
    return lambda: bench.get(f"/images/{image_id}", 204, method="DELETE")


def processing(bench: Bench) -> Callable[[], object]:
    """Process an uploaded image, including the trigger's requests to the queue."""
    bench.upload()
    return bench.process


def processed_again(bench: Bench) -> Callable[[], object]:
    """Handle the event of an image that is ready already."""
    image_id = bench.ready()
    return lambda: bench.worker.handle(image_id)


def dollars(use: Use) -> float:
    """Return the price of a million such calls: requests only, without storage, transfer, functions and gateway."""
    requests = (
        use.write * WRITE_UNIT
        + use.read * READ_UNIT
        + use.of("s3", *S3_WRITES) * S3_WRITE
        + use.of("s3", *S3_READS) * S3_READ
        + use.of("sqs") * SQS_REQUEST
    )
    return requests * 1e6


@contextmanager
def bench_on(endpoint: str, folder: Path) -> Iterator[tuple[Bench, Meter]]:
    """Run the service on that DynamoDB, with the bucket's events in the queue."""
    made = aws.moto()
    dynamodb = aws.clients(dynamodb=endpoint).dynamodb
    sandbox = Sandbox(30, 1024)
    sandbox.start()
    with (
        aws.table(dynamodb) as table,
        aws.access_table(dynamodb, table) as access_table,
        aws.bucket(made.s3) as bucket,
        aws.queue(made.sqs, visibility=30, max_attempts=3) as url,
        aws.queue(made.sqs, visibility=30, max_attempts=3) as told_url,
    ):
        aws.notify(made, bucket, url)
        queue = SqsQueue(made.sqs, url)
        for message in queue.receive(10):  # the test event that S3 sends first
            queue.delete(message.receipt)
        urls = PresignedUrls(Presigner(made.s3, bucket, made.credentials))
        grants = PresignedGrants(made.s3, bucket)
        keys, access = DynamoIdempotencyKeys(dynamodb, table), DynamoKeys(dynamodb, access_table)
        store, images = S3Store(made.s3, bucket), DynamoImages(dynamodb, table)
        side = Side(store, images, keys, access, queue, presigned=urls, grants=grants)
        checks = {"storage": side.store.ping, "records": side.images.ping, "queue": side.queue.ping}
        options: dict[str, Any] = {"limits": Limits(), "checks": checks, "files": None}
        app = create_app(make_services(side, **options, default_visibility=Visibility.PRIVATE))
        with_trash = options | {"limits": Limits(trash_days=30)}
        keeping = self_hosted_client(create_app(make_services(side, **with_trash)))
        key, entry = new_key("root", [Scope.ADMIN])
        admin = self_hosted_client(create_app(make_services(side, **options, keyring=Keyring([entry]))))
        admin.headers["X-API-Key"] = key
        told, endpoints = SqsQueue(made.sqs, told_url), DynamoEndpoints(dynamodb, access_table)
        endpoints.create(an_endpoint())
        deliveries = DynamoDeliveries(dynamodb, table)
        wake_up = DeliveryMessages(told, deliveries).wake_up
        sender = Sender(deliveries, endpoints, SECRETS, Receiver(answers(204)), wake_up=wake_up)
        events = EventWrites(table, EventSource(), partial(announce, told))
        with_events = side.having(images=DynamoImages(dynamodb, table, events))
        telling = self_hosted_client(create_app(make_services(with_events, **options)))
        worker = Worker(
            side.store, side.images, side.renderings, sandbox, recipe=DEFAULT_RECIPE, limits=Limits(), adopt=False,
            scratch=folder, max_attempts=3,
        )  # fmt: skip
        routes = [
            f"{method} {route.path}"
            for route in app.routes
            if isinstance(route, APIRoute) and route.include_in_schema
            for method in sorted(route.methods)
        ]
        yield (
            Bench(
                side, self_hosted_client(app), keeping, telling, told, sender, admin, worker, side.reconciler, routes
            ),
            Meter(aws.clients(dynamodb=endpoint).dynamodb, dynamodb=dynamodb, s3=made.s3, sqs=made.sqs),
        )


def measure(bench: Bench, meter: Meter) -> Iterator[dict[str, Any]]:
    """Yield one row for each case."""
    for name, route, prepare in cases():
        action = prepare(bench)
        with meter.metered() as use:
            action()
        while bench.tickets:  # only the request for the ticket is measured
            bench.send()
        while messages := bench.side.queue.receive(10):  # and only the upload
            for message in messages:
                handle_event(queue_event(message), bench.worker)
                bench.side.queue.delete(message.receipt)
        yield {
            "what": name,
            "route": route,
            "read_units": use.read,
            "write_units": use.write,
            "requests": dict(sorted(use.calls.items())),
            "dollars_a_million": round(dollars(use), 2),
        }


def main() -> None:
    """Measure, print, save."""
    if why := missing():
        raise SystemExit(why)
    folder = Path(tempfile.mkdtemp(prefix="darkroom-"))
    columns = f"{'dynamodb':>10}{'s3 put':>8}{'get':>5}{'del':>5}{'list':>6}{'sqs':>5}{'$/million':>11}"
    print(f"{'':34}{'read':>7}{'write':>7}{columns}")
    rows = []
    try:
        with dynamodb_local() as endpoint, bench_on(endpoint, folder) as (bench, meter):
            for number in range(60):
                bench.upload(tags="all,also" if number else "")
                bench.process()
            for row in measure(bench, meter):
                rows.append(row)
                use = Use(row["read_units"], row["write_units"])
                use.calls.update(row["requests"])
                print(
                    f"{row['what']:34}{use.read:7.1f}{use.write:7.1f}{use.of('dynamodb'):10d}"
                    f"{use.of('s3', 'PutObject'):8d}{use.of('s3', *S3_READS):5d}"
                    f"{use.of('s3', 'DeleteObject', 'DeleteObjects'):5d}{use.of('s3', 'ListObjectsV2'):6d}"
                    f"{use.of('sqs'):5d}{row['dollars_a_million']:11.2f}"
                )
            missed = sorted(set(bench.routes) - {row["route"] for row in rows})
    finally:
        shutil.rmtree(folder)
    if missed:
        print("not measured:", ", ".join(missed))
    prices = {"write_unit": WRITE_UNIT, "read_unit": READ_UNIT, "s3_write": S3_WRITE, "s3_read": S3_READ,
              "sqs": SQS_REQUEST}  # fmt: skip
    path = save("capacity", ["boto3", "moto"], rows=rows, not_measured=missed, dollars_a_request=prices)
    print(json.dumps({"saved": str(path)}))


if __name__ == "__main__":
    main()
