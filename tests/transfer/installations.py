"""Installations that commands run on, with images in every state."""

import hashlib
import io
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from botocore.client import BaseClient
from typer.testing import CliRunner, Result

from app.domain.ids import new_id
from app.domain.images.similar import bands
from app.domain.keys import original_key, rendering_prefix
from app.domain.models import Failure, FailureCode, FocalPoint, Format, Image, Status, Variant, Visibility, utcnow
from app.domain.ports import ListQuery
from app.domain.work import RENDERING_LIFE, Task, Work
from darkroom.cli.command import cli
from tests import aws
from tests.aws import _one_at_a_time
from tests.contract.records import FULL, an_image, tombstone_of, walk
from tests.engines import ACCESS_KEY, REGION, SECRET_KEY
from tests.samples import encoded
from tests.sides import SIDES, Side

OWNERS = ("anonymous", "ann", "bob")


@dataclass(frozen=True)
class Installation:
    """An installation: its stores, and the environment that names them."""

    side: Side
    environment: dict[str, str]
    data: Path

    def run(self, *arguments: str | Path, **settings: str) -> Result:
        """Run an operator command on it, in this process."""
        with mock.patch.dict(os.environ, self.environment | settings):
            return CliRunner().invoke(cli, [str(each) for each in arguments])

    def report(self, *arguments: str | Path, code: int = 0, **settings: str) -> dict[str, Any]:
        """Run a command with `--json`; its report."""
        done = self.run(*arguments, "--json", **settings)
        assert done.exit_code == code, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@contextmanager
def installation(name: str, folder: Path) -> Iterator[Installation]:
    """An empty installation."""
    data = folder / "data"
    data.mkdir(parents=True)
    with SIDES[name](data) as side:
        stores: Any = side
        if name == "self-hosted":
            environment = {
                "DARKROOM_STORAGE_URL": f"file:{data}", "DARKROOM_DATABASE_URL": f"sqlite:{data}/darkroom.db",
                "DARKROOM_MIN_FREE_MB": "0",
            }  # fmt: skip
            yield Installation(side, environment, data)
            return
        store = stores.store._inner if name == "engines" else stores.store
        environment = {
            "DARKROOM_STORAGE_URL": f"s3://{store._bucket}",
            "DARKROOM_DATABASE_URL": f"dynamodb://{stores.images._table}",
            "DARKROOM_QUEUE_URL": stores.queue._url,
            "AWS_DEFAULT_REGION": REGION,
        }
        if name == "engines":
            made = aws.engines()
            environment |= {
                "AWS_ENDPOINT_URL_S3": made.s3.meta.endpoint_url,
                "AWS_ENDPOINT_URL_DYNAMODB": made.dynamodb.meta.endpoint_url,
                "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            }  # fmt: skip
            yield Installation(side, environment, data)
            return
        one_at_a_time = _one_at_a_time(BaseClient._make_api_call, threading.RLock())  # as moto needs it
        with mock.patch.object(BaseClient, "_make_api_call", one_at_a_time):
            yield Installation(side, environment, data)


def put(side: Side, key: str, body: bytes, content_type: str = "image/jpeg") -> None:
    """Store an object without an event."""
    side.store.put(key, io.BytesIO(body), size=len(body), content_type=content_type)


def place(side: Side, seed: int, *, renderings: tuple[str, ...] = (), claim: bool = True, **fields: Any) -> Image:
    """An image with its original and two files in each of these renderings, as `keys.rendering_name` names them."""
    body = encoded("JPEG", 64, 48, seed=seed)
    fields = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()} | fields
    image_id = new_id()
    variants = []
    for name in renderings:
        for file in ("w32.webp", "w16.jpg"):
            content = f"{image_id} {name.removeprefix('public/')} {file}".encode()
            put(side, rendering_prefix(image_id, name) + file, content, "image/webp")
            if name == renderings[0]:
                form = Format.WEBP if file.endswith("webp") else Format.JPEG
                variants.append(Variant(name=file[:3], format=form, width=32, height=24, bytes=len(content), file=file))
    if renderings:
        public = renderings[0].startswith("public/")
        fields = {
            "rendering_id": renderings[0].removeprefix("public/"), "recipe_id": "0123456789ab", "variants": variants,
            "placed": Visibility.PUBLIC if public else Visibility.PRIVATE, "processed_at": utcnow(),
            "superseded": dict.fromkeys(renderings[1:], utcnow() + RENDERING_LIFE), "work": {},
        } | fields  # fmt: skip
    image = an_image(**({"id": image_id} | fields))
    side.images.create(image, claim=claim and image.sha256 is not None)
    put(side, original_key(image.id), body)
    return image


def populate(side: Side) -> dict[str, Image]:
    """Images in every state that an export holds, by a name for each."""
    now = utcnow()
    ready: dict[str, Any] = {"status": Status.READY}
    process = {Task.PROCESS: Work.add(now, timedelta(minutes=15))}
    failure = Failure(code=FailureCode.TIMEOUT, detail="Too slow.")
    kept = {name: FULL[name] for name in FULL if name not in {
        "status", "error", "bytes", "sha256", "processed_at", "rendering_id", "recipe_id", "variants", "placed",
        "superseded", "work", "trashed_at", "arrived_at", "upload_expires_at", "last_tried_at", "content_type",
    }}  # fmt: skip
    images = {
        "full": place(side, 1, renderings=("public/aa11", "aa11", "public/bb22"), owner="ann", **ready, **kept),
        "private": place(
            side, 2, renderings=("aa11", "cc33"), owner="bob", **ready, tags=["sea", "sky"], title="A title",
            focal_point=FocalPoint(x=0.25, y=0.75), work={Task.SWEEP: Work.add(now, RENDERING_LIFE)},
        ),
        "again": place(side, 3, renderings=("public/aa11",), owner="ann", **ready, visibility="public", work=process),
        "pending": place(side, 4, owner="anonymous", work=process, metadata={"order": "7"}),
        "failed": place(side, 5, owner="ann", status=Status.FAILED, error=failure, work={}, processed_at=now),
        "trashed": place(
            side, 6, renderings=("aa11",), owner="ann", **ready, trashed_at=now, tags=["sea"], visibility="public",
            work={Task.PURGE: Work.add(now, timedelta(days=30))},
        ),
        "copy": place(side, 1, renderings=("aa11",), owner="ann", **ready, claim=False),
        "uncounted": place(side, 1, renderings=("aa11",), owner="ann", **ready, claim=False),
        "hers": place(side, 1, renderings=("public/aa11",), owner="bob", **ready, visibility="public"),
        "arrived": place(
            side, 7, owner="bob", sha256=None, work=process, upload_expires_at=now + timedelta(days=1), arrived_at=now
        ),
    }  # fmt: skip
    side.images.claim(images["copy"])
    return images


def leave_out(side: Side) -> list[Image]:
    """Records that no export holds: a ticket, an upload without its bytes, a deleted image."""
    now = utcnow()
    left = [
        an_image(owner="ann", upload_expires_at=now + timedelta(days=1), work={}),
        an_image(owner="ann"),
        an_image(owner="ann", status=Status.READY),
    ]
    for image in left:
        side.images.create(image, claim=False)
    side.images.delete(left[2].id, 1, tombstone_of(left[2]))
    return left


def stored(side: Side) -> dict[str, bytes]:
    """Every object by key."""
    found = {}
    for key in side.objects():
        with side.store.open(key) as body:
            found[key] = body.read()
    return found


def state(side: Side, chosen: dict[str, Image]) -> dict[str, Any]:
    """Everything that a user can see of these images, and what the service derives from them."""
    ids = {image.id for image in chosen.values()}
    records = [side.images.get(image_id) for image_id in sorted(ids)]
    hashes = {(image.owner, image.sha256) for image in records if isinstance(image, Image) and image.sha256}
    lists: dict[str, list[str]] = {}
    for owner in OWNERS:
        queries: list[dict[str, Any]] = [
            {}, {"trashed": True}, {"tags": ("sea",)}, {"status": Status.READY}, {"status": Status.FAILED},
            {"visibility": Visibility.PUBLIC}, {"content_type": "image/jpeg"},
        ]  # fmt: skip
        for query in queries:
            found = walk(side.images, ListQuery(owner=owner, limit=100, **query))
            lists[f"{owner} {query}"] = [image.id for image in found if image.id in ids]
    alike = {
        image.id: [list(found) for found in side.images.find_bands(image.owner, bands(image.phash), 100)]
        for image in records
        if isinstance(image, Image) and image.phash
    }
    return {
        "records": records,
        "objects": {key: body for key, body in stored(side).items() if key.split("/")[-1] in ids or "/" in key[10:]},
        "holders": {each: side.images.find_hash(*each) for each in sorted(hashes)},
        "copies": {each: side.images.find_copies(each[0], [each[1]]) for each in sorted(hashes)},
        "lists": lists,
        "alike": alike,
        "unfinished": set(side.unfinished()) & ids,
        "counts": {owner: +Counter(side.counters.get(owner).counts) for owner in OWNERS},
    }
