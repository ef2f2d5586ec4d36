"""Checks after a storm: every acknowledged image is there, nothing deleted is, and the store matches the records."""

import hashlib
import io
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from PIL import Image as Pillow

from app.domain.images.stats import count
from app.domain.images.urls import shown_key
from app.domain.keys import is_public, original_id, original_key, processed_id
from app.domain.maintenance.orphans import Orphans
from app.domain.maintenance.report import Report
from app.domain.models import RETRYABLE, Image, Status, Visibility, utcnow
from app.domain.work import Task
from tests.running_server import Server, has_no_files_of_images, wait_for
from tests.self_hosted.kill_storm.clients import OWNER
from tests.self_hosted.kill_storm.ledger import Fate, Ledger, Outcome
from tests.self_hosted.kill_storm.webhooks import Receiver, check_events
from tests.sides import Side

_SECONDS = 300
#: Times at which reconcile runs in the end: after the longest attempt, and after the lives of superseded renderings and
#: of the trash.
_LATER = (timedelta(minutes=31), timedelta(hours=25), timedelta(hours=50), timedelta(hours=75))


class Checks:
    """Checks of one server whose storm is over."""

    def __init__(self, server: Server, side: Side, ledger: Ledger, receiver: Receiver) -> None:
        self._server = server
        self._side = side
        self._ledger = ledger
        self._receiver = receiver
        self._outcome = Outcome(ledger)
        self._end = time.monotonic() + _SECONDS

    def run(self) -> Outcome:
        """Run all checks."""
        wait_for(lambda: self._server.client.get("/readyz").status_code == 200, 60, self._server.log.read_text)
        self._check_images()
        self._restore_some()
        # A delete is finished by the worker or by reconcile, and an image is ready a moment before its folder is gone.
        self._side.reconciler.run()
        self._check_keys()
        wait_for(lambda: not self._unprocessed(), _SECONDS, self._server.log.read_text)
        self._check_counts()
        self._let_time_pass()
        self._check_counts()
        self._check_records()
        wait_for(lambda: has_no_files_of_images(self._server.data), 60)
        self._check_deleted()
        self._check_orphans()
        self._check_found()
        check_events(self._server, self._receiver, self._ledger, self._outcome)
        return self._outcome

    def _check_images(self) -> None:
        for image_id, fate in self._ledger.fates.items():
            may_be_gone = fate in {Fate.DELETED, Fate.UNSURE_IF_DELETED}
            may_be_trashed = fate in {Fate.TRASHED, Fate.UNSURE_IF_TRASHED}
            if fate is Fate.DELETED:
                continue
            record = self._finished(image_id)
            if record is None:
                if not (may_be_gone or (may_be_trashed and image_id in self._ledger.due)):
                    self._lost(image_id, f"{fate}, but has no record")
                continue
            is_trashed = record.get("trashed_at") is not None
            if (fate is Fate.LIVE and is_trashed) or (fate is Fate.TRASHED and not is_trashed):
                self._lost(image_id, f"{fate}, but trashed at {record.get('trashed_at')}")
            elif why := self._fault(image_id, record):
                self._lost(image_id, f"{fate}: {why}")

    def _restore_some(self) -> None:
        """Restore every second image in the trash, and check it."""
        for image_id in self._ledger.with_fate(Fate.TRASHED)[::2]:
            answer = self._server.client.post(f"/images/{image_id}/restore")
            if answer.status_code == 404 and image_id in self._ledger.due:
                self._outcome.purged += 1
                self._ledger.fates[image_id] = Fate.DELETED
                continue
            self._ledger.fates[image_id] = Fate.LIVE
            record = self._finished(image_id)
            self._outcome.restored += 1
            if record is None or record.get("trashed_at") is not None:
                self._lost(image_id, f"not restored: {answer.status_code} {answer.text[:200]}")
            elif why := self._fault(image_id, record):
                self._lost(image_id, f"restored: {why}")

    def _check_keys(self) -> None:
        """Count the images of each idempotency key: their metadata names it."""
        images = Counter[str]()
        for image in self._side.images.scan():
            key = image.metadata.get("key")
            if key is None:
                continue
            images[key] += 1
            answered = self._ledger.keys.get(key)
            if answered not in {None, image.id}:
                self._outcome.repeated.append(f"{key}: {image.id}, but the answer had {answered}")
        self._outcome.repeated += [f"{key}: {count} images" for key, count in images.items() if count > 1]

    def _check_counts(self) -> None:
        """Compare the statistics with the records."""
        expected = Counter[str]()
        for image in self._side.images.scan():
            expected.update(count(image))
        found = self._side.counters.get(OWNER).counts
        if found != {name: number for name, number in expected.items() if number}:
            self._outcome.miscounted.append(f"counted {dict(expected)}, but the statistics are {dict(found)}")

    def _let_time_pass(self) -> None:
        """Let all tasks end, as if time passed. No image may be public that should not be, at any time."""
        for after in (*_LATER, _LATER[-1]):
            wait_for(lambda: not self._unprocessed(), _SECONDS, self._server.log.read_text)
            self._side.reconciler.run(now=utcnow() + after)
            images = list(self._side.images.scan())
            public = {image.id for image in images if image.effective_visibility is Visibility.PUBLIC}
            self._outcome.misplaced += [
                key for key in self._side.objects() if is_public(key) and processed_id(key) not in public
            ]
        for image_id in self._ledger.with_fate(Fate.TRASHED):
            self._ledger.fates[image_id] = Fate.DELETED
            self._outcome.purged += 1

    def _unprocessed(self) -> list[str]:
        """Return the images that wait for the worker, without upload tickets."""
        return [
            image.id
            for image in self._side.images.scan()
            if Task.PROCESS in image.work
            and image.upload_expires_at is None
            and self._side.store.stat(original_key(image.id))
        ]

    def _check_records(self) -> None:
        """Compare records with edits and with the store."""
        for image_id in self._ledger.with_fate(Fate.LIVE):
            found = self._side.images.get(image_id)
            if not isinstance(found, Image) or found.trashed_at is not None:
                self._lost(image_id, "live, but deleted or in the trash after some time")
        known, expected = set(), set()
        for image in self._side.images.scan():
            known.add(image.id)
            expected.add(original_key(image.id))
            expected |= {shown_key(image, variant) for variant in image.variants}
            for name, value in self._ledger.edited.get(image.id, {}).items():
                if getattr(image, name) not in {value, self._ledger.maybe.get(image.id, {}).get(name)}:
                    self._outcome.forgotten.append(f"{image.id}: {name} {getattr(image, name)!r}, not {value!r}")
            if image.status is Status.READY and image.placed is not image.effective_visibility:
                self._outcome.misplaced.append(f"{image.id}: {image.visibility}, stored as {image.placed}")
        stored = self._side.objects()
        variants = {key for key in expected if original_id(key) is None}
        self._outcome.misplaced += [f"missing: {key}" for key in sorted(variants - stored)]
        left = {key for key in stored - expected if (processed_id(key) or original_id(key)) in known}
        self._outcome.misplaced += [f"left: {key}" for key in sorted(left)]

    def _check_deleted(self) -> None:
        keys = self._side.objects()
        self._outcome.undead = [
            image_id
            for image_id in self._ledger.with_fate(Fate.DELETED)
            if self._server.client.get(f"/images/{image_id}").status_code != 404 or any(image_id in key for key in keys)
        ]

    def _check_orphans(self) -> None:
        """Remove objects without a record, as an operator would, and look for others."""
        report = Report()
        orphans = Orphans(self._side.store, self._side.images, self._side.queue)
        for orphan in list(orphans.find(report, grace=timedelta(0))):
            orphans.remove(orphan, report)
        self._outcome.orphans = report.orphans
        records = {image.id for image in self._side.images.scan()}
        self._outcome.without_record = sorted(
            key for key in self._side.objects() if (processed_id(key) or original_id(key)) not in records
        )

    def _check_found(self) -> None:
        """Compare the list and look-ups by hash with the records: each image is found, and nothing else."""
        records = {image.id: image for image in self._side.images.scan() if image.upload_expires_at is None}
        client, listed, cursor = self._server.client, set[str](), None
        while True:
            page = client.get("/images", params={"limit": 100} | ({"cursor": cursor} if cursor else {})).json()
            listed |= {item["id"] for item in page["items"]}
            cursor = page["next_cursor"]
            if cursor is None:
                break
        self._outcome.misplaced += [f"in the list or in the records only: {each}" for each in listed ^ records.keys()]
        hashes = sorted({image.sha256 for image in records.values() if image.sha256 and image.status is Status.READY})
        for start in range(0, len(hashes), 1000):
            asked = hashes[start : start + 1000]
            known = client.post("/images/lookup", json={"sha256": asked}).json()["known"]
            for sha256 in asked:
                found = records.get(known.get(sha256, ""))
                if found is None or found.sha256 != sha256:
                    self._outcome.misplaced.append(f"look-up of {sha256}: {known.get(sha256)}")

    def _fault(self, image_id: str, record: dict[str, Any]) -> str | None:
        """Return what is wrong with an image that was acknowledged, if anything is."""
        if record["status"] == "pending":
            return "still pending"
        body = self._ledger.acknowledged[image_id]
        if record["sha256"] != hashlib.sha256(body).hexdigest():
            return "other bytes in the record"
        if self._server.client.get(record["links"]["original"], follow_redirects=True).content != body:
            return "other bytes in the store"
        if record["status"] == "failed" and record["error"]["code"] in RETRYABLE:
            self._outcome.given_up.append(image_id)
            return None
        return self._fault_of_variants(record)

    def _fault_of_variants(self, record: dict[str, Any]) -> str | None:
        for variant in record["variants"]:
            content = self._server.client.get(variant["url"]).content
            with Pillow.open(io.BytesIO(content), formats=[variant["format"]]) as picture:
                picture.load()
                if (len(content), picture.size) != (variant["bytes"], (variant["width"], variant["height"])):
                    return f"variant {variant['name']} is not what the record says"
        return None if record["variants"] else f"no variants: {record['status']} {record['error']}"

    def _finished(self, image_id: str) -> dict[str, Any] | None:
        """Return the record once it is ready or failed, or as it is at the end; None if there is none."""
        while True:
            answer = self._server.client.get(f"/images/{image_id}", params={"wait": 20})
            if answer.status_code == 404:
                return None
            record: dict[str, Any] = answer.json()
            if record["status"] != "pending" or time.monotonic() > self._end:
                return record

    def _lost(self, image_id: str, why: str) -> None:
        self._outcome.lost.append(f"{image_id}: {why}")
