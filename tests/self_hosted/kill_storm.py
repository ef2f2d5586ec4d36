"""A mixed load while server, worker and children are killed at random, and a proof that nothing acknowledged was lost.

python -m tests.self_hosted.kill_storm --seconds 60 --seed 1
"""

import argparse
import base64
import contextlib
import hashlib
import io
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from PIL import Image as Pillow

from app.domain.access.api_keys import Scope, new_key
from app.domain.errors import PortError
from app.domain.images.urls import shown_key
from app.domain.keys import is_public, original_id, original_key, processed_id
from app.domain.maintenance.orphans import Orphans
from app.domain.maintenance.report import Report
from app.domain.models import RETRYABLE, Image, Status, Visibility, is_open_ticket, utcnow
from app.domain.work import Task
from tests.running_server import Server, wait_for
from tests.samples import encoded
from tests.sides import Side, self_hosted

#: Answers after which a client tries the same again.
_AGAIN = frozenset({408, 409, 429, 503})
_SETTLE_SECONDS = 300
_SECRET, _ENTRY = new_key("ann", [Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE])
_KEY = {"Authorization": f"Bearer {_SECRET}"}
#: How images are sent, and by how many clients each.
KINDS = {"form": 2, "base64": 1, "ticket": 5}


@dataclass
class Ledger:
    """Uploads that the service has acknowledged, by image id."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    deleted: set[str] = field(default_factory=set)
    #: Deletes whose answer was lost: they may or may not have happened.
    undecided: set[str] = field(default_factory=set)
    #: Fields of images as the last answers of edits had them.
    edited: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Edits whose answer was lost at the end: the image has these values or the earlier ones.
    maybe: dict[str, dict[str, str]] = field(default_factory=dict)
    edits: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    #: Answers that no client should get.
    surprises: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """Findings after the storm."""

    ledger: Ledger
    lost: list[str] = field(default_factory=list)
    #: Deleted images that are still there, or some of whose files are.
    undead: list[str] = field(default_factory=list)
    #: Images whose process was killed in every attempt: their bytes are there.
    given_up: list[str] = field(default_factory=list)
    orphans: int = 0
    #: Edits that were answered and are not in the record.
    forgotten: list[str] = field(default_factory=list)
    #: Public objects of images that are not public, objects that no record names, and variants that are missing.
    misplaced: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Every broken promise, as sentences."""
        undead = [f"deleted and still there: {each}" for each in self.undead]
        surprises = [f"not expected: {each}" for each in self.ledger.surprises]
        return [*self.lost, *undead, *self.forgotten, *self.misplaced, *surprises]

    def __str__(self) -> str:
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.ledger.kills.items()))
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.ledger.kinds.items()))
        edits = ", ".join(f"{name} {count}" for name, count in sorted(self.ledger.edits.items()))
        return (
            f"kills {self.ledger.kills.total()} ({kills}), acknowledged {len(self.ledger.acknowledged)} ({kinds}; "
            f"{len(self.ledger.deleted)} deleted), edits ({edits}), given up {len(self.given_up)}, "
            f"orphans {self.orphans}, lost {len(self.lost)}"
        )


class _Stopped(Exception):
    """The storm is over: what was not acknowledged by now is not waited for."""


class Client:
    """One client that sends images, and now and then deletes one. It sends again until it has an answer."""

    def __init__(self, server: Server, ledger: Ledger, stop: threading.Event, number: int, seed: int) -> None:
        self._server = server
        self._ledger = ledger
        self._stop = stop
        self._dice = random.Random(f"{seed} {number}")
        self._serial = number * 1_000_000

    def run(self, kind: str) -> None:
        """Send images in this way until told to stop."""
        send = {"form": self._form, "base64": self._base64, "ticket": self._ticket}[kind]
        with (
            httpx.Client(base_url=self._server.url, timeout=30, headers=_KEY) as http,
            contextlib.suppress(_Stopped),
        ):
            while True:
                body = self._body(large=kind == "ticket" and self._dice.random() < 0.2)
                image_id = send(http, body)
                self._ledger.acknowledged[image_id] = body
                self._ledger.kinds[kind] += 1
                while self._dice.random() < 0.6:
                    self._change(http, image_id)
                if self._dice.random() < 0.25:
                    self._delete(http, image_id)

    def _form(self, http: httpx.Client, body: bytes) -> str:
        answer = self._answer(lambda: http.post("/upload", files={"file": ("p.jpg", body)}), {200, 201})
        return str(answer.json()["id"])

    def _base64(self, http: httpx.Client, body: bytes) -> str:
        sent = {"filename": "p.jpg", "image_base64": base64.b64encode(body).decode()}
        answer = self._answer(lambda: http.post("/upload", json=sent), {200, 201})
        return str(answer.json()["id"])

    def _ticket(self, http: httpx.Client, body: bytes) -> str:
        kind = "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"
        wanted = {"bytes": len(body), "content_type": kind, "sha256": hashlib.sha256(body).hexdigest()}
        while True:
            ticket = self._answer(lambda: http.post("/upload/direct", json=wanted), {200, 201}).json()
            if "url" not in ticket:  # an earlier ticket's bytes are there, though its answer was lost
                return str(ticket["id"])
            headers = {**ticket["headers"], "Content-Length": str(len(body))}
            url = ticket["url"]

            def put(url: str = url, headers: dict[str, str] = headers) -> httpx.Response:
                return http.put(url, headers=headers, content=self._slowly(body))

            answer = self._answer(put, {200, 403, 410, 412})
            if answer.status_code in {200, 412}:  # 412: they are there, though the answer was lost
                return str(ticket["id"])

    def _slowly(self, body: bytes) -> Iterator[bytes]:
        pieces = self._dice.randrange(2, 10)
        step = -(-len(body) // pieces)
        for start in range(0, len(body), step):
            self._stop.wait(self._dice.uniform(0, 0.8))
            yield body[start : start + step]

    def _change(self, http: httpx.Client, image_id: str) -> None:
        """Edit, publish, hide or reprocess an image. Only one client changes an image."""
        path = f"/images/{image_id}"
        match self._dice.choice(["title", "visibility", "visibility", "focal point", "reprocess"]):
            case "title" as kind:
                self._edit(http, image_id, {"title": f"title {self._dice.random()}"})
            case "visibility" as kind:
                self._edit(http, image_id, {"visibility": self._dice.choice(["public", "private"])})
            case "focal point" as kind:
                point = {"x": self._dice.random(), "y": 0.5}
                self._answer(lambda: http.patch(path, json={"focal_point": point}), {200})
            case kind:
                self._answer(lambda: http.post(f"{path}/reprocess"), {202})
        self._ledger.edits[kind] += 1

    def _edit(self, http: httpx.Client, image_id: str, fields: dict[str, str]) -> None:
        self._ledger.maybe[image_id] = fields
        self._answer(lambda: http.patch(f"/images/{image_id}", json=fields), {200})
        self._ledger.edited.setdefault(image_id, {}).update(fields)
        del self._ledger.maybe[image_id]

    def _delete(self, http: httpx.Client, image_id: str) -> None:
        self._ledger.undecided.add(image_id)
        self._answer(lambda: http.delete(f"/images/{image_id}"), {204})
        self._ledger.deleted.add(image_id)
        self._ledger.undecided.discard(image_id)

    def _answer(self, call: Callable[[], httpx.Response], expected: set[int]) -> httpx.Response:
        while not self._stop.is_set():
            try:
                answer = call()
            except httpx.TransportError:
                self._stop.wait(0.1)
                continue
            if answer.status_code in expected:
                return answer
            if answer.status_code not in _AGAIN:
                self._ledger.surprises.append(f"{answer.request.method} {answer.status_code}: {answer.text[:300]}")
                raise _Stopped
            self._stop.wait(0.2)
        raise _Stopped

    def _body(self, *, large: bool) -> bytes:
        self._serial += 1
        if not large:
            return encoded.__wrapped__("JPEG", 300 + self._serial % 200, 200, seed=self._serial)
        out = io.BytesIO()  # more than is kept in memory
        noise = random.Random(self._serial).randbytes(3 * 700 * 560)
        Pillow.frombytes("RGB", (700, 560), noise).save(out, "PNG", compress_level=0)
        return out.getvalue()


def descendants(pid: int) -> dict[str, list[int]]:
    """The worker processes of a server, and the processes below those."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    workers = children.get(pid, [])
    below, found = list(workers), []
    while below:
        below = [child for parent in below for child in children.get(parent, [])]
        found += below
    return {"worker": workers, "child": found}


class Killer:
    """Ends processes as a power cut, an operator or the kernel would."""

    def __init__(self, server: Server, ledger: Ledger, seed: int) -> None:
        self._server = server
        self._ledger = ledger
        self._dice = random.Random(f"{seed} killer")

    def run(self, seconds: float) -> None:
        """Kill for `seconds`, and on a busy machine until enough was killed. A server that was killed
        is started again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or (not self._is_enough() and time.monotonic() < end + _SETTLE_SECONDS):
            time.sleep(self._dice.uniform(0.05, 1.0))
            self._kill(self._dice.choices(["server", "everything", "worker", "child"], [1, 1, 4, 6])[0])

    def _is_enough(self) -> bool:
        return self._ledger.kills.total() >= 5 and all(self._ledger.kinds[kind] >= 3 for kind in KINDS)

    def _kill(self, victim: str) -> None:
        process = self._server.process
        assert process is not None
        found = descendants(process.pid)
        if victim in {"server", "everything"}:
            self._server.kill()
            if victim == "everything":
                for pid in found["worker"] + found["child"]:
                    _end(pid)
            self._ledger.kills[victim] += 1
            self._server.start()
        elif found[victim] and _end(self._dice.choice(found[victim])):
            self._ledger.kills[victim] += 1


def _end(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def expire_tickets(side: Side, stop: threading.Event, dice: random.Random) -> None:
    """Let the time of some open tickets pass, and reconcile beside everything else."""
    while not stop.wait(dice.uniform(0.2, 1.0)):
        with contextlib.suppress(PortError):
            for image_id in side.unfinished():
                image = side.images.get(image_id)
                if isinstance(image, Image) and is_open_ticket(image) and dice.random() < 0.1:
                    past = utcnow() - timedelta(seconds=1)
                    side.images.update(image.id, image.version, {"upload_expires_at": past})
            side.reconciler.run(requeue_after=timedelta(0))


def storm(data: Path, *, seconds: float, seed: int) -> Outcome:
    """Load and kill a server on this folder for `seconds`, let it finish its work, and check what it has kept."""
    ledger, stop = Ledger(), threading.Event()
    # Kills count as attempts, and a storm has more of them than an image should need. With keys an original without a
    # record is adopted by nobody: it is lost.
    settings = {"DARKROOM_MAX_ATTEMPTS": "100", "DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": str(_ENTRY)}
    with Server(data, **settings) as server, self_hosted(data) as side:
        server.client.headers.update(_KEY)
        kinds = [kind for kind, clients in KINDS.items() for _ in range(clients)]
        threads = [
            threading.Thread(target=Client(server, ledger, stop, number, seed).run, args=(kind,))
            for number, kind in enumerate(kinds, 1)
        ]
        threads.append(threading.Thread(target=expire_tickets, args=(side, stop, random.Random(f"{seed} tickets"))))
        for thread in threads:
            thread.start()
        try:
            Killer(server, ledger, seed).run(seconds)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        return _settled(server, side, ledger)


def _settled(server: Server, side: Side, ledger: Ledger) -> Outcome:
    outcome = Outcome(ledger)
    wait_for(lambda: server.client.get("/readyz").status_code == 200, 60, server.log.read_text)
    end = time.monotonic() + _SETTLE_SECONDS
    for image_id, body in ledger.acknowledged.items():
        if image_id in ledger.deleted:
            continue
        why = _fault(server, image_id, body, end, outcome)
        if why and not (image_id in ledger.undecided and why == "no record"):
            outcome.lost.append(f"{image_id}: {why}")
    # A delete is finished by the worker or by reconcile, and an image is ready a moment before its folder is gone.
    side.reconciler.run()
    _check_edits(server, side, outcome)
    wait_for(lambda: not any(server.data.joinpath("scratch").glob("*/*")), 60)
    keys = side.objects()
    outcome.undead = [
        image_id
        for image_id in ledger.deleted
        if server.client.get(f"/images/{image_id}").status_code != 404 or any(image_id in key for key in keys)
    ]
    outcome.orphans = sum(1 for _ in Orphans(side.store, side.images, side.queue).find(Report(), grace=timedelta(0)))
    return outcome


#: Times at which reconcile runs in the end: after the longest attempt, and after the lives of superseded renderings.
_LATER = (timedelta(minutes=31), timedelta(hours=25), timedelta(hours=50), timedelta(hours=75))


def _check_edits(server: Server, side: Side, outcome: Outcome) -> None:
    """Let all tasks end, as if time passed, and check records and store."""
    for after in _LATER:
        wait_for(lambda: not _unprocessed(side), _SETTLE_SECONDS, server.log.read_text)
        side.reconciler.run(now=utcnow() + after)
        images = list(side.images.scan())
        public = {image.id for image in images if image.visibility is Visibility.PUBLIC}
        outcome.misplaced += [key for key in side.objects() if is_public(key) and processed_id(key) not in public]
    wait_for(lambda: not _unprocessed(side), _SETTLE_SECONDS, server.log.read_text)
    side.reconciler.run(now=utcnow() + _LATER[-1])
    known, expected = set(), set()
    for image in side.images.scan():
        known.add(image.id)
        expected.add(original_key(image.id))
        expected |= {shown_key(image, variant) for variant in image.variants}
        ledger = outcome.ledger
        for name, value in ledger.edited.get(image.id, {}).items():
            if getattr(image, name) not in {value, ledger.maybe.get(image.id, {}).get(name)}:
                outcome.forgotten.append(f"{image.id}: {name} {getattr(image, name)!r}, not {value!r}")
        if image.status is Status.READY and image.placed is not image.visibility:
            outcome.misplaced.append(f"{image.id}: {image.visibility}, stored as {image.placed}")
    stored = side.objects()
    variants = {key for key in expected if original_id(key) is None}
    outcome.misplaced += [f"missing: {key}" for key in sorted(variants - stored)]
    left = {key for key in stored - expected if (processed_id(key) or original_id(key)) in known}
    outcome.misplaced += [f"left: {key}" for key in sorted(left)]


def _unprocessed(side: Side) -> list[str]:
    """Return the images that wait for the worker, without upload tickets."""
    return [
        image.id
        for image in side.images.scan()
        if Task.PROCESS in image.work and image.upload_expires_at is None and side.store.stat(original_key(image.id))
    ]


def _fault(server: Server, image_id: str, body: bytes, end: float, outcome: Outcome) -> str | None:
    """Return what is wrong with an image that was acknowledged, if anything is."""
    record = _finished(server, image_id, end)
    if record is None:
        return "no record"
    if record["status"] == "pending":
        return "still pending"
    if record["sha256"] != hashlib.sha256(body).hexdigest():
        return "other bytes in the record"
    if server.client.get(record["links"]["original"], follow_redirects=True).content != body:
        return "other bytes in the store"
    if record["status"] == "failed" and record["error"]["code"] in RETRYABLE:
        outcome.given_up.append(image_id)
        return None
    return _fault_of_variants(server, record)


def _finished(server: Server, image_id: str, end: float) -> dict[str, Any] | None:
    """Return the record once it is ready or failed, or as it is at the end; None if there is none."""
    while True:
        answer = server.client.get(f"/images/{image_id}", params={"wait": 20})
        if answer.status_code == 404:
            return None
        record: dict[str, Any] = answer.json()
        if record["status"] != "pending" or time.monotonic() > end:
            return record


def _fault_of_variants(server: Server, record: dict[str, Any]) -> str | None:
    for variant in record["variants"]:
        content = server.client.get(variant["url"]).content
        with Pillow.open(io.BytesIO(content), formats=[variant["format"]]) as picture:
            picture.load()
            if (len(content), picture.size) != (variant["bytes"], (variant["width"], variant["height"])):
                return f"variant {variant['name']} is not what the record says"
    return None if record["variants"] else f"no variants: {record['status']} {record['error']}"


def main() -> int:
    """Run one storm and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.seconds:g} s")
    with tempfile.TemporaryDirectory() as folder:
        outcome = storm(Path(folder, "data"), seconds=given.seconds, seed=given.seed)
    print(outcome)
    for problem in outcome.problems:
        print(problem)
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
